"""Hinton & Plaut (1987): a few old associations are learned again, and fast weights bring back the others too."""

from __future__ import annotations

from functools import partial

import numpy as np

from .shared.claims import Claim, Row, make_claim, mean_of, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "fast weights deblur old memories: a few old associations are relearned, others recover"
INPUTS, OUTPUTS = 120, 100
OLD, NEW = 100, 20  # associations
RELEARNED = (10, 25, 50)  # of the old ones
SWEEPS = 5  # through what is relearned
MASTERED, LONGEST = 0.01, 10_000  # mean squared error at which learning ends; sweeps after which it ends in any case
DECAY = 0.9  # of the fast weights, per sweep
NETS = {"slow and fast": (0.05, 0.4), "slow": (0.05, 0.0), "one high rate": (0.45, 0.0)}  # both rates
MEASURES = ("others", "new")


class TwoRates:
    """y = (W + S) x, where both weights learn by the delta rule and S decays.

    A sweep: W += slow D, S = DECAY S + fast D, with D = sum (target - y) x^T over the associations.

    Args:
        slow, fast: rates of W and S.
    """

    def __init__(self, slow: float, fast: float) -> None:
        self.rates = slow, fast
        self.slow, self.fast = np.zeros((2, OUTPUTS, INPUTS))
        self.sweeps = 0

    def error(self, x: np.ndarray, targets: np.ndarray) -> float:
        """Mean squared error over associations x (N, INPUTS), targets (N, OUTPUTS)."""
        return float(np.square(targets - x @ (self.slow + self.fast).T).mean())

    def sweep(self, x: np.ndarray, targets: np.ndarray) -> None:
        """Learns once from each association."""
        change = (targets - x @ (self.slow + self.fast).T).T @ x
        self.slow += self.rates[0] * change
        self.fast = DECAY * self.fast + self.rates[1] * change
        self.sweeps += 1

    def rest(self) -> None:
        """Waits until the fast weights are gone."""
        self.fast[:] = 0.0

    def master(self, x: np.ndarray, targets: np.ndarray) -> None:
        """Learns until the slow weights alone know the associations, and rests."""
        for _ in range(LONGEST):
            if np.square(targets - x @ self.slow.T).mean() < MASTERED:
                break
            self.sweep(x, targets)
        self.rest()


def deblur(job: Job) -> list[Row]:
    """Masters the old associations, then the new ones, learns a few of the old ones again, and rests.

    ``job.arguments``: ``net``, a key of `NETS`, and ``relearned``, the number of old associations that are learned
    again. Measured are the errors of the other old ones and of the new ones after each of the last three.
    """
    rng = np.random.default_rng(job.seed)
    x = rng.choice([-1.0, 1.0], (OLD + NEW, INPUTS)) / np.sqrt(INPUTS)
    targets = rng.choice([-1.0, 1.0], (OLD + NEW, OUTPUTS))
    relearned = job.arguments["relearned"]
    old, few, others, new = (
        (x[part], targets[part]) for part in map(slice, (0, 0, relearned, OLD), (OLD, relearned, OLD, OLD + NEW))
    )
    net = TwoRates(*NETS[job.arguments["net"]])
    measures: Row = {}

    def measure(moment: str) -> None:
        for name, associations in zip(MEASURES, (others, new), strict=True):
            measures[f"{name}_{moment}"] = round(net.error(*associations), 5)

    net.master(*old)
    net.master(*new)
    measure("blurred")
    for _ in range(SWEEPS):
        net.sweep(*few)
    measure("relearned")
    net.rest()
    measure("rested")
    measures["recovery"] = round(1 - measures["others_relearned"] / measures["others_blurred"], 5)
    return [{**measures, "environment_steps": net.sweeps}]


def associations(seeds: int, quick: bool) -> list[Job]:
    """Every net and number of relearned associations."""
    made = [
        Job("associations", {"net": net, "relearned": f"{few} of {OLD}"}, seed, deblur, {"net": net, "relearned": few})
        for net in NETS
        for few in RELEARNED
        for seed in range(seeds)
    ]
    return sorted(made, key=lambda job: job.seed)


PARTS = {"associations": associations}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """The others recover, more with fast weights than with slow ones alone, and what was learned since is kept."""
    made = []
    for few in RELEARNED:
        bars = few == RELEARNED[-1]
        pair = [row for row in select(rows, relearned=f"{few} of {OLD}") if row["net"] in ("slow and fast", "slow")]
        for net in NETS:
            own, bar = select(rows, net=net, relearned=f"{few} of {OLD}"), bars and net == "slow and fast"
            for text, column, low, high in (
                ("share of the others' error that is gone", "recovery", 0.25, None),
                ("error of the new after a rest", "new_rested", None, 0.1),
            ):
                text = f"{few} of {OLD} relearned, {net}: {text}"
                made.append(make_claim(text, "", own, mean_of(column), *(low, high) if bar else (), quick=True))
        text = f"{few} of {OLD} relearned: recovery with fast weights less that without"
        made.append(make_claim(text, "", pair, _advantage, 0.1 if bars else None, quick=True))
    return made


def _advantage(rows: list[Row]) -> float:
    """Recovery with fast weights less that with slow ones alone, by their means."""
    fast, slow = (mean_of("recovery")(select(rows, net=net)) for net in ("slow and fast", "slow"))
    return fast - slow
