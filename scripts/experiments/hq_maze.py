"""Wiering & Schmidhuber (1997): HQ-learning in mazes that look alike in many places."""

from __future__ import annotations

from .hq import AGENTS, hq_jobs, share
from .shared.claims import Claim, Row
from .shared.jobs import Job

TITLE = "HQ-learning and flat Q(lambda) in three mazes that need memory"
PARTS = ("published", "small", "large")
TRIALS = 20_000
SIMULATIONS = 20


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """20 simulations, or ``seeds`` if they are more, a maze and number of agents; quick: one, and 8 agents alone."""
    layouts = tuple(part for part in PARTS if not parts or part in parts)
    if quick:
        return hq_jobs("Foveal/HQMaze-v0", layouts, 1, TRIALS, {"8 agents": 8})
    return hq_jobs("Foveal/HQMaze-v0", layouts, max(seeds, SIMULATIONS), TRIALS, AGENTS)


def claims(rows: list[Row]) -> list[Claim]:
    """The published number of agents against none, in the maze of 62 squares."""
    maze = "62 squares, last test:"
    return [
        share(rows, f"{maze} 8 agents reach the goal", "published", "8 agents", "last_reached", 0.95, None, True),
        share(rows, f"{maze} 8 agents walk the optimum", "published", "8 agents", "last_optimal", 0.25, None),
        share(
            rows, f"{maze} flat Q(lambda) reaches the goal", "published", "flat Q(lambda)", "last_reached", None, 0.05
        ),
        share(
            rows, "62 squares, late tests: 8 agents reach the goal", "published", "8 agents", "late_reached", None, None
        ),
    ]
