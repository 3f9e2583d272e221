"""Errors, returns and the gradient step, as plain functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from .group import average


def goal_error(achieved: Tensor, desired: Tensor) -> Tensor:
    """E = 1/2 |d - x|^2 over the last axis, the error of Schmidhuber & Huber (1990).

    Args:
        achieved: (..., G).
        desired: (..., G).

    Returns:
        (...,) errors.
    """
    return 0.5 * (desired - achieved).square().sum(-1)


def goal_match(achieved: Tensor, desired: Tensor, widths: Sequence[float]) -> Tensor:
    """The mean over widths w of exp(-|d - x| / w): 1 at the goal, almost 0 far away, steep near the goal.

    A wide term guides from afar, a narrow one tells the goal from what merely looks like it.

    Args:
        achieved: (..., G).
        desired: (..., G).
        widths: distances at which a term has fallen to 1/e, in units of the goal vector.

    Returns:
        (...,) matches in (0, 1].
    """
    distance = (2 * goal_error(achieved, desired) + 1e-4).sqrt()  # a root has no gradient at 0
    return torch.stack([torch.exp(distance / -width) for width in widths]).mean(0)


def lambda_returns(rewards: Tensor, next_values: Tensor, discounts: Tensor, ended: Tensor, td_lambda: float) -> Tensor:
    """TD(lambda) returns (Sutton 1988): G_t = r_t + g_t [(1 - l_t) V(x_t+1) + l_t G_t+1].

    l_t is `td_lambda`, but 0 at the end of an episode or of the sequence: there the value replaces the rest.

    Args:
        rewards: (T, B), r_t is the reward for arriving at x_t+1.
        next_values: (T, B), V(x_t+1); where the episode ended, of its true last state.
        discounts: (T, B), g_t, 0 where nothing follows.
        ended: (T, B) bool, whether the episode ended with this step.
        td_lambda: in [0, 1].

    Returns:
        (T, B) returns; gradients flow into rewards and values.
    """
    target = rewards[-1] + discounts[-1] * next_values[-1]
    targets = [target]
    for t in range(len(rewards) - 2, -1, -1):
        rest = torch.where(ended[t], next_values[t], torch.lerp(next_values[t], target, td_lambda))
        target = rewards[t] + discounts[t] * rest
        targets.append(target)
    return torch.stack(targets[::-1])


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip_range: float) -> Tensor:
    """L = -mean min(r A, clip(r, 1 - c, 1 + c) A), the loss of PPO's actor (Schulman et al., arXiv 1707.06347, Eq. 7).

    Args:
        ratio: (...,) r = pi(a) / pi_old(a).
        advantage: (...,) A.
        clip_range: c.

    Returns:
        Scalar.
    """
    return -torch.min(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage).mean()


def check_losses(steps: int, **losses: Tensor) -> None:
    """Raises FloatingPointError if a loss is not finite. Call it before the gradient step.

    Args:
        steps: environment steps so far, for the message.
        losses: scalars by name.
    """
    wrong = [f"{name} = {loss.item()}" for name, loss in losses.items() if not math.isfinite(loss.item())]
    if wrong:
        raise FloatingPointError(
            f"{', '.join(wrong)} after {steps:,} steps; the parameters are those before this update: look for very "
            "large observations or rewards, lower the learning rate or max_grad_norm"
        )


def learned(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those parameters that descend; an eye's do not, which learns apart (`Vision`)."""
    return [parameter for parameter in parameters if parameter.requires_grad]


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, max_norm: float | None = None) -> None:
    """Takes one optimizer step along the gradient of `loss` in the optimizer's own parameters only.

    With several workers, along the mean of their gradients.

    Args:
        optimizer: with one parameter group.
        loss: scalar.
        max_norm: largest norm of the gradient, which is scaled down to it; None: no limit.
    """
    parameters = optimizer.param_groups[0]["params"]
    gradients = average(torch.autograd.grad(loss, parameters))
    if max_norm is not None:
        norm = nn.utils.get_total_norm(gradients)
        if not math.isfinite(norm.item()):
            raise FloatingPointError(
                f"the norm of the gradient is {norm.item()}; the parameters are those before this update"
            )
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    if isinstance(optimizer, torch.optim.SGD):  # plain: it keeps no state, and its bookkeeping would cost more
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-optimizer.param_groups[0]["lr"])
        return
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
