"""``python -m scripts.benchmark cores``: a sequence through every core, forward and backward, in each of its forms."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from agents.cores import CORES, make_core

from .timing import keep, new_folder

INPUTS, RESETS = 64, 1.0 / 32.0  # width of the input; share of steps that begin an episode


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
    torch.set_num_threads(1)
    passes = {
        (name, form): _pass(name, form, device, lanes, steps)
        for name in names
        for form in CORES[name](INPUTS).forms
        if form != "compiled" or device == "cpu"
    }
    spent: dict[tuple[str, str], np.ndarray] = {key: np.empty(rounds) for key in passes}
    for turn in tqdm(range(-1, rounds), unit="round", file=sys.stderr, disable=None):
        for key, compute in passes.items():
            begin = time.perf_counter()
            compute()
            spent[key][turn] = 1e9 * (time.perf_counter() - begin) / (lanes * steps)  # the last overwrites the first
    for (name, form), row in spent.items():
        print(f"{name:26} {form:10} {np.median(row):10.0f} ns")
    rows = [
        {"core": name, "form": form, "device": device, "seed": turn, "nanoseconds": round(each)}
        for (name, form), row in spent.items()
        for turn, each in enumerate(row.tolist())
    ]
    command = f"python -m scripts.benchmark cores --device {device}"
    keep((output or new_folder("cores")) / f"cores_{device}.csv", rows, command)


def _pass(name: str, form: str, device: str, lanes: int, steps: int) -> Callable[[], None]:
    """Forward and backward through one core."""
    torch.manual_seed(0)
    core = make_core(name, INPUTS, form=form).to(device)
    x = torch.randn(steps, lanes, INPUTS, device=device)
    starts = torch.rand(steps, lanes, device=device) < RESETS

    def compute() -> None:
        y, _ = core(x, core.initial_state(lanes), starts)
        torch.autograd.grad(y.square().mean(), list(core.parameters()), allow_unused=True)
        if device != "cpu":
            torch.cuda.synchronize()

    return compute
