"""Controller C trained by gradients through a world model M (Schmidhuber & Huber 1990; Schmidhuber 1990)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor, nn

from ..common.agent import Agent, Step
from ..common.encoder import Encoder
from ..common.losses import check_losses, descend, lambda_returns
from ..common.sequences import Sequence, exchange_goals
from ..cores import State
from .evaluator import Evaluator
from .experience import Experience
from .model import WorldModel
from .objectives import rewards_of
from .online import NEEDED, online_descent
from .policy import ControllerPolicy
from .presets import PRESETS
from .unrolling import Trajectory, Unrolled, unrolled_along_reality, unrolled_by_others, unrolled_in_model


class WorldModelController(Agent):
    """Learns M by prediction, and C by gradient descent on the goal error (or ascent on reward) through M.

    With goal keys, the reward for arriving at x, the achieved goal, is its match with d, the desired goal (see
    `match_widths`); without them it is M's reward unit. C ascends the mean TD(lambda) return of its own trajectories.
    Gradients flow from each step's reward, and from V at the window's end, back through M and C to every earlier
    action.

    Args:
        policy: "ControllerPolicy" or a subclass.
        env: a VecEnv (`make_sb3`), an environment or its id.
        gradient: "real": activations come from the real trajectory and M gives only its Jacobian, as in 1990;
            "imagined": trajectories are rollouts inside M that start at real observations. "real" has the gradient at
            the action that was taken, not at the one that C would take now: it needs short rollouts, small steps and
            little noise, as in the preset "real_forward".
        error: "summed" over all steps, or "terminal": only at an episode's last step.
        schedule: "alternating": M and C both learn throughout; "model_first": M learns during `model_steps`, then is
            frozen while C learns.
        model_steps: environment steps at the start with uniformly random actions, during which only M learns.
        online: True: M learns after every step and C after every rollout, once, from that rollout alone; False:
            `updates` minibatches of windows from the replay after each rollout.
        compiled: True: online updates run as compiled loops (attribute `compiled_descent`); False: in PyTorch; None:
            compiled where `OnlineDescent` allows it. The two agree up to rounding.
        n_steps: steps per lane between updates; None: until every lane has finished an episode.
        updates: minibatches after each rollout.
        batch_size: windows in a minibatch.
        window: T, steps in a window and in an imagined rollout.
        buffer_size: capacity of the replay, in transitions of all lanes together.
        evaluator: whether to train V and use it for what follows the window.
        td_lambda: lambda of TD(lambda).
        gamma: discount.
        bootstrap_at_end: whether to use V also for what would follow the end of an episode; None: with goal keys,
            whose tasks end by the clock.
        noise: largest standard deviation of exploration, in half-ranges of the action; each episode of each lane
            draws its own, uniformly from 0 to this.
        match_widths: widths w of the goal reward, the mean of exp(-|d - x| / w); None: -E = -1/2 |d - x|^2.
        exchange: share of the imagined trajectories that pursue the goal of another.
        goal_input: whether C reads the desired goal.
        saturation: weight e of a penalty on C, e/2 |W core + b|^2 averaged over the batch: it keeps C's logistic
            outputs out of saturation, where no other gradient reaches them.
        share_goal: see `Encoder`.
        core, core_kwargs: C's core, a name in `agents.CORES`, and its keywords.
        model_core, model_core_kwargs: M's.
        evaluator_kwargs: keywords of `Evaluator`.
        model_output: see `WorldModel`; None: "logistic" where all observations lie in [0, 1], else "residual".
        optimizer: "adam" or plain "sgd".
        learning_rate: C's; a number or Stable-Baselines3's schedule of the progress remaining.
        model_learning_rate: M's.
        evaluator_learning_rate: V's.
        final_rate: share of the learning rates that is left at the end of training; they fall linearly.
        weight_range: weights and biases are initialised uniformly in +- this; None: PyTorch's default.
        max_grad_norm: largest norm of C's gradient, which is scaled down to it; None: no limit.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3.
        _init_setup_model: whether to build the nets at once.

    Raises:
        ValueError: an unknown choice, `compiled=True` where it is not possible, or a VecNormalize that scales the goals
            differently.
        FloatingPointError: in training, a loss is not finite; that update has not changed the parameters.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "ControllerPolicy": ControllerPolicy,
        "MlpPolicy": ControllerPolicy,
        "MultiInputPolicy": ControllerPolicy,
    }
    STATE = (*Agent.STATE, "replay", "_noise_scale")
    RENAMED = {  # noqa: RUF012 (declared so by the parent)
        "rollout_steps": "n_steps",
        "replay_size": "buffer_size",
        "trace": "td_lambda",
        "discount": "gamma",
    }
    policy: ControllerPolicy
    policy_class: type[ControllerPolicy]
    action_space: spaces.Box
    replay: Experience

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
        compiled: bool | None = None,
        n_steps: int | None = 10,
        updates: int = 40,
        batch_size: int = 128,
        window: int = 1,
        buffer_size: int = 400_000,
        evaluator: bool = True,
        td_lambda: float = 0.9,
        gamma: float = 0.95,
        bootstrap_at_end: bool | None = None,
        noise: float = 1.0,
        match_widths: tuple[float, ...] | None = (0.2, 0.7),
        exchange: float = 0.5,
        goal_input: bool = True,
        saturation: float = 3e-3,
        share_goal: bool | None = None,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        model_core: str = "feedforward",
        model_core_kwargs: dict[str, Any] | None = None,
        evaluator_kwargs: dict[str, Any] | None = None,
        model_output: Literal["logistic", "linear", "residual"] | None = None,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float | Schedule = 2e-3,
        model_learning_rate: float = 3e-3,
        evaluator_learning_rate: float = 3e-3,
        final_rate: float = 0.02,
        weight_range: float | None = None,
        max_grad_norm: float | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        if online and gradient == "imagined" and n_steps == 1:
            raise ValueError("online imagination starts from the outcome of a step: n_steps must be at least 2 or None")
        super().__init__(
            policy, env, learning_rate, seed=seed, device=device, verbose=verbose, stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log, support_multi_env=True, supported_action_spaces=(spaces.Box,),
        )  # fmt: skip
        self.gradient = gradient
        self.error = error
        self.schedule = schedule
        self.model_steps = model_steps
        self.online = online
        self.compiled = compiled
        self.n_steps = n_steps
        self.updates = updates
        self.batch_size = batch_size
        self.window = window
        self.buffer_size = buffer_size
        self.evaluator = evaluator
        self.td_lambda = td_lambda
        self.gamma = gamma
        self.bootstrap_at_end = bootstrap_at_end
        self.noise = noise
        self.match_widths = match_widths
        self.exchange = exchange
        self.goal_input = goal_input
        self.saturation = saturation
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
        self.final_rate = final_rate
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
        super()._setup_model()
        normalised = self._vec_normalize_env is not None and self._vec_normalize_env.norm_obs
        # A normalised observation is never the achieved goal.
        share = False if self.share_goal is None and normalised else self.share_goal
        encoder = self.encoder = Encoder(self.observation_space, share, self.device, normalised=normalised)
        self.share_goal = encoder.shares_goal if encoder.has_goal else None  # what was decided is what is saved
        self.model_output = self.model_output or ("logistic" if encoder.unit_range else "residual")
        self.policy = self.policy_class(
            self.observation_space,
            self.action_space,
            goal_input=self.goal_input,
            core=self.core,
            core_kwargs=self.core_kwargs,
            device=self.device,
        ).to(self.device)
        action_size = len(self.policy.low)
        self.world_model = WorldModel(
            encoder,
            action_size,
            output=self.model_output,
            reward=not encoder.has_goal,
            core=self.model_core,
            core_kwargs=self.model_core_kwargs,
        ).to(self.device)
        self.value_net = Evaluator(encoder, **(self.evaluator_kwargs or {})).to(self.device)
        if self.weight_range is not None:
            for parameter in (*self.policy.parameters(), *self.world_model.parameters()):
                nn.init.uniform_(parameter, -self.weight_range, self.weight_range)
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[self.optimizer]
        nets = (self.policy, self.world_model, self.value_net.fast)
        self.policy_optimizer, self.model_optimizer, self.value_optimizer = (
            kind(net.parameters(), lr=rate, fused=True) for net, rate in zip(nets, self._rates(), strict=True)
        )
        self._exploring = True
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        settings = {name: getattr(self, name) for name in NEEDED}
        optimizers = self.policy_optimizer, self.model_optimizer
        self.compiled_descent = online_descent(self.policy, self.world_model, optimizers, settings, self.compiled)
        cores = {"controller_state": self.policy.core, "model_state": self.world_model.core}
        self.core_states = tuple(core.initial_state(self.lanes) for core in cores.values())
        capacity = max(2 * self.window, self.buffer_size // self.lanes)
        self.replay = Experience(self.encoder, cores, len(self.policy.low), self.lanes, capacity, self.device)
        self._noise_scale = torch.zeros(self.lanes, 1, device=self.device)

    def rollout_length(self) -> int | None:
        """`n_steps`."""
        return self.n_steps

    def train(self, steps: int) -> None:
        """Trains M to predict, C through M, and V to predict C's returns."""
        learns_model = self._exploring or self.schedule == "alternating"
        unroll = unrolled_in_model if self.gradient == "imagined" else unrolled_along_reality
        if self.compiled_descent is not None:
            unroll = unrolled_by_others
        for sequence, recent in self._minibatches(steps):
            if learns_model:
                self._learn_model(sequence)
            if self._exploring and not self.evaluator:
                continue
            if self.gradient == "imagined":
                exchange_goals(sequence[1:]["desired_goal"], self.exchange)
            unrolled = unroll(self.policy, self.world_model, sequence, recent, self.window)
            returns = self._returns(unrolled.percepts, unrolled.trajectory)
            if not self._exploring:
                self._learn_controller(unrolled, returns)
            if self.evaluator:
                self._learn_evaluator(sequence, unrolled.trajectory, returns.detach())
            self.measures["train/return"] = returns.mean().detach()
        for optimizer, rate in zip(self._optimizers(), self._rates(), strict=True):
            optimizer.param_groups[0]["lr"] = rate

    def _learn_model(self, sequence: Sequence) -> None:
        """M descends 1/2 |M(x, a) - x'|^2: its mean over a window or, online, that of each step in turn."""
        if self.compiled_descent is not None:
            self.measures["train/model_loss"] = self.compiled_descent.learn_model(sequence)
            return
        for part in sequence.rows() if self.online else (sequence[: self.window],):
            loss = self.world_model.loss(part)
            check_losses(self.num_timesteps, model_loss=loss)
            descend(self.model_optimizer, loss)
        self.measures["train/model_loss"] = loss.detach()

    def _learn_controller(self, unrolled: Unrolled, returns: Tensor) -> None:
        """C descends -mean G + e / 2B sum |net|^2, with G the returns and e the weight `saturation`."""
        loss = -returns.mean()
        if self.compiled_descent is not None:
            slopes = torch.autograd.grad(loss, unrolled.percepts)
            self.compiled_descent.learn_controller(cast(Sequence, unrolled.trajectory), *slopes)
            return
        if self.saturation:
            nets = unrolled.nets.flatten()
            penalty = 0.5 * self.saturation / unrolled.nets.shape[1] * torch.dot(nets, nets)
            self.measures["train/saturation_loss"] = penalty.detach()
            loss = loss + penalty
        check_losses(self.num_timesteps, controller_loss=loss)
        descend(self.policy_optimizer, loss, self.max_grad_norm)

    def _learn_evaluator(self, sequence: Sequence, trajectory: Trajectory, returns: Tensor) -> None:
        """V descends 1/2 (V - G)^2; if trajectories are imagined, half of it on what M predicted for their starts."""
        observation, desired = trajectory["observation"], trajectory["desired_goal"]
        loss = self._value_loss(observation, desired, returns)
        if self.gradient == "imagined":
            expected, known = self.world_model.expected(sequence[:1])
            loss = 0.5 * (loss + self._value_loss(expected, desired[:1], returns[:1], known))
        check_losses(self.num_timesteps, evaluator_loss=loss)
        descend(self.value_optimizer, loss)
        self.value_net.follow()
        self.measures["train/evaluator_loss"] = loss.detach()

    def _minibatches(self, steps: int) -> Iterator[tuple[Sequence, Sequence]]:
        """Experience for M and to imagine from, and recent trajectories of the current C; see `online`, `updates`."""
        if self.online:
            newest = self.replay.newest(steps)
            yield newest, newest
            return
        real = self.gradient == "real"
        length = self.window + (not real)  # imagination starts after the first step
        for _ in range(self.updates if len(self.replay) >= length else 0):
            sequence = self.replay.windows(length, self.batch_size)
            recent = self.replay.windows(length, self.batch_size, max(steps, length)) if real else sequence
            yield sequence, recent

    def _value_loss(
        self, observation: Tensor, desired: Tensor, returns: Tensor, weight: Tensor | float = 1.0
    ) -> Tensor:
        """1/2 (V - return)^2 of observations (T, B, D) and goals (T, B, G), averaged."""
        values: Tensor = self.value_net(observation, desired)
        return (0.5 * weight * (values - returns).square()).mean()

    def _returns(self, percepts: Tensor, trajectory: Trajectory) -> Tensor:
        """TD(lambda) returns (T, B) of arriving at `percepts` (T, B, ...); they carry the gradient."""
        desired, ended = trajectory["desired_goal"], trajectory["ended"].squeeze(-1) > 0.5
        rewards = rewards_of(percepts, desired, self.encoder, self.match_widths)
        if self.error == "terminal":
            rewards = rewards * ended
        follows = self.encoder.has_goal if self.bootstrap_at_end is None else self.bootstrap_at_end
        discounts = torch.full_like(rewards, self.gamma)
        if not follows:
            discounts = discounts * (1 - trajectory["terminated"].squeeze(-1))
        if not self.evaluator:
            return lambda_returns(rewards, torch.zeros_like(rewards), discounts, ended, 1.0)
        next_values = self.value_net.target(percepts[..., : self.encoder.observation_size], desired)
        return lambda_returns(rewards, next_values, discounts, ended, self.td_lambda)

    def begin_rollout(self) -> None:
        """Checks that values which the encoder treats as equal are equal."""
        self.encoder.check(self._last_obs)

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """Actions of C plus noise, or random ones during the first `model_steps`; see `Agent.act`."""
        policy = self.policy
        observation, desired = self.encoder.observation(obs), self.encoder.desired(obs)
        controller_state, model_state = self.core_states
        self._exploring = self.num_timesteps < self.model_steps
        if self._exploring:
            action = policy.low + policy.span * torch.rand(len(observation), len(policy.low), device=self.device)
        else:
            action, controller_state = policy.step(observation, desired, controller_state, episode_start)
        if self.noise and not self._exploring:
            fresh = self.noise * torch.rand_like(self._noise_scale)
            self._noise_scale = torch.where(episode_start[:, None], fresh, self._noise_scale)
            action = policy.explore(action, self._noise_scale)
        if model_state:
            model_state = self.world_model.step(observation, action, model_state, episode_start)[1]
        act = {"observation": observation, "desired_goal": desired, "action": action}
        actions: np.ndarray = action.cpu().numpy().reshape(-1, *policy.box.shape)
        return actions, act, (controller_state, model_state)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`."""
        outcome = {"reward": step.rewards, "terminated": step.terminated, "ended": step.ends}
        act = {**step.act, "episode_start": step.episode_start}
        self.replay.record(act, self.core_states, self.encoder.percept(step.next_obs), **outcome)

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.policy_optimizer, self.model_optimizer, self.value_optimizer

    def _rates(self) -> tuple[float, float, float]:
        """Current learning rates of C, M and V."""
        left = max(0.0, self._current_progress_remaining)  # the last rollout may overshoot the budget
        share = self.final_rate + (1 - self.final_rate) * left
        return (
            share * self.lr_schedule(left),
            share * self.model_learning_rate,
            share * self.evaluator_learning_rate,
        )

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        optimizers = ["policy_optimizer", "model_optimizer", "value_optimizer"]
        return ["policy", "world_model", "value_net", *optimizers], []
