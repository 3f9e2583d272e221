"""Subgoals among swamps: the torch cost is the world's, paths are walked, both results run in a tiny form."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from foveal_envs.scenes.swamps import CAPACITY, leg_area
from scripts.experiments import hrl1, hrl2, hrl_maze
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import Job, run_jobs


def test_the_area_along_a_leg_is_that_of_the_world() -> None:
    _, _, context = hrl2.problems(200, 3)
    start, goal = (2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(seed)) - 1 for seed in (0, 1))
    area = hrl2.swamp_area(start, goal, context)
    assert (area > 0).float().mean() > 0.2
    for i in range(200):
        swamps = context[i].reshape(CAPACITY, 4).double().numpy()
        count = int((swamps[:, 3] > 0).sum())
        expected = leg_area(*start[i].tolist(), *goal[i].tolist(), swamps, count)
        np.testing.assert_allclose(area[i], expected, atol=2e-4)


def test_the_area_has_a_gradient_wherever_it_is_asked() -> None:
    start, goal, context = hrl2.problems(50, 4)
    for end in (start, goal):
        end.requires_grad_()
    gradients = torch.autograd.grad(hrl2.swamp_area(start, goal, context).sum(), (start, goal))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[0].abs().sum() > 0


def test_the_straight_line_arrives_through_swamps() -> None:
    walked = hrl2.walk(torch.zeros(0, hrl2.LAYOUTS, hrl2.PLACE))
    assert (walked["arrived"], walked["dry"]) == (1.0, 0.0)


def test_a_leg_sees_a_swamp_from_both_ends() -> None:
    start, goal = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    swamp = torch.tensor([[0.25, -0.5, 0.5, 1.0]])
    torch.testing.assert_close(hrl1.seen_from_leg(start, goal, swamp), torch.tensor([[0.5, 1.5, 1.0, 0.5, 1.0]]))


@pytest.mark.parametrize(("module", "parts"), [(hrl2, ("analytic",)), (hrl1, ("regression",)), (hrl1, ("td",))])
def test_jobs_run_and_claims_are_measured(module: Any, parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for home in (hrl1, hrl2):
        monkeypatch.setattr(home, "PROBLEMS", 200)
    made = module.jobs(parts, 2, False)
    assert len({job.key() for job in made}) == len(made)
    size = {"updates": 3, "steps": 20, "legs": 3}
    tiny = [Job(job.table, job.conditions, job.seed, job.run, {**job.arguments, **size}) for job in (made[0], made[-1])]
    claims = judge(module.claims(run_jobs(tiny, processes=1).rows))
    assert claims
    assert all(np.isfinite(claim.measured) for claim in claims)
    assert judge(module.claims([])) == []


def test_jobs_in_unseen_mazes_run_and_their_claims_are_measured() -> None:
    made = hrl_maze.jobs((), 4, False)
    assert len({job.key() for job in made}) == len(made)
    assert sum(job.conditions["agent"] == hrl_maze.HIERARCHY for job in made) == 4
    quick = hrl_maze.jobs(("place",), 1, True)[0]
    run = dataclasses.replace(quick.arguments["run"], steps=400, lanes=4, env_kwargs={"moves": 20})
    run.agent_kwargs |= {"n_steps": 50}
    rows = run_jobs([dataclasses.replace(quick, arguments={"run": run, "mazes": 3})], processes=1).rows
    claims = judge(hrl_maze.claims(rows))
    assert {claim.claim.split(":")[0] for claim in claims} == {"hierarchy"}
    assert all(0 <= claim.measured <= 1 for claim in claims[:2])
    assert judge(hrl_maze.claims([])) == []
