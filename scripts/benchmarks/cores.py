"""``python -m scripts.benchmark cores`` and ``fronts``: a sequence through a core, forward and backward."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agents.cores import CORES, make_core

from .timing import keep, new_folder

INPUTS, RESETS = 64, 1.0 / 32.0  # width of the input; share of steps that begin an episode
CLOCK = {"clock": 8}
FRONTS: dict[str, dict[str, Any]] = {
    "none": {},
    "clock": CLOCK,
    "depthwise convolution": {"convolution": "depthwise"},
    "depthwise convolution, clock": {"convolution": "depthwise", **CLOCK},
    "full convolution, clock": {"convolution": "full", **CLOCK},
}


def cores(
    device: str = "cpu",
    names: tuple[str, ...] = tuple(CORES),
    lanes: int = 256,
    steps: int = 128,
    rounds: int = 5,
    output: Path | None = None,
) -> None:
    """Wall time of a sequence forward and backward through cores of their default sizes, in nanoseconds a step.

    All forms take turns. On the CPU one thread computes; on a GPU its work is waited for.

    Args:
        device: as PyTorch names it.
        names: of cores.
        lanes: B, sequences side by side.
        steps: T, their length; an episode begins at every 32nd step, at random.
        rounds: turns of each.
        output: folder of ``cores_DEVICE.csv``, one row a core, form and round; default: a new one
            under runs/benchmark/.
    """
    passes = {
        (name, form): _pass(name, device, lanes, steps, form=form)
        for name in names
        for form in CORES[name](INPUTS).forms
        if form != "compiled" or device == "cpu"
    }
    spent = _in_turns(passes, rounds, lanes * steps, time.perf_counter)
    for (name, form), row in spent.items():
        print(f"{name:26} {form:10} {np.median(row):10.0f} ns")
    rows = [
        {"core": name, "form": form, "device": device, "seed": turn, "nanoseconds": round(each)}
        for (name, form), row in spent.items()
        for turn, each in enumerate(row.tolist())
    ]
    command = f"python -m scripts.benchmark cores --device {device}"
    keep((output or new_folder("cores")) / f"cores_{device}.csv", rows, command)


def fronts(
    names: tuple[str, ...] = ("gated_delta", "lstm"),
    inputs: tuple[int, ...] = (8, INPUTS),
    lanes: int = 256,
    steps: int = 128,
    rounds: int = 15,
    output: Path | None = None,
) -> None:
    """CPU time of a sequence through cores with a convolution and a clock before them, beside the core alone.

    Forward and backward, into the input too; all take turns, one thread computes.

    Args:
        names: of cores.
        inputs: widths of the input.
        lanes: B, sequences side by side.
        steps: T, their length; an episode begins at every 32nd step, at random.
        rounds: turns of each.
        output: folder of ``fronts.csv``, one row a core, width, front and round, with the speed as a share of the
            core's alone in the same round; default: a new one under runs/benchmark/.
    """
    passes = {
        (name, width, front): _pass(name, "cpu", lanes, steps, width, learns_input=True, **keywords)
        for name in names
        for width in inputs
        for front, keywords in FRONTS.items()
    }
    spent = _in_turns(passes, rounds, lanes * steps, time.process_time)
    rows = []
    for (name, width, front), row in spent.items():
        speed = spent[name, width, "none"] / row
        print(f"{name:12} {width:4} inputs, {front:28} {np.median(row):8.0f} ns, speed {np.median(speed):.2f}")
        rows += [
            {"core": name, "inputs": str(width), "front": front, "seed": turn, "nanoseconds": round(each),
             "speed": round(float(share), 3)}
            for turn, (each, share) in enumerate(zip(row, speed, strict=True))
        ]  # fmt: skip
    keep((output or new_folder("fronts")) / "fronts.csv", rows, "python -m scripts.benchmark fronts")


def _in_turns(
    passes: dict[Any, Callable[[], None]], rounds: int, steps: int, clock: Callable[[], float]
) -> dict[Any, np.ndarray]:
    """Nanoseconds a step (rounds,) of each pass; the first round does not count."""
    spent = {key: np.empty(rounds) for key in passes}
    for turn in tqdm(range(-1, rounds), unit="round", file=sys.stderr, disable=None):
        for key, compute in passes.items():
            begin = clock()
            compute()
            spent[key][turn] = 1e9 * (clock() - begin) / steps  # the last overwrites the first
    return spent


def _pass(
    name: str, device: str, lanes: int, steps: int, inputs: int = INPUTS, learns_input: bool = False, **keywords: Any
) -> Callable[[], None]:
    """Forward and backward through one core."""
    torch.manual_seed(0)
    core = make_core(name, inputs, **keywords).to(device)
    x = torch.randn(steps, lanes, inputs, device=device, requires_grad=learns_input)
    starts = torch.rand(steps, lanes, device=device) < RESETS

    def compute() -> None:
        y, _ = core(x, core.initial_state(lanes), starts)
        torch.autograd.grad(y.square().mean(), [*core.parameters(), *[x] * learns_input], allow_unused=True)
        if device != "cpu":
            torch.cuda.synchronize()

    return compute
