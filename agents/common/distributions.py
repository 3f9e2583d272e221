"""Stable-Baselines3's action distributions, without PyTorch's check of every number in every call.

The checks take up to a seventh of the training time of a small net. The learner detects losses that are not finite,
and the environment refuses actions that are not finite.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

from gymnasium import spaces
from stable_baselines3.common.distributions import (
    BernoulliDistribution,
    CategoricalDistribution,
    DiagGaussianDistribution,
    Distribution,
    MultiCategoricalDistribution,
)
from stable_baselines3.common.preprocessing import get_action_dim
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal


class ActionDistribution(Protocol):
    """The distribution of a policy's actions: one of Stable-Baselines3's, or any with these methods."""

    def get_actions(self, deterministic: bool = False) -> Tensor:
        """Actions (B, ...), sampled or the most likely."""

    def mode(self) -> Tensor:
        """The most likely actions (B, ...)."""

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a) (B,) of actions (B, ...)."""

    def entropy(self) -> Tensor | None:
        """(B,), or None if there is no closed form."""


def make_distribution(space: spaces.Space[Any]) -> Distribution:
    """The distribution of a policy's actions.

    Args:
        space: Box, Discrete, MultiDiscrete or MultiBinary (n,).

    Raises:
        NotImplementedError: any other space.
    """
    if isinstance(space, spaces.Discrete):
        return _Categorical(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return _MultiCategorical(space.nvec.tolist())
    if isinstance(space, spaces.MultiBinary):
        return _Bernoulli(get_action_dim(space))
    if isinstance(space, spaces.Box):
        return _DiagGaussian(get_action_dim(space))
    raise NotImplementedError(f"the action space must be Box, Discrete, MultiDiscrete or MultiBinary, got {space}")


class _Categorical(CategoricalDistribution):
    def proba_distribution(self, action_logits: Tensor) -> Self:
        self.distribution = Categorical(logits=action_logits, validate_args=False)
        return self


class _MultiCategorical(MultiCategoricalDistribution):
    def proba_distribution(self, action_logits: Tensor) -> Self:
        parts = action_logits.split_with_sizes(self.action_dims, dim=1)
        self.distribution = [Categorical(logits=part, validate_args=False) for part in parts]
        return self


class _Bernoulli(BernoulliDistribution):
    def proba_distribution(self, action_logits: Tensor) -> Self:
        self.distribution = Bernoulli(logits=action_logits, validate_args=False)
        return self


class _DiagGaussian(DiagGaussianDistribution):
    def proba_distribution(self, mean_actions: Tensor, log_std: Tensor) -> Self:
        self.distribution = Normal(mean_actions, log_std.exp().expand_as(mean_actions), validate_args=False)
        return self
