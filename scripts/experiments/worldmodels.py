"""Ha & Schmidhuber (2018): a controller that evolves in the dream of V and M, and then plays TakeCover."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ..shared.plots import interquartile_mean
from ..shared.rollouts import run_episodes
from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "world models: TakeCover by a controller that trained in a dream alone"
PARTS = ("main", "references", "temperature", "inputs")
TAKE_COVER = "Foveal/TakeCover-v0"
SKIP = 4  # tics that an action lasts, for every policy
KEYWORDS = {"size": 32, "frame_skip": SKIP}
LANES, EPISODES = 16, 200
GENERATIONS = 60
QUICK: dict[str, Any] = {"frames": 600, "population": 8, "episodes": 2, "test_episodes": 4, "horizon": 20}
TEMPERATURES = (0.3, 0.7, 1.0, 1.15, 1.3)
BLIND_TICS, RANDOM_TICS = 320.0, 250.0  # bars: the best blind policy and random play, see the task's own table
HALVES = (30, 40, 55, 75)  # tics of blind strafing in one direction
REFERENCES = ("random", "stay", "strafe", "oracle")
FEW = 3  # seeds of the parts that compare


class _Generations(BaseCallback):
    """Ends training after so many generations."""

    def __init__(self, generations: int) -> None:
        super().__init__()
        self.generations = generations

    def _on_step(self) -> bool:
        return bool(self.model.generation < self.generations)  # type: ignore[attr-defined]


class Strafing:
    """Goes one way for `half` tics and then the other way, from the middle at first for half as long; 0: stays.

    Args:
        half: tics.
    """

    def __init__(self, half: int) -> None:
        self.half = half

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        steps = np.zeros(len(observation), np.int64) if state is None else np.where(episode_start, 0, state)
        way = np.zeros(len(steps))
        if self.half:
            way = 1.0 - 2.0 * ((SKIP * steps + self.half // 2) // self.half % 2)
        return way[:, None].astype(np.float32), steps + 1


def survival(policy: Any, episodes: int) -> dict[str, float]:
    """Mean tics of fresh episodes, and their standard error."""
    tics = run_episodes(policy, TAKE_COVER, episodes, **KEYWORDS).returns
    return {"tics": float(tics.mean()), "standard_error": float(tics.std(ddof=1) / np.sqrt(episodes))}


def _timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        started = time.process_time()
        result = function(*arguments, **keywords)
        seconds[name] = round(time.process_time() - started, 2)
        return result

    return call


def learn(job: Job) -> list[Row]:
    """Random play, V and M, and C in the dream; then how long C survives in reality."""
    import torch

    from agents import VisionMemoryController, make_sb3

    torch.set_num_threads(1)
    env = make_sb3(TAKE_COVER, LANES, **KEYWORDS)
    agent = VisionMemoryController(env=env, seed=job.seed, **job.arguments["agent"])
    seconds: dict[str, float] = {}
    for name, part in (("vision", agent.policy.vae), ("memory", agent.policy.model)):
        part.learn = _timed(part.learn, seconds, name)
    started = time.process_time()
    agent.learn(10**12, callback=_Generations(job.arguments["generations"]))
    spent = time.process_time() - started
    for part in (agent.policy.vae, agent.policy.model):
        del part.learn
    env.close()
    return [
        {
            **survival(agent, job.arguments["episodes"]),
            "dream_tics": SKIP * agent.best,
            "vision_seconds": seconds["vision"],
            "memory_seconds": seconds["memory"],
            "controller_seconds": round(spent - sum(seconds.values()), 2),
            "environment_steps": agent.frames,
            "cpu_seconds": round(spent, 2),
        }
    ]


def refer(job: Job) -> list[Row]:
    """A policy that learns nothing; of blind strafing the best of some rhythms, chosen in other episodes."""
    name, episodes = job.conditions["policy"], job.arguments["episodes"]
    policy: Any = name
    if name == "strafe":
        tried = {
            half: run_episodes(Strafing(half), TAKE_COVER, episodes, seed=1, **KEYWORDS).returns.mean()
            for half in HALVES
        }
        policy = Strafing(max(tried, key=tried.__getitem__))
    elif name == "stay":
        policy = Strafing(0)
    return [{**survival(policy, episodes), "environment_steps": 0}]


def _job(table: str, conditions: dict[str, str], seed: int, quick: bool, **agent: Any) -> Job:
    sizes = {"generations": 2 if quick else GENERATIONS, "episodes": 8 if quick else EPISODES}
    return Job(table, conditions, seed, learn, {"agent": {**agent, **(QUICK if quick else {})}, **sizes})


def main(seeds: int, quick: bool) -> list[Job]:
    """Our settings, which are the defaults of the agent."""
    return [_job("main", {"agent": "V-M-C"}, seed, quick) for seed in range(seeds)]


def references(seeds: int, quick: bool) -> list[Job]:
    """What needs no learning; a policy each."""
    arguments = {"episodes": 8 if quick else 1_000}
    return [Job("references", {"policy": name}, 0, refer, arguments) for name in REFERENCES]


def temperature(seeds: int, quick: bool) -> list[Job]:
    """How certain the dream is."""
    return [
        _job("temperature", {"temperature": f"{tau:g}"}, seed, quick, temperature=tau)
        for tau in (TEMPERATURES[:1] if quick else TEMPERATURES)
        for seed in range(min(seeds, FEW))
    ]


def inputs(seeds: int, quick: bool) -> list[Job]:
    """What C sees: the code alone, or M's memory as well."""
    return [
        _job("inputs", {"observes": observes}, seed, quick, observes=observes)
        for observes in ("z", "zh")
        for seed in range(min(seeds, FEW))
    ]


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """A job a seed and setting, and one a reference; quick: tiny ones, which learn nothing."""
    table = {"main": main, "references": references, "temperature": temperature, "inputs": inputs}
    return jobs_of_parts(table, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Above blind strafing in 8 of 10 seeds, and twice as long as random play."""

    def tics(own: list[Row]) -> float:
        return float(interquartile_mean(numbers(own, "tics")))

    def ahead(own: list[Row]) -> float:
        return float((numbers(own, "tics") > BLIND_TICS).mean())

    def ratio(own: list[Row]) -> float:
        return tics(own) / RANDOM_TICS

    def whole(own: list[Row]) -> float:
        return float(numbers(own, "cpu_seconds").max())

    ours = select(rows, table="main")
    made = [
        make_claim(f"seeds that survive longer than blind strafing, {BLIND_TICS:g} tics", "share", ours, ahead, 0.8),
        make_claim(f"survival, in units of random play, {RANDOM_TICS:g} tics", "times", ours, ratio, 2.0),
        make_claim("survival", "tics", ours, tics),
        make_claim("CPU seconds of the slowest seed: random play, V, M and C", "s", ours, whole, None, 600.0),
    ]
    for name in REFERENCES:
        own = select(rows, table="references", policy=name)
        made.append(make_claim(f"{name}: survival", "tics", own, tics))
    for tau in TEMPERATURES:
        own = select(rows, table="temperature", temperature=f"{tau:g}")
        made.append(make_claim(f"temperature {tau:g}: survival", "tics", own, tics))
    for observes in ("z", "zh"):
        own = select(rows, table="inputs", observes=observes)
        made.append(make_claim(f"C sees {observes}: survival", "tics", own, tics))
    return made
