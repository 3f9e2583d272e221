"""A generator of subgoals, trained by the gradient of a path's cost through an evaluator of its legs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..common.losses import descend
from ..cores.feedforward import Activation, FeedForward
from ..cores.ops.checks import whole

LegCost = Callable[[Tensor, Tensor, Tensor], Tensor]  # start (B, P), goal (B, P), context (B, C) -> costs (B,)
Topology = Literal["static", "recurrent"]


def path_cost(cost: LegCost, places: Tensor, context: Tensor) -> Tensor:
    """sum over k of E(s_k, s_k+1): the cost of a path of straight legs, all legs in one call of `cost`.

    Args:
        cost: E.
        places: (n + 2, B, P): start, n subgoals, goal.
        context: (B, C), what E needs besides the ends of a leg.

    Returns:
        (B,) costs.
    """
    legs = len(places) - 1
    costs = cost(places[:-1].flatten(0, 1), places[1:].flatten(0, 1), context.repeat(legs, 1))
    return torch.unflatten(costs, 0, (legs, -1)).sum(0)


def path(start: Tensor, subgoals: Tensor, goal: Tensor) -> Tensor:
    """Places (n + 2, B, P) of a path from start (B, P) through subgoals (n, B, P) to goal (B, P)."""
    return torch.cat((start[None], subgoals, goal[None]))


class SubgoalGenerator(nn.Module):
    """S maps (start, goal, context) to n subgoals, trained only by the gradient of `path_cost` through E.

    Schmidhuber, FKI-129-90 (1990) and ICANN 1991:967-972; Schmidhuber & Wahnsiedler, SAB 1992:196-202. "static": one
    pass gives all n subgoals. "recurrent": S gives one, which is fed back as the next start, and the gradient goes back
    through all copies of S and E; each call can then choose n. S outputs offsets from points evenly spaced on the
    straight line to the goal (ours; in the papers it outputs the places).

    Args:
        place_size: P, of start, goal and subgoal.
        context_size: C.
        subgoals: n.
        topology: "static" or "recurrent".
        hidden: widths of the layers.
        activation: of the layers; see `FeedForward`.
        low, high: bounds of a subgoal's coordinates.

    Raises:
        ValueError: an unknown topology, or n below 1.
    """

    def __init__(
        self,
        place_size: int,
        context_size: int,
        subgoals: int = 4,
        *,
        topology: Topology = "static",
        hidden: Sequence[int] = (256, 256, 256),
        activation: Activation = "silu",
        low: float = -1.0,
        high: float = 1.0,
    ) -> None:
        if topology not in ("static", "recurrent"):
            raise ValueError(f'topology must be "static" or "recurrent", not {topology!r}')
        whole("subgoals", subgoals)
        super().__init__()
        self.place_size, self.subgoals, self.topology = place_size, subgoals, topology
        self.low, self.high = low, high
        recurrent = topology == "recurrent"
        core = FeedForward(2 * place_size + context_size + recurrent, hidden, activation)
        self.net = nn.Sequential(core.layers, nn.Linear(core.output_size, place_size * (1 if recurrent else subgoals)))
        nn.init.normal_(self.net[-1].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.zeros_(self.net[-1].bias)  # type: ignore[arg-type]

    def forward(self, start: Tensor, goal: Tensor, context: Tensor, count: int | None = None) -> Tensor:
        """Subgoals (n, B, P).

        Args:
            start, goal: (B, P).
            context: (B, C).
            count: n, for the recurrent form; None: `subgoals`.
        """
        count = self.subgoals if count is None else count
        if self.topology == "static":
            if count != self.subgoals:
                raise ValueError(
                    f"a static generator gives {self.subgoals} subgoals, not {count}; make a recurrent one"
                )
            offsets: Tensor = self.net(torch.cat((start, goal, context), -1))
            offsets = torch.unflatten(offsets, -1, (count, -1)).movedim(1, 0)
            share = torch.arange(1, count + 1, device=start.device).view(-1, 1, 1) / (count + 1)
            return (torch.lerp(start, goal, share) + offsets).clamp(self.low, self.high)
        places = []
        for left in range(count, 0, -1):
            rest = torch.full_like(start[:, :1], 1.0 / left)
            step = torch.lerp(start, goal, 1.0 / (left + 1)) + self.net(torch.cat((start, goal, context, rest), -1))
            start = step.clamp(self.low, self.high)
            places.append(start)
        return torch.stack(places)

    def fit(
        self,
        cost: LegCost,
        sample: Callable[[int], tuple[Tensor, Tensor, Tensor]],
        updates: int = 2000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
    ) -> list[float]:
        """Trains S on random problems; E does not change.

        Args:
            cost: E, differentiable.
            sample: called with B, returns starts, goals and contexts.
            updates: gradient steps of Adam, whose rate falls to 0 along a cosine.
            batch_size: problems per step.
            learning_rate: Adam's initial rate.

        Returns:
            The mean path cost at each update.
        """
        optimizer = torch.optim.Adam(self.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
        costs = []
        for _ in range(updates):
            start, goal, context = sample(batch_size)
            mean = path_cost(cost, path(start, self(start, goal, context), goal), context).mean()
            descend(optimizer, mean, 1.0)
            schedule.step()
            costs.append(mean.item())
        return costs

    @torch.enable_grad()
    def refine(
        self,
        cost: LegCost,
        start: Tensor,
        goal: Tensor,
        context: Tensor,
        *,
        count: int | None = None,
        candidates: int = 16,
        noise: float = 0.3,
        updates: int = 200,
        learning_rate: float = 0.02,
    ) -> Tensor:
        """Improves S's proposal at decision time by gradient descent on the places: subgoals (n, B, P).

        Several candidates descend and the cheapest is returned. The first is S's proposal. The others add a random
        smooth bend to it, because descent alone cannot move a path to the other side of an obstacle.

        Args:
            cost: E.
            start, goal: (B, P).
            context: (B, C).
            count: n, see `forward`.
            candidates: paths tried per problem.
            noise: standard deviation of the bends, in units of places.
            updates: gradient steps of Adam; its rate falls to 0.
            learning_rate: Adam's initial rate, in units of places.
        """
        with torch.no_grad():
            proposal = self(start, goal, context, count)
        n, problems = len(proposal), len(start)
        start, goal, context = (part.repeat(candidates, 1) for part in (start, goal, context))
        bend = torch.sin(torch.linspace(0, torch.pi, n + 2, device=start.device)[1:-1]).view(-1, 1, 1, 1)
        drawn = noise * torch.randn(1, candidates, problems, self.place_size, device=start.device)
        drawn[:, 0] = 0
        places = (proposal[:, None] + bend * drawn).clamp(self.low, self.high).flatten(1, 2).requires_grad_()
        optimizer = torch.optim.Adam([places], learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
        for _ in range(updates):
            total = path_cost(cost, path(start, places, goal), context).sum()
            (places.grad,) = torch.autograd.grad(total, [places])
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                places.clamp_(self.low, self.high)
        with torch.no_grad():
            costs = path_cost(cost, path(start, places, goal), context).view(candidates, problems)
            best = costs.argmin(0)
            paths = torch.unflatten(places.detach(), 1, (candidates, problems))
            return paths[:, best, torch.arange(problems)]
