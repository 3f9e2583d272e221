"""The controller C as a Stable-Baselines3 policy: encoder -> scale -> core -> head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.encoder import Encoder
from ..cores import State, make_core
from .actions import make_actions
from .scale import Scale


class ControllerPolicy(Actor):
    """Controller: net inputs W core(observation, desired goal) + b, and what they mean in the action space.

    In a Box the action is low + (high - low) * logistic(net): for Box(0, 1) the logistic outputs of Schmidhuber & Huber
    (1990), for Box(-1, 1) tanh of half the head's output. Without bounds it is the net input. Discrete actions are
    drawn with the probabilities softmax(net); the most likely ones are taken if `deterministic`.

    Args:
        observation_space: Box, or Dict of Boxes with or without the goal keys.
        action_space: Box, Discrete, or MultiDiscrete of one axis.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        goal_input: whether C reads the desired goal.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        scaled: whether C reads observations in units of their spread, see `Scale`.
        probabilistic: whether the actions of a Box are drawn, with a variance that C learns, see `Units`.
        vision: keywords of the `Vision` that images pass through; None: their pixels are numbers like all others.
        device: device of the parameters.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        goal_input: bool = True,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        scaled: bool = False,
        probabilistic: bool = False,
        vision: Mapping[str, Any] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(observation_space, action_space)
        self.encoder = Encoder(observation_space, device=device, vision=vision)
        self.eye = self.encoder.eye
        self.goal_input = goal_input and self.encoder.has_goal
        inputs = self.encoder.observation_size + (self.encoder.goal_size if self.goal_input else 0)
        self.actions = make_actions(action_space, probabilistic)
        self.core = make_core(core, inputs, **(core_kwargs or {}))
        self.head = nn.Linear(self.core.output_size, self.actions.units)
        self.scale = Scale(self.encoder.observation_size, scaled, rewards=not self.encoder.has_goal)

    def net(self, observation: Tensor, desired: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """The outputs' net inputs (B, U), and the core's next state.

        Args:
            observation: (B, D), scaled.
            desired: (B, G) goals.
            state: the core's state.
            episode_start: (B,) bool.
        """
        hidden, state = self.core.step(self._inputs(observation, desired), state, episode_start)
        net: Tensor = self.head(hidden)
        return net, state

    def warm(self, observations: Tensor, desired: Tensor, state: State, episode_start: Tensor) -> State:
        """The core's state after it has read (T, B, ...) from `state` on."""
        after: State = self.core(self._inputs(observations, desired), state, episode_start)[1]
        return after

    def _inputs(self, observation: Tensor, desired: Tensor) -> Tensor:
        return torch.cat((observation, desired), -1) if self.goal_input else observation

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, State]:
        """See `Actor.act`; only choices are ever drawn."""
        inputs = self.scale(self.encoder.observation(obs))
        if state is None:
            state = self.core.initial_state(len(inputs))
        start = torch.from_numpy(episode_start).to(inputs.device)
        net, state = self.net(inputs, self.encoder.desired(obs), state, start)
        chosen = self.actions.likely(net) if deterministic else self.actions.sample(net)
        return self.actions.to_env(chosen), state
