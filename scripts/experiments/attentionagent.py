"""Tang, Nguyen & Ha (2020): an evolved agent that acts on where it looks; what changes of the picture do to it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from ..shared.policies import Predictor
from ..shared.rollouts import EVALUATION_SEED, run_episodes
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job, jobs_of_parts
from .shared.strafing import Strafing

TITLE = "an agent that acts on where it looks, beside others that act on pixels, when the picture changes"
ID = "Foveal/TakeCover-v0"
SKIP = 4  # tics that an action lasts, for every policy
KEYWORDS: dict[str, Any] = {"frame_skip": SKIP, "actuators": "directions"}
PICTURES = ("none", "colour", "bars", "blob")  # perturbations; all agents are trained with the first
RANDOM, ORACLE = 249.0, 2100.0  # tics, as in `references`: 0 and 1 of the score
OURS, PPO, DREAM = "AttentionAgent", "PPO with a CNN", "VisionMemoryController"
SIZES = {OURS: 64, PPO: 64, DREAM: 32}  # pixels
LANES = {OURS: 48, PPO: 16, DREAM: 16}
SECONDS, QUICK_SECONDS = 150.0, 5.0  # of CPU, of one training
EPISODES, QUICK_EPISODES = 200, 10
STARTS, QUICK_STARTS = 1_000, 50  # of a reference
SWINGS = (16, 32, 40, 48, 56, 64, 80, 120, 200)  # tics each way, among which blind strafing has its best
SELECTION_SEED = 2 * EVALUATION_SEED  # of the episodes in which that is found
REWARDED = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": 2.5e-4, "clip_range": 0.1,
            "ent_coef": 0.01}  # fmt: skip


def survival(policy: Predictor | str, episodes: int, seed: int = EVALUATION_SEED, **keywords: Any) -> np.ndarray:
    """Tics (episodes,) that a policy survives, from starts that no training has."""
    return run_episodes(policy, ID, episodes, seed, **KEYWORDS, **keywords).returns


def trained(name: str, seed: int, seconds: float) -> Any:
    """An agent of that name, trained for so many CPU seconds, those of its making included."""
    deadline = time.process_time() + seconds
    from stable_baselines3 import PPO as StablePPO
    from stable_baselines3.common.vec_env import VecNormalize

    from agents import AttentionAgent, VisionMemoryController, make_sb3

    env = make_sb3(ID, LANES[name], seed=10_000 * (seed + 1), size=SIZES[name], **KEYWORDS)
    if name == OURS:
        agent: Any = AttentionAgent(env=env, seed=seed)
    elif name == DREAM:
        agent = VisionMemoryController(env=env, seed=seed)
    else:
        scaled = VecNormalize(env, norm_obs=False)
        agent = StablePPO("CnnPolicy", scaled, seed=seed, device="cpu", **REWARDED)
    agent.learn(10**9, callback=lambda *_: time.process_time() < deadline, log_interval=None)
    env.close()
    return agent


def learn(job: Job) -> list[Row]:
    """Train one agent on the plain picture; how long it survives with that, and with each that is changed."""
    name, episodes = job.conditions["agent"], job.arguments["episodes"]
    began = time.process_time()
    agent = trained(name, job.seed, job.arguments["cpu_seconds"])
    spent = {"environment_steps": agent.num_timesteps, "cpu_seconds": round(time.process_time() - began, 2)}
    means = {
        picture: float(survival(agent, episodes, size=SIZES[name], perturbation=picture).mean()) for picture in PICTURES
    }
    gained = means["none"] - RANDOM
    return [
        {
            "perturbation": picture,
            "survived": round(mean, 2),
            "score": round((mean - RANDOM) / (ORACLE - RANDOM), 4),
            "loss": round((means["none"] - mean) / gained, 4) if gained > 0 else float("nan"),
            **spent,
        }
        for picture, mean in means.items()
    ]


def refer(job: Job) -> list[Row]:
    """How long a policy survives that is not trained, and to which the picture makes no difference."""
    name, starts = job.conditions["policy"], job.arguments["starts"]
    seed, small, swing = EVALUATION_SEED + starts * job.seed, {"size": 16}, 0
    policy: Predictor | str = name
    if name not in ("random", "oracle"):
        if name == "strafing":
            found = [
                survival(Strafing(tics, SKIP, choices=True), starts, SELECTION_SEED, **small).mean() for tics in SWINGS
            ]
            swing = SWINGS[int(np.argmax(found))]
        policy = Strafing(swing, SKIP, choices=True)
    tics = survival(policy, starts, seed, **small)
    mean = float(tics.mean())
    score = round((mean - RANDOM) / (ORACLE - RANDOM), 4)
    return [{"survived": round(mean, 2), "score": score, "swing": swing, "environment_steps": int(tics.sum() // SKIP)}]


def agents(table: str, name: str, seeds: int, quick: bool) -> list[Job]:
    """One training a seed of the agent of that name."""
    arguments = {
        "cpu_seconds": QUICK_SECONDS if quick else SECONDS,
        "episodes": QUICK_EPISODES if quick else EPISODES,
    }
    return [Job(table, {"agent": name}, seed, learn, arguments) for seed in range(seeds)]


def references(seeds: int, quick: bool) -> list[Job]:
    """What is known without training; a seed is another set of starts."""
    arguments = {"starts": QUICK_STARTS if quick else STARTS}
    return [
        Job("references", {"policy": name}, seed, refer, arguments)
        for name in ("standing still", "random", "strafing", "oracle")
        for seed in range(1 if quick else min(seeds, 3))
    ]


PARTS: dict[str, Any] = {
    "main": partial(agents, "main", OURS),
    "perturbations": partial(agents, "perturbations", PPO),
    "world-model": partial(agents, "world_model", DREAM),
    "references": references,
}
QUICK = ("main", "references")


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the chosen parts; quick: without those of other agents, unless they are named."""
    return jobs_of_parts(PARTS, parts or (QUICK if quick else ()), seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Survival over that of the random policy, and what each change of the picture takes from it."""
    made = []
    for table, name in (("main", OURS), ("perturbations", PPO), ("world_model", DREAM)):
        own = select(rows, table=table, agent=name)
        plain = select(own, perturbation="none")
        bar = 0.6 if name == OURS else None
        made += [
            make_claim(f"{name}: seeds that survive twice as long as the random policy", "share", plain, _doubled, bar),
            make_claim(f"{name}: tics survived", "tics", plain, mean_of("survived")),
            make_claim(f"{name}: normalised score", "score", plain, mean_of("score")),
        ]
        made += [
            make_claim(f"{name}, {picture}: share of the gain lost", "share", select(own, perturbation=picture),
                       mean_of("loss"))
            for picture in PICTURES[1:]
        ]  # fmt: skip
    ours = _changed(rows, OURS)
    for name in (PPO, DREAM):
        if theirs := _changed(rows, name):
            text = f"share of the gain lost under all perturbations, {OURS} / {name}"
            made.append(make_claim(text, "times", ours, partial(_over, mean_of("loss")(theirs)), None, 0.5))
    for name in ("standing still", "random", "strafing", "oracle"):
        own = select(rows, table="references", policy=name)
        made.append(make_claim(f"{name}: tics survived", "tics", own, mean_of("survived")))
    return made


def _changed(rows: list[Row], name: str) -> list[Row]:
    """Rows of an agent that sees a changed picture."""
    return [row for row in select(rows, agent=name) if row["perturbation"] != "none"]


def _doubled(rows: list[Row]) -> float:
    return float((numbers(rows, "survived") >= 2 * RANDOM).mean())


def _over(others: float, rows: list[Row]) -> float:
    return mean_of("loss")(rows) / others
