"""The contract that every core, feed-forward or recurrent, fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .ops.packing import Packing

Form = Literal["compiled", "parallel", "packed", "loop"]
State = tuple[Tensor, ...]


class Core(nn.Module, ABC):
    """The part of a net between encoder and head that may carry state from step to step.

    Sequences are time-major. A subclass writes `step`, and says in its constructor by `set_initial_state` what its
    state is. Forms of `forward`, all exact with resets inside the sequence, are methods of the same names:

    - loop: one step after the other; every core has it.
    - packed: sequences are cut at resets, and the loop goes over all segments at once, see `Packing`.
    - parallel: over time, as a few products of matrices.
    - compiled: a loop in machine code, for the CPU.

    `forms` names those that a core has, the first is the default.

    Args:
        input_size: D, width of the input.
        output_size: H, width of the output.
        learn_initial_state: whether the state at an episode's start is a parameter, or stays as it is made (zero).
        form: how `forward` computes a sequence; None takes the first of `forms`. The attribute `form` tells which one
            is used, and may be set.

    Raises:
        ValueError: a form that this core has not.
    """

    forms: ClassVar[tuple[Form, ...]] = ("loop",)

    def __init__(
        self, input_size: int, output_size: int, *, learn_initial_state: bool = False, form: Form | None = None
    ) -> None:
        super().__init__()
        if form is not None and form not in self.forms:
            raise ValueError(f"form of {type(self).__name__} must be one of {self.forms} or None, not {form!r}")
        self.input_size = input_size
        self.output_size = output_size
        self.learn_initial_state = learn_initial_state
        self.form: Form = form or self.forms[0]
        self._parts = 0

    def set_initial_state(self, *parts: Tensor) -> None:
        """Makes `parts`, each without the batch axis, the state at an episode's start: parameters or constants."""
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
            state: tuple of (B, ...), as `initial_state` or the last `step` gave it.
            episode_start: (B,) bool; where True the state is forgotten before the input is read.

        Returns:
            y (B, H) and the next state.
        """

    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps, in the form that `form` names.

        Args:
            x: (T, B, D) inputs, T >= 1.
            state: tuple of (B, ...), the state before the first input.
            episode_start: (T, B) bool.

        Returns:
            y (T, B, H) and the state after the last input.
        """
        return getattr(self, self.form)(x, state, episode_start)  # type: ignore[no-any-return]

    def loop(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` one step after the other."""
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
    """A core in three parts, of which only the middle one depends on the state and stands in the loop over time.

    `project` reads the inputs, each by itself; `advance` goes one step; `emit` forms the outputs, each by itself.
    """

    forms: ClassVar[tuple[Form, ...]] = ("packed", "loop")

    @abstractmethod
    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """All that depends on the inputs x (..., D) alone: tensors (..., *)."""

    @abstractmethod
    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """From what `project` gave for a step (B, *) and a state to what was read (B, *) and the next state."""

    def emit(self, read: Tensor, x: Tensor) -> Tensor:
        """y (..., H) from what was read (..., *) and the inputs (..., D)."""
        return read

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
        """Every step of every segment.

        Args:
            inputs: what `project` gave for all rows (R, *), in the order of `Packing`.
            state: at the segments' starts (segments, ...).
            counts: segments that have a first, second, ... step.

        Returns:
            What was read (R, *), and the states at the segments' ends.
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


def check_core(core: Core, batch_size: int = 3) -> None:
    """Tries one step from the initial state and checks the shapes.

    Raises:
        ValueError: state or output whose first axis is not the batch, another output width than `output_size`, or a
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
            f"{name}.step gave an output of shape {tuple(y.shape)} for a batch of {batch_size}; it must be (B, H) = "
            f"{(batch_size, core.output_size)}"
        )
    if [part.shape for part in state] != [part.shape for part in after]:
        raise ValueError(
            f"{name}.step changed the shapes of the state from {[tuple(part.shape) for part in state]} to "
            f"{[tuple(part.shape) for part in after]}; they must stay as initial_state made them"
        )


def _check_state(name: str, method: str, state: State, batch_size: int) -> None:
    if not isinstance(state, tuple):
        raise ValueError(f"{name}.{method} must give the state as a tuple of tensors, not a {type(state).__name__}")
    for i, part in enumerate(state):
        if not part.dim() or len(part) != batch_size:
            raise ValueError(
                f"part {i} of the state that {name}.{method} gave has shape {tuple(part.shape)} for a batch of "
                f"{batch_size}; the first axis must be the batch, (B, ...)"
            )
