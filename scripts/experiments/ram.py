"""Mnih, Heess, Graves & Kavukcuoglu (2014): digits in clutter from eight glimpses, by ours, theirs and blind gazes."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np

from foveal_envs.reference import make_reference

from ..baselines.recurrent_attention import RAM
from ..shared.environments import make_lanes
from .search import play
from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "digits in clutter from eight glimpses, beside the recurrent attention model and gazes that see nothing"
DIGITS = "Foveal/GlimpseClassification-v0"
CHANCE = 0.9  # error of a guess
LANES = {"Recogniser": 256, "RAM": 64}
GAZES = ("random", "raster", "centre")
BLIND = [("Recogniser", gaze) for gaze in GAZES]
PPO = {"n_steps": 8, "n_minibatches": 8, "n_epochs": 3, "gamma": 0.97}
NET = {"encoder": (128,), "net_arch": (64,), "activation": "relu", "log_std_init": -1.0}


class FixedGaze(gym.vector.VectorWrapper):  # not generic in Gymnasium 1.2
    """Saccades by a reference, whatever the action says; only the scores count.

    Args:
        env: a native vector environment of recognition.
        gaze: "random", "raster" or "centre".
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], gaze: str) -> None:
        super().__init__(env)
        self._gaze = make_reference(gaze, env)
        self._state: Any = None
        self._start, self._obs = np.ones(env.num_envs, bool), None

    def reset(self, **options: Any) -> Any:
        self._obs, infos = self.env.reset(**options)
        self._state, self._start = None, np.ones(self.num_envs, bool)
        return self._obs, infos

    def step(self, actions: np.ndarray) -> Any:
        looks, self._state = self._gaze.predict(self._obs, self._state, self._start)
        jumps = self.env.unwrapped.task.names  # type: ignore[attr-defined]
        actions = actions.copy()
        actions[:, : -len(jumps)] = looks[:, : -len(jumps)]
        self._obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._start = terminated | truncated
        return self._obs, rewards, terminated, truncated, infos


def learn(job: Job) -> list[Row]:
    """Train on 4,000 digits for so many CPU seconds, and name the other 1,000."""
    learner, gaze, seconds = job.conditions["learner"], job.conditions["gaze"], job.arguments["cpu_seconds"]

    def lanes(count: int, split: str, **more: Any) -> Any:
        keywords = {"images": "digits", "split": split, "scales": job.arguments["scales"]}
        env = make_lanes(DIGITS, keywords, count, **more)
        return env if gaze == "learned" else FixedGaze(env, gaze)

    env = lanes(LANES[learner], "train", autoreset_mode="same_step")
    env.action_space.seed(job.seed)
    if learner == "RAM":
        agent: Any = RAM(env, 10, seed=job.seed).learn(10**9, seconds)
        spent = agent.cpu_seconds
    else:
        agent, spent = _recogniser(env, job.seed, seconds)
    played = play(lanes(job.arguments["episodes"], "test", info="step"), agent, job.seed, deterministic=True)
    env.close()
    return [{"error": 1 - played["found"], "environment_steps": agent.num_timesteps, "cpu_seconds": round(spent, 2)}]


def _recogniser(env: Any, seed: int, seconds: float) -> tuple[Any, float]:
    """A trained agent, its rate of learning falling to 0 with the CPU seconds, and these."""
    from agents import GymnasiumVecEnv, Recogniser

    lanes = GymnasiumVecEnv(env)
    lanes.seed(10_000 * (seed + 1))
    since = time.process_time()
    spent = lambda: time.process_time() - since  # noqa: E731
    agent = Recogniser(
        "RecognitionPolicy", lanes, core="lstm", core_kwargs={"size": 128}, policy_kwargs=NET, seed=seed,
        learning_rate=lambda _: 1e-3 * max(0.0, 1 - spent() / seconds), **PPO,
    )  # fmt: skip
    agent.learn(10**9, callback=lambda *_: spent() < seconds, log_interval=None)
    return agent, spent()


def digits(seeds: int, quick: bool) -> list[Job]:
    """As published: ours and RAM with learned gazes, ours with three that ignore what is seen."""
    return _all("digits", 3, [("Recogniser", "learned"), ("RAM", "learned"), *BLIND], seeds, quick)


def narrow(seeds: int, quick: bool) -> list[Job]:
    """Without the widest grid, which shows most of the picture: ours with each gaze."""
    return _all("narrow", 2, [("Recogniser", "learned"), *BLIND], seeds, quick)


def _all(table: str, scales: int, pairs: list[tuple[str, str]], seeds: int, quick: bool) -> list[Job]:
    arguments = {"cpu_seconds": 8.0 if quick else 100.0, "episodes": 500 if quick else 4000, "scales": scales}
    return [
        Job(table, {"learner": learner, "gaze": gaze}, seed, learn, arguments)
        for seed in range(seeds)
        for learner, gaze in pairs[: 1 if quick else None]
    ]


PARTS = {"digits": digits, "narrow": narrow}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the chosen parts; one seed if quick."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Our error at most RAM's, as published; gazes that see nothing close less than half of the gap from chance to the
    learned gaze where no grid shows most of the picture."""
    theirs, ours = (select(rows, table="digits", learner=name, gaze="learned") for name in ("RAM", "Recogniser"))
    made = [
        make_claim("RAM: error", "share", theirs, _error),
        make_claim("ours: error, at most RAM's at equal CPU seconds", "share", ours, _error, None,
                   _error(theirs) if theirs else None),
    ]  # fmt: skip
    for table, scales, bar in (("digits", "three grids", None), ("narrow", "two grids", 0.5)):
        looking = select(rows, table=table, learner="Recogniser", gaze="learned")
        gap = CHANCE - _error(looking) if looking else 0.0
        for gaze in GAZES if looking else ():
            text = f"{scales}, {gaze} gaze, trained for it: share of the gap from chance to the learned gaze"
            made.append(make_claim(text, "share", select(rows, table=table, gaze=gaze),
                                   lambda r, gap=gap: (CHANCE - _error(r)) / gap, None, bar))  # fmt: skip
    return made


def _error(rows: list[Row]) -> float:
    return float(numbers(rows, "error").mean())
