"""Schaul, Horgan, Gregor & Silver (2015): values of goals that were never trained on, in four rooms with lava."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job

TITLE = "universal value functions in four rooms: held-out goals and a held-out room, three nets, ranks"
PARTS = ("goals", "room", "ranks")
DISCOUNT, TEMPERATURE = 0.95, 0.005
RANK, RANKS = 40, (1, 2, 5, 10, 20, 30, 40, 50)
UPDATES, RATE = 3000, 1e-2  # the rate was chosen on seeds from 100 on: see docs/papers/uvf.md
NETS = ("concatenated", "two streams", "two streams, factorised")


@dataclass(frozen=True)
class Rooms:
    """FourRooms as tables: S cells, each a state and a goal, A actions.

    Attributes:
        after: (S, A) the cell to which an action leads.
        lava: (S,) bool.
        best: (S, S) the best discounted return, DISCOUNT^(steps - 1), from a state for a goal; 0 at the goal itself.
        values: (S, S, A) Q(s, g, a): 1 on arrival at g, which ends the episode as lava does.
        vectors: (S, S) one-hot.
        trained, held_out: indices of goals.
    """

    after: Tensor
    lava: Tensor
    best: Tensor
    values: Tensor
    vectors: Tensor
    trained: Tensor
    held_out: Tensor


def rooms(held_out: int | str, seed: int) -> Rooms:
    """The environment's own layout and distances, with goals held out."""
    task: Any = gym.make("Foveal/FourRooms-v0", held_out=held_out, split_seed=seed, form="one_hot").unwrapped.task
    steps, after, lava = (torch.as_tensor(part) for part in (task.steps, task.moves_to, task.lava))
    arrival = torch.where((steps < 0) | lava[:, None], 0.0, DISCOUNT**steps)
    best = torch.where(steps > 0, DISCOUNT ** (steps - 1.0), 0.0)
    goals = torch.as_tensor(task.train_goals), torch.as_tensor(task.held_out_goals)
    return Rooms(after, lava, best, arrival[after].movedim(1, 2), torch.as_tensor(task.vectors), *goals)


def policy_return(world: Rooms, goal: int, policy: Tensor) -> float:
    """Mean over starts of the exact discounted return of a policy (S, A): 1 on arrival at the goal, 0 in lava."""
    cells = len(world.after)
    moves = torch.zeros(cells, cells, dtype=torch.float64).scatter_add_(1, world.after, policy.double())
    arrives, ends = moves[:, goal].clone(), world.lava.clone()
    ends[goal] = True
    moves[:, ends] = 0
    value = torch.linalg.solve(torch.eye(cells, dtype=torch.float64) - DISCOUNT * moves, arrives)
    return float(value[~ends].mean())


def quality(world: Rooms, values: Tensor, goals: Tensor) -> float:
    """Normalised return of the soft-max policy, mean over goals: 0 is the random policy's, 1 the best one's.

    Args:
        world: of S cells.
        values: (S, S, A).
        goals: indices.
    """
    scores = []
    for goal in goals.tolist():
        starts = ~world.lava
        starts[goal] = False
        best = float(world.best[starts, goal].mean())
        random = policy_return(world, goal, torch.full(world.after.shape, 1.0 / world.after.shape[1]))
        soft = policy_return(world, goal, torch.softmax(values[:, goal] / TEMPERATURE, -1))
        scores.append((soft - random) / (best - random))
    return float(np.mean(scores))


def learn(job: Job) -> list[Row]:
    """Train one net on the values of the trained goals; its quality on them and on those held out."""
    from agents.values.factorisation import fit_factors, fit_table
    from agents.values.uvfa import Concatenated, TwoStream

    torch.manual_seed(job.seed)
    world = rooms(job.arguments["held_out"], job.seed)
    cells, actions = world.after.shape
    net: Any
    if job.arguments["net"] == "concatenated":
        net = Concatenated(cells, cells, actions, symmetric=True)
    else:
        net = TwoStream(cells, cells, actions, job.arguments["rank"], symmetric=True)
    table = world.values[:, world.trained]
    fit = fit_factors if job.arguments["net"].endswith("factorised") else fit_table
    known = torch.ones_like(table, dtype=torch.bool)
    vectors, updates = (world.vectors, world.vectors[world.trained]), job.arguments["updates"]
    errors = fit(net, *vectors, table, known, updates, learning_rate=RATE)
    with torch.no_grad():
        states, goals = world.vectors.repeat_interleave(cells, 0), world.vectors.repeat(cells, 1)
        values = net(states, goals).unflatten(0, (cells, cells))
    return [
        {
            "environment_steps": 0,
            "updates": len(errors),
            "parameters": sum(part.numel() for part in net.parameters()),
            "trained_quality": quality(world, values, world.trained),
            "held_out_quality": quality(world, values, world.held_out),
        }
    ]


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """A job a seed, split and net; ranks with the factorised one; quick: few updates."""
    updates = 200 if quick else UPDATES
    made = []
    for part in parts or PARTS:
        held_out: int | str = "room" if part == "room" else 20
        cases = [(str(RANK), net) for net in NETS]
        if part == "ranks":
            cases = [(str(rank), NETS[-1]) for rank in RANKS]
        for seed in range(seeds):
            for rank, net in cases[-1:] if quick else cases:
                arguments = {"held_out": held_out, "net": net, "rank": int(rank), "updates": updates}
                made.append(Job(part, {"net": net} if part != "ranks" else {"rank": rank}, seed, learn, arguments))
    return made


def claims(rows: list[Row]) -> list[Claim]:
    """Quality on held-out goals and on a held-out room, and how far the factorised net is ahead."""
    made = []
    for part in ("goals", "room"):
        for net in NETS:
            own = select(rows, table=part, net=net)
            bar = 0.95 if (part, net) == ("goals", NETS[-1]) else None
            made.append(make_claim(f"held-out {part}, {net}: policy quality", "share", own, _mean, bar))
    plain = select(rows, table="goals", net=NETS[0])
    ahead: Callable[[list[Row]], float] = lambda own: _mean(own) - (_mean(plain) if plain else float("nan"))  # noqa: E731
    if plain:
        own = select(rows, table="goals", net=NETS[-1])
        made.append(make_claim("held-out goals: factorised above concatenated", "share", own, ahead, 0.0))
    for rank in RANKS:
        own = select(rows, table="ranks", rank=str(rank))
        made.append(make_claim(f"held-out goals, factorised, rank {rank}: policy quality", "share", own, _mean))
    return made


def _mean(rows: list[Row]) -> float:
    return float(numbers(rows, "held_out_quality").mean())
