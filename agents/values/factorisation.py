"""Learns universal values: from a table, in two stages or end to end, with Horde's demons, or by bootstrapping.

Schaul, Horgan, Gregor & Silver, "Universal value function approximators", ICML 2015. The nets are those of `uvfa.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from ..common.losses import descend
from .uvfa import TwoStream

Transitions = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@final
class Horde:
    """One demon per goal; all learn their tables Q_g off-policy from the same transitions; Sutton et al. (2011).

    Q_g(s, a) <- Q_g(s, a) + rate [r_g + gamma_g max_a' Q_g(s', a') - Q_g(s, a)], with the pseudo-reward r_g and the
    pseudo-discount gamma_g of the goal. The entries seen form the table to factorise: Schaul et al., algorithm 1.

    Args:
        states, goals, actions: S, G, A.

    Attributes:
        values: (S, G, A).
        seen: (S, G, A) bool, entries that have been updated.
    """

    def __init__(self, states: int, goals: int, actions: int) -> None:
        self.values = torch.zeros(states, goals, actions)
        self.seen = torch.zeros(states, goals, actions, dtype=torch.bool)

    def update(
        self, state: Tensor, action: Tensor, after: Tensor, reward: Tensor, discount: Tensor, rate: float = 1.0
    ) -> None:
        """Learns from B transitions; if several have the same state and action, only one counts.

        Args:
            state, action, after: (B,) indices.
            reward, discount: (B, G) for every goal; the discount is 0 where that goal's episode ends.
            rate: step size, 1 for a deterministic world.
        """
        target = reward + discount * self.values[after].amax(-1)
        self.values[state, :, action] = torch.lerp(self.values[state, :, action], target, rate)
        self.seen[state, :, action] = True


def factorise(table: Tensor, seen: Tensor, rank: int, ridge: float = 1e-3, sweeps: int = 30) -> tuple[Tensor, Tensor]:
    """Factors whose product is closest to the seen entries of a table: M ~ F H^T, by alternating least squares.

    min over F, H of |seen * (M - F H^T)|^2 + ridge (|F|^2 + |H|^2), starting from the singular vectors of the table
    with zeros for unseen entries. F^T F = R 1, so an error in H causes, on average, an equal error in the values.

    Args:
        table: M (R, C).
        seen: (R, C) bool.
        rank: r, at most min(R, C).
        ridge: weight of the penalty on the factors' size.
        sweeps: passes over both factors.

    Returns:
        F (R, r) and H (C, r), float32.
    """
    weights, table = seen.double(), torch.where(seen, table, 0.0).double()
    left, size, right = torch.linalg.svd(table, full_matrices=False)
    columns = right[:rank].T * size[:rank].sqrt()
    penalty = ridge * torch.eye(rank, dtype=torch.float64)

    def solve(fixed: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
        pairs = (fixed[:, :, None] * fixed[:, None]).flatten(1)
        normal = torch.unflatten(weight @ pairs, -1, (rank, rank)) + penalty
        factors: Tensor = torch.linalg.solve(normal, wanted @ fixed)
        return factors

    for _ in range(sweeps):
        rows = solve(columns, table, weights)
        columns = solve(rows, table.T, weights.T)
    (q_rows, r_rows), (q_columns, r_columns) = torch.linalg.qr(rows), torch.linalg.qr(columns)
    left, size, right = torch.linalg.svd(r_rows @ r_columns.T)
    unit = len(rows) ** 0.5
    return (q_rows @ left * unit).float(), (q_columns @ right.T * (size / unit)).float()


def fit_factors(
    net: TwoStream,
    states: Tensor,
    goals: Tensor,
    table: Tensor,
    seen: Tensor,
    updates: int = 3000,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    ridge: float = 1e-3,
) -> list[float]:
    """Trains both streams in two stages: factorise the table, then regress phi and psi, each on its own factor.

    The loss is the mean of |phi(s) - F|^2 plus that of |psi(g) - H|^2: the streams learn independently.

    Args:
        net: phi and psi.
        states: (S, D).
        goals: (C, G).
        table: (S, C, A) values.
        seen: (S, C, A) bool.
        updates, batch_size, learning_rate: see `descend_along`; a batch has `batch_size` states and goals, or all.
        ridge: see `factorise`.

    Returns:
        The mean error at each update.
    """
    rows = table.movedim(1, -1).flatten(0, 1), seen.movedim(1, -1).flatten(0, 1)
    left, right = factorise(*rows, net.rank, ridge)
    left = torch.unflatten(left, 0, (len(states), -1))

    def error() -> Tensor:
        s, g = torch.randperm(len(states))[:batch_size], torch.randperm(len(goals))[:batch_size]
        of_state = (net.state_factors(states[s]) - left[s]).square().sum(-1).mean()
        return of_state + (net.goal_factors(goals[g]) - right[g]).square().sum(-1).mean()

    return descend_along(net, error, updates, learning_rate)


def fit_table(
    net: nn.Module,
    states: Tensor,
    goals: Tensor,
    table: Tensor,
    seen: Tensor,
    updates: int = 3000,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
) -> list[float]:
    """Trains Q end to end on the values seen, by the mean of (Q(s, g, a) - M)^2; arguments as in `fit_factors`."""

    def error() -> Tensor:
        s, g = torch.randint(len(states), (batch_size,)), torch.randint(len(goals), (batch_size,))
        known = seen[s, g]
        loss: Tensor = ((net(states[s], goals[g]) - table[s, g]).square() * known).sum() / known.sum().clamp(min=1)
        return loss

    return descend_along(net, error, updates, learning_rate)


def bootstrap(
    net: nn.Module,
    sample: Callable[[int], Transitions],
    updates: int = 3000,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    follow: float = 0.01,
) -> list[float]:
    """Trains Q from transitions alone: (Q(s, g, a) - [r + gamma max_a' Q'(s', g, a')])^2, Q' a slow copy of Q.

    Args:
        net: Q.
        sample: called with B, returns states (B, D), goals (B, G), actions (B,), next states (B, D), rewards (B,) and
            discounts (B,), 0 where the goal's episode ends.
        updates, batch_size, learning_rate: see `descend_along`.
        follow: rate of the slow copy.

    Returns:
        The mean error at each update.
    """
    slow = copy.deepcopy(net).requires_grad_(False)

    def error() -> Tensor:
        state, goal, action, after, reward, discount = sample(batch_size)
        with torch.no_grad():
            for old, new in zip(slow.parameters(), net.parameters(), strict=True):
                old.lerp_(new, follow)
            target = reward + discount * slow(after, goal).amax(-1)
        loss: Tensor = (net(state, goal).gather(1, action[:, None]).squeeze(1) - target).square().mean()
        return loss

    return descend_along(net, error, updates, learning_rate)


def descend_along(net: nn.Module, error: Callable[[], Tensor], updates: int, learning_rate: float) -> list[float]:
    """Takes `updates` steps of Adam on an error sampled anew each time; the rate falls to 0 along a cosine.

    Returns:
        The errors.
    """
    optimizer = torch.optim.Adam(net.parameters(), learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    errors = []
    for _ in range(updates):
        loss = error()
        descend(optimizer, loss)
        schedule.step()
        errors.append(loss.item())
    return errors
