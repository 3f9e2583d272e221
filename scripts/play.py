"""Play a task yourself, with mouse and keys, against the best reference. ``python -m scripts.play --help``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from foveal_envs.env import FovealEnv
from foveal_envs.reference import make_reference
from foveal_envs.rendering import Screen, Window
from foveal_envs.rendering.canvas import SIDE

from .shared.command import program, run_command
from .shared.controls import WAYS, Command, command_of, keys_of, read_command, ways_of
from .shared.environments import make_lanes, parse_keywords
from .shared.rollouts import rollout
from .shared.runs import find_environment
from .shared.suite import task_of

FPS = 30


def play(
    environment: str = "Foveal/TargetDetection-v0",
    seed: int | None = None,
    script: str | None = None,
    frames: int | None = None,
    env: tuple[str, ...] = (),
) -> None:
    """Play with the keys that the picture lists: the arrows and the mouse look or walk, digits answer, R begins anew.

    What the task hides from a policy is shown when the game is over.

    Args:
        environment: id of any task of this package, or of yours; or a run folder.
        seed: of the first episode; default: another one each time.
        script: play these commands without a window, as in "left up click:200,150 say:7 clockwise new".
        frames: stop after so many frames.
        env: keywords of the environment, KEY=VALUE.
    """
    env_id, keywords, _ = find_environment(environment, parse_keywords(env))
    game = Game(env_id, keywords, seed)
    if script is not None:
        screen = game.screen("rgb_array")
        for word in script.split()[:frames]:
            game.obey(read_command(word))
            screen.show(game.worlds, 0, game.notes())
    else:
        try:
            screen = game.screen("human")
        except gym.error.Error as error:
            raise SystemExit(f"{error}; --script plays without a window") from error
        assert screen.window is not None
        steer(game, screen, screen.window, frames)
    print(game.summary())
    game.close()


def steer(game: Game, screen: Screen, window: Window, frames: int | None) -> None:
    """Show the game and obey the person until the window closes, or for so many frames."""
    shown = 0
    while window.is_open and (frames is None or shown < frames):
        screen.show(game.worlds, 0, game.notes())
        shown += 1
        for event in window.events:
            command = command_of(event, window)
            if command == ("quit",):
                window.close()
            elif command is not None:
                game.obey(command)
    window.close()


class Game:
    """Episodes of one task, each played by a person and, out of sight, by the best reference of the task.

    Args:
        env_id: a task of foveal_envs.
        keywords: of the task.
        seed: of the first episode; None: random.

    Raises:
        SystemExit: the environment cannot be made, is of another package, or has actions for which there are no keys.
    """

    def __init__(self, env_id: str, keywords: dict[str, Any], seed: int | None) -> None:
        try:
            self.env = gym.make(env_id, **keywords).unwrapped
        except (gym.error.Error, ModuleNotFoundError, TypeError, ValueError) as error:
            raise SystemExit(f"cannot make {env_id}: {error}") from error
        if not isinstance(self.env, FovealEnv):
            raise SystemExit(f"{env_id} is no task of foveal_envs; python -m scripts.watch shows it")
        self.ways = ways_of(self.env.task)
        if not self.ways:
            space = self.env.task.action_space
            raise SystemExit(
                f"there are no keys for the actions of {env_id}, {space}; python -m scripts.watch shows it"
            )
        self._rival, self.rival = make_lanes(env_id, keywords, 1, info="step"), task_of(env_id)[1]
        self._policy = make_reference(self.rival, self._rival)
        self.opinion: int | None = None
        self.games: list[tuple[Result, Result]] = []  # finished ones: of the person, of the reference
        self.begin(seed)

    def begin(self, seed: int | None = None) -> None:
        """Start an episode, and let the reference play it to its end."""
        _, info = self.env.reset(seed=seed)
        self.you, self.oracle, self.over, self.opinion, self._eye = Result(), Result(), False, None, None
        self.env.task.reveal = False
        same = {"episode_key": info["episode_key"]}
        for move in rollout(self._rival, self._policy, options=same):
            if move.number:
                self.oracle.add(float(move.rewards[0]), {name: values[0] for name, values in move.infos.items()})

    def screen(self, render_mode: str) -> Screen:
        """What shows the game: frames as arrays, or a window.

        Raises:
            gymnasium.error.Error: a window is wanted and there is no display.
        """
        task = self.env.task
        return Screen(task.draw, task.render_size, type(task).__name__, render_mode, FPS)

    @property
    def worlds(self) -> np.ndarray:
        """(1,) record of the world as it is."""
        return self.env.get_state()["worlds"]

    def obey(self, command: Command) -> None:
        """Do what the person wants: move, answer, or begin anew. After an episode's end only a new one helps."""
        name, *values = command
        names = self.env.task.names
        if name == "new":
            self.begin()
        elif name == "say" and names:
            self.opinion = min(values[0], len(names) - 1)
        elif not self.over:
            act = self._look if self.env.task.steers_gaze else self._act
            action = act(name, values)
            if action is not None:
                self._move(action)

    def _look(self, name: str, values: list[Any]) -> np.ndarray | None:
        """The action that moves the gaze as the person wants, and says what the person thinks; None: no move."""
        task, gaze = self.env.task, self.worlds[0]["gaze"]
        fovea = task.fovea
        if name == "click":
            place = self._place(values)
            if place is None:
                return None
            displacement = np.array([*(place - gaze[:2]), 0.0])
        elif name in WAYS:
            jumps = (1.0, 1.0, 0.0)  # one cell
            if fovea is not None:
                jumps = (fovea.largest_jump, fovea.largest_jump, fovea.largest_turn)
            displacement = (values[0] if fovea is not None else 1.0) * np.array(jumps) * WAYS[name]
        else:
            return None
        actions = task.aim(self.worlds, (gaze + displacement)[None, :2], displacement[2])
        if self.opinion is not None:
            actions = task.say(actions, np.array([self.opinion]))
        return actions[0]

    def _act(self, name: str, values: list[Any]) -> np.ndarray | None:
        """The action of a task that steers no gaze, or more than it; None: no move. A click says where an eye goes."""
        task = self.env.task
        name = str(values[0]) if name == "say" else name
        if name == "click" and task.fovea is not None:
            self._eye = self._place(values)
        if name not in self.ways:
            return None
        if isinstance(task.action_space, gym.spaces.Box):
            (numbers,) = task.action_space.shape
            return (values[0] * np.array(WAYS[name], np.float32))[:numbers]
        action = self.ways.index(name)
        if isinstance(task.action_space, gym.spaces.Discrete):
            return np.int64(action)
        gaze = self.worlds["gaze"]
        return np.array([action, *task.fovea.aim_at(gaze, gaze[:, :2] if self._eye is None else self._eye[None])])

    def _place(self, pixel: list[float]) -> np.ndarray | None:
        """The place in the scene (x, y) of a place in the picture; None: it is in the panel."""
        width, height = self.env.task.render_size
        place = np.array(pixel) * max(width, height) / SIDE
        return place if 0 <= place[0] < width and 0 <= place[1] < height else None

    def _move(self, action: np.ndarray) -> None:
        _, reward, terminated, truncated, info = self.env.step(action)
        if self.env.task.names and self.opinion is None:  # then the scores are all the same, and name the first class
            info = {**info, "is_success": False}
        self.you.add(float(reward), info)
        if terminated or truncated:
            self.over = self.env.task.reveal = True
            self.games.append((self.you, self.oracle))

    def notes(self) -> list[tuple[str, str]]:
        """Lines for the panel: the game, its first success and sum of rewards beside the reference's, and the keys."""
        task = self.env.task
        said = [("you say", task.names[self.opinion])] if self.opinion is not None else []
        found = ("right at" if task.names else "success at", f"{self.you.found_text} | {self.oracle.found_text}")
        answered = self.over or self.opinion is not None or not task.names
        return [
            *said,
            ("over: press R" if self.over else f"game {len(self.games) + 1}", f"you | {self.rival}"),
            *([found] if answered else []),
            ("return", f"{self.you.total:.1f} | {self.oracle.total:.1f}"),
            ("", ""),
            *keys_of(task),
        ]

    def summary(self) -> str:
        """One line about all finished games."""
        if not self.games:
            return "no game was played to its end"
        found = [sum(result.found is not None for result in side) for side in zip(*self.games, strict=True)]
        mean = [np.mean([result.total for result in side]) for side in zip(*self.games, strict=True)]
        return (
            f"{len(self.games)} games: success in {found[0]} ({self.rival} {found[1]}), "
            f"mean return {mean[0]:.2f} ({self.rival} {mean[1]:.2f})"
        )

    def close(self) -> None:
        """Close both environments."""
        self.env.close()
        self._rival.close()


class Result:
    """How an episode went: number of moves, sum of rewards, and the first move that succeeded (None: not yet)."""

    def __init__(self) -> None:
        self.moves, self.total = 0, 0.0
        self.found: int | None = None

    def add(self, reward: float, info: dict[str, Any]) -> None:
        """Count one move."""
        self.moves, self.total = self.moves + 1, self.total + reward
        if info.get("is_success") and self.found is None:
            self.found = self.moves

    @property
    def found_text(self) -> str:
        """The move at which it succeeded, or a dash."""
        return "–" if self.found is None else str(self.found)


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(play, program("play"), words)


if __name__ == "__main__":
    main()
