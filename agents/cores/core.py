"""The contract that every core, feed-forward or recurrent, fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Core(nn.Module, ABC):
    """The part of a net between encoder and head that may carry state from step to step.

    Sequences are time-major. A subclass sets `input_size` and `output_size` and writes `initial_state` and `step`;
    it may override `forward` by a form that is parallel over time and exact with resets inside the sequence.

    Args:
        input_size: D, width of the input.
        output_size: H, width of the output.
    """

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """State at an episode's start: a tuple (empty for a core without memory) of tensors (batch_size, ...)."""

    @abstractmethod
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step.

        Args:
            x: (B, D) input.
            state: tuple of (B, ...), as `initial_state` or the last `step` gave it.
            episode_start: (B,) bool; where True the state is forgotten before the input is read.

        Returns:
            y (B, H) and the next state.
        """

    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps.

        Args:
            x: (T, B, D) inputs, T >= 1.
            state: tuple of (B, ...), the state before the first input.
            episode_start: (T, B) bool.

        Returns:
            y (T, B, H) and the state after the last input.
        """
        outputs = []
        for inputs, start in zip(x, episode_start, strict=True):
            output, state = self.step(inputs, state, start)
            outputs.append(output)
        return torch.stack(outputs), state

    def restart(self, state: State, episode_start: Tensor) -> State:
        """`state` with the rows where `episode_start` (B,) is True set to the initial state."""
        fresh = self.initial_state(len(episode_start))
        return tuple(
            torch.where(episode_start.view(-1, *[1] * (old.dim() - 1)), new, old)
            for new, old in zip(fresh, state, strict=True)
        )
