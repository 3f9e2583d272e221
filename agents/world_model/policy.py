"""The controller C as a Stable-Baselines3 policy: encoder -> core -> head."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from ..common.encoder import Encoder
from ..cores import State, make_core


class ControllerPolicy(BasePolicy):
    """Deterministic controller: action = low + (high - low) * logistic(W core(observation, desired goal) + b).

    For Box(0, 1) the logistic outputs are the action (Schmidhuber & Huber 1990); for Box(-1, 1) this is
    tanh of half the head's output.

    Args:
        observation_space: Box, or Dict of Boxes with or without the goal keys.
        action_space: a bounded Box.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        goal_input: whether C reads the desired goal.
        saturation: weight e of an error of C's own, e/2 |W core + b|^2 averaged over the batch, whose gradient is added
            in every backward pass: it keeps the logistic outputs from saturating, where no other gradient reaches them.
        core: name in `agents.CORES`.
        core_kwargs: the core's other keywords.
        device: where it will live.
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
        saturation: float = 0.0,
        core: str = "feedforward",
        core_kwargs: dict[str, Any] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(observation_space, action_space)
        self.encoder = Encoder(observation_space, device=device)
        self.goal_input = goal_input and self.encoder.has_goal
        self.saturation = saturation
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
        inputs = torch.cat((observation, desired), -1) if self.goal_input else observation
        hidden, state = self.core.step(inputs, state, episode_start)
        net = self.head(hidden)
        if self.saturation and net.requires_grad:
            penalty = net.detach() * (self.saturation / len(net))
            net.register_hook(lambda gradient: gradient + penalty)
        return torch.addcmul(self.low, self.span, torch.sigmoid(net)), state

    def explore(self, action: Tensor, scale: Tensor) -> Tensor:
        """Actions (B, A) with Gaussian noise of `scale` (B, 1) half-ranges, clipped to the action space."""
        noise = 0.5 * self.span * scale * torch.randn_like(action)
        return (action + noise).clamp(self.low, self.low + self.span)

    def predict(
        self,
        observation: Any,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, State | None]:
        """Actions for one observation or a batch; see Stable-Baselines3. C is deterministic, whatever is asked.

        Args:
            observation: as the environment gives it, with or without a leading axis (N, ...).
            state: what the last call returned; None at the start.
            episode_start: (N,) bool; None: no lane starts anew.
        """
        obs, batched = self.obs_to_tensor(observation)
        with torch.no_grad():
            inputs = self.encoder.observation(obs)
            if state is None:
                state = self.core.initial_state(len(inputs))
            start = torch.zeros(len(inputs), dtype=torch.bool)
            if episode_start is not None:
                start |= torch.as_tensor(episode_start, dtype=torch.bool)
            actions, state = self.step(inputs, self.encoder.desired(obs), state, start.to(inputs.device))
        array = actions.cpu().numpy().reshape(-1, *self.action_space.shape)
        array = np.clip(array, self.action_space.low, self.action_space.high)
        return (array if batched else array[0]), state

    def _predict(self, observation: Any, deterministic: bool = True) -> Tensor:
        inputs = self.encoder.observation(observation)
        start = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
        return self.step(inputs, self.encoder.desired(observation), self.core.initial_state(len(inputs)), start)[0]
