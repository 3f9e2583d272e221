"""The contract of all cores, feed-forward or recurrent."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .ops.checks import whole
from .ops.packing import Packing

Form = Literal["compiled", "parallel", "packed", "loop"]
State = tuple[Tensor, ...]
Compute = Callable[[Any, Tensor, State, Tensor], tuple[Tensor, State]]
PRECISIONS = (torch.float32, torch.float64)


def in_own_precision(compute: Compute) -> Compute:
    """A core's `step` or `forward` that computes in the precision of its parameters, under autocast too.

    States add up over many steps, and machine code knows no half precision, nor where an array ends.

    Raises:
        TypeError: that precision is neither float32 nor float64.
        ValueError: the input, the state and `episode_start` do not fit each other or the core.
    """

    @functools.wraps(compute)
    def computed(core: Core, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        _check_inputs(core, x, state, episode_start)
        kind = x.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        dtype = next(core.parameters(), x).dtype if autocast else x.dtype
        if dtype not in PRECISIONS:
            raise TypeError(
                f"{type(core).__name__} computes in float32 or float64, not in {str(dtype).removeprefix('torch.')}; "
                "leave the core as it is and use torch.autocast for the nets around it"
            )
        if not autocast:
            return compute(core, x, state, episode_start)
        with torch.autocast(kind, enabled=False):
            return compute(core, x.to(dtype), tuple(part.to(dtype) for part in state), episode_start)

    return computed


class Core(nn.Module, ABC):
    """The part of a net between encoder and head that may carry state from step to step.

    Sequences are time-major. A subclass implements `step`, and declares its state in its constructor with
    `set_initial_state`. `forward` has several forms, each a method of that name, all exact even with resets inside the
    sequence:

    - loop: one step after the other; every core has it.
    - packed: sequences are cut at resets, and the loop runs over all segments at once, see `Packing`.
    - parallel: all steps at once, as a few matrix products.
    - compiled: a loop in machine code, for the CPU.

    `forms` lists those of a core; the first is the default. All of them compute in float32 or float64, also under
    autocast, see `in_own_precision`. A core made of other cores may override `initial_state` and `forward` as well.

    Args:
        input_size: D, width of the input.
        output_size: H, width of the output.
        learn_initial_state: whether the state at an episode's start is learned; if not, it is constant, in most cores
            zero.
        form: how `forward` computes a sequence; None: the first of `forms`. The attribute `form` can be set later.

    Raises:
        ValueError: this core does not have that form.
    """

    forms: tuple[Form, ...] = ("loop",)

    def __init__(
        self, input_size: int, output_size: int, *, learn_initial_state: bool = False, form: Form | None = None
    ) -> None:
        super().__init__()
        if form is not None and form not in self.forms:
            raise ValueError(f"form of {type(self).__name__} must be one of {self.forms} or None, not {form!r}")
        self.input_size = whole("input_size", input_size)
        self.output_size = whole("size", output_size)
        self.learn_initial_state = learn_initial_state
        self.form: Form = form or self.forms[0]
        self._parts = 0

    def set_initial_state(self, *parts: Tensor) -> None:
        """Sets the state at an episode's start to `parts`, each without batch axis: parameters if it is learned."""
        self._parts = len(parts)
        for i, part in enumerate(parts):
            if self.learn_initial_state:
                self.register_parameter(f"initial_{i}", nn.Parameter(part))
            else:
                self.register_buffer(f"initial_{i}", part)

    def initial_state(self, batch_size: int) -> State:
        """State at an episode's start: a tuple (empty for a core without memory) of tensors (batch_size, ...)."""
        parts = [getattr(self, f"initial_{i}") for i in range(self._parts)]
        return tuple(part.expand(batch_size, *part.shape) for part in parts)

    @abstractmethod
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step.

        Args:
            x: (B, D) input.
            state: tuple of (B, ...), from `initial_state` or the last `step`.
            episode_start: (B,) bool; where True, the core resets its state before it reads the input.

        Returns:
            y (B, H) and the next state.
        """

    @in_own_precision
    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps, computed in the form named by `form`.

        Args:
            x: (T, B, D) inputs, T >= 1.
            state: tuple of (B, ...), the state before the first input.
            episode_start: (T, B) bool.

        Returns:
            y (T, B, H) and the state after the last input.
        """
        compute: Callable[..., tuple[Tensor, State]] = getattr(self, self.form)
        return compute(x, state, episode_start)

    def loop(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward`, one step after the other."""
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


class Recurrence(Core):
    """A core in three parts; only the middle one depends on the state and runs in the loop over time.

    `project` reads all inputs, `advance` takes one step, `emit` computes all outputs. A subclass implements the first
    two, and may override `emit`, `step` and `scan`.
    """

    forms: tuple[Form, ...] = ("packed", "loop")

    @abstractmethod
    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Everything that depends on the inputs x (..., D) alone: tensors (..., *)."""

    @abstractmethod
    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Maps the projected inputs of one step (B, *) and a state to what is read (B, *) and the next state."""

    def emit(self, read: Tensor, x: Tensor) -> Tensor:
        """y (..., H) from what `advance` read (..., *) and the inputs (..., D)."""
        return read

    @in_own_precision
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step; see `Core.step`."""
        read, state = self.advance(self.project(x), self.restart(state, episode_start))
        return self.emit(read, x), state

    def packed(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` over the segments between resets, with one pass over all inputs before the loop and one after."""
        packing = Packing(episode_start)
        x, state = packing.pack(x), packing.start(state, self.initial_state(1))
        read, state = self.scan(self.project(x), state, packing.counts)
        return packing.unpack(self.emit(read, x)), packing.end(state)

    def scan(self, inputs: tuple[Tensor, ...], state: State, counts: list[int]) -> tuple[Tensor, State]:
        """Runs every step of every segment.

        Args:
            inputs: projected inputs of all rows (R, *), in the order of `Packing`.
            state: at the segments' starts (segments, ...).
            counts: number of segments that have a first, second, ... step.

        Returns:
            What `advance` read (R, *), and the states at the segments' ends (segments, ...).
        """
        reads, ends = [], []
        for *row, count in zip(*(part.split_with_sizes(counts) for part in inputs), counts, strict=True):
            if count < len(state[0]):
                ends.append(tuple(part[count:] for part in state))
                state = tuple(part[:count] for part in state)
            read, state = self.advance(tuple(row), state)
            reads.append(read)
        ends.append(state)
        return torch.cat(reads), tuple(torch.cat(parts) for parts in zip(*reversed(ends), strict=True))


def _check_inputs(core: Core, x: Tensor, state: State, episode_start: Tensor) -> None:
    if x.shape[-1] != core.input_size:
        raise ValueError(f"{type(core).__name__} reads {core.input_size} numbers, not {x.shape[-1]}")
    if episode_start.shape != x.shape[:-1]:
        raise ValueError(f"episode_start has shape {tuple(episode_start.shape)}, but the input {tuple(x.shape)}")
    for part in state:
        if len(part) != x.shape[-2]:
            raise ValueError(f"the state is of a batch of {len(part)}, but the input of one of {x.shape[-2]}")


def check_core(core: Core, batch_size: int = 3) -> None:
    """Takes one step from the initial state and checks the shapes.

    Raises:
        ValueError: a state or output whose first axis is not the batch, an output that is not `output_size` wide, or a
            state that changes its shape.
    """
    name = type(core).__name__
    state = core.initial_state(batch_size)
    _check_state(name, "initial_state", state, batch_size)
    reference = next(core.parameters(), torch.zeros(()))
    x = reference.new_zeros(batch_size, core.input_size)
    with torch.no_grad():
        y, after = core.step(x, state, torch.ones(batch_size, dtype=torch.bool, device=x.device))
    _check_state(name, "step", after, batch_size)
    if y.shape != (batch_size, core.output_size):
        raise ValueError(
            f"{name}.step returned an output of shape {tuple(y.shape)} for a batch of {batch_size}; it must be (B, H) "
            f"= {(batch_size, core.output_size)}"
        )
    if [part.shape for part in state] != [part.shape for part in after]:
        raise ValueError(
            f"{name}.step changed the shapes of the state from {[tuple(part.shape) for part in state]} to "
            f"{[tuple(part.shape) for part in after]}; they must stay as initial_state made them"
        )


def _check_state(name: str, method: str, state: State, batch_size: int) -> None:
    if not isinstance(state, tuple):
        raise ValueError(f"{name}.{method} must return the state as a tuple of tensors, not a {type(state).__name__}")
    for i, part in enumerate(state):
        if not part.dim() or len(part) != batch_size:
            raise ValueError(
                f"part {i} of the state that {name}.{method} returned has shape {tuple(part.shape)} for a batch of "
                f"{batch_size}; the first axis must be the batch, (B, ...)"
            )
