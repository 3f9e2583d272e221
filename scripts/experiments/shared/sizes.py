"""Cores of different kinds, made equal in their policies' numbers of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Model = tuple[str, dict[str, Any]]  # a core's name and its keywords


def equal_size(
    observation_space: Any, action_space: Any, reference: Model, model: Callable[[int], Model], sizes: Iterable[int]
) -> int:
    """The size whose `RecurrentPolicy` comes nearest, in parameters, to that of a reference.

    Args:
        observation_space, action_space: of the policies.
        reference: the core that the others are made equal to.
        model: the core of a size.
        sizes: among which to choose.
    """
    from agents import RecurrentPolicy

    def count(core: str, keywords: dict[str, Any]) -> int:
        policy = RecurrentPolicy(observation_space, action_space, core=core, core_kwargs=keywords)
        return sum(part.numel() for part in policy.parameters())

    wanted = count(*reference)
    return min(sizes, key=lambda size: abs(count(*model(size)) - wanted))
