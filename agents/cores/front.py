"""A short convolution and a clock before any core."""

from __future__ import annotations

from typing import Any, Literal, final, get_args

import torch
from torch import Tensor, nn

from .core import Core, State, in_own_precision
from .ops.lags import lagged, lagged_compiled

Convolution = Literal["depthwise", "full"]
KERNEL, LONGEST = 4, 12  # steps that the convolution covers; log2 of the clock's longest period


@final
class Front(Core):
    """y(t), S(t) = core([c(t), clock(a(t))], S(t-1)): what came just before, and when, joins the input of a core.

    A core whose keys depend on the present input alone cannot say *when* something was. c(t) is a causal convolution
    over the inputs of the episode, with zeros before it, such as Gu & Dao (arXiv 2312.00752, 2023) and Yang et al.
    (arXiv 2406.06484, 2024) put before their recurrences:

    - depthwise: c_i(t) = sum_j w_ij x_i(t-j), j = 0..3.
    - full: c(t) = [x(t), x(t-1), x(t-2), x(t-3)]; the weights are those of the core's own first layer. Suits narrow
      inputs: that layer becomes four times as wide.

    a(t) = 0, 1, 2, ... counts the steps of the episode, and clock(a) = [sin(2 pi a / p), cos(2 pi a / p), exp(-r a)]
    with periods p = 2, 4, ..., 2^k and a learned rate r, at first 2^-k: 2 k numbers, for the sine of period 2 is 0.
    From 2^23 steps on, a goes round in 2^22 steps.

    The state is the core's, the last three inputs (B, 3, D), and the next a (B, 1).

    Args:
        core: reads `front_size` numbers.
        input_size: D, width of the input.
        convolution: "depthwise", "full", or None.
        clock: k, number of periods; 0: no clock.

    Raises:
        ValueError: an unknown convolution, a clock outside 0..12, neither of the two, or a core of another width.
    """

    past: Tensor
    age: Tensor
    dial: Tensor

    def __init__(self, core: Core, input_size: int, convolution: Convolution | None = None, clock: int = 0) -> None:
        super().__init__(input_size, core.output_size, learn_initial_state=core.learn_initial_state)
        width = front_size(input_size, convolution, clock)
        if core.input_size != width:
            raise ValueError(f"the core must read {width} numbers, not {core.input_size}")
        self.core, self.convolution, self.clock = core, convolution, clock
        self.forms, self.form = core.forms, core.form
        taps = KERNEL if convolution else 1
        if convolution == "depthwise":
            self.kernel = nn.Parameter(torch.empty(taps, input_size).uniform_(-(taps**-0.5), taps**-0.5))
        if clock:
            self.rate = nn.Parameter(torch.tensor(2.0**-clock).log())
        age = torch.arange(2**clock, dtype=torch.float64)[:, None]
        angle = 2 * torch.pi * age / 2.0 ** torch.arange(1, clock + 1)
        for name, values in {
            "dial": torch.cat((angle[:, 1:].sin(), angle.cos()), -1).to(torch.get_default_dtype()),
            "past": torch.zeros(taps - 1, input_size),
            "age": torch.zeros(1),
        }.items():
            self.register_buffer(name, values, persistent=False)

    def initial_state(self, batch_size: int) -> State:
        """See `Core.initial_state`."""
        own = (part.expand(batch_size, *part.shape) for part in (self.past, self.age))
        return (*self.core.initial_state(batch_size), *own)

    @in_own_precision
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step; see `Core.step`."""
        seen, own = self._read(x[None], state, episode_start[None])
        y, state = self.core.step(seen[0], state[:-2], episode_start)
        return y, (*state, *own)

    @in_own_precision
    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps; see `Core.forward`."""
        seen, own = self._read(x, state, episode_start)
        y, state = self.core(seen, state[:-2], episode_start)
        return y, (*state, *own)

    def _read(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """[c(t), clock(a(t))] (T, B, front_size), and this front's part of the state after the last step."""
        self.core.form = self.form
        *_, past, age = state
        rule = lagged_compiled if self.form == "compiled" and x.device.type == "cpu" else lagged
        kernel: Any = self.kernel if self.convolution == "depthwise" else None
        rate = self.rate.exp() if self.clock else None
        seen, past, age = rule(x, past, age.detach().squeeze(1), episode_start, kernel, self.dial, rate)
        return seen, (past, age.unsqueeze(1))


def front_size(input_size: int, convolution: Convolution | None, clock: int) -> int:
    """Width of what a core reads behind a front, from D numbers.

    Raises:
        ValueError: see `Front`.
    """
    if convolution not in (None, *get_args(Convolution)):
        raise ValueError(f"convolution must be one of {get_args(Convolution)} or None, not {convolution!r}")
    if type(clock) is not int or not 0 <= clock <= LONGEST:
        raise ValueError(f"clock must be a number of periods from 0 to {LONGEST}, not {clock!r}")
    if convolution is None and not clock:
        raise ValueError("a front needs a convolution or a clock")
    return input_size * (KERNEL if convolution == "full" else 1) + 2 * clock
