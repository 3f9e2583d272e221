"""Small nets whose parameters are one vector: compiled for whole populations, and in PyTorch for one of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from ..common.keywords import check_keywords
from ..cores.ops.checks import whole
from . import kernels

Kernel = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


class Net(ABC):
    """A net of D inputs and A outputs without parameters of its own: both its forms are given a vector of n.

    Args:
        inputs: D.
        outputs: A.
        kernel: its compiled form, see `kernels`.

    Attributes:
        sees_images: whether its inputs are images (N, H, W, C) uint8 instead of vectors; D is then their shape.
        layers: shapes of its parameters by name, in their order in the vector.
        state_size: S, numbers that it remembers; they are 0 at an episode's start.
    """

    sees_images: ClassVar[bool] = False
    layers: dict[str, tuple[int, ...]]
    state_size: int = 0

    def __init__(self, inputs: int, outputs: int, kernel: Kernel) -> None:
        self.inputs, self.outputs, self.kernel = inputs, outputs, kernel

    @property
    def size(self) -> int:
        """n."""
        return sum(math.prod(shape) for shape in self.layers.values())

    def spread(self, scales: Mapping[str, float]) -> np.ndarray:
        """(n,) the scale of each parameter: that of its layer, else 1.

        Raises:
            ValueError: there is no such layer, or a scale is not positive.
        """
        for name, scale in scales.items():
            if name not in self.layers:
                raise ValueError(f"scales are of the layers {', '.join(self.layers)}, and {name!r} is none of them")
            given: Any = scale
            if not isinstance(given, int | float) or not 0 < given < math.inf:
                raise ValueError(f"the scale of {name} must be a positive number, not {scale!r}")
        return np.concatenate([np.full(math.prod(s), float(scales.get(name, 1))) for name, s in self.layers.items()])

    def parts(self, weights: Tensor) -> dict[str, Tensor]:
        """The parameters (n,) by layer."""
        sizes = [math.prod(shape) for shape in self.layers.values()]
        pieces = torch.split(weights, sizes)
        return {name: part.view(shape) for (name, shape), part in zip(self.layers.items(), pieces, strict=True)}

    @abstractmethod
    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, A) and the next state (B, S) of one candidate (n,), from inputs (B, D) and state (B, S)."""


@final
class Linear(Net):
    """y(t) = W x(t) + b, or W x(t) + V (x(t) - x(t - 1)) + b, with x(t - 1) = x(t) at an episode's start.

    Args:
        inputs, outputs: D and A.
        bias: whether there is b.
        differences: whether there is V, a delay line of one step.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, differences: bool = False) -> None:
        super().__init__(inputs, outputs, kernels.linear)
        check_keywords(Linear, {"bias": bias, "differences": differences})
        self.layers = {**({"bias": (outputs,)} if bias else {}), "read": (outputs, inputs)}
        if differences:
            self.layers["differences"] = outputs, inputs
            self.state_size = inputs + 1  # the last input, and whether there was one

    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        part = self.parts(weights)
        out = x @ part["read"].T + part.get("bias", 0.0)
        if not self.state_size:
            return out, state
        change = (x - state[:, :-1]) * state[:, -1:]
        return out + change @ part["differences"].T, torch.cat((x, torch.ones_like(x[:, :1])), 1)


class Hidden(Net):
    """h = tanh(U x + R h + b): the part that `Recurrent` and `FastWeights` share."""

    def __init__(self, inputs: int, outputs: int, hidden: int, kernel: Kernel) -> None:
        super().__init__(inputs, outputs, kernel)
        self.state_size = hidden = whole("hidden", hidden)
        self.layers = {"bias": (hidden,), "read": (hidden, inputs), "recall": (hidden, hidden)}

    def step(self, part: Mapping[str, Tensor], x: Tensor, state: Tensor) -> Tensor:
        """The next h (B, H)."""
        return torch.tanh(x @ part["read"].T + state @ part["recall"].T + part["bias"])


@final
class Recurrent(Hidden):
    """h = tanh(U x + R h + b), y = V h + c.

    Args:
        inputs, outputs: D and A.
        hidden: H.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 5) -> None:
        super().__init__(inputs, outputs, hidden, kernels.recurrent)
        self.layers |= {"output_bias": (outputs,), "output": (outputs, hidden)}

    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        part = self.parts(weights)
        state = self.step(part, x, state)
        return state @ part["output"].T + part["output_bias"], state


@final
class FastWeights(Hidden):
    """A slow net writes a fast one's weights, anew at every step: h = tanh(U x + R h + b), w = V h + c, y = w [1, x].

    Gomez & Schmidhuber, Evolving modular fast-weight networks for control, ICANN 2005.

    Args:
        inputs, outputs: D and A.
        hidden: H, of the slow net.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 3) -> None:
        super().__init__(inputs, outputs, hidden, kernels.fast_weights)
        written = outputs * (inputs + 1)
        self.layers |= {"output_bias": (written,), "output": (written, hidden)}

    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        part = self.parts(weights)
        state = self.step(part, x, state)
        written = state @ part["output"].T + part["output_bias"]
        bias, matrix = written[:, : self.outputs], written[:, self.outputs :].view(-1, self.outputs, self.inputs)
        return bias + (matrix @ x[:, :, None]).squeeze(2), state


@final
class LSTM(Net):
    """Long short-term memory without peepholes, gates in the order i, f, g, o, and y = V h + c; see `cores.LSTM`.

    Args:
        inputs, outputs: D and A.
        hidden: H, number of cells.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 5) -> None:
        super().__init__(inputs, outputs, kernels.lstm)
        hidden = whole("hidden", hidden)
        self.state_size = 2 * hidden
        self.layers = {"bias": (4 * hidden,), "read": (4 * hidden, inputs), "recall": (4 * hidden, hidden)}
        self.layers |= {"output_bias": (outputs,), "output": (outputs, hidden)}

    def forward(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        part = self.parts(weights)
        hidden, cells = state.chunk(2, 1)
        gates = x @ part["read"].T + hidden @ part["recall"].T + part["bias"]
        i, f, g, o = gates.chunk(4, 1)
        cells = torch.sigmoid(f) * cells + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cells)
        return hidden @ part["output"].T + part["output_bias"], torch.cat((hidden, cells), 1)
