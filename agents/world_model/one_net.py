"""One recurrent net that acts, values and predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.encoder import Encoder
from ..cores import State, make_core
from .actions import make_actions


class OneNetPolicy(Actor):
    """h(t) = core(x(t), state); from h(t) come pi(a | h), V(h), and predictions P(h, a) of what follows the action a.

    x(t) is the observation, with achieved and desired goal if there are any. Predicted are the next observation and
    achieved goal, and the reward. Each output has a hidden layer of its own; everything else is shared.

    Args:
        observation_space: a Box or a Dict of Boxes.
        action_space: Box, Discrete, or MultiDiscrete of one axis.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        hidden: units of each output's hidden layer.

    Raises:
        ValueError: other spaces.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        core: str = "lstm",
        core_kwargs: dict[str, Any] | None = None,
        hidden: int = 32,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.encoder = encoder = Encoder(observation_space, share=False)  # the two may differ
        self.actions = make_actions(action_space, probabilistic=True)
        self.input_size = encoder.percept_size + encoder.goal_size
        self.core = make_core(core, self.input_size, **(core_kwargs or {}))

        def head(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))

        self.actor, self.critic = head(self.core.output_size, self.actions.units), head(self.core.output_size, 1)
        self.predictor = head(self.core.output_size + self.actions.size, encoder.percept_size + 1)
        self.renew()

    def renew(self) -> None:
        """Begins the output layers of actions and values anew, with almost equal probabilities of all actions."""
        for layer in (*self.actor, *self.critic):
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        self.init_weights(self.actor[-1], gain=0.01)

    def inputs(self, obs: Any) -> Tensor:
        """x (N, I) of observations (N, ...) of the environment."""
        return torch.cat((self.encoder.percept(obs), self.encoder.desired(obs)), 1).to(self.device)

    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, Tensor, State]:
        """The net inputs of the actions (B, U), V (B,) and the next state, from x (B, I), state and (B,) bool."""
        h, state = self.core.step(x, state, episode_start)
        return self.actor(h), self.critic(h).squeeze(-1), state

    def unroll(self, x: Tensor, action: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The net inputs of the actions (T, B, U), V (T, B), and predictions (T, B, P + 1), of a sequence.

        Args:
            x: (T, B, I).
            action: (T, B, A) vectors that were taken.
            state: (B, ...) before the first step.
            episode_start: (T, B) bool.
        """
        h, _ = self.core(x, state, episode_start)
        return self.actor(h), self.critic(h).squeeze(-1), self.predictor(torch.cat((h, action), -1))

    def act(
        self, obs: Any, state: State | None, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, State]:
        """See `Actor.act`."""
        if state is None:
            state = self.core.initial_state(len(episode_start))
        net, _, state = self.step(self.inputs(obs), state, torch.from_numpy(episode_start).to(self.device))
        vectors = self.actions.likely(net) if deterministic else self.actions.sample(net)
        return self.actions.to_env(vectors), state
