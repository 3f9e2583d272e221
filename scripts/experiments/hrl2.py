"""Schmidhuber & Wahnsiedler (1992): subgoals from the gradient of a known cost, among swamps."""

from __future__ import annotations

import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from .shared.claims import Claim, Row, make_claim, mean_of, select
from .shared.jobs import Job

TITLE = "a subgoal generator among swamps, trained through the known cost of a leg"
PARTS = ("analytic",)
TASK = "Foveal/SwampNavigation-v0"
SWAMPS, PLACE = 5, 2
LAYOUTS, PROBLEMS = 100, 20_000  # evaluated, and trained on
SUBGOALS, WEIGHT = 6, 10.0  # n, and the cost of a unit of area
EVALUATION_SEED = 1_000_000_000
RATIO = "length / shortest dry path"
DRY = 1e-3  # of a swamp's radius: area below which a path counts as dry

Problems = tuple[Tensor, Tensor, Tensor]


def swamp_area(start: Tensor, goal: Tensor, context: Tensor) -> Tensor:
    """Area (B,) under the cones along straight legs, differentiable; the equation of `foveal_envs/scenes/swamps.py`.

    Args:
        start, goal: (B, 2).
        context: (B, 20), five swamps (x, y, radius, height).
    """
    swamps = context.unflatten(-1, (SWAMPS, 4))
    centre, radius, height = swamps[..., :2], swamps[..., 2], swamps[..., 3]
    way = goal - start
    length = torch.linalg.vector_norm(way + 1e-9, dim=-1, keepdim=True)
    away = centre - start[:, None]
    foot = (away * (way / length)[:, None]).sum(-1)
    squared = (away.square().sum(-1) - foot.square()).clamp(min=1e-10)  # distance of the line from the centre
    half = (radius.square() - squared).clamp(min=1e-12).sqrt()
    begin, end = torch.maximum(-half, -foot), torch.minimum(half, length - foot)

    def antiderivative(at: Tensor) -> Tensor:
        return 0.5 * (at * (at.square() + squared).sqrt() + squared * torch.asinh(at / squared.sqrt()))

    cut = (squared < radius.square()) & (end > begin)
    depth = (end - begin) - (antiderivative(end) - antiderivative(begin)) / torch.where(cut, radius, 1.0)
    return torch.where(cut, height * depth, 0.0).sum(-1)


def leg_cost(area: Callable[[Tensor, Tensor, Tensor], Tensor], weight: float) -> Callable[..., Tensor]:
    """E(start, goal, swamps) = length + weight area."""
    return lambda start, goal, context: (
        torch.linalg.vector_norm(goal - start + 1e-9, dim=-1) + weight * area(start, goal, context)
    )


def problems(count: int, seed: int) -> Problems:
    """Starts (B, 2), goals (B, 2) and swamps (B, 20) of the task, none solved by the straight line."""
    env = gym.make_vec(TASK, count, vectorization_mode="vector_entry_point")
    observation, _ = env.reset(seed=seed)
    env.close()
    state, goal = (torch.as_tensor(observation[name]) for name in ("observation", "desired_goal"))
    return state[:, :PLACE], goal, state[:, PLACE:]


def sampler(pool: Problems) -> Callable[[int], Problems]:
    """Draws so many of the problems of a pool."""

    def sample(count: int) -> Problems:
        index = torch.randint(len(pool[0]), (count,))
        start, goal, context = (part[index] for part in pool)
        return start, goal, context

    return sample


