"""One big net: an agent that learns task after task, and then learns again from its own traces."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor

from ..common.agent import Agent, Step
from ..common.losses import check_losses, clipped_surrogate, descend
from ..common.sequences import Rollout, Sequence
from ..cores import State
from ..cores.ops.checks import real, whole
from .one_net import OneNetPolicy
from .traces import Running, Traces


class OneBigNet(Agent):
    """One recurrent net for many tasks, for acting and for predicting (Schmidhuber, arXiv 1802.08864).

    It learns a task by PPO, and keeps its last episodes, its *traces*. `consolidate` ends the task: the net is then
    trained on the traces of all tasks so far, without the environment,

    L = mean 1/2 |P(h, a) - (x', r)|^2 + mean 1/2 (V(h) - G)^2 over all traces - mean log pi(a | h) over those that went
    well,

    so that it goes on predicting all that it has seen, and imitates its own successes. Then `begin_task` gives it the
    next task. A trace went well if its last info says ``is_success``; where infos do not say it, if its return is at
    least the median of its task's.

    All tasks have the same spaces. What tells them apart is part of the observation: the desired goal, or a number that
    stays the same in all episodes of a task.

    Args:
        policy: "OneNetPolicy", also called "MlpPolicy", "CnnPolicy" and "MultiInputPolicy".
        env: a VecEnv (`make_sb3`), an environment or its id.
        learning_rate: Adam's; a number or Stable-Baselines3's schedule.
        n_steps: T, steps of every environment between updates.
        n_minibatches: sets of columns in a pass over the rollout, at most as many as there are environments.
        n_epochs: passes over each rollout.
        gamma, gae_lambda, clip_range, ent_coef, vf_coef, max_grad_norm: see `RecurrentPPO`.
        prediction_coef: weight of the predictions' error while it learns a task.
        traces: newest episodes kept of every task.
        longest: episodes of more steps are not kept.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        policy_kwargs: other keywords of `OneNetPolicy`.
        seed, device, verbose, stats_window_size, tensorboard_log: as in Stable-Baselines3.
        _init_setup_model: whether to build the net at once.

    Attributes:
        memories: the traces that it keeps, see `Traces`; files of `save` hold them.

    Raises:
        ValueError: spaces that the net cannot read or act in.
    """

    STATE: ClassVar[tuple[str, ...]] = (*Agent.STATE, "running")
    PROGRESS: ClassVar[tuple[str, ...]] = (*Agent.PROGRESS, "kept")

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = dict.fromkeys(
        ("OneNetPolicy", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"), OneNetPolicy
    )
    policy: OneNetPolicy

    def __init__(
        self,
        policy: str | type[OneNetPolicy] = "OneNetPolicy",
        env: GymEnv | str | None = None,
        *,
        learning_rate: float | Schedule = 3e-3,
        n_steps: int = 32,
        n_minibatches: int = 4,
        n_epochs: int = 4,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float = 0.2,
        ent_coef: float = 0.01,
        vf_coef: float = 0.5,
        prediction_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        traces: int = 1024,
        longest: int = 1000,
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
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete),
        )  # fmt: skip
        self.n_steps = n_steps
        self.n_minibatches = n_minibatches
        self.n_epochs = n_epochs
        self.gamma = gamma
        self.gae_lambda = gae_lambda
        self.clip_range = clip_range
        self.ent_coef = ent_coef
        self.vf_coef = vf_coef
        self.prediction_coef = prediction_coef
        self.max_grad_norm = max_grad_norm
        self.traces = traces
        self.longest = longest
        self.core = core
        self.core_kwargs = core_kwargs
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        keywords = {"core": self.core, "core_kwargs": self.core_kwargs, **self.policy_kwargs}
        policy: Any = self.policy_class(self.observation_space, self.action_space, **keywords)
        self.policy = policy.to(self.device)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), self.lr_schedule(1), eps=1e-5)
        percept = self.policy.encoder.percept_size
        sizes = {"x": self.policy.input_size, "action": self.policy.actions.size, "next_percept": percept, "reward": 1}
        self.memories = Traces({**sizes, "return": 1}, self.traces)
        self._setup_lanes()

    def _setup_lanes(self) -> None:
        self.core_states = (self.policy.core.initial_state(self.lanes),)
        self.rollout = Rollout(self.n_steps)
        self.running = Running(self.lanes, self.longest)

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The traces as data."""
        return self.memories.get_state()

    @kept.setter
    def kept(self, state: list[dict[str, Any]]) -> None:
        self.memories.set_state(state)

    def check_state(self, name: str, given: Any) -> None:
        """See `SavedAlgorithm.check_state`."""
        if name != "kept":  # which the traces check themselves
            super().check_state(name, given)

    def begin_task(self, env: GymEnv) -> None:
        """Goes on to the next task: its environment, a fresh optimizer, and fresh output layers for actions and values.

        A net that is sure of what to do explores too little to learn something else. What it knows of the earlier tasks
        is in its core and its traces, and `consolidate` brings it back to all outputs; until then it acts as one that
        has learned nothing.

        Raises:
            ValueError: other spaces.
        """
        self.set_env(env)
        self.memories.begin_task()
        self.policy.renew()
        self.optimizer.state.clear()

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Replaces the environment, and changes nothing else: the net goes on learning as it is.

        Raises:
            ValueError: other spaces.
        """
        wrapped = self._wrap_env(env, self.verbose)
        for kind in ("observation_space", "action_space"):
            own, other = getattr(self, kind), getattr(wrapped, kind)
            if own != other:
                raise ValueError(
                    f"the {kind} of the next task is {other}, but all tasks of one net must have {own}: bring them to "
                    "one shape with a wrapper, which also adds what tells them apart"
                )
        super().set_env(wrapped, force_reset)

    def rollout_length(self) -> int:
        """`n_steps`."""
        return self.n_steps

    def begin_rollout(self) -> None:
        """Starts a new rollout, from the current core states."""
        self.rollout.count = 0
        (self._first_state,) = self.core_states

    def act(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, dict[str, Any], tuple[State, ...]]:
        """Actions drawn from the policy; see `Agent.act`."""
        (state,) = self.core_states
        policy, kinds = self.policy, self.policy.actions
        x = policy.inputs(obs)
        net, value, next_state = policy.step(x, state, episode_start)
        actions = kinds.to_env(kinds.sample(net))
        vectors = kinds.from_env(actions)
        act = {"x": x, "action": vectors, "value": value, "log_prob": kinds.log_probability(net, vectors)}
        return actions, act, (next_state,)

    def remember(self, step: Step) -> None:
        """See `Agent.remember`. The critic values what follows the rollout's last step or a truncated one."""
        next_value = torch.zeros_like(step.act["value"])
        if (step.ends & ~step.terminated).any() or self.rollout.count == self.n_steps - 1:
            (next_state,), goes_on = step.next_states, torch.zeros_like(step.episode_start)
            next_value = self.policy.step(self.policy.inputs(step.next_obs), next_state, goes_on)[1]
        outcome = {"reward": step.rewards, "ended": step.ends, "terminated": step.terminated}
        tensors = {name: torch.as_tensor(part, device=self.device) for name, part in outcome.items()}
        tensors["next_percept"] = self.policy.encoder.percept(step.next_obs).to(self.device)
        self.rollout.add(**step.act, episode_start=step.episode_start, next_value=next_value, **tensors)
        x, action = step.act["x"], step.act["action"]
        rows = torch.cat((x, action, tensors["next_percept"], tensors["reward"][:, None]), 1).cpu()
        for lane, trace in self.running.add(rows, step.episode_start.tolist(), step.ends.tolist()):
            success = step.infos[lane].get("is_success")
            self.memories.add(self._with_returns(trace), -1 if success is None else int(success))

    def _with_returns(self, trace: Tensor) -> Tensor:
        """A trace (T, W - 1) with the discounted sum of the rewards from each step on as last column."""
        returns = trace[:, -1:].clone()
        for t in range(len(returns) - 2, -1, -1):
            returns[t] += self.gamma * returns[t + 1]
        return torch.cat((trace, returns), 1)

    def train(self, steps: int) -> None:
        """`n_epochs` passes over the rollout: PPO, and the error of the predictions."""
        self._update_learning_rate(self.optimizer)
        fields, policy, kinds = self.rollout.fields, self.policy, self.policy.actions
        fields["returns"] = self.rollout.returns(self.gamma, self.gae_lambda)
        for _ in range(self.n_epochs):
            for columns in torch.randperm(self.lanes, device=self.device).chunk(self.n_minibatches):
                batch = self.rollout.columns(columns)
                state = tuple(part[columns] for part in self._first_state)
                net, value, said = policy.unroll(batch["x"], batch["action"], state, batch["episode_start"])
                advantage = batch["returns"] - batch["value"]
                advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
                ratio = (kinds.log_probability(net, batch["action"]) - batch["log_prob"]).exp()
                policy_loss = clipped_surrogate(ratio, advantage, self.clip_range)
                value_loss = (value - batch["returns"]).square().mean()
                entropy = kinds.entropy(net).mean()
                truth = torch.cat((batch["next_percept"], batch["reward"][..., None]), -1)
                prediction_loss = 0.5 * (said - truth).square().sum(-1).mean()
                loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy
                loss = loss + self.prediction_coef * prediction_loss
                check_losses(self.num_timesteps, policy_loss=policy_loss, value_loss=value_loss,
                             prediction_loss=prediction_loss)  # fmt: skip
                descend(self.optimizer, loss, self.max_grad_norm)
        self.measures |= {
            "train/loss": loss.detach(),
            "train/policy_gradient_loss": policy_loss.detach(),
            "train/value_loss": value_loss.detach(),
            "train/prediction_loss": prediction_loss.detach(),
            "train/entropy_loss": -entropy.detach(),
        }

    def consolidate(
        self, updates: int = 600, batch_size: int = 64, learning_rate: float | None = None
    ) -> dict[str, float]:
        """Ends the present task, and trains the net on the traces of all tasks, without the environment.

        Call it between two calls of `learn`; after it, `begin_task` and `learn` go on with the next task.

        Args:
            updates: steps of a fresh Adam.
            batch_size: traces in each, drawn with the likelihoods of `Traces.columns`.
            learning_rate: Adam's at the first step, from where it falls linearly to 0; None: the agent's
                own, where a schedule begins.

        Returns:
            The losses "prediction", "value" and "action" of the last update.

        Raises:
            ValueError: there is no trace yet; or an impossible number.
            FloatingPointError: a loss is not finite; that update has not changed the parameters.
        """
        whole("updates", updates)
        whole("batch_size", batch_size)
        if learning_rate is not None:
            real("learning_rate", learning_rate)
        if not len(self.memories):
            raise ValueError(
                f"there is no whole episode of at most longest={self.longest} steps to learn from: call learn for more "
                "steps first, or raise longest"
            )
        rate = self.lr_schedule(1.0) if learning_rate is None else learning_rate
        optimizer = torch.optim.Adam(self.policy.parameters(), rate)
        traces, chances = self.memories.columns()
        for update in range(updates):
            optimizer.param_groups[0]["lr"] = rate * (1 - update / updates)
            drawn = torch.multinomial(chances, batch_size, replacement=True)
            losses = self._trace_losses(Sequence(traces.data[:, drawn].to(self.device), traces.fields))
            check_losses(self.num_timesteps, **losses)
            descend(optimizer, torch.stack([*losses.values()]).sum(), self.max_grad_norm)
        self.memories.begin_task()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _trace_losses(self, traces: Sequence) -> dict[str, Tensor]:
        """The parts of the loss of `consolidate`, on some columns of `Traces.columns`."""
        policy = self.policy
        weight, good = traces["weight"].squeeze(-1), traces["good"].squeeze(-1)
        starts = torch.zeros_like(weight, dtype=torch.bool)
        starts[0] = True
        net, value, said = policy.unroll(
            traces["x"], traces["action"], policy.core.initial_state(weight.shape[1]), starts
        )
        truth = torch.cat((traces["next_percept"], traces["reward"]), -1)
        errors = {
            "prediction": 0.5 * (said - truth).square().sum(-1),
            "value": 0.5 * (value - traces["return"].squeeze(-1)).square(),
        }
        losses = {name: (weight * error).sum() / weight.sum() for name, error in errors.items()}
        scores = policy.actions.log_probability(net, traces["action"])
        losses["action"] = -(good * scores).sum() / good.sum().clamp(min=1)
        return losses

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "optimizer"], []
