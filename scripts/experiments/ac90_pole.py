"""Schmidhuber (1990): a pole balanced without velocities, by a recurrent controller and world model that know pain."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..shared.rollouts import EVALUATION_SEED, run_episodes
from .shared.claims import Claim, Row, make_claim, mean_of, median_of, numbers, select, share_solved
from .shared.jobs import Job, jobs_of_parts
from .shared.solving import Solving

TITLE = "a pole balanced without velocities, from pain at failure alone"
TASK = "Foveal/Pole-v0"
STEPS, EVERY = 40_000, 1000  # environment steps, and those between tests
STARTS, MANY = 8, 100  # fresh starts of a test, and of the kept policy's
AGENT: dict[str, Any] = {
    "core": "elman",
    "core_kwargs": {"size": 16},
    "model_core": "lstm",
    "model_core_kwargs": {"size": 32},
    "n_steps": 20,
    "updates": 1,
    "batch_size": 24,
    "window": 20,
    "noise": 0.5,
    "persistence": 0.0,
    "gamma": 0.99,
    "td_lambda": 0.95,
    "saturation": 0.0,
}


def learn(job: Job) -> list[Row]:
    """Train one agent in one environment; test it all the while from fresh starts, and once the policy it kept."""
    from agents import KeepBest, WorldModelController, make_sb3

    keywords = {"actuators": job.conditions["actuators"]}
    trials = 0

    def balanced(learner: Any, starts: int, seed: int) -> np.ndarray:
        played = run_episodes(learner, TASK, starts, EVALUATION_SEED + seed, **keywords)
        return np.asarray(played.measures["is_success"])

    def test(learner: Any, ends: bool) -> tuple[bool, dict[str, float]]:
        nonlocal trials
        standing = balanced(learner, STARTS, MANY * (1 + learner.num_timesteps))
        solved = bool(standing.all())
        if tested.row["solved_steps"] == np.inf:
            trials = kept.episodes
        return solved, {"balanced": float(standing.mean()), "trials": trials}

    env = make_sb3(TASK, 1, seed=10_000 * (job.seed + 1), **keywords)
    agent = WorldModelController("MlpPolicy", env, seed=job.seed, **AGENT)
    tested, kept = Solving(test, EVERY, job.arguments["steps"], stops=False), KeepBest()
    agent.learn(job.arguments["steps"], callback=[kept, tested], log_interval=None)
    kept.restore()
    env.close()
    share = float(balanced(agent, MANY, 0).mean())
    return [{**tested.row, "kept_at": kept.steps, "kept_balanced": share}]


def pole(seeds: int, quick: bool) -> list[Job]:
    """A push of any force, and bang-bang."""
    names = ("force",) if quick else ("force", "bang-bang")
    arguments = {"steps": 4000 if quick else STEPS}
    return [Job("pole", {"actuators": name}, seed, learn, arguments) for name in names for seed in range(seeds)]


PARTS = {"pole": pole}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Shares of the seeds, trials, and what the kept and the last policies do."""
    made = []
    for actuators in ("force", "bang-bang"):
        own, force = select(rows, table="pole", actuators=actuators), actuators == "force"
        text = f"{actuators}: share of seeds that balance {STARTS} starts for 1,000 moves at some test"
        made.append(make_claim(text, "of seeds", own, share_solved, 0.9 if force else None))
        text = f"{actuators}: share of seeds whose kept policy balances all of {MANY} starts"
        made.append(make_claim(text, "of seeds", own, lambda r: float((numbers(r, "kept_balanced") == 1).mean()),
                               0.8 if force else None))  # fmt: skip
        for measure, text in (("kept_balanced", f"kept policies balance, of {MANY} starts"),
                              ("balanced", f"last policies balance, of {STARTS} starts")):  # fmt: skip
            made.append(make_claim(f"{actuators}: {text}", "share", own, mean_of(measure)))
        for measure, unit in (("trials", "trials"), ("solved_steps", "steps"), ("solved_cpu_seconds", "CPU seconds")):
            text = f"{actuators}: {unit} until then, median of the seeds"
            made.append(make_claim(text, unit, own, median_of(measure)))
    return made
