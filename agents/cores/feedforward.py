"""A core without memory: a multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, final

from torch import Tensor, nn

from .core import Core, Form, State, in_own_precision
from .ops.checks import whole

Activation = Literal["logistic", "tanh", "relu", "elu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
}


@final
class FeedForward(Core):
    """y = f(W_n ... f(W_1 x + b_1) ... + b_n), the same at every step; its state is the empty tuple.

    Args:
        input_size: D, width of the input.
        hidden: widths of the layers; the last one is the output's.
        activation: the units' nonlinearity f; "logistic" as in 1990.
        form: see `Core`; the parallel form is one pass over all steps.

    Raises:
        ValueError: no layer, a width below 1 or an unknown activation.
    """

    forms: tuple[Form, ...] = ("parallel", "loop")

    def __init__(
        self,
        input_size: int,
        hidden: Sequence[int] = (128, 128, 128),
        activation: Activation = "silu",
        form: Form | None = None,
    ) -> None:
        given: Any = hidden
        widths = tuple(given) if isinstance(given, Iterable) else ()
        if not widths:
            raise ValueError(f"hidden must be a tuple of at least one width, not {hidden!r}")
        hidden = tuple(whole("a width of hidden", width) for width in widths)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, not {activation!r}")
        super().__init__(input_size, hidden[-1], form=form)
        layers: list[nn.Module] = []
        for width_in, width_out in zip((input_size, *hidden[:-1]), hidden, strict=True):
            layers += [nn.Linear(width_in, width_out), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers)

    @in_own_precision
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step: x (B, D) to y (B, H); see `Core.step`."""
        return self.layers(x), state

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """All steps in one pass: x (T, B, D) to y (T, B, H); see `Core.forward`."""
        return self.layers(x), state
