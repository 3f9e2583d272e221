"""FovealVectorEnv: many worlds of any Task, with clock, autoreset modes and infos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .checks import flag, one_of, shown, whole_number
from .env import FovealEnv, GoalFunctions, check_render_mode, close_screen, screen_of
from .lanes import Info, Lanes, tick
from .limits import COUNT
from .registration import make_task
from .resets import check_autoreset_mode, check_keys, check_lanes, check_mask, check_options, check_seed, check_seeds
from .task import Observation, Task

MOST_ENVS = 10**6


class FovealVectorEnv(GoalFunctions, gym.vector.VectorEnv[Observation, Any, np.ndarray]):
    """N worlds of a task as one Gymnasium vector environment; lane i equals FovealEnv seeded ``seed + i``, bit for bit.

    Args:
        task: a Task, a subclass of Task, or the name of a registered one.
        num_envs: N.
        autoreset_mode: "next_step", "same_step" or "disabled", or Gymnasium's AutoresetMode. Disabled: reset finished
            lanes with ``reset(options={"reset_mask": mask})``.
        max_episode_steps: truncate episodes after so many steps; None: never.
        copy: True gives fresh arrays every step; False writes observations to the same arrays again and again.
        info: "end" puts measures into infos when an episode begins or ends, "step" for every lane at every step;
            "reward" is "end" and, at every step, the measures that ``compute_reward`` reads.
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
        self.num_envs = num_envs = whole_number("num_envs", num_envs, 1, MOST_ENVS)
        self.autoreset_mode = check_autoreset_mode(autoreset_mode)
        self.max_episode_steps = max_episode_steps
        if max_episode_steps is not None:
            self.max_episode_steps = whole_number(
                "max_episode_steps", max_episode_steps, 1, COUNT[1], "None or a number"
            )
        self.copy = flag("copy", copy)
        info = one_of("info", info, ("end", "reward", "step"))
        self.render_mode = check_render_mode(render_mode)
        self.task = make_task(task, keywords)
        self._told = {"end": (), "reward": self.task.reward_needs_info, "step": None}[info]  # at every step; None: all
        self.metadata = {
            **FovealEnv.metadata,
            "autoreset_mode": self.autoreset_mode,
            "episode_keys": True,  # `reset` takes them, and an episode depends on its key alone
            "reward_needs_info": self.task.reward_needs_info,
        }
        self.single_observation_space = self.task.observation_space
        self.single_action_space = self.task.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._lanes = Lanes(self.task, num_envs)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._pending = np.zeros(num_envs, bool)  # episode over, reset still to come
        self._waiting = False  # whether any is
        self._buffer = None if self.copy else self._lanes.empty_observation()
        self._all = np.ones(num_envs, bool)
        self._seeded = False
        self._unbegun = np.ones(num_envs, bool)  # never reset yet
        self._ready = False  # whether no lane is

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Info | None = None
    ) -> tuple[Observation, Info]:
        lanes, given = self._lanes, check_options(options, ("episode_key", "reset_mask"))
        rows = lanes.rows
        if given.get("reset_mask") is not None:
            rows = np.flatnonzero(check_mask(given["reset_mask"], self.num_envs))
        keys = check_keys(given["episode_key"], self.num_envs) if "episode_key" in given else None
        self._seed(seed, rows)
        if keys is not None:
            lanes.replay(rows, keys[rows])
        else:
            lanes.begin(rows)
        if not self._ready:
            self._unbegun[rows] = False
            self._ready = not self._unbegun.any()
        self._elapsed[rows] = 0
        self._pending[rows] = False
        self._waiting = bool(self._pending.any())
        infos: Info = {}
        self._add_measures(infos, rows)
        if self.render_mode == "human":
            self.render()
        return self._observe(), infos

    def step(
        self, actions: Any, active: np.ndarray | None = None
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Move every lane, or some; see the class for the autoreset modes.

        A lane that is not active rests: its world, clock and observation stay as they are, the numbers of its action do
        not matter, its reward is 0 and its episode does not end. It needs no reset (before its first, its observation
        means nothing), and gets none in NEXT_STEP until it is active.

        Args:
            actions: (N, ...) as ``action_space``; lanes about to be reset (NEXT_STEP) ignore theirs.
            active: (N,) bool; None: all lanes.

        Returns:
            observations, rewards (N,) float64, terminated (N,) bool, truncated (N,) bool, infos with ``_key`` masks.

        Raises:
            ValueError: actions of a wrong shape or kind, or not finite: names the lane, and no world moves.
            gymnasium.error.ResetNeeded: an active lane was never reset; or autoreset is disabled and its episode is
                over.
        """
        lanes, pending = self._lanes, self._pending
        awake = self._all if active is None else check_lanes(active, self.num_envs, "active")
        if not self._ready and (unbegun := self._unbegun & awake).any():
            raise _reset_needed(unbegun)
        actions = lanes.actions.check(actions if active is None else lanes.actions.still(actions, ~awake))
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        truncated, infos = np.zeros(self.num_envs, bool), cast("Info", {})
        moving, fresh = awake, None
        if self._waiting and (over := pending & awake).any():
            if self.autoreset_mode is AutoresetMode.DISABLED:
                raise _reset_needed(over)
            moving, fresh = awake & ~pending, np.flatnonzero(over)
        self.task.step(lanes.worlds, moving, actions, rewards, terminated)
        if fresh is not None:
            lanes.begin(fresh)
            self._elapsed[fresh] = 0
            pending[fresh] = False
        count = tick(moving, terminated, self.max_episode_steps or 0, self._elapsed, truncated, pending)
        self._waiting = count > 0
        observation = self._observe()
        if count or fresh is not None or self._told != ():
            changed = pending & moving
            if fresh is not None:
                changed[fresh] = True
            self._after_end(observation, np.flatnonzero(changed), infos)
        if self.render_mode == "human":
            self.render()
        return observation, rewards, terminated, truncated, infos

    def _after_end(self, observation: Observation, rows: np.ndarray, infos: Info) -> None:
        """Infos of the lanes that ended or began, and in SAME_STEP their reset; fills ``infos`` in place."""
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
        begun = self._lanes.rows if self._ready else np.flatnonzero(~self._unbegun)
        self._add_measures(infos, begun if self._told is None else rows)
        if self._told:
            self._add_measures(infos, begun, self._told)

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

    def _add_measures(self, infos: Info, rows: np.ndarray, names: tuple[str, ...] | None = None) -> None:
        """Put the measures of ``rows`` into ``infos``: those of ``names``, or all."""
        if len(rows) == 0:
            return
        mask = np.zeros(self.num_envs, bool)
        mask[rows] = True
        measures = self._lanes.info(rows)
        for name in measures if names is None else names:
            values = measures[name]
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

    def _seed(self, seed: int | Sequence[int | None] | None, rows: np.ndarray) -> None:
        """Begin the sequences of episodes of the rows that have a seed; the first time, every lane gets one."""
        if seed is None and self._seeded:
            return
        if seed is None or isinstance(seed, int | np.integer):
            first = self._draw_seed() if seed is None else check_seed(seed)
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(first)
            seeds: list[int | None] = [first + lane for lane in range(self.num_envs)]
        else:
            seeds = check_seeds(seed, self.num_envs)
            if not self._seeded and None in seeds:
                first = self._draw_seed()
                seeds = [first + lane if given is None else given for lane, given in enumerate(seeds)]
        for lane in rows.tolist() if self._seeded else range(self.num_envs):
            if (given := seeds[lane]) is not None:
                self._lanes.seed(lane, given)
        self._seeded = True

    def _draw_seed(self) -> int:
        return int(self.np_random.integers(1 << 62))

    def render(self) -> Any:
        """In mode "rgb_array" a tuple of N frames (H, W, 3) uint8; in mode "human" lane 0 is shown in a window.

        Where there is no display, a warning says so, once, and there is no window.
        """
        if self.render_mode is None:
            raise gym.error.Error('make the environment with render_mode="rgb_array" or "human" to render it')
        rows = [0] if self.render_mode == "human" else range(self.num_envs)
        frames = tuple(screen_of(self).show(self._lanes.worlds, row) for row in rows)
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
        self._unbegun[:] = False
        self._seeded = self._ready = True

    def close_extras(self, **kwargs: Any) -> None:
        close_screen(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_screen": None}


def _reset_needed(lanes: np.ndarray) -> gym.error.ResetNeeded:
    """What a step raises where lanes (N,) bool have no episode."""
    rows = np.flatnonzero(lanes).tolist()
    return gym.error.ResetNeeded(f"reset lanes {shown(rows)} first; options={{'reset_mask': mask}} resets some alone")
