"""Evaluators of legs E(start, goal): what it costs a given controller to get from one place to another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..common.losses import descend, learned
from ..cores.feedforward import Activation, FeedForward


class HalfParabola(nn.Module):
    """((x + sqrt(x^2 + b^2)) / 2)^2 > 0: x^2 for x > 0, near 0 for x < 0, with a slowly fading gradient.

    The square of Barron's squareplus, arXiv 2112.11687: the cost rises softly, and its tail is about b^4 / 16 x^2.

    Args:
        width: b, width of the bend.
    """

    def __init__(self, width: float = 0.1) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Positive numbers of the shape of x."""
        return (0.5 * (x + (x.square() + self.width**2).sqrt())).square()


class LegEvaluator(nn.Module):
    """E(start, goal, context) >= 0: w |goal - start| plus a sum over the context's items, all by the same net.

    Schmidhuber, ICANN 1991:967-972, where E is one net. If costs add up over things in the scene, a net that sees one
    thing at a time learns as many times from each leg; `items=1` gives the plain form.

    Args:
        place_size: P.
        context_size: C, a multiple of `items`.
        items: records in the context, of equal width.
        features: the net's inputs (..., F) from start, goal and an item (..., P), (..., P), (..., C / items); by
            default all three, unchanged. If the cost depends on relative places, compute them here, so that the net
            need not learn to.
        length_weight: w.
        hidden: widths of the layers.
        activation: of the layers.

    Raises:
        ValueError: the context cannot be divided into items.
    """

    def __init__(
        self,
        place_size: int,
        context_size: int,
        items: int = 1,
        *,
        features: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
        length_weight: float = 0.0,
        hidden: Sequence[int] = (128, 128, 128),
        activation: Activation = "silu",
    ) -> None:
        if context_size % items:
            raise ValueError(f"a context of {context_size} numbers cannot be divided into {items} items")
        super().__init__()
        self.items, self.width, self.length_weight = items, context_size // items, length_weight
        self.features = features or (lambda *parts: torch.cat(parts, -1))
        place = torch.zeros(1, place_size)
        width = self.features(place, place, torch.zeros(1, self.width)).shape[-1]
        core = FeedForward(width, hidden, activation)
        self.net = nn.Sequential(core.layers, nn.Linear(core.output_size, 1), HalfParabola())
        self.slow = copy.deepcopy(self.net).requires_grad_(False)

    def forward(self, start: Tensor, goal: Tensor, context: Tensor) -> Tensor:
        """Costs (B,) of legs from start (B, P) to goal (B, P)."""
        return self._total(self.net, start, goal, context)

    def target(self, costs: Tensor, after: Tensor, goal: Tensor, context: Tensor, arrived: Tensor) -> Tensor:
        """TD(0) targets (B,): c + E(s', g) by a slow copy, or c alone if s' is the goal."""
        with torch.no_grad():
            return costs + torch.where(arrived, 0.0, self._total(self.slow, after, goal, context))

    @torch.no_grad()
    def follow(self, rate: float = 0.01) -> None:
        """Moves the slow copy towards the parameters."""
        for slow, fast in zip(self.slow.parameters(), self.net.parameters(), strict=True):
            slow.lerp_(fast, rate)

    def _total(self, net: nn.Module, start: Tensor, goal: Tensor, context: Tensor) -> Tensor:
        items = torch.unflatten(context, -1, (self.items, self.width))
        from_start, to_goal = (end[:, None].expand(-1, self.items, -1) for end in (start, goal))
        length = torch.linalg.vector_norm(goal - start + 1e-9, dim=-1)
        costs: Tensor = net(self.features(from_start, to_goal, items))
        total: Tensor = self.length_weight * length + costs.sum((-2, -1))
        return total


class Quasimetric(nn.Module):
    """d(x, y) >= 0 with d(x, x) = 0 and d(x, z) <= d(x, y) + d(y, z) for all parameters: a cost of shortest paths.

    d = |f(x) - f(y)| + sum over groups of max(0, max_i (h_i(x) - h_i(y))): a metric plus an asymmetric part; Liu, Feng,
    Liu & Stone, "Metric residual networks" (2022). f and h are the two halves of one net's output.

    Args:
        place_size: P, size of a place or of another description of a state.
        groups: number of groups in the asymmetric part.
        width: of a group, and of f.
        hidden, activation: layers of the net.
    """

    def __init__(
        self,
        place_size: int,
        groups: int = 8,
        width: int = 32,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: Activation = "silu",
    ) -> None:
        super().__init__()
        core = FeedForward(place_size, hidden, activation)
        self.groups, self.width = groups, width
        self.net = nn.Sequential(core.layers, nn.Linear(core.output_size, width + groups * width))

    def forward(self, start: Tensor, goal: Tensor, context: Tensor | None = None) -> Tensor:
        """Costs (B,) from start (B, P) to goal (B, P)."""
        (x, up), (y, down) = (self._halves(place) for place in (start, goal))
        same = torch.linalg.vector_norm(x - y + 1e-9, dim=-1)
        rise = torch.unflatten(up - down, -1, (self.groups, self.width)).amax(-1).clamp(min=0)
        costs: Tensor = same + rise.sum(-1)
        return costs

    def _halves(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """f and all h of places (B, P)."""
        both: Tensor = self.net(place)
        return both[..., : self.width], both[..., self.width :]


def regress(
    evaluator: nn.Module,
    sample: Callable[[int], tuple[Tensor, Tensor, Tensor, Tensor]],
    updates: int = 5000,
    batch_size: int = 1024,
    learning_rate: float = 2e-3,
    relative: float = 0.0,
) -> list[float]:
    """Trains E on observed costs: 1/2 (E(start, goal) - c)^2 / (1 + u E), no gradient through the divisor.

    Args:
        evaluator: E.
        sample: called with B, returns starts, goals, contexts and costs (B,).
        updates: gradient steps of Adam, whose rate falls to 0 along a cosine.
        batch_size: legs per step.
        learning_rate: Adam's initial rate.
        relative: u; above 0, small costs weigh more than large ones, and E still converges to a leg's mean cost.

    Returns:
        The weighted mean error at each update.
    """
    optimizer = torch.optim.Adam(learned(evaluator.parameters()), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    errors = []
    for _ in range(updates):
        *leg, costs = sample(batch_size)
        expected = evaluator(*leg)
        error = ((expected - costs).square() / (1 + relative * expected.detach())).mean()
        descend(optimizer, error)
        schedule.step()
        errors.append(error.item())
    return errors
