"""Every id by its recipe, and by what one would try first, at the recipe's steps or a budget of CPU seconds."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.preprocessing import is_image_space

from foveal_envs import IDS

from ..recipes import find_recipe
from ..shared.environments import make_lanes
from ..shared.rollouts import EVALUATION_SEED
from ..shared.runs import Run, create_folder
from ..shared.suite import run as play
from ..shared.suite import score_suite, task_of
from ..shared.tables import numeric, read_rows
from ..shared.training import finish
from .shared.claims import Claim, Row, make_claim, mean_of, median_of, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "leaderboard: every id by its recipe and by what one would try first, at the recipe's steps"
RECIPE = "recipe"
REACHED = 0.9  # of the recipe's recorded score: a trained agent
SEEDS, EPISODES, CURVE = 3, 1000, 200  # episodes of a final score, and of a point on the way
SECONDS = 100.0  # of CPU: no peer trains longer, but where half of the recipe is more
SCORES = Path(__file__).parents[2] / "docs" / "results" / "recipes" / "scores.csv"
ON_POLICY: dict[str, Any] = {"n_epochs": 4, "learning_rate": "lin_1e-3"}
NET = [128, 128]
EPISODE = 25  # moves of most tasks with a fovea: with rollouts of 32 PPO comes and goes there
OFF_POLICY: dict[str, Any] = {"learning_rate": 1e-3, "policy_kwargs": {"net_arch": NET}}
OFF_LANES = 8  # so SAC learns once in 8 environment steps, and DQN once in 32
PIXELS: dict[str, Any] = {  # what RL Zoo has for Atari, with convolutions
    "n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": "lin_2.5e-4", "clip_range": "lin_0.1",
    "ent_coef": 0.01,
}  # fmt: skip
OFF_PIXELS: dict[str, Any] = {"learning_rate": 1e-4, "buffer_size": 100_000, "exploration_final_eps": 0.01}
CONTRIB, MLP = "RecurrentPPO of sb3-contrib", "PPO with an MLP"


class Spent(Exception):
    """A peer has had its CPU seconds."""


def learners(env_id: str) -> dict[str, Run]:
    """The recipe of an id, and the peers that fit its spaces, with the recipe's discount, lanes and steps.

    A recipe with a single lane, of a compiled table, would slow the others down: they have eight. So do those that see
    images by convolutions, with RL Zoo's settings for Atari; there PPO has the net of the other ids, too.
    """
    recipe = find_recipe(env_id)
    own = recipe.run()
    envs = make_lanes(env_id, own.env_kwargs, 1)
    observes, acts = envs.single_observation_space, envs.single_action_space
    envs.close()
    goals = isinstance(observes, gym.spaces.Dict)
    gamma = own.agent_kwargs.get("gamma", 0.95 if goals else 0.99)
    spread = {"log_std_init": -0.5} if isinstance(acts, gym.spaces.Box) else {}
    steps, lanes = own.agent_kwargs.get("n_steps") or EPISODE, max(own.lanes, OFF_LANES)
    on = {**ON_POLICY, "n_steps": steps, "batch_size": max(32, lanes * steps // 4)}
    net, memory = {"net_arch": NET, **spread}, {"lstm_hidden_size": NET[0], **spread}

    def peer(algorithm: str, lanes: int = lanes, **more: Any) -> Run:
        plain = replace(own, lessons={}, preset="default", steps=own.total)
        return replace(plain, algorithm=algorithm, lanes=lanes, agent_kwargs={"gamma": gamma, **more})

    found = {RECIPE: own, "PPO": peer("PPO", **on, policy_kwargs=net)}
    if pixels := is_image_space(observes):
        found |= {
            MLP: replace(found["PPO"], agent_kwargs={"policy": "MlpPolicy", **found["PPO"].agent_kwargs}),
            "PPO": peer("PPO", OFF_LANES, **PIXELS, policy_kwargs=spread),
            CONTRIB: peer("sb3_contrib:RecurrentPPO", OFF_LANES, **PIXELS, policy_kwargs=spread),
        }
    else:
        found[CONTRIB] = peer("sb3_contrib:RecurrentPPO", **on, policy_kwargs=memory)
    off_policy = {gym.spaces.Discrete: "DQN", gym.spaces.Box: "SAC"}.get(type(acts))
    if off_policy is not None:
        relabelled = {"replay_buffer_class": "HerReplayBuffer"} if goals else {}
        name = f"{off_policy} with HER" if goals else off_policy
        off = {**(OFF_PIXELS if pixels else OFF_POLICY), "learning_starts": min(5_000, own.total // 10)}
        found[name] = peer(off_policy, OFF_LANES, **off, **relabelled)
    return found


def learn(job: Job) -> list[Row]:
    """Train one learner; its normalised score, and when it had learned most of what the recipe reaches."""
    run: Run = job.arguments["run"]
    (unit, measure), *_ = task_of(run.env_id)
    zero, one, wanted, spent = _heights(run.env_id)
    budget = np.inf if job.conditions["agent"] == RECIPE else max(SECONDS, spent / 2)
    reached: dict[str, float] = {}
    last: dict[str, float] = {}

    with tempfile.TemporaryDirectory() as name:
        folder = create_folder(run, Path(name) / "run")

        def judge(point: dict[str, float], agent: Any) -> None:
            last.update(point)
            if not reached:
                value = measure(play(agent, run.env_id, run.env_kwargs, CURVE, EVALUATION_SEED))
                reached.update(point if (value - zero) / (one - zero) >= wanted else {})
            if point["cpu_seconds"] >= budget and point["environment_steps"] < run.total:
                agent.save(folder / "model.zip")
                raise Spent

        with suppress(Spent):
            finish(run, folder, progress_bar=False, minutes=1e6, judge=judge, seconds=budget)
        line = score_suite([run.env_id], [str(folder)], EPISODES, 1, trust=True)[-1]
    return [
        {
            "unit": unit,
            "value": float(line.values[0]),
            "score": float(line.scores[0]),
            "solved_steps": reached.get("environment_steps", np.inf),
            "solved_cpu_seconds": reached.get("cpu_seconds", np.inf),
            "environment_steps": last["environment_steps"],
            "cpu_seconds": last["cpu_seconds"],
        }
    ]


def refer(job: Job) -> list[Row]:
    """Scores of the random policy and of the references of an id, from one set of starts."""
    env_id = job.conditions["id"]
    keywords = find_recipe(env_id).run().env_kwargs
    lines = score_suite([env_id], [], EPISODES, 1, seed=EVALUATION_SEED + EPISODES * job.seed, keywords=keywords)
    return [
        {"policy": line.policy, "unit": line.unit, "value": float(line.values[0]), "score": float(line.scores[0])}
        for line in lines
    ]


@cache
def _heights(env_id: str) -> tuple[float, float, float, float]:
    """An id's unit by the random policy and by the best reference; the normalised score and the CPU seconds of recipes.

    The score is that from which an agent counts as trained; both are those recorded with the recipes.
    """
    (_, measure), best, _ = task_of(env_id)
    keywords = find_recipe(env_id).run().env_kwargs
    zero, one = (measure(play(name, env_id, keywords, CURVE, EVALUATION_SEED)) for name in ("random", best))
    rows = select(numeric(read_rows(SCORES)), id=env_id)
    return zero, one, REACHED * mean_of("score")(rows), mean_of("cpu_seconds")(rows)


def part(env_id: str, seeds: int, quick: bool) -> list[Job]:
    """All learners of an id."""
    made = []
    for name, run in learners(env_id).items():
        if quick:
            run = replace(run, steps=min(run.steps, 20_000))
        made += [
            Job("leaderboard", {"id": env_id, "agent": name}, seed, learn, {"run": replace(run, seed=seed)})
            for seed in range(1 if quick else min(seeds, SEEDS))
        ]
    references = [Job("references", {"id": env_id}, seed, refer) for seed in range(1 if quick else SEEDS)]
    return references + sorted(made, key=lambda job: job.seed)


NAMES = {env_id.partition("/")[2].removesuffix("-v0"): env_id for env_id in IDS}
QUICK = ("Parking",)
PARTS: dict[str, Any] = {name: partial(part, env_id) for name, env_id in NAMES.items()}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given ids, all if none is given; quick: one that takes seconds."""
    return jobs_of_parts(PARTS, parts or (QUICK if quick else ()), seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Scores, and the CPU seconds until an agent is trained, over those of the best peer."""
    made = []
    for name, env_id in NAMES.items():
        own = select(rows, table="leaderboard", id=env_id)
        agents = dict.fromkeys(row["agent"] for row in own)
        seconds = {}
        for agent in agents:
            mine = select(own, agent=agent)
            made.append(make_claim(f"{name}, {agent}: normalised score", "score", mine, mean_of("score")))
            seconds[agent] = median_of("solved_cpu_seconds")(mine)
        peers = [seconds[agent] for agent in agents if agent != RECIPE]
        if RECIPE in seconds and peers:
            text = f"{name}: CPU seconds to a trained agent, recipe / best peer"
            made.append(make_claim(text, "times", select(own, agent=RECIPE), partial(_over, min(peers)), None, 1 / 3))
    return made


def _over(best: float, rows: list[Row]) -> float:
    own = float(np.median(numbers(rows, "solved_cpu_seconds")))
    return own / best if np.isfinite(best) or np.isfinite(own) else float("nan")
