"""FovealVectorEnv and FovealEnv: the clock, the autoreset modes, goal functions and infos around any Task."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .checks import require
from .lanes import Info, Lanes, tick
from .registration import make_task
from .task import Observation, Task


class _GoalFunctions:
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


class FovealEnv(_GoalFunctions, gym.Env[Observation, Any]):
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
        _require_render_mode(render_mode)
        self.task = make_task(task, keywords)
        self.render_mode = render_mode
        self.observation_space = self.task.observation_space
        self.action_space = self.task.action_space
        self._lanes = Lanes(self.task, 1)
        self._active = np.ones(1, bool)
        self._rewards, self._terminated = np.zeros(1), np.zeros(1, bool)
        self._seeded = False
        self._make_row()

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        super().reset(seed=seed)
        lanes, options = self._lanes, _check_options(options, ("episode_key",))
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(1, 1 << 62))
        if seed is not None:
            lanes.seed(0, seed)
        self._seeded = True
        if "episode_key" in options:
            lanes.replay(lanes.rows, np.asarray([options["episode_key"]], np.uint64))
        else:
            lanes.begin(lanes.rows)
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        rewards, terminated, lanes = self._rewards, self._terminated, self._lanes
        actions = lanes.actions(np.asarray(action)[None])
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
        self._row = {name: array[0] for name, array in rows.items()} if isinstance(rows, dict) else rows[0, ...]

    def _observe(self) -> Observation:
        if self._buffer is not None:
            self.task.observe(self._lanes.worlds, self._lanes.rows, self._buffer)
        row = self._row
        if isinstance(row, dict):
            return {name: array.copy() for name, array in row.items()}
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
        frame = _screen(self).show(self._lanes.worlds, 0)
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
        _close(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_screen": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_row()


class FovealVectorEnv(_GoalFunctions, gym.vector.VectorEnv[Observation, Any, np.ndarray]):
    """N worlds of a task as one Gymnasium vector environment; lane i equals FovealEnv seeded ``seed + i``, bit for bit.

    Args:
        task: a Task, a subclass of Task, or the name of a registered one.
        num_envs: N.
        autoreset_mode: "next_step", "same_step" or "disabled", or Gymnasium's AutoresetMode. Disabled: reset finished
            lanes with ``reset(options={"reset_mask": mask})``.
        max_episode_steps: truncate episodes after so many steps; None: never.
        copy: True gives fresh arrays every step; False writes observations to the same arrays again and again.
        info: "end" puts measures into infos when an episode begins or ends, "step" for every lane at every step.
        render_mode: None, "human" (lane 0 in a window) or "rgb_array".
        **keywords: the task's own.
    """

    def __init__(
        self,
        task: str | type[Task] | Task,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        max_episode_steps: int | None = None,
        copy: bool = True,
        info: str = "end",
        render_mode: str | None = None,
        **keywords: Any,
    ) -> None:
        _require_render_mode(render_mode)
        require(info in ("end", "step"), "info", ("end", "step"), info)
        require(num_envs >= 1, "num_envs", "at least 1", num_envs)
        if max_episode_steps is not None:
            require(max_episode_steps >= 1, "max_episode_steps", "None or at least 1", max_episode_steps)
        self.task = make_task(task, keywords)
        self.num_envs = num_envs
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {
            **FovealEnv.metadata,
            "autoreset_mode": self.autoreset_mode,
            "reward_needs_info": self.task.reward_needs_info,
        }
        self.render_mode = render_mode
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = self.task.observation_space
        self.single_action_space = self.task.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.copy = copy
        self._info_mode = info
        self._lanes = Lanes(self.task, num_envs)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._pending = np.zeros(num_envs, bool)  # episode over, reset still to come
        self._waiting = False  # whether any is
        self._buffer = None if copy else self._lanes.empty_observation()
        self._all = np.ones(num_envs, bool)
        self._seeded = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None
    ) -> tuple[Observation, Info]:
        lanes, options = self._lanes, _check_options(options, ("episode_key", "reset_mask"))
        self._seed(seed)
        rows = lanes.rows
        if options.get("reset_mask") is not None:
            rows = np.flatnonzero(self._check_mask(options["reset_mask"]))
        if options.get("episode_key") is not None:
            keys = np.broadcast_to(np.asarray(options["episode_key"], np.uint64), (self.num_envs,))
            lanes.replay(rows, keys[rows])
        else:
            lanes.begin(rows)
        self._elapsed[rows] = 0
        self._pending[rows] = False
        self._waiting = bool(self._pending.any())
        infos: Info = {}
        self._add_measures(infos, rows)
        if self.render_mode == "human":
            self.render()
        return self._observe(), infos

    def step(self, actions: Any) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Move every lane; see the class for the autoreset modes.

        Args:
            actions: (N, ...) as ``action_space``; lanes about to be reset (NEXT_STEP) ignore theirs.

        Returns:
            observations, rewards (N,) float64, terminated (N,) bool, truncated (N,) bool, infos with ``_key`` masks.

        Raises:
            ValueError: actions of a wrong shape or kind, or not finite: names the lane, and no world moves.
            gymnasium.error.ResetNeeded: autoreset is disabled and a lane's episode is over.
        """
        lanes, pending = self._lanes, self._pending
        actions = lanes.actions(actions)
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        truncated, infos = np.zeros(self.num_envs, bool), cast("Info", {})
        fresh = np.flatnonzero(pending) if self._waiting else None
        if fresh is None:
            active = self._all
        elif self.autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded(f"reset lanes {fresh.tolist()} with options={{'reset_mask': mask}} first")
        else:
            active = ~pending
        self.task.step(lanes.worlds, active, actions, rewards, terminated)
        if fresh is not None:
            lanes.begin(fresh)
        count = tick(active, terminated, self.max_episode_steps or 0, self._elapsed, truncated, pending)
        self._waiting = count > 0
        observation = self._observe()
        if count or fresh is not None or self._info_mode == "step":
            self._after_end(observation, active, infos)
        if self.render_mode == "human":
            self.render()
        return observation, rewards, terminated, truncated, infos

    def _after_end(self, observation: Observation, active: np.ndarray, infos: Info) -> None:
        """Infos of lanes that ended or began, and in SAME_STEP their reset; fills ``infos`` in place."""
        rows = np.flatnonzero(self._pending | ~active)  # those that were not active have begun
        if self.autoreset_mode is AutoresetMode.SAME_STEP and len(rows):
            final_info: Info = {}
            infos["final_obs"] = self._final_observations(observation, rows)
            self._add_measures(final_info, rows)
            infos["final_info"] = final_info
            infos["_final_obs"], infos["_final_info"] = self._pending.copy(), self._pending.copy()
            self._lanes.begin(rows)
            self._elapsed[rows] = 0
            self._pending[:] = self._waiting = False
            self.task.observe(self._lanes.worlds, rows, observation)
        self._add_measures(infos, self._lanes.rows if self._info_mode == "step" else rows)

    def _final_observations(self, observation: Observation, ended: np.ndarray) -> np.ndarray:
        """(N,) object array: the last observation of each lane that ended, else None, as Gymnasium documents."""
        final = np.full(self.num_envs, None, object)
        if isinstance(observation, dict):
            copies = {name: array[ended] for name, array in observation.items()}
            for i, row in enumerate(ended):
                final[row] = {name: array[i] for name, array in copies.items()}
        else:
            for row, last in zip(ended, observation[ended], strict=True):
                final[row] = last
        return final

    def _add_measures(self, infos: Info, rows: np.ndarray) -> None:
        if len(rows) == 0:
            return
        mask = np.zeros(self.num_envs, bool)
        mask[rows] = True
        for name, values in self._lanes.info(rows).items():
            if len(rows) == self.num_envs:
                full = values.copy()
            else:
                full = np.zeros((self.num_envs, *values.shape[1:]), values.dtype)
                full[rows] = values
            infos[name], infos[f"_{name}"] = full, mask.copy()

    def _observe(self) -> Observation:
        observation = self._lanes.empty_observation() if self.copy else self._buffer
        self.task.observe(self._lanes.worlds, self._lanes.rows, observation)
        return observation

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(1 << 62))
        if seed is None:
            return
        if isinstance(seed, int | np.integer):
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(int(seed))
            seed = [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"a list of seeds must have length num_envs = {self.num_envs}, got {len(seed)}")
        for row, value in enumerate(seed):
            if value is not None:
                self._lanes.seed(row, int(value))
        self._seeded = True

    def _check_mask(self, mask: Any) -> np.ndarray:
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(f"options['reset_mask'] must be a bool array of shape ({self.num_envs},), got {mask!r}")
        if not mask.any():
            raise ValueError("options['reset_mask'] must have at least one True")
        return mask

    def render(self) -> Any:
        """In mode "rgb_array" a tuple of N frames (H, W, 3) uint8; in mode "human" lane 0 is shown in a window.

        Where there is no display, a warning says so, once, and there is no window.
        """
        if self.render_mode is None:
            raise gym.error.Error('make the environment with render_mode="rgb_array" or "human" to render it')
        rows = [0] if self.render_mode == "human" else range(self.num_envs)
        frames = tuple(_screen(self).show(self._lanes.worlds, row) for row in rows)
        return None if self.render_mode == "human" else frames

    def oracle_actions(self) -> np.ndarray:
        """Actions (N, ...) of the best policy that knows the whole worlds."""
        return self.task.oracle(self._lanes.worlds)

    def call(self, name: str, *args: Any, **keywords: Any) -> tuple[Any, ...]:
        """Call a method (or read an attribute) of the environment or its task; all lanes share the one answer."""
        owner = self if hasattr(self, name) else self.task
        value = getattr(owner, name)
        return (value(*args, **keywords) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of the environment or its task, once a lane."""
        return (getattr(self if hasattr(self, name) else self.task, name),) * self.num_envs

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute, the same for all lanes: one value, or N equal ones.

        Raises:
            ValueError: a list of values that differ: the lanes share one task.
        """
        if isinstance(values, list | tuple):
            if len(values) != self.num_envs or any(value != values[0] for value in values):
                raise ValueError(f"lanes share one task: {name!r} needs one value for all {self.num_envs} of them")
            values = values[0]
        setattr(self if hasattr(self, name) else self.task, name, values)

    def get_state(self) -> dict[str, np.ndarray]:
        """A complete snapshot: worlds, clocks, pending resets and every lane's place in its sequence of episodes."""
        return self._lanes.get_state(elapsed=self._elapsed, pending=self._pending)

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go back to a snapshot of ``get_state``; the environment then goes on exactly as it did.

        This counts as a reset: a lane that is not pending may step, and every lane has its seed.

        Raises:
            ValueError: a field is missing, of another kind or outside its range (``Task.limits``); it names the lane,
                and nothing has changed.
        """
        at_once = self.autoreset_mode is AutoresetMode.SAME_STEP  # where no reset is ever pending
        limits = {"pending": (0, 0 if at_once else 1)}
        self._lanes.set_state(state, limits, elapsed=self._elapsed, pending=self._pending)
        self._waiting = bool(self._pending.any())
        self._seeded = True

    def close_extras(self, **kwargs: Any) -> None:
        _close(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_screen": None}


def _require_render_mode(mode: str | None) -> None:
    allowed = None, *FovealEnv.metadata["render_modes"]
    require(mode in allowed, "render_mode", allowed, mode)


def _check_options(options: Info | None, allowed: Sequence[str]) -> Info:
    for name in options or {}:
        require(name in allowed, "a reset option", tuple(allowed), name)
    return options or {}


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    names = {member.name.lower(): member for member in AutoresetMode}
    require(mode in names, "autoreset_mode", tuple(names), mode)
    return names[mode]


def _screen(env: Any) -> Any:
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


def _close(env: Any) -> None:
    if env._screen is not None:
        env._screen.close()
        env._screen = None
