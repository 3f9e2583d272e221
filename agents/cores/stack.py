"""A recurrent net with a continuous stack."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Form, Recurrence, State
from .ops.checks import whole, within
from .ops.stack_scan import Weights, stack_scan

ACTIONS = 3  # push, keep, pop


@final
class Stack(Recurrence):
    """s_i(t) = push s_(i-1)(t-1) + keep s_i(t-1) + pop s_(i+1)(t-1), with s_0 = v; y(t) = h(t) + W_o s_1(t).

    push, keep, pop = softmax(sharpness (A h(t) + a)) and v = tanh(V h(t) + b_v), where the controller is a simple
    recurrent net that reads the top, h(t) = tanh(W x(t) + U h(t-1) + R s_1(t-1) + b). Below the lowest cell, and in an
    empty one, is 0; what is pushed beyond the lowest cell is lost.

    The continuous stack is that of Sun, Chen, Giles, Lee & Chen, IJCNN 1990; the superposition of its moves that of
    Joulin & Mikolov, arXiv 1503.01007 (2015); Grefenstette et al., arXiv 1506.02516 (2015), control one by an LSTM. U
    begins at 0, so that the stack learns to hold what it can; units alone would learn short strings and fail at deep
    ones.

    Args:
        input_size: D, width of the input.
        size: H, number of units.
        depth: number of cells, at least 1.
        width: of a cell, at least 1.
        sharpness: factor on the logits of the moves. Sharp moves blur the cells less.
        options: `learn_initial_state` and `form` of `Core`.

    Raises:
        ValueError: depth or width below 1, or a sharpness that is not positive.
    """

    forms: tuple[Form, ...] = ("compiled", "packed", "loop")

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        depth: int = 24,
        width: int = 8,
        sharpness: float = 4.0,
        **options: Any,
    ) -> None:
        whole("depth", depth)
        whole("width", width)
        if not within(sharpness, 0, math.inf) or sharpness == 0:
            raise ValueError(f"sharpness must be a positive number, not {sharpness!r}")
        super().__init__(input_size, size, **options)
        self.width, self.sharpness = width, sharpness
        self.read, self.recall = nn.Linear(input_size, size), nn.Linear(size + width, size, bias=False)
        nn.init.zeros_(self.recall.weight[:, :size])
        self.move = nn.Linear(size, ACTIONS + width)
        self.out = nn.Linear(width, size, bias=False)
        self.set_initial_state(torch.zeros(size), torch.zeros(depth, width))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """W x + b (..., H)."""
        return (self.read(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step, which reads h and the new top (B, H + width); the state is h (B, H) and s (B, depth, width)."""
        if self.form == "compiled" and not torch.is_grad_enabled():
            return self.scan(inputs, state, [len(inputs[0])])
        (drive,), (h, stack) = inputs, state
        h = torch.tanh(drive + self.recall(torch.cat((h, stack[:, 0]), -1)))
        logits, value = self.move(h).split_with_sizes([ACTIONS, self.width], -1)
        push, keep, pop = (self.sharpness * logits).softmax(-1)[..., None, None].unbind(1)
        cells = torch.cat((torch.tanh(value).unsqueeze(1), stack, torch.zeros_like(stack[:, :1])), 1)
        stack = push * cells[:, :-2] + keep * cells[:, 1:-1] + pop * cells[:, 2:]
        return torch.cat((h, stack[:, 0]), -1), (h, stack)

    def emit(self, read: Tensor, x: Tensor) -> Tensor:
        """y (..., H) from h and the top, side by side (..., H + width)."""
        h, top = read.split_with_sizes([self.output_size, self.width], -1)
        y: Tensor = h + self.out(top)
        return y

    def compiled(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` over packed segments, with compiled moves and gradients."""
        return self.packed(x, state, episode_start)

    def scan(self, inputs: tuple[Tensor, ...], state: State, counts: list[int]) -> tuple[Tensor, State]:
        """See `Recurrence.scan`."""
        if self.form != "compiled":
            return super().scan(inputs, state, counts)
        weights = Weights(self.recall.weight, self.move.weight, self.move.bias, self.sharpness)
        (drive,), (h, stack) = inputs, state
        read, h, stack = stack_scan(drive, weights, h, stack, counts)
        return read, (h, stack)
