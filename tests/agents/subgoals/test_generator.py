from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.subgoals.generator import SubgoalGenerator, path, path_cost
from agents.subgoals.leg_evaluator import LegEvaluator, Quasimetric, regress


def ditch(start: Tensor, goal: Tensor, context: Tensor) -> Tensor:
    """Length, and a hill in the middle that is seen at nine points of a leg; the context is its height."""
    points = torch.lerp(start[:, None], goal[:, None], torch.linspace(0, 1, 9)[None, :, None])
    length = torch.linalg.vector_norm(goal - start + 1e-9, dim=-1)
    return length + context[:, 0] * torch.exp(-points.square().sum(-1) / 0.08).mean(1) * length


def crossings(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """From the left to the right, with the hill between."""
    start = torch.stack((torch.full((count,), -0.8), 0.2 * torch.rand(count) + 0.05), 1)
    return start, start * torch.tensor([-1.0, 1.0]), torch.full((count, 1), 10.0)


def test_the_cost_of_a_path_is_the_sum_of_its_legs() -> None:
    places = torch.randn(4, 3, 2)
    context = torch.randn(3, 1).abs()
    legs = sum(ditch(places[i], places[i + 1], context) for i in range(3))
    torch.testing.assert_close(path_cost(ditch, places, context), legs)


@pytest.mark.parametrize("topology", ["static", "recurrent"])
def test_a_generator_learns_to_go_around(topology: str) -> None:
    torch.manual_seed(0)
    generator = SubgoalGenerator(2, 1, 3, topology=topology, hidden=(32, 32))
    start, goal, context = crossings(64)
    straight = path_cost(ditch, path(start, torch.zeros(0, 64, 2), goal), context).mean()
    costs = generator.fit(ditch, crossings, updates=150, batch_size=64, learning_rate=3e-3)
    proposed = path_cost(ditch, path(start, generator(start, goal, context), goal), context)
    assert costs[0] > proposed.mean()
    assert proposed.mean() < 0.5 * straight
    refined = path_cost(ditch, path(start, generator.refine(ditch, start, goal, context, updates=50), goal), context)
    assert (refined <= proposed + 1e-3).all()


def test_the_gradient_goes_back_through_all_copies_of_a_recurrent_generator() -> None:
    generator = SubgoalGenerator(2, 1, 2, topology="recurrent", hidden=(8,))
    start, goal, context = crossings(4)
    start.requires_grad_()
    places = generator(start, goal, context, count=5)
    assert places.shape == (5, 4, 2)
    assert torch.autograd.grad(places[-1].sum(), start)[0].abs().sum() > 0


def test_impossible_generators_are_refused() -> None:
    with pytest.raises(ValueError, match="recurrent"):
        SubgoalGenerator(2, 1, topology="circular")
    with pytest.raises(ValueError, match="at least 1"):
        SubgoalGenerator(2, 1, 0)
    with pytest.raises(ValueError, match="make a recurrent one"):
        SubgoalGenerator(2, 1, 3)(*crossings(2), count=2)


def test_a_learned_evaluator_adds_over_the_items() -> None:
    torch.manual_seed(0)

    def sample(count: int) -> tuple[Tensor, ...]:
        start, goal, weights = torch.rand(count, 1), torch.rand(count, 1), torch.rand(count, 3)
        return start, goal, weights, (goal - start).abs().squeeze(1) * weights.sum(1)

    evaluator = LegEvaluator(1, 3, items=3, hidden=(32, 32))
    errors = regress(evaluator, sample, updates=800, batch_size=256, learning_rate=1e-2)
    assert np.mean(errors[-20:]) < 0.02 < errors[0]  # the variance of the costs is 0.1
    start, goal, weights, _ = sample(5)
    torch.testing.assert_close(evaluator(start, goal, weights), evaluator(start, goal, weights[:, [2, 0, 1]]))
    with pytest.raises(ValueError, match="3 items"):
        LegEvaluator(1, 4, items=3)


def test_errors_relative_to_the_cost_still_teach_its_mean() -> None:
    torch.manual_seed(0)
    evaluator, ends = LegEvaluator(1, 1, hidden=(8,)), torch.zeros(256, 1)
    sample = lambda count: (ends, ends, ends, 4.0 * (torch.rand(count) < 0.25))  # noqa: E731
    regress(evaluator, sample, updates=600, batch_size=256, learning_rate=1e-2, relative=100.0)
    assert abs(evaluator(ends[:1], ends[:1], ends[:1]).item() - 1.0) < 0.15


def test_differences_in_time_teach_the_whole_cost() -> None:
    """On a line of unit steps E(s, g) is the number of steps."""
    torch.manual_seed(0)
    evaluator = LegEvaluator(1, 1, hidden=(64, 64))
    none = torch.zeros(256, 1)

    def sample(count: int) -> tuple[Tensor, ...]:
        start, goal = (torch.randint(4, (count, 1)).float() for _ in range(2))
        after = start + (goal - start).sign()
        evaluator.follow(0.1)
        paid = (start != goal).float().squeeze(1)
        return start, goal, none, evaluator.target(paid, after, goal, none, (after == goal).squeeze(1))

    regress(evaluator, sample, updates=500, batch_size=256, learning_rate=5e-3)
    start, goal = torch.tensor([[0.0], [3.0], [2.0]]), torch.tensor([[3.0], [1.0], [2.0]])
    torch.testing.assert_close(evaluator(start, goal, none[:3]), torch.tensor([3.0, 2.0, 0.0]), atol=0.2, rtol=0)


def test_a_quasimetric_obeys_the_triangle_inequality_and_learns_one_way_streets() -> None:
    torch.manual_seed(0)
    distance = Quasimetric(2, groups=2, width=8, hidden=(32,))
    x, y, z = (torch.randn(200, 2) for _ in range(3))
    assert (distance(x, z) <= distance(x, y) + distance(y, z) + 1e-5).all()
    assert (distance(x, x) < 1e-3).all()

    def sample(count: int) -> tuple[Tensor, ...]:
        start, goal = torch.rand(count, 2), torch.rand(count, 2)
        rise = goal[:, 0] - start[:, 0]
        return start, goal, start, torch.where(rise > 0, 3 * rise, -rise)

    errors = regress(distance, sample, updates=400, batch_size=256, learning_rate=1e-2)
    assert errors[-1] < 0.05 * errors[0]
    up, down = distance(torch.zeros(1, 2), torch.ones(1, 2)), distance(torch.ones(1, 2), torch.zeros(1, 2))
    assert up > 2 * down
