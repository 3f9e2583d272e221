"""What all agents share: the learning loop, logging, and the check that rewards and observations are finite."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import check_for_correct_spaces, safe_mean
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ..cores import State
from .archive import File
from .encoder import GOAL_KEYS
from .group import Group, all_agree, exchanging
from .saving import SavedAlgorithm
from .sequences import true_next
from .vec_env import GymnasiumVecEnv
from .workers import Workers, leads, working


class Step(NamedTuple):
    """One step of N lanes, the argument of `Agent.remember`.

    Attributes:
        act: the dict that `Agent.act` returned.
        episode_start: (N,) bool, whether this is the first step of an episode.
        rewards: (N,).
        ends: (N,) bool, whether an episode ended.
        terminated: (N,) bool, whether it ended for any reason but a time limit.
        next_obs: (N, ...) observations after the step; where an episode ended, its last one.
        infos: one dict per lane.
        next_states: core states after the step; `Agent.core_states` still holds those before it.
    """

    act: Mapping[str, Any]
    episode_start: Tensor
    rewards: np.ndarray
    ends: np.ndarray
    terminated: np.ndarray
    next_obs: Any
    infos: list[dict[str, Any]]
    next_states: tuple[State, ...]


class Agent(SavedAlgorithm):
    """A Stable-Baselines3 algorithm that alternates between `collect` and `train`.

    A subclass extends `_setup_model` and implements `_setup_lanes`, `rollout_length`, `act`, `remember` and `train`. It
    stores every constructor keyword as an attribute of the same name, and puts the tensors or numbers to log into
    `measures`, by logger key. Between two rollouts (callbacks: `on_rollout_start`) an agent is consistent, so a
    checkpoint taken there is exact.
    """

    STATE: ClassVar[tuple[str, ...]] = ("core_states",)

    measures: dict[str, Any]
    core_states: tuple[State, ...]
    workers: Workers = 1  # processes that collect and train together
    rank, processes = 0, 1  # of this process, and their number, in this call of `learn`
    iterations: int = 0  # rollouts learned from in this call of `learn`
    collecting: bool = False  # whether a rollout has begun that has not been learned from

    @abstractmethod
    def _setup_lanes(self) -> None:
        """Creates what depends on the number of lanes: core states and buffers for experience."""

    def check_lanes(self, count: int) -> None:
        """Raises ValueError if the agent's settings do not allow `count` lanes. By default any number is allowed."""

    @abstractmethod
    def rollout_length(self) -> int | None:
        """Steps per lane between two updates; None: until every lane has finished an episode."""

    @abstractmethod
    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """Chooses actions.

        Args:
            obs: (N, ...) observations of the environment; do not modify them.
            episode_start: (N,) bool.

        Returns:
            Actions (N, ...) for the environment, a dict for `remember`, and the next core states.
        """

    @abstractmethod
    def remember(self, step: Step) -> None:
        """Stores one step for `train`, without modifying it."""

    @abstractmethod
    def train(self, steps: int) -> None:
        """Learns from the rollout of `steps` steps just collected, and from older experience if it keeps any."""

    def begin_rollout(self) -> None:
        """Called before the first step of every rollout; a subclass that keeps rollouts starts a new one here."""

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        tb_log_name: str = "run",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Trains for at least `total_timesteps` environment steps and returns itself.

        With several `workers`, all processes end with the same parameters, and callbacks run in the first alone.

        Args:
            total_timesteps: steps of all lanes, and of all workers, together.
            callback: Stable-Baselines3's callbacks.
            log_interval: rollouts between two log entries; None: no log.
            tb_log_name: name of the run for TensorBoard.
            reset_num_timesteps: False keeps counting steps and continues the running episodes.
            progress_bar: shows a bar with rate and time left (needs tqdm and rich).

        Raises:
            FloatingPointError: a reward or an observation is not finite; nothing has been learned from it.
            ConnectionError: another worker was lost, or did not come.
        """
        _ = self.training_env  # there must be one
        if self.workers != 1:
            self.check_workers()
        with working(
            self, self.workers, total_timesteps=total_timesteps, reset_num_timesteps=reset_num_timesteps
        ) as group:
            return self.learn_in(
                group, total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
            )

    def learn_in(
        self,
        group: Group,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        tb_log_name: str = "run",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """`learn` in a group that has met; only its first process calls back and logs."""
        if group.rank:
            callback, log_interval, progress_bar = None, None, False
        self.rank, self.processes = group.rank, group.size
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        self.measures, self.iterations = {}, 0
        callback.on_training_start(locals(), globals())
        try:
            while self.num_timesteps < total_timesteps:
                callback.on_rollout_start()
                self.collecting = True
                steps = self.collect(callback)
                with exchanging(group):
                    if not all_agree(steps is not None):
                        break
                callback.on_rollout_end()
                self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
                with exchanging(group):
                    self.train(cast(int, steps))
                self.collecting = False
                self.iterations += 1
                if log_interval is not None and self.iterations % log_interval == 0:
                    self.dump_logs()
        finally:
            self.collecting = False
        callback.on_training_end()
        return self

    def collect(self, callback: BaseCallback) -> int | None:
        """Steps every lane `rollout_length` times and passes each step to `remember`.

        Returns:
            The number of steps, or None if the callback stops training.
        """
        check_finite("observation", self._last_obs, self.num_timesteps)
        self.begin_rollout()
        with torch.no_grad():
            return self._collect(callback)

    def _collect(self, callback: BaseCallback) -> int | None:
        length, steps = self.rollout_length(), 0
        finished = np.zeros(self.lanes, dtype=bool)
        env = self.training_env
        while not finished.all() if length is None else steps < length:
            start = torch.from_numpy(self._last_episode_starts).to(self.device)
            actions, act, next_states = self.act(self._last_obs, start)
            obs, rewards, ends, infos = env.step(actions)
            next_obs, terminated = true_next(obs, ends, infos)
            steps += 1
            self.num_timesteps += self.lanes * self.processes
            if self._vec_normalize_env is not None:  # whose statistics spread one bad number over all lanes
                check_finite("reward", self._vec_normalize_env.get_original_reward(), self.num_timesteps)
                check_finite("observation", self._vec_normalize_env.get_original_obs(), self.num_timesteps)
            check_finite("reward", rewards, self.num_timesteps)
            check_finite("observation", obs, self.num_timesteps)
            if next_obs is not obs:
                check_finite("last observation", next_obs, self.num_timesteps)
            self.remember(Step(act, start, rewards, ends, terminated, next_obs, infos, next_states))
            self._last_obs, self._last_episode_starts, self.core_states = obs, ends, next_states
            finished |= ends
            if ends.any():
                self._update_info_buffer(infos, ends)
            # what Stable-Baselines3's callbacks read
            callback.update_locals(
                {"dones": ends, "infos": infos, "rewards": rewards, "new_obs": obs, "actions": actions}
            )
            if not callback.on_step():
                return None
        return steps

    def dump_logs(self) -> None:
        """Logs the measures, means over the last episodes, the step count and the speed."""
        for key, value in self.measures.items():
            self.logger.record(key, float(value))
        if self.ep_info_buffer:
            self.logger.record("rollout/ep_rew_mean", safe_mean([info["r"] for info in self.ep_info_buffer]))
            self.logger.record("rollout/ep_len_mean", safe_mean([info["l"] for info in self.ep_info_buffer]))
        if self.ep_success_buffer:
            self.logger.record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        seconds = max((time.time_ns() - self.start_time) / 1e9, 1e-9)
        self.logger.record("time/iterations", self.iterations, exclude="tensorboard")
        self.logger.record("time/time_elapsed", int(seconds), exclude="tensorboard")
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / seconds))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    @property
    def lanes(self) -> int:
        """N, the number of environments; 1 if there is none yet."""
        return 1 if self.env is None else self.env.num_envs

    @property
    def training_env(self) -> Any:
        """The VecEnv that the agent trains in.

        Raises:
            ValueError: there is none yet.
        """
        if self.env is None:
            raise ValueError(f"this {type(self).__name__} has no environment: call set_env first")
        return self.env

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Replaces the environment. The new one may have a different number of lanes.

        If it does, running episodes, core states and experience are dropped; learned parameters are kept.

        Args:
            env: environment with the same spaces.
            force_reset: whether to start new episodes; a different number of lanes always does.

        Raises:
            ValueError: the spaces differ, or the settings do not allow this number of lanes; nothing has changed.
        """
        before = self.lanes if self.env is not None else None
        wrapped = self._wrap_env(env, self.verbose)
        check_for_correct_spaces(wrapped, self.observation_space, self.action_space)
        self.check_lanes(wrapped.num_envs)
        self.n_envs = wrapped.num_envs
        super().set_env(wrapped, force_reset or before != wrapped.num_envs)
        self._refuse_scaled_goals()
        if before != wrapped.num_envs:
            self._setup_lanes()

    def check_workers(self) -> None:
        """Raises ValueError if the agent cannot share its work."""
        if self._vec_normalize_env is not None:
            raise ValueError("VecNormalize would scale differently in each worker: use workers=1")

    def save(self, path: File, exclude: Iterable[str] | None = None, include: Iterable[str] | None = None) -> None:
        """See `SavedAlgorithm.save`; of the processes of torchrun, only the first writes."""
        if leads(self.workers):
            super().save(path, exclude, include)

    @property
    def resumes_exactly(self) -> bool:
        """Whether a checkpoint made now resumes bit for bit, if the environment can be restored."""
        return self.workers == 1 and not self.collecting

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """A VecEnv of an environment, of Gymnasium's vector environment, or of another VecEnv."""
        if isinstance(env, VectorEnv):
            env = GymnasiumVecEnv(env)
        return SavedAlgorithm._wrap_env(env, verbose, monitor_wrapper)

    def _setup_model(self) -> None:
        """Checks the settings, and starts the schedule and the random states; a subclass then builds its nets."""
        self.check_settings()
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self._refuse_scaled_goals()

    def _refuse_scaled_goals(self) -> None:
        """Raises ValueError if VecNormalize scales the two goals, each by its own mean and variance."""
        normaliser = self._vec_normalize_env
        if normaliser is None or not normaliser.norm_obs or not isinstance(self.observation_space, spaces.Dict):
            return
        scaled = sorted(set(normaliser.norm_obs_keys or ()) & set(GOAL_KEYS))
        if scaled:
            raise ValueError(
                f"VecNormalize scales {' and '.join(scaled)}, so a goal that is reached no longer equals the desired "
                'one; use VecNormalize(env, norm_obs_keys=["observation"])'
            )


def check_finite(what: str, values: Any, steps: int) -> None:
    """Raises FloatingPointError if a value is not finite.

    Args:
        what: name of the values, for the message.
        values: an array (N, ...), or a dict of these.
        steps: environment steps so far, for the message.
    """
    for part in values.values() if isinstance(values, dict) else (values,):
        # A sum of squares takes a microsecond, and is finite only where all numbers are.
        if part.dtype.kind == "f" and not math.isfinite(np.vdot(part, part)):
            _refuse_not_finite(what, values if isinstance(values, dict) else {"": values}, steps)


def _refuse_not_finite(what: str, parts: dict[str, np.ndarray], steps: int) -> None:
    for name, part in parts.items():
        wrong = np.argwhere(~np.isfinite(part)) if part.dtype.kind == "f" else np.empty((0, 0))
        if len(wrong):  # else the squares alone were too large
            place: tuple[int, ...] = tuple(wrong[0].tolist())
            where = f"lane {place[0]}" + f", column {', '.join(map(str, place[1:]))}" * (len(place) > 1)
            raise FloatingPointError(
                f"{what}{f' {name!r}' if name else ''} of {where} is {part[place]} after {steps:,} steps; "
                "nothing has been learned from it"
            )
