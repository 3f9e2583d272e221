"""Gomez & Schmidhuber (2005): poles balanced without velocities, by nets whose fast weights a slow net writes."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch

from agents import Evolution, make_sb3
from foveal_envs.tasks.control.double_pole import CELLS

from ..shared.environments import make_lanes
from ..shared.rollouts import rollout
from .shared.claims import Claim, Row, make_claim, mean_of, median_of, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "two poles balanced without velocities, by evolved fast weights and others"
TASK = "foveal_envs:Foveal/DoublePole-v0"
LIMIT, SECONDS = 40_000, 5.0  # evaluations, and CPU seconds, of `hold`
BUDGETS, QUICK = {"starts": 20.0, "longer": 60.0, "modular": 60.0}, 3.0  # CPU seconds
LONG = 100_000  # moves of the usual test
ENOUGH = 200  # starts
POPULATION = 32
SEEDS = 3  # of `modular`
NETS: dict[str, dict[str, Any]] = {
    "fast weights": {
        "net": "fast_weights",
        "net_kwargs": {"hidden": 3},
        "scales": {"output": 10.0, "output_bias": 10.0},
    },
    "recurrent": {"net": "recurrent", "net_kwargs": {"hidden": 5}, "scales": {"output": 10.0, "output_bias": 10.0}},
    "linear, delay line": {
        "net": "linear",
        "net_kwargs": {"differences": True, "bias": False},
        "scales": {"read": 10.0, "differences": 10.0},
    },
}
REMEMBERING = ("fast weights", "recurrent")  # without differences of positions
STARTS = {"starts": tuple(NETS), "longer": REMEMBERING}  # who is tried, for each budget
STANDARD: dict[str, Any] = {"episodes": 1, "gamma": 0.98, "test_every": 1, "test_episodes": 1, "patience": 50}
UNIFORM: dict[str, Any] = {"episodes": 8, "gamma": 0.99, "test_every": 5, "test_episodes": 64}
GRID: dict[str, Any] = {"episodes": 8, "gamma": 0.995, "sigma": 0.1, "test_every": 5, "test_episodes": 64}


def held(agent: Any) -> bool:
    """Whether the mean has balanced in all episodes of a test."""
    return bool(agent.best == 0)


def evaluations(agent: Any) -> int:
    """Episodes of whole generations so far, tests of the mean included."""
    tests = agent.generation // agent.test_every * agent.test_episodes
    return int(agent.generation * agent.population * agent.episodes + tests)


def evolution(job: Job, start: str, settings: dict[str, Any]) -> Evolution:
    """An agent with a lane for every episode of a generation."""
    lanes = POPULATION * settings["episodes"] + settings["test_episodes"]
    env = make_sb3(TASK, lanes, poles=job.conditions["poles"], start=start)
    return Evolution(env=env, seed=job.seed, population=POPULATION, **NETS[job.conditions["net"]], **settings)


def hold(job: Job) -> list[Row]:
    """Evolves from the standard start until the policy balances for 1,000 moves."""
    evolution(job, "standard", STANDARD).learn(1)  # compiles
    began = time.process_time()
    agent = evolution(job, "standard", STANDARD)
    agent.learn(10**12, lambda *_: not held(agent) and evaluations(agent) < LIMIT, log_interval=None)
    spent, holds = round(time.process_time() - began, 2), held(agent)
    return [{
        "held": float(holds),
        "evaluations": evaluations(agent) if holds else np.inf,
        "held_cpu_seconds": spent if holds else np.inf,
        "restarts": agent.search.restarts,
        "moves": moves(agent, job.conditions["poles"]),
        "starts": int(balanced(agent, job.conditions["poles"]).sum()),
        "environment_steps": agent.num_timesteps,
        "cpu_seconds": spent,
    }]  # fmt: skip


def generalise(job: Job) -> list[Row]:
    """Evolves from starts near the upright poles until it holds from all of a test, then from those of the grid."""
    budget, stages = job.arguments["cpu_seconds"], (("uniform", UNIFORM), ("grid", GRID))
    for start, settings in stages:
        evolution(job, start, settings).learn(1)  # compiles
    row: Row = {"evaluations": 0, "environment_steps": 0, "cpu_seconds": 0.0}
    weights = None
    for start, settings in stages:
        began = time.process_time()
        agent = evolution(job, start, settings)
        if weights is not None:
            with torch.no_grad():
                agent.policy.weights.copy_(weights)
        goes_on = partial(_goes_on, agent, began + budget - row["cpu_seconds"], start == "uniform")
        agent.learn(10**12, goes_on, log_interval=None)
        row["cpu_seconds"] = round(row["cpu_seconds"] + time.process_time() - began, 2)
        row["evaluations"] += evaluations(agent)
        row["environment_steps"] += agent.num_timesteps
        forms = balanced(agent, job.conditions["poles"]).reshape(-1, CELLS).sum(1).tolist()
        named = zip(("single_", "jointed_") if len(forms) == 2 else ("",), forms, strict=True)
        row |= {f"{form}{'starts' if start == 'grid' else 'starts_before'}": count for form, count in named}
        weights = agent.policy.weights
    return [row]


def _goes_on(agent: Any, deadline: float, until_held: bool, *_: Any) -> bool:
    return time.process_time() < deadline and not (until_held and held(agent))


def balanced(agent: Any, poles: str) -> np.ndarray:
    """Which of the grid's 625 starts, of each form, a policy balances for 1,000 moves."""
    count = CELLS * (1 + (poles == "mixed"))
    env = make_lanes(TASK, {"poles": poles, "start": "grid"}, count, info="step")
    measures: dict[str, np.ndarray] = {}
    for move in rollout(env, agent, 0, options={"episode_key": np.arange(count)}):
        measures = move.measures(measures)
    env.close()
    return measures["is_success"]


