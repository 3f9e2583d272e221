"""What an agent with a world model stores of each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.encoder import Encoder
from ..common.sequences import Replay
from ..cores import Core, State
from .model import WorldModel


class Experience(Replay):
    """A replay of percepts, goals, actions and rewards, and of the core states before each step.

    Args:
        encoder: encoder of the observations.
        parts: what has an `initial_state`, C's core and M, by the name under which its state is stored.
        action_size: A.
        columns: N, number of environments.
        capacity: number of steps kept per column.
        signals: number of pain and pleasure units that are not observed.
    """

    def __init__(
        self,
        encoder: Encoder,
        parts: Mapping[str, Core | WorldModel],
        action_size: int,
        columns: int,
        capacity: int,
        device: torch.device | str = "cpu",
        signals: int = 0,
    ) -> None:
        sizes = {
            "observation": encoder.observation_size,
            "desired_goal": encoder.goal_size,
            "action": action_size,
            "next_percept": encoder.percept_size,
            **dict.fromkeys(("reward", "terminated", "ended", "episode_start"), 1),
            "signals": signals,
            **{name: sum(state.numel() for state in part.initial_state(1)) for name, part in parts.items()},
        }
        super().__init__(sizes, columns, capacity, device)
        self.state_names = tuple(parts)

    def record(
        self, act: Mapping[str, Any], states: tuple[State, ...], next_percept: Tensor, **outcome: np.ndarray
    ) -> None:
        """Writes one step.

        Args:
            act: observation (N, D), desired_goal (N, G), action (N, A) and episode_start (N,).
            states: of the parts, in the same order.
            next_percept: (N, P).
            outcome: reward, terminated and ended, each (N,), and signals (N, n).
        """
        named = zip(self.state_names, states, strict=True)
        self.add(
            **{**act, "episode_start": act["episode_start"][:, None]},
            next_percept=next_percept,
            **{
                name: torch.as_tensor(values, device=self.data.device).view(len(next_percept), -1)
                for name, values in outcome.items()
            },
            **{name: torch.cat([part.flatten(1) for part in state], 1) for name, state in named if state},
        )