def walk(subgoals: Tensor) -> dict[str, float]:
    """Walk the evaluated layouts along subgoals (n, LAYOUTS, 2), leg by leg, and measure the paths."""
    env = gym.make_vec(
        TASK, LAYOUTS, vectorization_mode="vector_entry_point", actuators="waypoint", info="step", moves=100
    )
    observation, _ = env.reset(seed=EVALUATION_SEED)
    swamps = observation["observation"][:, PLACE:].reshape(LAYOUTS, SWAMPS, 4)
    radius = np.where(swamps[..., 3] > 0, swamps[..., 2], np.inf).min(1)
    open_ = np.ones(LAYOUTS, bool)
    measured = {name: np.zeros(LAYOUTS) for name in ("swamp_area", "path_length", "shortest_path", "is_success")}
    for place in (*subgoals.numpy(), observation["desired_goal"]):
        _, _, terminated, truncated, infos = env.step(np.asarray(place, np.float32))
        for name, values in measured.items():
            values[open_] = infos[name][open_]
        open_ &= ~(terminated | truncated)
    env.close()
    ratio, dry = measured["path_length"] / measured["shortest_path"], measured["swamp_area"] < DRY * radius
    return {
        "arrived": float(measured["is_success"].mean()),
        "dry": float(dry.mean()),
        "length_ratio": float(ratio.mean()),
        "dry_length_ratio": float(ratio[dry].mean()) if dry.any() else float("nan"),
        "within_1.05": float((ratio <= 1.05).mean()),
    }


def straight(job: Job) -> list[Row]:
    """The baseline: no subgoal."""
    return [{"environment_steps": 0, **walk(torch.zeros(0, LAYOUTS, PLACE))}]


def plan(job: Job) -> list[Row]:
    """Train S through the known cost; walk where it proposes, and where descent from there ends."""
    return solve(job, swamp_area)


def solve(job: Job, area: Callable[[Tensor, Tensor, Tensor], Tensor]) -> list[Row]:
    """Train S through length + WEIGHT area; rows for its proposals and for the refined ones."""
    from agents.subgoals.generator import SubgoalGenerator

    torch.manual_seed(job.seed)
    updates = job.arguments["updates"]
    cost, began = leg_cost(area, WEIGHT), time.process_time()
    generator = SubgoalGenerator(PLACE, 4 * SWAMPS, SUBGOALS, topology=job.arguments["topology"])
    generator.fit(cost, sampler(problems(PROBLEMS, 100_000 * (job.seed + 1))), updates)
    trained = round(time.process_time() - began, 2)
    layouts = problems(LAYOUTS, EVALUATION_SEED)
    with torch.no_grad():
        proposed = generator(*layouts)
    refined = generator.refine(leg_cost(area, job.arguments["weight"]), *layouts, updates=job.arguments["steps"])
    spent = {"environment_steps": 0, "cpu_seconds": trained}
    decided = round(time.process_time() - began - trained, 2)
    return [
        {"subgoals": "as proposed", **spent, "decision_cpu_seconds": 0.0, **walk(proposed)},
        {"subgoals": "refined", **spent, "decision_cpu_seconds": decided, **walk(refined)},
    ]


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """A job a seed and topology, and the straight line; quick: few updates."""
    size = {"updates": 100 if quick else 1500, "steps": 60 if quick else 300, "weight": 2 * WEIGHT}
    made = [
        Job("analytic", {"generator": topology}, seed, plan, {"topology": topology, **size})
        for seed in range(seeds)
        for topology in (("static",) if quick else ("static", "recurrent"))
    ]
    return [*made, Job("straight", {"path": "straight line"}, 0, straight)]


def claims(rows: list[Row]) -> list[Claim]:
    """The bars: dry paths, and their length."""
    return planned("analytic", rows)


def planned(table: str, rows: list[Row]) -> list[Claim]:
    """Share of dry paths and their length, of the refined subgoals of each generator."""
    made = []
    for generator in ("static", "recurrent"):
        own = select(rows, table=table, generator=generator, subgoals="refined")
        made += [
            make_claim(f"{table} cost, {generator}: dry paths", "share of layouts", own, mean_of("dry"), 0.98),
            make_claim(
                f"{table} cost, {generator}: {RATIO}", "times", own, mean_of("length_ratio"), None, 1.05, quick=True
            ),
        ]
    return made
