"""Ha & Schmidhuber (2018): a controller that evolves in the dream of V and M, and then plays TakeCover."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ..shared.plots import interquartile_mean
from ..shared.rollouts import EVALUATION_SEED, rollout, run_episodes
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job, jobs_of_parts
from .shared.strafing import Strafing

TITLE = "world models: TakeCover by a controller that trained in a dream alone"
TAKE_COVER = "Foveal/TakeCover-v0"
SKIP = 4  # tics that an action lasts, for every policy
KEYWORDS = {"size": 32, "frame_skip": SKIP}
Task = tuple[str, dict[str, Any]]  # id and keywords
OURS: Task = TAKE_COVER, KEYWORDS
DOOM: Task = "agents.adapters.vizdoom:DoomTakeCover-v0", {"frame_skip": SKIP, "force": True}
LANES, EPISODES = 16, 200
GENERATIONS = 40
PUBLISHED: dict[str, Any] = {"preset": "doom", "observes": "zhc", "net_kwargs": {"bias": False}, "frames": 40_000,
                             "ends": "cut", "horizon": 525, "episodes": 4, "optimizer": "sep-cma"}  # fmt: skip
QUICK: dict[str, Any] = {"frames": 600, "population": 8, "episodes": 2, "test_episodes": 4, "horizon": 20}
TEMPERATURES = (0.3, 0.7, 1.0, 1.15, 1.3)
BLIND_TICS, RANDOM_TICS = 320.0, 250.0  # bars: the best blind policy and random play, see the task's own table
HALVES = (30, 40, 55, 75, 110)  # tics of blind strafing in one direction
REFERENCES = ("random", "stay", "strafe", "oracle")
UNSEEING = REFERENCES[:3]  # the game has no oracle
FEW = 3  # seeds of `dreams`


class Generations(BaseCallback):
    """Ends training after so many generations, and knows when the first began: V and M have learned before it."""

    def __init__(self, generations: int) -> None:
        super().__init__()
        self.generations, self.began = generations, 0.0

    def _on_step(self) -> bool:
        self.began = self.began or time.process_time()
        return bool(self.model.generation < self.generations)  # type: ignore[attr-defined]


def survival(policy: Any, episodes: int, horizon: float = np.inf, task: Task = OURS) -> dict[str, float]:
    """Mean tics of fresh episodes, their standard error, and the mean of what lies within a dream's horizon."""
    tics = run_episodes(policy, task[0], episodes, **task[1]).returns
    scores = {"tics": float(tics.mean()), "standard_error": float(tics.std(ddof=1) / np.sqrt(episodes))}
    return scores | ({"tics_within_horizon": float(np.minimum(tics, horizon).mean())} if horizon < np.inf else {})


def dreamt(agent: Any, episodes: int) -> float:
    """Mean tics that C survives in fresh episodes of its own dream, up to the horizon."""
    moves = rollout(agent.dream(episodes), agent.policy.controller, EVALUATION_SEED)
    return float(SKIP * np.mean(sum(move.held(0.0, move.rewards) for move in moves)))


def _timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        started = time.process_time()
        result = function(*arguments, **keywords)
        seconds[name] = round(time.process_time() - started, 2)
        return result

    return call


def learn(job: Job) -> list[Row]:
    """Random play, V and M, and then a C for each dream of these; how long each C survives in reality."""
    from agents import VisionMemoryController, make_sb3

    task: Task = job.arguments.get("task", OURS)
    env = make_sb3(task[0], LANES, **task[1])
    first, seconds, episodes, rows = None, {}, job.arguments["episodes"], []
    for dream in job.arguments["dreams"]:
        agent = VisionMemoryController(env=env, seed=job.seed, **job.arguments["agent"], **dream)
        vision, memory = agent.policy.vae, agent.policy.model
        started, generations = time.process_time(), Generations(job.arguments["generations"])
        if first is None:
            vision.learn = _timed(vision.learn, seconds, "vision_seconds")
            memory.learn = _timed(memory.learn, seconds, "memory_seconds")
        else:
            vision.load_state_dict(first.policy.vae.state_dict())
            memory.load_state_dict(first.policy.model.state_dict())
            agent.starts = first.starts
        agent.learn(10**12, callback=generations, log_interval=None)
        spent = time.process_time() - generations.began
        if first is None:
            first, studied = agent, generations.began - started
            del vision.learn, memory.learn
        rows.append(
            {
                "temperature": f"{agent.temperature:g}",
                "observes": agent.observes,
                **survival(agent, episodes, SKIP * agent.horizon, task),
                "dream_tics": dreamt(agent, episodes),
                **seconds,
                "controller_seconds": round(spent, 2),
                "environment_steps": agent.frames,
                "cpu_seconds": round(studied + spent, 2),
            }
        )
    env.close()
    return rows


