"""FovealEnv: one world of any Task as a Gymnasium environment, and what it shares with FovealVectorEnv."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from .checks import one_of
from .lanes import Info, Lanes
from .registration import make_task
from .resets import check_key, check_options, check_seed
from .task import Observation, Task


class GoalFunctions:
    """The batched goal functions of Gymnasium's multi-goal interface, passed on to the task.

    An environment whose observations have no goal keys does not have them, as libraries tell goal environments by them.
    """

    task: Task
    _screen: Any = None  # of the class, since Gymnasium also closes what its constructor refused

    def __getattr__(self, name: str) -> Any:
        function = _GOAL_FUNCTIONS.get(name)
        if function is None or "desired_goal" not in getattr(self.task.observation_space, "spaces", ()):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return partial(function, self.task)


def _compute_reward(task: Task, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> Any:
    """Reward for each (..., G) pair of goals: (...) float64; see the task."""
    reward = task.compute_reward(np.asarray(achieved_goal), np.asarray(desired_goal), info)
    return reward if np.ndim(reward) else float(reward)


def _compute_terminated(task: Task, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> Any:
    """Whether reaching each (..., G) goal ends the episode: (...) bool."""
    ends = task.compute_terminated(np.asarray(achieved_goal), np.asarray(desired_goal), info)
    return ends if np.ndim(ends) else bool(ends)


def _compute_truncated(task: Task, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> Any:
    """Goals never truncate an episode: (...) bool, all False."""
    cut = np.zeros(np.shape(achieved_goal)[:-1], bool)
    return cut if cut.ndim else False


_GOAL_FUNCTIONS = {
    "compute_reward": _compute_reward,
    "compute_terminated": _compute_terminated,
    "compute_truncated": _compute_truncated,
}


class FovealEnv(GoalFunctions, gym.Env[Observation, Any]):
    """One world of a task as a Gymnasium environment.

    Args:
        task: a Task, a subclass of Task, or the name of a registered one.
        render_mode: None, "human" (a window) or "rgb_array".
        **keywords: the task's own.

    ``reset(options={"episode_key": key})`` replays the episode whose ``info["episode_key"]`` was ``key``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": ["human", "rgb_array"],
        "render_fps": 8,
    }

    def __init__(self, task: str | type[Task] | Task, render_mode: str | None = None, **keywords: Any) -> None:
        self.render_mode = check_render_mode(render_mode)
        self.task = make_task(task, keywords)
        self.observation_space = self.task.observation_space
        self.action_space = self.task.action_space
        self._lanes = Lanes(self.task, 1, single=True)
        self._active = np.ones(1, bool)
        self._rewards, self._terminated = np.zeros(1), np.zeros(1, bool)
        self._seeded = False  # whether it was ever reset: then it has a seed and a world
        self._make_row()

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        lanes, given = self._lanes, check_options(options, ("episode_key",))
        seed = None if seed is None else check_seed(seed)
        key = check_key(given["episode_key"]) if "episode_key" in given else None
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(1, 1 << 62))
        if seed is not None:
            lanes.seed(0, seed)
        self._seeded = True
        if key is not None:
            lanes.replay(lanes.rows, np.array([key], np.uint64))
        else:
            lanes.begin(lanes.rows)
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        rewards, terminated, lanes = self._rewards, self._terminated, self._lanes
        if not self._seeded:
            raise gym.error.ResetNeeded("reset the environment first")
        actions = lanes.actions.check(np.asarray(action)[None])
        rewards[0], terminated[0] = 0.0, False
        self.task.step(lanes.worlds, self._active, actions, rewards, terminated)
        if self.render_mode == "human":
            self.render()
        return self._observe(), rewards.item(), terminated.item(), False, self._info()

    def _make_row(self) -> None:
        """The row that is copied out as an observation: of the record itself, or of a buffer (1, ...) for the task."""
        rows = self.task.stored(self._lanes.worlds)
        self._buffer = None
        if rows is None:
            rows = self._buffer = self._lanes.empty_observation()
        self._row = {name: array[0, ...] for name, array in rows.items()} if isinstance(rows, dict) else rows[0, ...]
        parts = self._row if isinstance(self._row, dict) else {}
        self._numbers = [name for name, array in parts.items() if not array.ndim]  # where a part is Discrete

    def _observe(self) -> Observation:
        if self._buffer is not None:
            self.task.observe(self._lanes.worlds, self._lanes.rows, self._buffer)
        row = self._row
        if isinstance(row, dict):
            observation = {name: array.copy() for name, array in row.items()}
            for name in self._numbers:
                observation[name] = observation[name][()]
            return observation
        return row.copy() if row.ndim else row[()]  # a number where the space is Discrete

    def _info(self) -> Info:
        lanes = self._lanes
        info = {name: array.item() for name, array in self.task.info(lanes.worlds, lanes.rows).items()}
        info["episode_key"] = lanes.keys[0]
        return info

    def render(self) -> Any:
        """A frame (H, W, 3) uint8 in mode "rgb_array"; in mode "human" the window is brought up to date.

        Where there is no display, a warning says so, once, and there is no window.
        """
        if self.render_mode is None:
            raise gym.error.Error('make the environment with render_mode="rgb_array" or "human" to render it')
        frame = screen_of(self).show(self._lanes.worlds, 0)
        return None if self.render_mode == "human" else frame

    def oracle_action(self) -> np.ndarray:
        """Action of the best policy that knows the whole world."""
        return self.task.oracle(self._lanes.worlds)[0]  # type: ignore[no-any-return]

    def get_state(self) -> dict[str, np.ndarray]:
        """A complete snapshot: the world and the lane's place in its sequence of episodes."""
        return self._lanes.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a snapshot of ``get_state``.

        This counts as a reset: the world may step, and a reset without a seed begins the snapshot's next episode.

        Raises:
            ValueError: a field is missing, of another kind or outside its range (``Task.limits``); nothing has changed.
        """
        self._lanes.set_state(state)
        self._seeded = True

    def close(self) -> None:
        close_screen(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_screen": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_row()


def check_render_mode(mode: Any) -> str | None:
    """Return a render mode, or raise ValueError."""
    return one_of("render_mode", mode, (None, *FovealEnv.metadata["render_modes"]))  # type: ignore[no-any-return]


def screen_of(env: Any) -> Any:
    """Return the screen of an environment, which is made when it is first asked for."""
    if env._screen is None:
        from .rendering import Screen

        task = env.task
        make = partial(Screen, task.draw, task.render_size, type(task).__name__, fps=env.metadata["render_fps"])
        try:
            env._screen = make(render_mode=env.render_mode)
        except gym.error.Error as error:
            warnings.warn(f"{error}; nothing is shown", RuntimeWarning, stacklevel=3)
            env._screen = make(render_mode=None)
    return env._screen


def close_screen(env: Any) -> None:
    """Close the screen of an environment, if it has one."""
    if env._screen is not None:
        env._screen.close()
        env._screen = None
