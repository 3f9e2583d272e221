"""Schmidhuber (1990): the flip-flop learned on-line through a recurrent world model, with pain as the only signal."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..shared.rollouts import EVALUATION_SEED, run_episodes
from .shared.claims import Claim, Row, make_claim, median_of, select, share_solved
from .shared.jobs import Job, jobs_of_parts
from .shared.solving import Solving

TITLE = "a flip-flop with unknown lags, learned through a world model from pain alone"
TASK: dict[str, Any] = {"env_id": "Foveal/FlipFlop-v0", "answers": "real"}
STREAMS, STEPS, EVERY = 16, 400_000, 10_000  # environment steps, and those between tests
TESTED = {"starts": 4, "moves": 280}  # 1,120 decisions
ALONE = 160_000  # steps that M learns from before C does, in the form that is sequential at first
FORMS = {"sequential, then parallel": ALONE, "parallel": 0}
CORES = ("lstm", "elman")
AGENT: dict[str, Any] = {
    "gradient": "real",  # events come from outside: they cannot be imagined
    "core_kwargs": {"size": 16},
    "model_core_kwargs": {"size": 32},
    "evaluator": False,
    "gamma": 0.0,  # an answer changes nothing that comes later
    "n_steps": 10,
    "window": 10,
    "updates": 1,
    "batch_size": STREAMS,
    "burn_in": 0,  # states are carried on
    "end_share": 0.0,
    "noise": 0.0,
    "random_share": 0.3,
    "saturation": 2e-3,
    "learning_rate": 5e-3,
    "model_learning_rate": 1e-2,
    "final_rate": 1.0,
}


def learn(job: Job) -> list[Row]:
    """Train one agent until it answers all of fresh streams rightly, or its steps are spent."""
    from agents import WorldModelController, make_sb3

    core, steps = job.conditions["core"], job.arguments["steps"]

    def test(learner: Any, ends: bool) -> tuple[bool, dict[str, float]]:
        played = run_episodes(learner, seed=EVALUATION_SEED + 100 * learner.num_timesteps, **TESTED, **TASK)
        right = played.measures["accuracy"]
        return bool((right == 1).all()), {"accuracy": float(right.mean())}

    env = make_sb3(TASK["env_id"], STREAMS, seed=10_000 * (job.seed + 1), answers=TASK["answers"])
    agent = WorldModelController(
        "MlpPolicy", env, core=core, model_core=core, model_steps=FORMS[job.conditions["form"]], seed=job.seed, **AGENT
    )
    tested = Solving(test, EVERY, steps)
    agent.learn(steps, callback=tested, log_interval=None)
    env.close()
    return [tested.row]


def flipflop(seeds: int, quick: bool) -> list[Job]:
    """LSTM and Elman nets, as C and as M."""
    arguments = {"steps": 40_000 if quick else STEPS}
    forms, cores = (list(FORMS)[1:], CORES[:1]) if quick else (FORMS, CORES)
    return [
        Job("flipflop", {"form": form, "core": core}, seed, learn, arguments)
        for form in forms
        for core in cores
        for seed in range(seeds)
    ]


PARTS = {"flipflop": flipflop}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Shares of the seeds that solve it, and what that takes."""
    made = []
    for form, core in ((form, core) for form in FORMS for core in CORES):
        own = select(rows, table="flipflop", form=form, core=core)
        text = f"{form}, {core}: share of seeds right in all of 1,120 decisions"
        made.append(make_claim(text, "of seeds", own, share_solved, 0.9 if FORMS[form] else None))
        for measure, unit in (("solved_steps", "steps"), ("solved_cpu_seconds", "CPU seconds")):
            text = f"{form}, {core}: {unit} until then, median of the seeds"
            made.append(make_claim(text, unit, own, median_of(measure)))
    return made