def moves(agent: Any, poles: str) -> int:
    """How long a policy goes on from the standard start."""
    env = make_lanes(TASK, {"poles": poles, "max_episode_steps": LONG}, 1)
    last = max(move.number for move in rollout(env, agent, 0))
    env.close()
    return last


def hold_jobs(seeds: int, quick: bool) -> list[Job]:
    """Two poles side by side, and one on the other, by every net."""
    return [
        Job("hold", {"poles": poles, "net": net}, seed, hold)
        for poles in (("jointed",) if quick else ("double", "jointed"))
        for net in NETS
        for seed in range(seeds)
    ]


def starts_jobs(table: str, seeds: int, quick: bool) -> list[Job]:
    """Two poles side by side, from many starts."""
    nets = STARTS[table]
    arguments = {"cpu_seconds": QUICK if quick else BUDGETS[table]}
    return [
        Job(table, {"poles": "double", "net": net}, seed, generalise, arguments)
        for net in (nets[:1] if quick else nets)
        for seed in range(seeds)
    ]


def modular_jobs(seeds: int, quick: bool) -> list[Job]:
    """A single pole or a jointed one, by nets that might tell which; at most three seeds."""
    arguments = {"cpu_seconds": QUICK if quick else BUDGETS["modular"]}
    return [
        Job("modular", {"poles": "mixed", "net": net}, seed, generalise, arguments)
        for net in (REMEMBERING[:1] if quick else REMEMBERING)
        for seed in range(min(seeds, SEEDS))
    ]


PARTS = {
    "hold": hold_jobs,
    **{table: partial(starts_jobs, table) for table in STARTS},
    "modular": modular_jobs,
}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Seeds that hold in time, starts balanced, and what the other nets do."""
    made = []
    for poles in ("double", "jointed"):
        for net in NETS:
            own, fast = select(rows, table="hold", poles=poles, net=net), net == "fast weights"
            text = f"{poles}, {net}: share of seeds that hold 1,000 moves within {LIMIT:,} evaluations"
            made.append(make_claim(text, "of seeds", own, mean_of("held"), 0.9 if fast else None, quick=True))
            text = f"{text[: text.index(' within')]} within {SECONDS:g} CPU s"
            made.append(make_claim(text, "of seeds", own, _in_time, 0.9 if fast else None))
            for name, unit in (("evaluations", "evaluations"), ("held_cpu_seconds", "CPU seconds"), ("moves", "moves"),
                               ("starts", f"of {CELLS} starts")):  # fmt: skip
                text = f"{poles}, {net}: {name.replace('_', ' ')}, median of the seeds"
                made.append(make_claim(text, unit, own, median_of(name)))
    for table, net in [(table, net) for table, nets in STARTS.items() for net in nets]:
        own, after = select(rows, table=table, net=net), f"after {BUDGETS[table]:g} CPU s"
        text = f"{net}: share of seeds that balance {ENOUGH} of {CELLS} starts {after}"
        made.append(make_claim(text, "of seeds", own, _enough, 0.5 if net == "fast weights" else None))
        text = f"{net}: starts balanced {after}, median of the seeds"
        made.append(make_claim(text, "starts", own, median_of("starts")))
        text = f"{net}: starts balanced before any was played, {after}, median of the seeds"
        made.append(make_claim(text, "starts", own, median_of("starts_before")))
    for net in REMEMBERING:
        own = select(rows, table="modular", net=net)
        for form in ("single", "jointed"):
            text = f"mixed, {net}: {form} starts balanced, of {CELLS}, mean of the seeds"
            made.append(make_claim(text, "starts", own, mean_of(f"{form}_starts")))
    return made


def _in_time(rows: list[Row]) -> float:
    return float((numbers(rows, "held_cpu_seconds") <= SECONDS).mean())


def _enough(rows: list[Row]) -> float:
    return float((numbers(rows, "starts") >= ENOUGH).mean())
