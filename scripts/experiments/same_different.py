"""SameDifferent: what a gaze is worth that has been taught to look around, with and without memory."""

from __future__ import annotations

import time
from typing import Any

from foveal_envs.reference import make_reference

from ..shared.environments import make_lanes
from .ram import GAZES, FixedGaze
from .search import play
from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "are two distant objects the same: a taught gaze, with and without memory, beside gazes that see nothing"
TASK = "Foveal/SameDifferent-v0"
CHANCE = 0.5
CORES: dict[str, dict[str, Any]] = {
    "lstm": {"size": 128},
    "gated_delta": {"size": 128, "heads": 4, "key_size": 16, "value_size": 16},
    "feedforward": {"hidden": (128,)},
}
PPO = {"n_steps": 12, "n_minibatches": 8, "n_epochs": 3, "gamma": 0.97}
NET = {"encoder": (128,), "net_arch": (64,), "activation": "relu", "log_std_init": -2.5}
LANES = 256
RATES = 2e-3, 3e-4  # of learning, at the start of the lessons and of what follows
LABELS = 5.0, 1.0  # weight of the names, in the lessons and afterwards


def learn(job: Job) -> list[Row]:
    """Imitate the seeker, then improve by reward; a fixed gaze is not taught, and learns the names alone."""
    import torch

    from agents import GymnasiumVecEnv, Recogniser

    core, gaze, lessons, steps = (job.conditions["core"], job.conditions["gaze"], *job.arguments["steps"])

    def lanes(count: int, **more: Any) -> Any:
        env = make_lanes(TASK, {"proprioception": True}, count, **more)
        return env if gaze == "learned" else FixedGaze(env, gaze)

    env = lanes(LANES, autoreset_mode="same_step")
    env.action_space.seed(job.seed)
    vec_env = GymnasiumVecEnv(env)
    vec_env.seed(10_000 * (job.seed + 1))
    torch.manual_seed(job.seed)
    rate = RATES[gaze == "learned"]
    agent = Recogniser(
        "RecognitionPolicy", vec_env, classes=2, label_coef=LABELS[0], core=core, core_kwargs=CORES[core],
        policy_kwargs=NET, seed=job.seed, learning_rate=lambda left: rate * left, **PPO,
    )  # fmt: skip
    since = time.process_time()
    if gaze == "learned":
        agent.imitate(make_reference("seek", env), lessons, learning_rate=lambda left: RATES[0] * left,
                      log_interval=None)  # fmt: skip
    agent.label_coef = LABELS[1]
    agent.learn(steps if gaze == "learned" else lessons + steps, log_interval=None)
    spent = round(time.process_time() - since, 2)
    played = play(lanes(job.arguments["episodes"], info="step"), agent, job.seed, deterministic=True)
    env.close()
    return [{"right": played["found"], "environment_steps": lessons + steps, "cpu_seconds": spent}]


def learned(seeds: int, quick: bool) -> list[Job]:
    """Three cores with the gaze that they learn, the LSTM with three that ignore what is seen."""
    arguments = {"steps": (20_000, 10_000) if quick else (1_000_000, 2_000_000), "episodes": 200 if quick else 2000}
    pairs = [*((core, "learned") for core in CORES), *(("lstm", gaze) for gaze in GAZES)]
    return [
        Job("learned", {"core": core, "gaze": gaze}, seed, learn, arguments)
        for seed in range(seeds)
        for core, gaze in pairs[: 1 if quick else None]
    ]


PARTS = {"learned": learned}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the chosen parts; one seed if quick."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Right with memory, at chance without, and gazes that see nothing close less than half of the gap from chance."""
    taught = {core: select(rows, core=core, gaze="learned") for core in CORES}
    best = max((_right(mine) for mine in taught.values() if mine), default=1.0)
    made = [
        make_claim(f"{core}: right answers", "share", mine, _right,
                   *((0.95, None) if core != "feedforward" else (None, CHANCE + 0.05)))
        for core, mine in taught.items()
    ]  # fmt: skip
    made += [
        make_claim(f"{gaze} gaze, trained for it: share of the gap from chance to best", "share",
                   select(rows, gaze=gaze), lambda r: (_right(r) - CHANCE) / (best - CHANCE), None, 0.5)
        for gaze in GAZES
    ]  # fmt: skip
    return made


def _right(rows: list[Row]) -> float:
    return float(numbers(rows, "right").mean())
