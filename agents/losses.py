"""Returns and errors, as plain functions of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def goal_error(achieved: Tensor, desired: Tensor) -> Tensor:
    """E = 1/2 |d - x|^2 over the last axis, the error of Schmidhuber & Huber (1990).

    Args:
        achieved: (..., G).
        desired: (..., G).

    Returns:
        (...,) errors.
    """
    return 0.5 * (desired - achieved).square().sum(-1)


def lambda_returns(rewards: Tensor, next_values: Tensor, discounts: Tensor, ended: Tensor, trace: float) -> Tensor:
    """TD(lambda) returns (Sutton 1988): G_t = r_t + g_t [(1 - lambda_t) V(x_t+1) + lambda_t G_t+1].

    lambda_t is 0 where an episode or the sequence ends, so that the value of the last state stands for the rest.

    Args:
        rewards: (T, B), r_t is paid for arriving at x_t+1.
        next_values: (T, B), V(x_t+1) with the episode's true last state where it ended.
        discounts: (T, B), the discount, 0 where nothing follows.
        ended: (T, B) bool, whether the episode ended with this step.
        trace: lambda in [0, 1].

    Returns:
        (T, B) returns; gradients flow into all inputs.
    """
    target = rewards[-1] + discounts[-1] * next_values[-1]
    targets = [target]
    for t in range(len(rewards) - 2, -1, -1):
        mixed = torch.where(ended[t], next_values[t], torch.lerp(next_values[t], target, trace))
        target = rewards[t] + discounts[t] * mixed
        targets.append(target)
    return torch.stack(targets[::-1])
