"""Navigation in mazes never seen before: a hierarchy with a map, flat learners, and a planner within the same view."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from foveal_envs.reference import PlannerPolicy

from ..shared.rollouts import run_episodes
from ..shared.runs import Run
from .shared.budget import Budget, first_reaching, train
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job

TITLE = "places in mazes never seen before: a hierarchy with a map, learned detours and subgoals; flat agents beside it"
PARTS = ("place", "picture")
TASK = "Foveal/MazeNavigation-v0"
MAZES, CURVE_MAZES = 500, 100  # evaluated at the end, and at points of the curve
STEPS, EVERY = 64_000, 12_800
WIDE = {"cells": 22, "moves": 1600}  # twice as wide as the mazes of the training
HIERARCHY = "hierarchy"
PPO: dict[str, Any] = {"core": "gated_delta", "n_steps": 64, "learning_rate": 1e-3, "ent_coef": 1e-3}
SAC: dict[str, Any] = {
    "gamma": 0.99,
    "learning_rate": 1e-3,
    "learning_starts": 4_000,
    "policy_kwargs": {"net_arch": [128, 128]},
    "replay_buffer_class": "HerReplayBuffer",
}
FLAT = {
    "RecurrentPPO, flat": Run(TASK, {"reward": "dense"}, "RecurrentPPO", agent_kwargs=PPO, lanes=64),
    "SAC + HER, flat": Run(TASK, {}, "SAC", agent_kwargs=SAC, lanes=8),
}
FLAT_SEEDS = 3
FAR_SEERS = {f"planner that sees {view} cells far": {"view": float(view)} for view in (4, 5, 6)}  # the others see 3

FINE = {"name": "rings", "rings": 7, "spokes": 16, "growth": 1.4}  # 112 fields, as far as the default's 40


def fields(retina: Any = "rings") -> np.ndarray:
    """Receptive fields (K, 3) of the task, (u, v, side) in units: squares of the area of the retina's discs."""
    table: np.ndarray = gym.make(TASK, retina=retina).unwrapped.task.receptive_fields  # type: ignore[attr-defined]
    return table * np.array([1.0, 1.0, 0.5 * np.sqrt(np.pi)])


def measure(policy: Any, mazes: int, **keywords: Any) -> dict[str, float]:
    """SPL and success in so many mazes that no training saw."""
    played = run_episodes(policy, TASK, mazes, **keywords).measures
    return {name: float(played[key].mean()) for name, key in (("spl", "spl"), ("success", "is_success"))}


def both_sizes(policy: Any, mazes: int = MAZES, **keywords: Any) -> dict[str, float]:
    """The same in mazes of the training's size, and under ``wide_`` in those twice as wide."""
    wide, there = policy, {**WIDE, **keywords}
    if hasattr(getattr(policy, "policy", None), "in_space"):
        wide = policy.policy.in_space(gym.make(TASK, **there).observation_space)
    small = measure(policy, mazes, **keywords)
    return small | {f"wide_{name}": value for name, value in measure(wide, mazes, **there).items()}


def reference(job: Job) -> list[Row]:
    """A policy without learning."""
    agent, goal = job.conditions["agent"], job.arguments["goal"]
    if "view" in job.arguments:
        agent = partial(PlannerPolicy, view=job.arguments["view"])
    row = both_sizes(agent) if goal == "place" else measure(agent, MAZES, goal=goal)
    return [{"environment_steps": 0, "solved_steps": 0, **row}]


def learn(job: Job) -> list[Row]:
    """Train one agent and evaluate it at both sizes; for goals as pictures at the first alone."""
    run, mazes = job.arguments["run"], job.arguments["mazes"]
    same = {name: value for name, value in run.env_kwargs.items() if name != "reward"}

    def score(agent: Any, starts: int) -> dict[str, float]:
        return measure(agent, min(mazes, CURVE_MAZES), **same)

    budget = Budget(score, steps=run.steps, every=EVERY)
    agent = train(run, budget)
    began = time.process_time()
    if job.arguments.get("without_detours"):
        agent.policy.detours = lambda patches: np.zeros(len(patches))
    row = measure(agent, mazes, **same) if same.get("goal") == "picture" else both_sizes(agent, mazes, **same)
    spent = budget.results["at_steps"]
    solved = first_reaching(budget.curve, "success", 0.95)
    return [
        {
            "environment_steps": spent["environment_steps"],
            "solved_steps": solved,
            **row,
            "cpu_seconds": spent["cpu_seconds"],
            "evaluation_cpu_seconds": round(time.process_time() - began, 2),
        }
    ]


