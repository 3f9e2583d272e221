"""Wiering & Schmidhuber (1997): HQ-learning with a key to fetch and a door to pass."""

from __future__ import annotations

from .hq import AGENTS, hq_jobs, share
from .shared.claims import Claim, Row
from .shared.jobs import Job

TITLE = "HQ-learning and flat Q(lambda) where a key must be fetched and a door passed"
PARTS = ("published", "small")
TRIALS = 10_000
SIMULATIONS = 20
SETTINGS = {"gamma": 0.99, "p_start": 0.97, "temperature": 0.02}  # the way is three times as long as in the maze


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """20 simulations, or ``seeds`` if they are more, a maze and number of agents; quick: one, and 8 agents alone."""
    layouts = tuple(part for part in PARTS if not parts or part in parts)
    if quick:
        return hq_jobs("Foveal/KeyDoorMaze-v0", layouts, 1, TRIALS, {"8 agents": 8}, **SETTINGS)
    return hq_jobs("Foveal/KeyDoorMaze-v0", layouts, max(seeds, SIMULATIONS), TRIALS, AGENTS, **SETTINGS)


def claims(rows: list[Row]) -> list[Claim]:
    """Good policies for every number of agents, and the share of optimal ones beside the published share."""
    made = []
    for agent, published in (("3 agents", 8), ("4 agents", 9), ("6 agents", 8), ("8 agents", 6)):
        optimal = f"{agent}: 83 steps in the last test (published: {published} %)"
        made += [
            share(rows, f"{agent}: goal in any test", "published", agent, "ever_reached", None, None),
            share(rows, f"{agent}: goal in the last test", "published", agent, "last_reached", None, None),
            share(rows, optimal, "published", agent, "last_optimal", None, None),
        ]
    flat = "flat Q(lambda)"
    return [*made, share(rows, f"{flat}: goal in any test", "published", flat, "ever_reached", None, 0.05)]
