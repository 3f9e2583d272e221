"""Distributions of actions: Stable-Baselines3's to the bit, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import make_proba_distribution

from agents.common.distributions import make_distribution

SPACES = {
    "box": spaces.Box(-1.0, 1.0, (3,)),
    "discrete": spaces.Discrete(5),
    "multi-discrete": spaces.MultiDiscrete([3, 4]),
    "multi-binary": spaces.MultiBinary(4),
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_numbers_are_those_of_stable_baselines(space: spaces.Space) -> None:
    results = []
    for make in (make_distribution, make_proba_distribution):
        torch.manual_seed(0)
        distribution = make(space)
        made = distribution.proba_distribution_net(6)
        net, *more = made if isinstance(made, tuple) else (made,)
        distribution.proba_distribution(net(torch.randn(50, 6)), *more)
        actions = distribution.sample().detach()
        losses = (distribution.log_prob(actions).sum(), distribution.entropy().sum())
        gradients = torch.autograd.grad(sum(losses), [*net.parameters(), *more])
        results.append([actions, distribution.mode(), *losses, *gradients])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_other_spaces_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="Box, Discrete, MultiDiscrete or MultiBinary"):
        make_distribution(spaces.Text(3))


def test_no_number_is_checked() -> None:
    distribution = make_distribution(SPACES["discrete"])
    distribution.proba_distribution(torch.full((2, 5), np.nan))
    assert distribution.log_prob(torch.zeros(2)).isnan().all()
