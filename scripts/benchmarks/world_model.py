"""``python -m scripts.benchmark models``: the updates of M, C and V beside the matrix products in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from .timing import Claim, new_folder, ratio, report, seconds

PRODUCTS = ("aten::mm", "aten::addmm")
TASKS: dict[str, tuple[str, dict[str, Any]]] = {  # what is learned, and keywords that are not the defaults
    "a goal, one step ahead": ("foveal_envs:Foveal/TargetDetection-v0", {}),
    "a reward, ten steps ahead": ("CartPole-v1", {}),
}
SHARE = 0.6  # of an update's time that should go into matrix products


def models(
    batch_size: int = 256, rounds: int = 7, updates: int = 20, json_output: bool = False, output: Path | None = None
) -> None:
    """CPU time of one update of M, C and V together, and of its matrix products alone, of the same shapes.

    One thread; both take turns. No update can be faster than its matrix products.

    Args:
        batch_size: n, windows in a minibatch.
        rounds: turns of each.
        updates: timed in a turn.
        json_output: print JSON instead of tables.
        output: folder for timings.csv and claims.csv; default: a new one under runs/benchmark/.
    """
    nanoseconds: dict[str, np.ndarray] = {}
    claims: list[Claim] = []
    for name, (env_id, keywords) in TASKS.items():
        agent = _trained(env_id, batch_size, keywords)
        turns = {f"{name}: update": agent.train, f"{name}: its products": _products(agent)}
        spent = {turn: np.empty(rounds) for turn in turns}
        for turn in tqdm(range(-1, rounds), desc=name, unit="round", file=sys.stderr, disable=None):
            for key, compute in turns.items():
                agent.updates = updates
                spent[key][turn] = 1e9 * seconds(compute, updates) / updates  # the last overwrites the first
        nanoseconds |= spent
        claims.append(ratio(nanoseconds, f"{name}: share of its products", *reversed(list(spent)), ">=", SHARE))
    report(nanoseconds, claims, json_output, output or new_folder("models"), title="one update")


def _trained(env_id: str, batch_size: int, keywords: dict[str, Any]) -> Any:
    from agents import WorldModelController, make_sb3

    settings = {"model_steps": 0, "batch_size": batch_size, "seed": 0, **keywords}
    agent = WorldModelController("MultiInputPolicy", make_sb3(env_id, 16, seed=0), **settings)
    return agent.learn(1600, log_interval=None)


def _products(agent: Any) -> Callable[[int], None]:
    """A function that computes, a number of times, the matrix products of one update."""
    agent.updates = 1
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        agent.train(1)
    pairs = []
    for event in recorded.events() or ():
        if event.name in PRODUCTS:
            left, right = [shape for shape in event.input_shapes if len(shape) == 2][-2:]
            pairs.append((torch.randn(left), torch.randn(right)))

    def compute(times: int) -> None:
        for _ in range(times):
            for left, right in pairs:
                torch.mm(left, right)

    return compute
