"""Controller C trained by gradients through a world model M (Schmidhuber & Huber 1990; Schmidhuber 1990)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import unwrap_vec_normalize
from torch import Tensor, nn

from .encoder import GOAL_KEYS, Encoder
from .evaluator import Evaluator
from .losses import goal_error, lambda_returns
from .policy import ControllerPolicy
from .sequences import Replay, Sequence
from .world_model import WorldModel

CHOICES = {
    "gradient": ("imagined", "real"),
    "error": ("summed", "terminal"),
    "schedule": ("alternating", "model_first"),
    "optimizer": ("adam", "sgd"),
}

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "published": {
        "gradient": "real",
        "error": "terminal",
        "match_width": None,
        "schedule": "model_first",
        "model_steps": 50_000,
        "online": True,
        "rollout_steps": None,
        "evaluator": False,
        "discount": 1.0,
        "noise": 0.0,
        "goal_input": False,
        "core_kwargs": {"hidden": (20,), "activation": "logistic"},
        "model_core_kwargs": {"hidden": (40,), "activation": "logistic"},
        "model_output": "logistic",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "model_learning_rate": 0.1,
        "weight_range": 0.1,
    },
}


class WorldModelController(BaseAlgorithm):
    """Learns M by prediction, and C by gradient descent on the goal error (or ascent on reward) through M.

    With goal keys the reward of arriving at x is -E = -1/2 |d - x|^2, d the desired and x the achieved goal; without
    them it is M's reward unit. C climbs the mean of the TD(lambda) returns of its own trajectories, whose gradients
    flow from each step's reward, and from V at the window's end, back through M and C to every earlier action.

    Args:
        policy: "ControllerPolicy" or a subclass.
        env: a VecEnv (`make_sb3`), an environment or its id.
        gradient: "real": activations come from the real trajectory and M gives only its Jacobian, as in 1990;
            "imagined": trajectories are rollouts inside M that start at real observations.
        error: "summed" over all steps, or "terminal": only at an episode's last step.
        schedule: "alternating": M and C learn all the time; "model_first": M learns during `model_steps`, then is
            frozen while C learns.
        model_steps: environment steps of uniformly random actions at the start, in which only M learns.
        online: True: one update on each rollout as it comes, of M after every step, of C after the whole; False:
            `updates` minibatches of windows from the replay after each rollout.
        rollout_steps: steps of every lane between updates; None: until every lane has finished an episode.
        updates: minibatches after each rollout.
        batch_size: windows in a minibatch.
        window: T, steps of a window, and of an imagined rollout.
        replay_size: environment steps that the replay keeps.
        evaluator: whether V learns, and stands for what follows the window.
        trace: lambda of TD(lambda).
        discount: gamma.
        bootstrap_at_end: whether V stands for what would follow the end of an episode, too; None: with goal keys,
            where a task ends by the clock.
        noise: largest standard deviation of exploration, in half-ranges of the action; each episode of each lane
            draws its own, uniformly from 0 to this.
        goal_input: whether C reads the desired goal.
        share_goal: see `Encoder`; None decides by the spaces.
        core, core_kwargs: C's core, name in `agents.CORES` and keywords.
        model_core, model_core_kwargs: M's.
        evaluator_kwargs: keywords of `Evaluator`.
        model_output: see `WorldModel`.
        optimizer: "adam" or plain "sgd".
        learning_rate: C's; a number or Stable-Baselines3's schedule of the progress remaining.
        model_learning_rate: M's.
        evaluator_learning_rate: V's.
        weight_range: weights and biases start uniform in +- this; None: PyTorch's own.
        max_grad_norm: C's gradient is scaled down to this norm; None: never.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3.
        _init_setup_model: whether the nets are built at once.

    Raises:
        ValueError: a choice that is none, or a VecNormalize that scales the two goals apart.
    """

    policy_aliases: ClassVar[dict[str, type[ControllerPolicy]]] = {
        name: ControllerPolicy for name in ("ControllerPolicy", "MlpPolicy", "MultiInputPolicy")
    }
    policy: ControllerPolicy

    def __init__(
        self,
        policy: str | type[ControllerPolicy] = "ControllerPolicy",
        env: GymEnv | str | None = None,
        *,
        gradient: Literal["real", "imagined"] = "imagined",
        error: Literal["summed", "terminal"] = "summed",
        schedule: Literal["alternating", "model_first"] = "alternating",
        model_steps: int = 12_800,
        online: bool = False,
        rollout_steps: int | None = 5,
        updates: int = 30,
        batch_size: int = 64,
        window: int = 4,
        replay_size: int = 100_000,
        evaluator: bool = True,
        trace: float = 0.9,
        discount: float = 0.9,
        bootstrap_at_end: bool | None = None,
        noise: float = 0.5,
        match_width: float | None = 1.0,
        goal_input: bool = True,
        share_goal: bool | None = None,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        model_core: str = "feedforward",
        model_core_kwargs: dict[str, Any] | None = None,
        evaluator_kwargs: dict[str, Any] | None = None,
        model_output: Literal["logistic", "linear", "residual"] = "logistic",
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float | Schedule = 1e-3,
        model_learning_rate: float = 3e-3,
        evaluator_learning_rate: float = 1e-3,
        weight_range: float | None = None,
        max_grad_norm: float | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            supported_action_spaces=(spaces.Box,),
        )
        for name, allowed in CHOICES.items():
            if (given := locals()[name]) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, not {given!r}")
        self.gradient = gradient
        self.error = error
        self.schedule = schedule
        self.model_steps = model_steps
        self.online = online
        self.rollout_steps = rollout_steps
        self.updates = updates
        self.batch_size = batch_size
        self.window = window
        self.replay_size = replay_size
        self.use_evaluator = evaluator
        self.trace = trace
        self.discount = discount
        self.bootstrap_at_end = bootstrap_at_end
        self.noise = noise
        self.match_width = match_width
        self.goal_input = goal_input
        self.share_goal = share_goal
        self.core = core
        self.core_kwargs = core_kwargs
        self.model_core = model_core
        self.model_core_kwargs = model_core_kwargs
        self.evaluator_kwargs = evaluator_kwargs
        self.model_output = model_output
        self.optimizer = optimizer
        self.model_learning_rate = model_learning_rate
        self.evaluator_learning_rate = evaluator_learning_rate
        self.weight_range = weight_range
        self.max_grad_norm = max_grad_norm
        if _init_setup_model:
            self._setup_model()

    @classmethod
    def from_preset(cls, preset: str, env: GymEnv | str | None, **keywords: Any) -> WorldModelController:
        """An agent with the keywords of `PRESETS[preset]`, overridden by `keywords`."""
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {sorted(PRESETS)}, not {preset!r}")
        return cls("ControllerPolicy", env, **{**PRESETS[preset], **keywords})

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self._refuse_normaliser()
        self.encoder = Encoder(self.observation_space, self.share_goal)
        self.policy = self.policy_class(
            self.observation_space,
            self.action_space,
            goal_input=self.goal_input,
            core=self.core,
            core_kwargs=self.core_kwargs,
        ).to(self.device)
        action_size = int(np.prod(self.action_space.shape))
        self.world_model = WorldModel(
            self.encoder,
            action_size,
            output=self.model_output,
            reward=not self.encoder.has_goal,
            core=self.model_core,
            core_kwargs=self.model_core_kwargs,
        ).to(self.device)
        self.evaluator = Evaluator(self.encoder, **(self.evaluator_kwargs or {})).to(self.device)
        if self.weight_range is not None:
            for net in (self.policy, self.world_model):
                for parameter in net.parameters():
                    nn.init.uniform_(parameter, -self.weight_range, self.weight_range)
        kind, options = {"adam": (torch.optim.Adam, {"fused": True}), "sgd": (torch.optim.SGD, {"fused": True})}[self.optimizer]
        self.policy_optimizer = kind(self.policy.parameters(), lr=self.lr_schedule(1), **options)
        self.model_optimizer = kind(self.world_model.parameters(), lr=self.model_learning_rate, **options)
        self.evaluator_optimizer = kind(self.evaluator.fast.parameters(), lr=self.evaluator_learning_rate, **options)
        states = {"controller_state": self.policy.core, "model_state": self.world_model.core}
        self._state_sizes = {name: sum(s.numel() for s in core.initial_state(1)) for name, core in states.items()}
        sizes = {
            "observation": self.encoder.observation_size,
            "desired_goal": self.encoder.goal_size,
            "action": action_size,
            "next_percept": self.encoder.percept_size,
            "reward": 1,
            "terminated": 1,
            "ended": 1,
            "episode_start": 1,
            **self._state_sizes,
        }
        lanes = self.env.num_envs if self.env is not None else 1
        self.replay = Replay(sizes, lanes, max(self.replay_size // lanes, 2 * self.window))
        self._core_states = None
        self._noise_scale = torch.zeros(lanes, 1)

    def train(self, sequences):
        """M, V and C learn from each sequence."""
        random = self.num_timesteps <= self.model_steps
        for sequence in sequences:
            if random or self.schedule == "alternating":
                for part in sequence.rows() if self.online else (sequence,):
                    model_loss = self.world_model.loss(part)
                    descend(self.model_optimizer, model_loss)
                self._means["model_loss"] = model_loss.detach()
            desired, ended = sequence["desired_goal"], sequence.flag("ended")
            if self.use_evaluator:
                targets = self.world_model.target(sequence)
                with torch.no_grad():
                    returns = self.returns(targets, sequence, self.evaluator.target)
                loss = 0.5 * (self.evaluator(sequence["observation"], desired) - returns).square().mean()
                descend(self.evaluator_optimizer, loss)
                self.evaluator.follow()
                self._means["evaluator_loss"] = loss.detach()
            if random:
                continue
            if self.gradient == "real":
                percepts = self.world_model.real_forward(self.policy, sequence)
            else:
                steps = len(sequence)
                percepts = self.world_model.imagine(self.policy, sequence, steps)
            objective = self.returns(percepts, sequence, self.evaluator).mean()
            descend(self.policy_optimizer, -objective, self.max_grad_norm)
            self._means["objective"] = objective.detach()

    def returns(self, percepts, sequence, values):
        """TD(lambda) returns (T, B) of arriving at `percepts`."""
        real = self.gradient == "real" or not percepts.requires_grad
        if real:
            desired, ended = sequence["desired_goal"], sequence.flag("ended")
        else:
            desired = sequence["desired_goal"][:1].expand(len(percepts), -1, -1)
            ended = torch.zeros(percepts.shape[:2], dtype=torch.bool)
            ended[-1] = True
        if self.encoder.has_goal:
            rewards = self.match(percepts[..., self.encoder.goal_slice], desired)
        else:
            rewards = percepts[..., -1]
        if self.error == "terminal":
            rewards = rewards * ended
        discounts = torch.full_like(rewards, self.discount)
        if real and not (self.encoder.has_goal if self.bootstrap_at_end is None else self.bootstrap_at_end):
            discounts = discounts * ~sequence.flag("terminated")
        if self.use_evaluator:
            next_values = values(percepts[..., : self.encoder.observation_size], desired)
            return lambda_returns(rewards, next_values, discounts, ended, self.trace)
        return lambda_returns(rewards, torch.zeros_like(rewards), discounts, ended, 1.0)

    def match(self, achieved, desired):
        error = goal_error(achieved, desired)
        return -error if self.match_width is None else torch.exp(error / -self.match_width**2)

    def _batches(self, steps):
        if self.online:
            yield self.replay.newest(steps)
        else:
            for _ in range(self.updates):
                yield self.replay.windows(self.window, self.batch_size)

    def learn(self, total_timesteps, callback=None, log_interval=10, tb_log_name="WorldModelController",
              reset_num_timesteps=True, progress_bar=False):
        total_timesteps, callback = self._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        self._means = {}
        self.encoder.check(self._last_obs) if self.encoder.has_goal else None
        callback.on_training_start(locals(), globals())
        iteration = 0
        while self.num_timesteps < total_timesteps:
            steps = self.collect(callback)
            if steps is None:
                break
            iteration += 1
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            self._update_learning_rate(self.policy_optimizer)
            self.train(self._batches(steps))
            if log_interval and iteration % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        return self

    def dump_logs(self):
        for k, v in self._means.items(): self.logger.record("train/"+k, float(v))
        if self.ep_info_buffer:
            self.logger.record("rollout/ep_rew_mean", safe_mean([e["r"] for e in self.ep_info_buffer]))
            self.logger.record("rollout/ep_len_mean", safe_mean([e["l"] for e in self.ep_info_buffer]))
        if self.ep_success_buffer:
            self.logger.record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.num_timesteps)

    @torch.no_grad()
    def collect(self, callback):
        N = self.env.num_envs
        callback.on_rollout_start()
        random = self.num_timesteps < self.model_steps
        policy, encoder, M = self.policy, self.encoder, self.world_model
        if self._core_states is None:
            self._core_states = (policy.core.initial_state(N), M.core.initial_state(N))
        finished = np.zeros(N, dtype=bool)
        steps = 0
        while not finished.all() if self.rollout_steps is None else steps < self.rollout_steps:
            cs, ms = self._core_states
            obs = self._last_obs
            observation, desired = encoder.observation(obs), encoder.desired(obs)
            start = torch.as_tensor(self._last_episode_starts)
            if random:
                action = policy.low + policy.span * torch.rand(N, len(policy.low))
                ncs = cs
            else:
                action, ncs = policy.step(observation, desired, cs, start)
                if self.noise:
                    self._noise_scale = torch.where(start[:, None], self.noise * torch.rand(N, 1), self._noise_scale)
                    action = action + 0.5 * policy.span * self._noise_scale * torch.randn_like(action)
                    action = action.clamp(policy.low, policy.low + policy.span)
            nms = M.step(observation, action, ms, start)[1] if ms else ms
            new_obs, rewards, dones, infos = self.env.step(action.numpy().reshape(N, *self.action_space.shape))
            percept = encoder.percept(new_obs)
            terminated = dones
            if dones.any():
                lanes = np.flatnonzero(dones)
                terminated = dones.copy()
                last = [infos[i]["terminal_observation"] for i in lanes]
                if encoder.is_dict:
                    last = {k: np.stack([o[k] for o in last]) for k in last[0]}
                else:
                    last = np.stack(last)
                percept = percept.clone(); percept[lanes] = encoder.percept(last)
                for i in lanes: terminated[i] = not infos[i].get("TimeLimit.truncated", False)
                self._update_info_buffer(infos, dones)
                finished |= dones
            self.replay.add(observation=observation, desired_goal=desired, action=action, next_percept=percept,
                reward=torch.as_tensor(rewards, dtype=torch.float32)[:, None], terminated=torch.as_tensor(terminated)[:, None], ended=torch.as_tensor(dones)[:, None],
                episode_start=start[:, None],
                **({"controller_state": torch.cat([s.flatten(1) for s in cs],1)} if cs else {}),
                **({"model_state": torch.cat([s.flatten(1) for s in ms],1)} if ms else {}))
            self._last_obs, self._last_episode_starts = new_obs, dones
            self._core_states = (ncs, nms)
            self.num_timesteps += N
            steps += 1
            callback.update_locals(locals())
            if not callback.on_step():
                return None
        callback.on_rollout_end()
        return steps

    def _refuse_normaliser(self):
        n = self._vec_normalize_env
        if n is not None and n.norm_obs and n.norm_obs_keys and set(n.norm_obs_keys) & set(GOAL_KEYS):
            raise ValueError("x")

    def _get_torch_save_params(self):
        return ["policy", "world_model", "evaluator", "policy_optimizer", "model_optimizer", "evaluator_optimizer"], []

    def _excluded_save_params(self):
        return [*super()._excluded_save_params(), "replay", "encoder", "_core_states", "_noise_scale", "_means"]


def descend(optimizer, loss, max_norm=None):
    parameters = optimizer.param_groups[0]["params"]
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    for p, g in zip(parameters, grads):
        p.grad = g
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)
    optimizer.step()
