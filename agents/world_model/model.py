"""The world model M, which predicts the next percept from a percept and an action."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..common.encoder import Encoder
from ..common.sequences import Sequence
from ..cores import State, make_core
from .policy import ControllerPolicy

Output = Literal["logistic", "linear", "residual"]
OUTPUTS = ("logistic", "linear", "residual")


class WorldModel(nn.Module):
    """Predicts the next percept (observation and achieved goal, see `Encoder`), and the reward.

    One linear layer on one core computes all outputs. The reward unit is always linear.

    Args:
        encoder: gives the widths of observation, goal and percept.
        action_size: A.
        output: "logistic" (retina in [0, 1], as in 1990), "linear", or "residual" (linear units predict the change of
            the observation; an achieved goal with units of its own is predicted directly).
        reward: whether to predict the reward.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
    """

    def __init__(
        self,
        encoder: Encoder,
        action_size: int,
        *,
        output: Output = "linear",
        reward: bool = True,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, not {output!r}")
        self.encoder = encoder
        self.output = output
        self.reward = reward
        self.core = make_core(core, encoder.observation_size + action_size, **(core_kwargs or {}))
        self.head = nn.Linear(self.core.output_size, encoder.percept_size + reward)

    def _heads(self, hidden: Tensor, observation: Tensor) -> Tensor:
        out: Tensor = self.head(hidden)
        if self.output == "linear":
            return out
        size = self.encoder.percept_size if self.output == "logistic" else self.encoder.observation_size
        part = torch.sigmoid(out[..., :size]) if self.output == "logistic" else observation + out[..., :size]
        return part if size == out.shape[-1] else torch.cat((part, out[..., size:]), -1)

    def step(self, observation: Tensor, action: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One prediction (B, P + 1 if reward): next percept and reward, from (B, D), (B, A), state and (B,) bool."""
        hidden, state = self.core.step(torch.cat((observation, action), -1), state, episode_start)
        return self._heads(hidden, observation), state

    def observe(self, sequence: Sequence) -> Tensor:
        """Predictions (T, B, P + 1 if reward) along real experience, each from the real observation and action."""
        inputs = torch.cat((sequence["observation"], sequence["action"]), -1)
        state = sequence.state("model_state", self.core.initial_state(inputs.shape[1]))
        hidden, _ = self.core(inputs, state, sequence.flag("episode_start"))
        return self._heads(hidden, sequence["observation"])

    def target(self, sequence: Sequence) -> Tensor:
        """The targets of `observe`."""
        percept = sequence["next_percept"]
        return torch.cat((percept, sequence["reward"]), -1) if self.reward else percept

    def loss(self, sequence: Sequence) -> Tensor:
        """1/2 |prediction - next percept|^2, summed over the units and averaged over (T, B)."""
        return 0.5 * (self.observe(sequence) - self.target(sequence)).square().sum(-1).mean()

    def imagine(self, policy: ControllerPolicy, start: Sequence, steps: int) -> tuple[Tensor, Tensor]:
        """A rollout of `policy` inside M, from the first step of `start`: x(t+1) = M(x(t), C(x(t))).

        Returns:
            Predictions (steps, B, ...), and the net inputs (steps, B, A) of the policy's outputs.
        """
        observation, goal = start["observation"][0], start["desired_goal"][0]
        start_flag = start.flag("episode_start")[0]
        controller_state, model_state = self._states(policy, start)
        outputs, nets = [], []
        for _ in range(steps):
            net, controller_state = policy.net(observation, goal, controller_state, start_flag)
            out, model_state = self.step(observation, policy.squash(net), model_state, start_flag)
            outputs.append(out)
            nets.append(net)
            observation = out[:, : self.encoder.observation_size]
            start_flag = torch.zeros_like(start_flag)
        return torch.stack(outputs), torch.stack(nets)

    def imagined(self, start: Sequence, percepts: Tensor) -> dict[str, Tensor]:
        """The trajectory (T, B, ...) of percepts imagined from the first step of `start`, cut off at its end."""
        observations = percepts[:-1, :, : self.encoder.observation_size].detach()
        ended = torch.zeros_like(percepts[..., :1])
        return {
            "observation": torch.cat((start["observation"][:1], observations)),
            "desired_goal": start["desired_goal"][:1].expand(len(percepts), -1, -1),
            "terminated": ended,
            "ended": ended.index_fill(0, torch.tensor([len(ended) - 1], device=ended.device), 1.0),
        }

    @torch.no_grad()
    def expected(self, before: Sequence) -> tuple[Tensor, Tensor]:
        """The observation (1, B, D) predicted after the step `before`, and (1, B) 1 where it followed, else 0.

        The evaluator is queried on predictions, so it must agree there with its values of the real observations from
        which it learns. Otherwise what M blurs seems slightly too valuable at each step, and C learns to seek it.
        """
        return self.observe(before)[..., : self.encoder.observation_size], 1 - before["ended"].squeeze(-1)

    def real_forward(self, policy: ControllerPolicy, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """The real percepts, with the gradient through M and `policy`.

        Schmidhuber & Huber 1990: activations come from the real trajectory, and M provides only its Jacobian:
        x_next = x_real + M(x, a) - M(x, a).detach(), and likewise a = a_real + C(x) - C(x).detach(). Gradients do not
        cross the end of an episode. They are true for C only if C made the trajectory, up to noise of mean 0.

        Returns:
            Percepts (T, B, ...), and the net inputs (T, B, A) of the policy's outputs.
        """
        targets, actions, ended = self.target(sequence), sequence["action"], sequence.flag("ended")
        observations, desired = sequence["observation"], sequence["desired_goal"]
        starts = sequence.flag("episode_start")
        controller_state, model_state = self._states(policy, sequence)
        observation = observations[0]
        outputs, nets = [], []
        for t in range(len(sequence)):
            if t:
                observation = torch.where(ended[t - 1, :, None], observations[t], observation)
            net, controller_state = policy.net(observation, desired[t], controller_state, starts[t])
            action = policy.squash(net)
            action = action + (actions[t] - action).detach()
            out, model_state = self.step(observation, action, model_state, starts[t])
            out = out + (targets[t] - out).detach()
            outputs.append(out)
            nets.append(net)
            observation = out[:, : self.encoder.observation_size]
        return torch.stack(outputs), torch.stack(nets)

    def _states(self, policy: ControllerPolicy, sequence: Sequence) -> tuple[State, State]:
        batch_size = sequence.data.shape[1]
        return (
            sequence.state("controller_state", policy.core.initial_state(batch_size)),
            sequence.state("model_state", self.core.initial_state(batch_size)),
        )
