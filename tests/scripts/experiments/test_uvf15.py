"""Policy quality is exact: the best policy scores 1, the random one 0; jobs and claims run in a tiny form."""

from __future__ import annotations

import numpy as np
import torch

from scripts.experiments import uvf15
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import Job, run_jobs


def test_the_best_values_score_one_and_no_values_zero() -> None:
    world = uvf15.rooms(20, 0)
    goals = world.held_out[:4]
    assert uvf15.quality(world, world.values, goals) > 0.99
    assert abs(uvf15.quality(world, torch.zeros_like(world.values), goals)) < 1e-9
    assert uvf15.quality(world, -world.values, goals) < 0


def test_returns_are_those_of_walks() -> None:
    world = uvf15.rooms(20, 0)
    goal = int(world.held_out[0])
    greedy = torch.nn.functional.one_hot(world.values[:, goal].argmax(-1), 4).float()
    returns = []
    for start in np.flatnonzero(~world.lava.numpy() & (np.arange(len(world.lava)) != goal)):
        cell, worth = int(start), 1.0
        for _ in range(60):
            cell = int(world.after[cell, greedy[cell].argmax()])
            if cell == goal:
                break
            worth *= uvf15.DISCOUNT
        returns.append(worth if cell == goal else 0.0)
    assert abs(uvf15.policy_return(world, goal, greedy) - np.mean(returns)) < 1e-6


def test_jobs_run_and_claims_are_measured() -> None:
    made = uvf15.jobs((), 2, False)
    assert len({job.key() for job in made}) == len(made)
    tiny = [
        Job(job.table, job.conditions, job.seed, job.run, {**job.arguments, "updates": 2})
        for job in made
        if job.seed == 0 and job.arguments["rank"] == uvf15.RANK
    ]
    claims = judge(uvf15.claims(run_jobs(tiny, processes=1).rows))
    assert len(claims) == 2 * len(uvf15.NETS) + 2
    assert all(np.isfinite(claim.measured) for claim in claims)
    assert judge(uvf15.claims([])) == []
