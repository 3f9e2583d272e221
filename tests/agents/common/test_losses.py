from __future__ import annotations

import numpy as np
import torch

from agents.common.losses import descend, goal_error, goal_match, lambda_returns


def naive_return(t, rewards, values, discounts, ended, trace):
    if t == len(rewards) - 1 or ended[t]:
        return rewards[t] + discounts[t] * values[t]
    later = naive_return(t + 1, rewards, values, discounts, ended, trace)
    return rewards[t] + discounts[t] * ((1 - trace) * values[t] + trace * later)


def test_lambda_returns_follow_their_definition():
    generator = torch.Generator().manual_seed(1)
    rewards, values, discounts = (torch.rand(9, 5, generator=generator, dtype=torch.float64) for _ in range(3))
    ended = torch.rand(9, 5, generator=generator) < 0.3
    returns = lambda_returns(rewards, values, discounts, ended, 0.7)
    for b in range(5):
        for t in range(9):
            args = (part[:, b].tolist() for part in (rewards, values, discounts, ended))
            np.testing.assert_allclose(returns[t, b], naive_return(t, *args, 0.7), rtol=1e-12)


def test_goal_error_and_match():
    desired = torch.tensor([[0.0, 3.0], [1.0, 1.0]])
    achieved = torch.tensor([[4.0, 0.0], [1.0, 1.0]])
    assert goal_error(achieved, desired).tolist() == [12.5, 0.0]
    match = goal_match(achieved.requires_grad_(), desired, (5.0,))
    torch.testing.assert_close(match, torch.tensor([np.exp(-1.0), np.exp(-0.002)]).float())
    match.sum().backward()
    assert torch.isfinite(achieved.grad).all()
    both = goal_match(achieved, desired, (5.0, 50.0))
    torch.testing.assert_close(both, 0.5 * (match + goal_match(achieved, desired, (50.0,))))


def test_descend_changes_its_own_parameters_only():
    mine, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    before = [parameter.clone() for parameter in other.parameters()]
    loss = other(mine(torch.ones(1, 2))).square().sum()
    descend(torch.optim.SGD(mine.parameters(), lr=0.01), loss, max_norm=0.5)
    assert other(mine(torch.ones(1, 2))).square().sum() < loss
    assert all(torch.equal(old, new) for old, new in zip(before, other.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in other.parameters())
