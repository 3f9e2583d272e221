"""Schlag, Irie & Schmidhuber (2021): how many keys a fast weight memory holds, and keys that are used again."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.cores.ops.chunked import chunked
from agents.cores.ops.features import FeatureMap

from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "linear transformers as fast weights: capacity of the feature maps, keys used again under two update rules"
KEY_SIZE = 64  # d
FEATURES = ("elu", "dpfp1", "dpfp2", "dpfp3")
NUMBERS = (20, 40, 50, 60, 80, 100, 120, 160, 200, 240, 280, 320, 360, 400, 500)
REUSED = (20, 60, 100, 140, 200)
RISEN = 0.05  # loss at which a curve counts as risen
PUBLISHED = {"elu": (60, 60), "dpfp1": (120, 120), "dpfp2": (260, 300), "dpfp3": (400, 400)}
PUBLISHED_REUSED = {
    "sum": (0.097, 0.103, 0.111, 0.155, 0.231),
    "delta": (0.001, 0.005, 0.000, 0.047, 0.171),
}
EPSILON = 1e-6


class SymbolMemory(nn.Module):
    """Symbols whose keys, queries and rates are learned, written into one memory S (K', V) and read from it.

    The values are one-hot and not learned. Sum rule: S = sum phi(k) v^T, o = S^T phi(q) / (phi(q) . sum phi(k)).
    Delta rule: as `agents.cores.Delta`, o = S^T phi(q). The loss is half the squared error of o.

    Args:
        features: name of the feature map phi.
        symbols: N, number of keys, and of values.
        delta: the delta rule, else the sum rule.
        key_size: d.
    """

    def __init__(self, features: str, symbols: int, delta: bool = False, key_size: int = KEY_SIZE) -> None:
        super().__init__()
        self.delta, self.symbols = delta, symbols
        self.phi = FeatureMap(features, key_size)
        self.keys, self.queries = (nn.Parameter(torch.randn(symbols, key_size)) for _ in range(2))
        self.rates = nn.Parameter(torch.zeros(symbols, 1))

    def unique(self) -> Tensor:
        """Mean loss over all queries after each key was written once, by the sum rule, whatever their order.

        Every key carries a value of its own, so that o in the order of the values is a row of attention over keys.
        """
        attention = self.phi(self.queries) @ self.phi(self.keys).T
        attention = attention / (attention.sum(1, keepdim=True) + EPSILON)
        return (attention - torch.eye(self.symbols)).square().sum(1).mean() / 2

    def reused(self, keys: Tensor, values: Tensor) -> Tensor:
        """Mean loss over the symbols that occur in sequences keys, values (T, B); wanted is a symbol's last value."""
        wanted, seen = last_values(keys, values, self.symbols)
        value = F.one_hot(values, self.symbols).float()
        key, query = self.phi(self.keys), self.phi(self.queries)
        if self.delta:
            written, rate = key[keys].unsqueeze(2), torch.sigmoid(self.rates)[keys].unsqueeze(2)
            memory = torch.zeros(keys.shape[1], 1, self.phi.size, self.symbols)
            start = torch.zeros(keys.shape, dtype=torch.bool)
            _, memory = chunked(torch.zeros_like(written), written, value.unsqueeze(2), memory, start, beta=rate)
            out = query @ memory.squeeze(1)
        else:
            # Writes of one symbol share their key: S^T phi(q) = sum_symbols (phi(q) . phi(k)) (sum of its values).
            sums = F.one_hot(keys, self.symbols).float().permute(1, 2, 0) @ value.transpose(0, 1)
            attention = query @ key.T
            out = attention @ sums / (attention @ sums.sum(-1, keepdim=True) + EPSILON)
        error = (out - F.one_hot(wanted, self.symbols)).square().sum(-1) / 2
        return error[seen].mean()


def last_values(keys: Tensor, values: Tensor, symbols: int) -> tuple[Tensor, Tensor]:
    """The value (B, N) written last under each symbol, 0 where it was not written, and whether it was."""
    wanted = torch.zeros(keys.shape[1], symbols, dtype=torch.long)
    seen = torch.zeros(wanted.shape, dtype=torch.bool)
    columns = torch.arange(keys.shape[1])
    for key, value in zip(keys, values, strict=True):
        wanted[columns, key] = value
        seen[columns, key] = True
    return wanted, seen


def draw_reused(rng: np.random.Generator, symbols: int, columns: int) -> tuple[Tensor, Tensor]:
    """2 N keys (T, B) drawn with replacement, and a value drawn for each."""
    keys, values = rng.integers(symbols, size=(2, 2 * symbols, columns))
    return torch.from_numpy(keys), torch.from_numpy(values)


def fit(job: Job) -> list[Row]:
    """Train a `SymbolMemory`; ``job.arguments``: features, symbols, rule (None: unique keys), updates, columns."""
    arguments = job.arguments
    torch.manual_seed(job.seed)
    symbols, rule, updates = arguments["symbols"], arguments["rule"], arguments["updates"]
    columns = arguments.get("columns", 1)
    model = SymbolMemory(arguments["features"], symbols, rule == "delta")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    rng, began = np.random.default_rng((job.seed, 0)), time.process_time()
    for _ in range(updates):
        loss = model.unique() if rule is None else model.reused(*draw_reused(rng, symbols, columns))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    spent = round(time.process_time() - began, 2)
    with torch.no_grad():
        test = draw_reused(np.random.default_rng((job.seed, 1)), symbols, 64)
        loss = model.unique() if rule is None else model.reused(*test)
    steps = updates * symbols * (1 if rule is None else 2 * columns)
    return [{"keys": symbols, "loss": loss.item(), "environment_steps": steps, "cpu_seconds": spent}]


# ------------------------------------------------------------------------------------------ the parts and their jobs


def capacity(seeds: int, quick: bool) -> list[Job]:
    """Loss against the number of unique keys, four feature maps; three seeds, which hardly differ."""
    made = []
    for features in ("elu", "dpfp1") if quick else FEATURES:
        for symbols in NUMBERS[:8] if quick else NUMBERS:
            arguments = {"features": features, "symbols": symbols, "rule": None, "updates": 500}
            conditions = {"features": features, "keys": str(symbols)}
            made += [Job("curve", conditions, seed, fit, arguments) for seed in range(min(seeds, 3))]
    return sorted(made, key=lambda job: job.seed)


def reused(seeds: int, quick: bool) -> list[Job]:
    """Sum rule and delta rule on keys used again, DPFP-1; three seeds."""
    made = []
    for rule in PUBLISHED_REUSED:
        for symbols in REUSED[:1] if quick else REUSED:
            arguments = {"features": "dpfp1", "symbols": symbols, "rule": rule, "updates": 200, "columns": 4}
            conditions = {"rule": rule, "keys": str(symbols)}
            made += [Job("reused", conditions, seed, fit, arguments) for seed in range(min(seeds, 3))]
    return sorted(made, key=lambda job: job.seed)


PARTS = {"capacity": capacity, "reused": reused}

jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Where each curve has risen, against the source's number with a quarter to either side; the re-used keys."""
    made = []
    for features, (low, high) in PUBLISHED.items():
        own = select(rows, table="curve", features=features)
        claim = f"capacity, {features}: keys at which the loss passes {RISEN:g} (source: {low} to {high})"
        made.append(make_claim(claim, "keys", own, crossing, 0.75 * low, 1.25 * high, quick=True))
    for rule, losses in PUBLISHED_REUSED.items():
        for symbols, published in zip(REUSED, losses, strict=True):
            own = select(rows, table="reused", rule=rule, keys=str(symbols))
            claim = f"re-used keys, {rule} rule, N = {symbols}: loss (source: {published:g})"
            made.append(make_claim(claim, "loss", own, lambda r: float(numbers(r, "loss").mean())))
    return made


def crossing(rows: list[Row]) -> float:
    """Number of keys at which the mean loss first passes `RISEN`, linear between the numbers measured; inf: never."""
    sizes = sorted({int(row["keys"]) for row in rows})
    losses = [float(numbers(select(rows, keys=str(size)), "loss").mean()) for size in sizes]
    for i, loss in enumerate(losses):
        if loss > RISEN:
            if i == 0:
                return float(sizes[0])
            part = (RISEN - losses[i - 1]) / (loss - losses[i - 1])
            return sizes[i - 1] + part * (sizes[i] - sizes[i - 1])
    return float("inf")
