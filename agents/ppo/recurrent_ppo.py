"""Proximal policy optimisation for policies with any core, with exact gradients through time and across resets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor

from ..common.agent import Agent, Step
from ..common.group import average
from ..common.losses import check_losses, clipped_surrogate, descend
from ..common.sequences import Rollout, each
from ..common.workers import Workers
from ..cores import State
from .field_policy import FieldPolicy
from .grid_policy import GridPolicy
from .imitation import Lessons, Teacher
from .policy import RecurrentPolicy, likelihood


class RecurrentPPO(Agent):
    """PPO (Schulman et al., arXiv 1707.06347) whose minibatches are whole columns: all steps of some environments.

    L = -mean min(r A, clip(r, 1 - c, 1 + c) A) + vf_coef mean (V - R)^2 - ent_coef mean H, r = pi(a) / pi_old(a), with
    A and R by GAE(lambda) (Schulman et al. 2016). The core processes each column from its state at the start of
    the rollout. Episodes may start anywhere in a column, so nothing is padded or masked.

    Args:
        policy: "RecurrentPolicy", "FieldPolicy", "GridPolicy", or a subclass.
        env: a VecEnv (`make_sb3`), an environment or its id.
        learning_rate: Adam's; a number or Stable-Baselines3's schedule of the progress remaining.
        n_steps: T, steps of every environment between updates.
        n_minibatches: minibatches per pass over the rollout; must divide the number of environments. None: the largest
            divisor up to 4.
        n_epochs: passes over each rollout.
        gamma: discount.
        gae_lambda: lambda.
        clip_range: c, a number or a schedule.
        normalize_advantage: whether to scale A to mean 0 and variance 1 in each minibatch.
        ent_coef, vf_coef: weights of the entropy and of the critic's error.
        max_grad_norm: largest norm of the gradient, which is scaled down to it.
        target_kl: stop the passes over a rollout once the policy has moved by more than 1.5 times this; None: never.
        bptt: "full": gradients go back through the whole rollout; "cut": through one step, as in Irie et al. 2021.
        workers: processes that train in parallel with averaged gradients, each with its own copy of `env` and other
            seeds: a number, of which all but this one are started by `learn` and run on the CPU; or "torchrun", for
            scripts that it starts. The steps of all of them count; callbacks run, and files are written, in the first.
        compile: whether to compile the pass over a minibatch with `torch.compile`, which takes a minute.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords, including `form`; `policy.core.form` is the one in use.
        policy_kwargs: other keywords of `RecurrentPolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3.
        _init_setup_model: whether to build the nets at once.

    Raises:
        ValueError: an unknown choice, or `n_minibatches` does not divide the number of environments.
        FloatingPointError: in training, a loss is not finite; that update has not changed the parameters.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        **dict.fromkeys(("RecurrentPolicy", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"), RecurrentPolicy),
        "FieldPolicy": FieldPolicy,
        "GridPolicy": GridPolicy,
    }
    STATE = (*Agent.STATE, "_teacher_state", "_own_spread")
    policy: RecurrentPolicy
    policy_class: type[RecurrentPolicy]
    _lessons: Lessons | None = None  # while `imitate` runs
    _teacher_state: Any = None
    _own_spread: Tensor | None = None  # logarithms of the standard deviations before the lessons

    def __init__(
        self,
        policy: str | type[RecurrentPolicy] = "RecurrentPolicy",
        env: GymEnv | str | None = None,
        *,
        learning_rate: float | Schedule = 1e-3,
        n_steps: int = 64,
        n_minibatches: int | None = None,
        n_epochs: int = 4,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.2,
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        target_kl: float | None = None,
        bptt: Literal["full", "cut"] = "full",
        workers: Workers = 1,
        compile: bool = False,
        core: str = "lstm",
        core_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy, env, learning_rate, policy_kwargs, seed=seed, device=device, verbose=verbose,
            stats_window_size=stats_window_size, tensorboard_log=tensorboard_log, support_multi_env=True,
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
        )  # fmt: skip
        self.n_steps = n_steps
        self.n_minibatches = n_minibatches
        self.n_epochs = n_epochs
        self.gamma = gamma
        self.gae_lambda = gae_lambda
        self.clip_range = clip_range
        self.normalize_advantage = normalize_advantage
        self.ent_coef = ent_coef
        self.vf_coef = vf_coef
        self.max_grad_norm = max_grad_norm
        self.target_kl = target_kl
        self.bptt = bptt
        self.workers = workers
        self.compile = compile
        self.core = core
        self.core_kwargs = core_kwargs
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        self._clip_schedule = FloatSchedule(self.clip_range)
        keywords = {"core": self.core, "core_kwargs": self.core_kwargs, **self.policy_kwargs}
        self.policy = self.policy_class(self.observation_space, self.action_space, self.lr_schedule, **keywords)
        self.policy = self.policy.to(self.device)
        core = self.policy.core
        if core.form == "compiled" and self.device.type != "cpu" and "form" not in (self.core_kwargs or {}):
            core.form = next(form for form in core.forms if form != "compiled")
        fused = self.device.type == "cpu"  # on a GPU it refuses gradients whose layout differs from their parameters'
        self.optimizer = torch.optim.Adam(self.policy.parameters(), self.lr_schedule(1), eps=1e-5, fused=fused)
        self._setup_lanes()
        self._evaluate = torch.compile(self.policy.evaluate_actions) if self.compile else self.policy.evaluate_actions

    def check_lanes(self, count: int) -> None:
        """See `Agent.check_lanes`."""
        if self.n_minibatches is not None and count % self.n_minibatches:
            raise ValueError(
                f"n_minibatches must divide the number of environments, because a minibatch holds whole columns: "
                f"{count} environments, n_minibatches={self.n_minibatches}"
            )

    def _setup_lanes(self) -> None:
        if self.env is not None:
            self.check_lanes(self.lanes)
        self.core_states = (self.policy.core.initial_state(self.lanes),)
        self.rollout = Rollout(self.n_steps)

    @property
    def minibatches(self) -> int:
        """Minibatches per pass: the largest divisor of the number of environments up to `n_minibatches`."""
        most = min(self.n_minibatches or 4, self.lanes)
        return max(count for count in range(1, most + 1) if self.lanes % count == 0)

    def rollout_length(self) -> int:
        """`n_steps`."""
        return self.n_steps

    def begin_rollout(self) -> None:
        """Starts a new rollout, from the current core states."""
        self.rollout.count = 0
        (self._first_state,) = self.core_states

    def imitate(
        self,
        teacher: Teacher,
        total_timesteps: int,
        *,
        fade: float = 0.5,
        learning_rate: float | Schedule | None = None,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Imitates a teacher, before `learn` improves on it: DAgger, see `Lessons`.

        The policy loss is -mean log pi(teacher's action | h) over all steps or, if actions are Discrete and the teacher
        has ``probabilities``, the cross-entropy with these. Values, and what a subclass adds, are learned as in
        `learn`. The standard deviation of Box actions is restored at the end: a teacher that does not explore cannot
        teach exploration.

        Args:
            teacher: a reference (`foveal_envs.reference`) for this agent's environment, or any agent of
                Stable-Baselines3 with the same observations.
            total_timesteps: steps of all lanes together.
            fade: share of the steps after which the agent acts alone.
            learning_rate: learning rate during imitation; None: the agent's own.
            callback, log_interval, progress_bar: see `Agent.learn`.
            reset_num_timesteps: False goes on with lessons that were interrupted.

        Raises:
            ValueError: several workers, or a `fade` outside (0, 1].
        """
        if self.workers != 1:
            raise ValueError(f"a teacher sees only one environment: imitate needs workers=1, not {self.workers}")
        schedule, spread = self.lr_schedule, getattr(self.policy, "log_std", torch.zeros(0))
        if reset_num_timesteps or self._own_spread is None:
            self._teacher_state, self._own_spread = None, spread.detach().clone()
        self._lessons = Lessons(teacher, fade, isinstance(self.action_space, spaces.Discrete))
        if learning_rate is not None:
            self.lr_schedule = FloatSchedule(learning_rate)
        self.rollout = Rollout(self.n_steps)  # probabilities take the place of actions
        try:
            return self.learn(
                total_timesteps, callback, log_interval, "imitation", reset_num_timesteps, progress_bar=progress_bar
            )
        finally:
            self._lessons, self.lr_schedule, self.rollout = None, schedule, Rollout(self.n_steps)
            spread.data.copy_(self._own_spread)
            self._teacher_state = self._own_spread = None

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """Actions sampled from the policy; see `Agent.act`."""
        (state,) = self.core_states
        inputs = self._tensors(obs)
        distribution, value, next_state = self.policy.step(inputs, state, episode_start)
        action = taken = distribution.get_actions()
        if self._lessons is not None:
            shown, probabilities, self._teacher_state = self._lessons.shown(obs, self._teacher_state, episode_start)
            shown = self._tensors(self.policy.from_env(shown)).to(taken)
            action = shown if probabilities is None else self._tensors(probabilities)
            taken = self._lessons.mix(shown, distribution.mode(), self._current_progress_remaining)
        act = {"obs": inputs, "action": action, "value": value, "log_prob": likelihood(distribution, action)}
        return self.policy.to_env(taken, distribution), act, (next_state,)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`. The critic values what follows the rollout's last step or a truncated one."""
        next_value = torch.zeros_like(step.act["value"])
        if (step.ends & ~step.terminated).any() or self.rollout.count == self.n_steps - 1:
            (next_state,), goes_on = step.next_states, torch.zeros_like(step.episode_start)
            next_value = self.policy.step(self._tensors(step.next_obs), next_state, goes_on)[1]
        outcome = self._tensors({"reward": step.rewards, "ended": step.ends, "terminated": step.terminated})
        self.rollout.add(**step.act, episode_start=step.episode_start, next_value=next_value, **outcome)

    def train(self, steps: int) -> None:
        """`n_epochs` passes over the rollout, each in `n_minibatches` sets of columns."""
        self._update_learning_rate(self.optimizer)
        clip_range = self._clip_schedule(self._current_progress_remaining)
        target_kl = None if self._lessons else self.target_kl
        self.policy.set_training_mode(True)
        fields = self.rollout.fields
        fields["returns"] = self.rollout.returns(self.gamma, self.gae_lambda)
        minibatches = self.minibatches
        for _ in range(self.n_epochs):
            divergence = 0.0
            for columns in torch.randperm(self.lanes, device=self.device).chunk(minibatches):
                batch = self.rollout.columns(columns)
                state = tuple(part[columns] for part in self._first_state)
                values, log_prob, entropy, *more = self._evaluate(
                    batch["obs"], batch["action"], state, batch["episode_start"], through_time=self.bptt == "full"
                )
                returns, old_value, old_log_prob = (batch[name].flatten() for name in ("returns", "value", "log_prob"))
                advantage = returns - old_value
                if self.normalize_advantage and len(advantage) > 1:
                    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                log_ratio = log_prob - old_log_prob
                ratio = log_ratio.exp()
                policy_loss = -log_prob.mean() if self._lessons else clipped_surrogate(ratio, advantage, clip_range)
                value_loss = (values - returns).square().mean()
                entropy_loss = -(-log_prob if entropy is None else entropy).mean()
                loss = policy_loss + self.vf_coef * value_loss + self.ent_coef * entropy_loss
                loss = loss + self.further_loss(batch, *more)
                check_losses(
                    self.num_timesteps, policy_loss=policy_loss, value_loss=value_loss, entropy_loss=entropy_loss
                )
                descend(self.optimizer, loss, self.max_grad_norm)
                divergence += (ratio - 1 - log_ratio).detach().mean() / minibatches  # Schulman's k3 estimator
            if target_kl is not None and average([torch.as_tensor(divergence)])[0] > 1.5 * target_kl:
                break
        self.measures |= {
            "train/loss": loss.detach(),
            "train/clip_range": clip_range,
            "train/policy_gradient_loss": policy_loss.detach(),
            "train/value_loss": value_loss.detach(),
            "train/entropy_loss": entropy_loss.detach(),
            "train/approx_kl": divergence,
            "train/clip_fraction": ((ratio - 1).abs() > clip_range).float().mean(),
            "train/explained_variance": 1 - (fields["returns"] - fields["value"]).var() / fields["returns"].var(),
        }
        if isinstance(spread := getattr(self.policy, "log_std", None), Tensor):
            self.measures["train/std"] = spread.detach().exp().mean()

    def further_loss(self, batch: dict[str, Any], *more: Tensor) -> Tensor | float:
        """A term added to the loss. A subclass computes it from a minibatch and its policy's further outputs `more`."""
        return 0.0

    def _tensors(self, obs: Any) -> Any:
        return each(obs, lambda part: torch.as_tensor(part, device=self.device))

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "optimizer"], []
