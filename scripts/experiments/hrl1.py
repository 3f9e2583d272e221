"""Schmidhuber (1991): subgoals from the gradient of a learned cost; E learns what legs of a controller have cost."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .hrl2 import PLACE, PROBLEMS, SWAMPS, WEIGHT, Problems, planned, problems, solve, swamp_area
from .shared.claims import Claim, Row
from .shared.jobs import Job

TITLE = "a subgoal generator among swamps, trained through a learned evaluator of legs"
PARTS = ("regression", "td")
STRIDE = 0.2  # of the controller, which walks straight towards its goal
CLIP = 2.0  # radii: beyond, a swamp is out of the way
RELATIVE = 100.0  # of `regress`: errors weigh half as much where the area is 0.01


def seen_from_leg(start: Tensor, goal: Tensor, swamp: Tensor) -> Tensor:
    """What E sees of a leg and one swamp, in units of its radius: the foot of its centre on the leg's line, from either
    end, and its distance from the line; then radius and height."""
    way = goal - start
    length = torch.linalg.vector_norm(way + 1e-9, dim=-1, keepdim=True)
    along, away = way / length, swamp[..., :2] - start
    foot = (away * along).sum(-1, keepdim=True)
    aside = (away[..., :1] * along[..., 1:] - away[..., 1:] * along[..., :1]).abs()
    radius = swamp[..., 2:3].clamp(min=0.05)
    place = torch.cat((foot, length - foot, aside), -1) / radius
    return torch.cat((place.clamp(-CLIP, CLIP), swamp[..., 2:]), -1)


def legs(pool: Problems, count: int) -> Problems:
    """Random legs among the swamps of a pool, most of them short."""
    context = pool[2][torch.randint(len(pool[2]), (count,))]
    start = 2 * torch.rand(count, PLACE) - 1
    near = (start + 0.4 * torch.randn(count, PLACE)).clamp(-1, 1)
    goal = torch.where(torch.rand(count, 1) < 0.7, near, 2 * torch.rand(count, PLACE) - 1)
    return start, goal, context


def learn(job: Job) -> list[Row]:
    """Train E on what legs cost, whole (regression) or stride by stride (TD), then each S through E."""
    from agents.subgoals.leg_evaluator import LegEvaluator, regress

    torch.manual_seed(job.seed)
    began = time.process_time()
    evaluator = LegEvaluator(PLACE, 4 * SWAMPS, SWAMPS, features=seen_from_leg, hidden=(64, 64, 64))
    pool = problems(PROBLEMS, 100_000 * (job.seed + 1))

    def whole(count: int) -> tuple[Tensor, ...]:
        leg = legs(pool, count)
        return *leg, swamp_area(*leg)

    def stride(count: int) -> tuple[Tensor, ...]:
        start, goal, context = legs(pool, count)
        way = goal - start
        distance = torch.linalg.vector_norm(way, dim=-1, keepdim=True)
        after = torch.where(distance <= STRIDE, goal, start + STRIDE * way / distance.clamp(min=1e-6))
        paid, arrived = swamp_area(start, after, context), distance.squeeze(-1) <= STRIDE
        evaluator.follow()
        return start, goal, context, evaluator.target(paid, after, goal, context, arrived)

    sample: Any = {"regression": whole, "td": stride}[job.table]
    regress(evaluator, sample, job.arguments["legs"], 256, 3e-3, RELATIVE)
    spent = round(time.process_time() - began, 2)
    with torch.no_grad():
        *leg, area = whole(4096)
        error = float((evaluator(*leg) - area).square().mean().sqrt())
    evaluator.requires_grad_(False)
    rows = []
    for topology in job.arguments["topologies"]:
        one = replace(job, arguments={**job.arguments, "topology": topology})
        learned = {"evaluator_cpu_seconds": spent, "evaluator_error": error}
        rows += [{"generator": topology, **row, **learned} for row in solve(one, evaluator)]
    return rows


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """A job a seed and way of learning, both topologies with one E; quick: few updates, of regression alone."""
    size: dict[str, Any] = {"legs": 300 if quick else 5000, "updates": 60 if quick else 800}
    size |= {"steps": 40 if quick else 200, "weight": 2 * WEIGHT}
    size |= {"topologies": ("static",) if quick else ("static", "recurrent")}
    return [
        Job(part, {}, seed, learn, size) for seed in range(seeds) for part in parts or (PARTS[:1] if quick else PARTS)
    ]


def claims(rows: list[Row]) -> list[Claim]:
    """The bars of `hrl2`, with a learned E."""
    return [claim for part in PARTS for claim in planned(part, rows)]
