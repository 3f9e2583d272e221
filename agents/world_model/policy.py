"""The controller C as a Stable-Baselines3 policy: encoder -> core -> head."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..common.actor import Actor
from ..common.encoder import Encoder
from ..cores import State, make_core


class ControllerPolicy(Actor):
    """Deterministic controller: action = low + (high - low) * logistic(W core(observation, desired goal) + b).

    For Box(0, 1) the logistic outputs are the action (Schmidhuber & Huber 1990); for Box(-1, 1) this is
    tanh of half the head's output.

    Args:
        observation_space: Box, or Dict of Boxes with or without the goal keys.
        action_space: a bounded Box.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        goal_input: whether C reads the desired goal.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        device: device of the parameters.
    """

    low: Tensor
    span: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Any = None,
        *,
        goal_input: bool = True,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(observation_space, action_space)
        self.box = action_space
        self.encoder = Encoder(observation_space, device=device)
        self.goal_input = goal_input and self.encoder.has_goal
        inputs = self.encoder.observation_size + (self.encoder.goal_size if self.goal_input else 0)
        self.core = make_core(core, inputs, **(core_kwargs or {}))
        self.head = nn.Linear(self.core.output_size, int(np.prod(action_space.shape)))
        low, high = (torch.as_tensor(bound).float().flatten() for bound in (action_space.low, action_space.high))
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("span", high - low, persistent=False)

    def step(self, observation: Tensor, desired: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """Actions (B, A) in the space's units, and the core's next state.

        Args:
            observation: (B, D).
            desired: (B, G) goals.
            state: the core's state.
            episode_start: (B,) bool.
        """
        net, state = self.net(observation, desired, state, episode_start)
        return self.squash(net), state

    def net(self, observation: Tensor, desired: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """The outputs' net inputs W core + b (B, A), and the core's next state; see `step`."""
        inputs = torch.cat((observation, desired), -1) if self.goal_input else observation
        hidden, state = self.core.step(inputs, state, episode_start)
        net: Tensor = self.head(hidden)
        return net, state

    def squash(self, net: Tensor) -> Tensor:
        """Actions (B, A) = low + (high - low) * logistic(net)."""
        return torch.addcmul(self.low, self.span, torch.sigmoid(net))

    def explore(self, action: Tensor, scale: Tensor) -> Tensor:
        """Actions (B, A) with Gaussian noise of `scale` (B, 1) half-ranges, clipped to the action space."""
        noise = 0.5 * self.span * scale * torch.randn_like(action)
        return (action + noise).clamp(self.low, self.low + self.span)

    def act(self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool) -> tuple[np.ndarray, State]:
        """See `Actor.act`. C is always deterministic."""
        inputs = self.encoder.observation(obs)
        if state is None:
            state = self.core.initial_state(len(inputs))
        start = torch.from_numpy(episode_start).to(inputs.device)
        actions, state = self.step(inputs, self.encoder.desired(obs), state, start)
        return self.to_env(actions), state

    def to_env(self, actions: Tensor) -> np.ndarray:
        """Actions (B, A) in the environment's shape (B, ...), within the bounds to the last bit."""
        space = self.box
        array: np.ndarray = actions.cpu().numpy().reshape(-1, *space.shape)
        clipped: np.ndarray = np.clip(array, space.low, space.high)
        return clipped
