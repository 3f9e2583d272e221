"""What all agents share: the learning loop, logging and the refusal of scaled goals."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import safe_mean
from torch import Tensor
from typing_extensions import Self

from ..cores import State
from .encoder import GOAL_KEYS
from .sequences import true_next
from .workers import all_go_on

# Keywords of every agent that go to Stable-Baselines3's constructor.
INHERITED = ("policy", "env", "learning_rate", "seed", "device", "verbose", "stats_window_size", "tensorboard_log")


class Agent(BaseAlgorithm):
    """A Stable-Baselines3 algorithm that alternates between `collect` and `train`.

    A subclass writes `_setup_model`, `act`, `remember` and `train`, and puts tensors or numbers to be logged into
    `measures` by their logger key. Between two rollouts (callbacks: `on_rollout_start`) an agent is consistent: there a
    checkpoint is exact.
    """

    measures: dict[str, Any]
    core_states: tuple[State, ...]
    rollout_steps: int | None
    workers: int = 1  # processes that collect and train together

    @abstractmethod
    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """What to do next.

        Args:
            obs: observations (N, ...) of the environment.
            episode_start: (N,) bool.

        Returns:
            Actions (N, ...) for the environment, what `remember` shall get, and the next states of the cores.
        """

    @abstractmethod
    def remember(
        self, act: dict[str, Any], rewards: np.ndarray, ends: np.ndarray, next_obs: Any, terminated: np.ndarray
    ) -> None:
        """Keeps one step for `train`; `core_states` are still those before it.

        Args:
            act: what `act` gave, and `episode_start` (N,) bool.
            rewards: (N,).
            ends: (N,) bool, whether an episode ended.
            next_obs: (N, ...) what the step led to, the last observation where an episode ended.
            terminated: (N,) bool.
        """

    def attend(self, infos: list[dict[str, Any]], ends: np.ndarray) -> None:
        """Is told the infos of every step before `remember`, for agents that learn from more than rewards."""

    @abstractmethod
    def train(self, steps: int) -> None:
        """Learns from the rollout of `steps` steps just collected, and from older experience if it keeps any."""

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

        Args:
            total_timesteps: steps of all lanes together.
            callback: Stable-Baselines3's callbacks.
            log_interval: rollouts between two lines of the log; None: no log.
            tb_log_name: name of the run for TensorBoard.
            reset_num_timesteps: False goes on counting, and continues the running episodes.
            progress_bar: shows a bar with rate and time left (needs tqdm and rich).
        """
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        self.measures = {}
        callback.on_training_start(locals(), globals())
        iteration = 0
        while self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            steps = self.collect(callback)
            if not all_go_on(steps is not None):
                break
            callback.on_rollout_end()
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            self.train(cast(int, steps))
            iteration += 1
            if log_interval is not None and iteration % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        return self

    @torch.no_grad()
    def collect(self, callback: BaseCallback) -> int | None:
        """Steps every lane `rollout_steps` times (None: until each has finished an episode), and remembers it.

        Returns:
            The number of steps, or None when the callback ends the training.
        """
        finished = np.zeros(self.lanes, dtype=bool)
        steps = 0
        while not finished.all() if self.rollout_steps is None else steps < self.rollout_steps:
            start = torch.from_numpy(self._last_episode_starts).to(self.device)
            actions, act, next_states = self.act(self._last_obs, start)
            obs, rewards, ends, infos = self.env.step(actions)
            self.attend(infos, ends)
            self.remember({**act, "episode_start": start}, rewards, ends, *true_next(obs, ends, infos))
            self._last_obs, self._last_episode_starts, self.core_states = obs, ends, next_states
            finished |= ends
            steps += 1
            self.num_timesteps += self.lanes * self.workers
            if ends.any():
                self._update_info_buffer(infos, ends)
            callback.update_locals(locals())
            if not callback.on_step():
                return None
        return steps

    def dump_logs(self) -> None:
        """Writes the measures, the last episodes' means and the step count to the logger."""
        for key, value in self.measures.items():
            self.logger.record(key, float(value))
        if self.ep_info_buffer:
            self.logger.record("rollout/ep_rew_mean", safe_mean([info["r"] for info in self.ep_info_buffer]))
            self.logger.record("rollout/ep_len_mean", safe_mean([info["l"] for info in self.ep_info_buffer]))
        if self.ep_success_buffer:
            self.logger.record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Changes the environment; see Stable-Baselines3."""
        super().set_env(env, force_reset)
        self._refuse_scaled_goals()

    def resumable(self) -> dict[str, Any]:
        """What a checkpoint holds beside the zip and the environment; a subclass adds its own, and reads it back."""
        return {"core_states": self.core_states}

    def resume(self, state: dict[str, Any]) -> None:
        """Restores what `resumable` gave."""
        self.core_states = state["core_states"]

    @property
    def lanes(self) -> int:
        """N, the number of environments; 1 without one."""
        return 1 if self.env is None else self.env.num_envs

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "measures", "core_states"]

    def _refuse_scaled_goals(self) -> None:
        """Raises ValueError where VecNormalize scales the two goals, each by its own mean and variance."""
        normaliser = self._vec_normalize_env
        if normaliser is None or not normaliser.norm_obs or not isinstance(self.observation_space, spaces.Dict):
            return
        scaled = sorted(set(normaliser.norm_obs_keys or ()) & set(GOAL_KEYS))
        if scaled:
            raise ValueError(
                f"VecNormalize scales {' and '.join(scaled)}, so that a goal that is reached no longer equals the one "
                'that is desired; use VecNormalize(env, norm_obs_keys=["observation"])'
            )
