"""Steer the fovea yourself, with mouse and keys, against the best reference. ``python -m scripts.play --help``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pygame

from foveal_envs.env import FovealEnv
from foveal_envs.reference import make_reference
from foveal_envs.rendering import Screen, Window
from foveal_envs.rendering.canvas import SIDE

from .shared.command import program, run_command
from .shared.environments import make_lanes, parse_keywords
from .shared.rollouts import rollout
from .shared.runs import find_environment
from .shared.suite import task_of

HELP = "click or arrows: look    0-9: say    Q E: turn    Shift: a quarter    R: new    Esc: quit"
FPS = 30
KEYS = {
    pygame.K_LEFT: "left",
    pygame.K_RIGHT: "right",
    pygame.K_UP: "up",
    pygame.K_DOWN: "down",
    pygame.K_q: "anticlockwise",
    pygame.K_e: "clockwise",
    pygame.K_SPACE: "stay",
    pygame.K_r: "new",
    pygame.K_ESCAPE: "quit",
}
WAYS = {
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up": (0, -1, 0),
    "down": (0, 1, 0),
    "anticlockwise": (0, 0, -1),
    "clockwise": (0, 0, 1),
    "stay": (0, 0, 0),
}
Command = tuple[Any, ...]  # ("left", 1.0), ("click", x, y) in pixels of the picture, ("say", 7), ("new",), ("quit",)


def play(
    environment: str = "Foveal/TargetDetection-v0",
    seed: int | None = None,
    script: str | None = None,
    frames: int | None = None,
    env: tuple[str, ...] = (),
) -> None:
    """Steer the fovea: click where to look, or use the arrow keys; q and e turn; R begins anew; Escape ends.

    Where something is to be named, a digit says it: its class, or 0 for "different" and 1 for "same". What the task
    hides from a policy is shown when the game is over.

    Args:
        environment: id of a task with a fovea, or a run folder.
        seed: of the first episode; default: another one each time.
        script: play these commands without a window, as "left up click:200,150 say:7 clockwise new".
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


def command_of(event: pygame.event.Event, window: Window) -> Command | None:
    """What a key or a click means; None: nothing."""
    if event.type == pygame.KEYDOWN and event.key in KEYS:
        name = KEYS[event.key]
        return (name, 0.25 if event.mod & pygame.KMOD_SHIFT else 1.0) if name in WAYS else (name,)
    if event.type == pygame.KEYDOWN and pygame.K_0 <= event.key <= pygame.K_9:
        return ("say", event.key - pygame.K_0)
    if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
        return ("click", *window.locate(event.pos))
    return None


def read_command(word: str) -> Command:
    """A command from a word of a script: a direction, "click:x,y" or "new".

    Raises:
        SystemExit: an unknown word; the message lists the known ones.
    """
    name, _, place = word.partition(":")
    if name in WAYS:
        return name, 1.0
    if name == "new":
        return (name,)
    if name == "say" and place.isdigit():
        return name, int(place)
    if name == "click" and place.count(",") == 1:
        return name, *(float(part) for part in place.split(","))
    raise SystemExit(f"unknown command {word!r}: a script has {', '.join(WAYS)}, click:x,y, say:7 and new")


class Game:
    """Episodes of one task, each played by a person and, out of sight, by the best reference of the task.

    Args:
        env_id: a task with a fovea.
        keywords: of the task.
        seed: of the first episode; None: random.

    Raises:
        SystemExit: the environment cannot be made or has no fovea.
    """

    def __init__(self, env_id: str, keywords: dict[str, Any], seed: int | None) -> None:
        try:
            self.env = gym.make(env_id, **keywords).unwrapped
        except (gym.error.Error, ModuleNotFoundError, TypeError, ValueError) as error:
            raise SystemExit(f"cannot make {env_id}: {error}") from error
        if not isinstance(self.env, FovealEnv) or not self.env.task.steers_gaze:
            raise SystemExit(f"{env_id} has no fovea, or more than it, to steer; python -m scripts.watch shows it")
        self._rival, self.rival = make_lanes(env_id, keywords, 1, info="step"), task_of(env_id)[1]
        self._policy = make_reference(self.rival, self._rival)
        self.opinion: int | None = None
        self.games: list[tuple[Result, Result]] = []  # finished ones: of the person, of the reference
        self.begin(seed)

    def begin(self, seed: int | None = None) -> None:
        """Start an episode, and let the reference play it to its end."""
        _, info = self.env.reset(seed=seed)
        self.you, self.oracle, self.over, self.opinion = Result(), Result(), False, None
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
        return Screen(task.draw, task.render_size, f"{type(task).__name__}    {HELP}", render_mode, FPS)

    @property
    def worlds(self) -> np.ndarray:
        """(1,) record of the world as it is."""
        return self.env.get_state()["worlds"]

    def obey(self, command: Command) -> None:
        """Do what the person wants: move, or begin anew. After an episode's end only a new one helps."""
        name, *values = command
        task, gaze = self.env.task, self.worlds[0]["gaze"]
        fovea = task.fovea
        if name == "new":
            self.begin()
        elif name == "say":
            self.opinion = min(values[0], len(task.names) - 1) if task.names else None
        elif not self.over:
            if name == "click":
                width, height = task.render_size
                place = np.array(values) * max(width, height) / SIDE
                if not (0 <= place[0] < width and 0 <= place[1] < height):
                    return
                displacement = np.array([*(place - gaze[:2]), 0.0])
            else:
                jumps = (1.0, 1.0, 0.0)  # one cell
                if fovea is not None:
                    jumps = (fovea.largest_jump, fovea.largest_jump, fovea.largest_turn)
                displacement = (values[0] if fovea is not None else 1.0) * np.array(jumps) * WAYS[name]
            self._move(self._action(gaze, displacement))

    def _action(self, gaze: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """The action that moves the gaze so, and says what the person thinks."""
        task = self.env.task
        actions = task.aim(self.worlds, (gaze + displacement)[None, :2], displacement[2])
        if self.opinion is not None:
            actions = task.say(actions, np.array([self.opinion]))
        return actions[0]

    def _move(self, action: np.ndarray) -> None:
        _, reward, terminated, truncated, info = self.env.step(action)
        self.you.add(float(reward), info)
        if terminated or truncated:
            self.over = self.env.task.reveal = True
            self.games.append((self.you, self.oracle))

    def notes(self) -> list[tuple[str, str]]:
        """Lines for the panel: which game, when the target was found, the sum of rewards; beside the reference's."""
        said = [("you say", self.env.task.names[self.opinion])] if self.opinion is not None else []
        return [
            *said,
            ("over: press R" if self.over else f"game {len(self.games) + 1}", f"you | {self.rival}"),
            ("found at", f"{self.you.found_text} | {self.oracle.found_text}"),
            ("return", f"{self.you.total:.1f} | {self.oracle.total:.1f}"),
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