def refer(job: Job) -> list[Row]:
    """A policy that learns nothing; of blind strafing the best of some rhythms, chosen in other episodes."""
    name, episodes = job.conditions["policy"], job.arguments["episodes"]
    task: Task = job.arguments.get("task", OURS)
    policy: Any = name
    if name == "strafe":
        tried = {
            half: run_episodes(Strafing(half, SKIP, choices=False), task[0], episodes, seed=1, **task[1]).returns.mean()
            for half in HALVES
        }
        policy = Strafing(max(tried, key=tried.__getitem__), SKIP, choices=False)
    elif name == "stay":
        policy = Strafing(0, SKIP, choices=False)
    return [{**survival(policy, episodes, task=task), "environment_steps": 0}]


def _job(table: str, seed: int, quick: bool, dreams: list[dict[str, Any]]) -> Job:
    sizes = {"generations": 2 if quick else GENERATIONS, "episodes": 8 if quick else EPISODES}
    return Job(table, {"agent": "V-M-C"}, seed, learn, {"agent": QUICK if quick else {}, "dreams": dreams, **sizes})


def main(seeds: int, quick: bool) -> list[Job]:
    """Our settings, which are the defaults of the agent."""
    return [_job("main", seed, quick, [{}]) for seed in range(seeds)]


def references(seeds: int, quick: bool) -> list[Job]:
    """What needs no learning; a policy each."""
    arguments = {"episodes": 8 if quick else 1_000}
    return [Job("references", {"policy": name}, 0, refer, arguments) for name in REFERENCES]


def dreams(seeds: int, quick: bool) -> list[Job]:
    """How certain the dream is, and what C sees: the code alone, or M's memory as well; V and M are the same."""
    settings: list[dict[str, Any]] = [{"temperature": tau} for tau in TEMPERATURES] + [{"observes": "z"}]
    chosen = settings[:: len(settings) - 1] if quick else settings
    return [_job("dreams", seed, quick, chosen) for seed in range(min(seeds, FEW))]


def doom(seeds: int, quick: bool) -> list[Job]:
    """The game itself, with VizDoom: the published sizes, fewer frames and dreams; one seed, which takes hours."""
    game = {"task": DOOM, "episodes": 2 if quick else 100}
    agent, generations = PUBLISHED | (QUICK if quick else {}), 2 if quick else 200
    learned = {"agent": agent, "dreams": [{}], "generations": generations, **game}
    return [
        *(Job("doom_references", {"policy": name}, 0, refer, game) for name in UNSEEING),
        *(Job("doom", {"agent": "V-M-C"}, seed, learn, learned) for seed in range(min(seeds, 1))),
    ]


PARTS = {"main": main, "references": references, "dreams": dreams, "doom": doom}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts; without any, of all but the game, which needs VizDoom."""
    return jobs_of_parts(PARTS, parts or tuple(name for name in PARTS if name != "doom"), seeds, quick)


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
        own = select(rows, table="dreams", temperature=f"{tau:g}", observes="zh")
        for name, text in (("tics", "survival"), ("tics_within_horizon", "within the horizon, in reality"),
                           ("dream_tics", "within the horizon, in the dream")):  # fmt: skip
            made.append(make_claim(f"temperature {tau:g}: {text}", "tics", own, mean_of(name)))
    own = select(rows, table="dreams", observes="z")
    made.append(make_claim("C sees the code alone: survival", "tics", own, mean_of("tics")))
    for name in UNSEEING:
        own = select(rows, table="doom_references", policy=name)
        made.append(make_claim(f"the game itself, {name}: survival", "tics", own, mean_of("tics")))
    own = select(rows, table="doom")
    made.append(make_claim("the game itself, with the published sizes: survival", "tics", own, mean_of("tics")))
    return made