def place(seeds: int, quick: bool) -> list[Job]:
    """The hierarchy, flat agents at equal steps, references; quick: one small training."""
    steps, mazes = (EVERY + 1, 20) if quick else (STEPS, MAZES)
    keywords = {"policy_kwargs": {"fields": fields().tolist()}}
    if quick:
        keywords |= {"n_steps": 100}  # type: ignore[dict-item]
    made = []
    for seed in range(seeds):
        run = Run(TASK, {}, "MapNavigator", agent_kwargs=keywords, steps=steps, seed=seed)
        made.append(Job("place", {"agent": HIERARCHY}, seed, learn, {"run": run, "mazes": mazes}))
        for name, flat in FLAT.items() if seed < FLAT_SEEDS and not quick else ():
            own = Run(flat.env_id, flat.env_kwargs, flat.algorithm, "", flat.agent_kwargs, steps, flat.lanes, seed)
            made.append(Job("place", {"agent": name}, seed, learn, {"run": own, "mazes": mazes}))
    if quick:
        return made
    run = Run(TASK, {}, "MapNavigator", agent_kwargs=keywords, steps=2 * EVERY)
    arguments = {"run": run, "mazes": mazes, "without_detours": True}
    made.append(Job("place", {"agent": "hierarchy, E = 0"}, 0, learn, arguments))
    keywords = {"policy_kwargs": {"fields": fields(FINE).tolist()}}
    for seed in range(min(seeds, FLAT_SEEDS)):
        run = Run(TASK, {"retina": FINE}, "MapNavigator", agent_kwargs=keywords, steps=STEPS, seed=seed)
        made.append(Job("place", {"agent": "hierarchy, 112 fields"}, seed, learn, {"run": run, "mazes": mazes}))
    known = {"random": {}, "planner": {}, "oracle": {}, **FAR_SEERS}
    return [
        Job("references", {"agent": name}, 0, reference, {"goal": "place", **more}) for name, more in known.items()
    ] + made


def picture(seeds: int, quick: bool) -> list[Job]:
    """Goals as pictures: the flat recurrent agent alone, for the hierarchy needs a place."""
    made = []
    for seed in range(0 if quick else min(seeds, FLAT_SEEDS)):
        run = Run(TASK, {"reward": "dense", "goal": "picture"}, "RecurrentPPO", "", PPO, STEPS, 64, seed)
        made.append(Job("picture", {"agent": "RecurrentPPO, flat"}, seed, learn, {"run": run, "mazes": MAZES}))
    names = () if quick else ("random", "oracle")
    return made + [Job("picture_references", {"agent": name}, 0, reference, {"goal": "picture"}) for name in names]


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts (all if none is given)."""
    table = {"place": place, "picture": picture}
    return [job for part in parts or PARTS for job in table[part](seeds, quick)]


def claims(rows: list[Row]) -> list[Claim]:
    """The bars of the hierarchy, and what the others reach."""
    made = []
    for agent in (
        HIERARCHY,
        "hierarchy, 112 fields",
        "hierarchy, E = 0",
        *FLAT,
        "planner",
        *FAR_SEERS,
        "random",
        "oracle",
    ):
        own = [row for row in rows if row["table"] in ("place", "references") and row["agent"] == agent]
        bars = (0.95, 0.8) if agent == HIERARCHY else (None, None)
        made += [
            make_claim(f"{agent}: SPL in unseen mazes, 11 x 11 cells", "SPL", own, mean_of("spl"), bars[0]),
            make_claim(f"{agent}: SPL in unseen mazes, 22 x 22 cells", "SPL", own, mean_of("wide_spl"), bars[1]),
        ]
    own = select(rows, table="place", agent=HIERARCHY)
    made.append(make_claim("hierarchy: steps to 95 % success, worst seed", "steps", own, _worst_steps))
    for agent in ("RecurrentPPO, flat", "random", "oracle"):
        own = [row for row in rows if row["table"].startswith("picture") and row["agent"] == agent]
        made.append(make_claim(f"{agent}: SPL, goals as pictures", "SPL", own, mean_of("spl")))
    return made


def _worst_steps(rows: list[Row]) -> float:
    return float(numbers(rows, "solved_steps").max())
