"""AC90: what curiosity gains in a world of which a quarter is noise, beside random and count-based exploration."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents import CuriousExplorer, make_sb3
from foveal_envs.tasks.navigation.curiosity_grid import CuriosityGrid

from .shared.claims import Claim, Row, make_claim, mean_of, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "AC90: curiosity in a world of which a quarter is noise"
ENV = "Foveal/CuriosityGrid-v0"
KINDS = ("random", "count", "error", "last_improvement", "improvement", "disagreement")
LIMITS = {"open": 20_000, "four_rooms": 20_000, "corridor": 60_000}  # steps; random needs up to a third of them
NETS_LIMIT = 8_000  # steps of agents with nets, which cost ten times as much
SHARE_STEPS = 5_000  # in which the share of noise is measured
LEFT = 0.1  # of the error at the start
LEARNS = {"tables": None, "nets": {}}
LONG = 10**6  # moves of an episode: it never ends


class Known(BaseCallback):
    """Notes when M's error on the deterministic part is a tenth of its start, and ends the run then, if it may."""

    def __init__(self, stops: bool) -> None:
        super().__init__()
        self.stops, self.steps = stops, np.inf
        self.errors: list[float] = []  # after every step, over that at the start

    def _on_training_start(self) -> None:
        task = self.training_env.env.unwrapped.task  # type: ignore[union-attr]
        self._leads, self.sure = task.moves_to, ~task.noisy
        self._first = self._error()

    def _error(self) -> float:
        return float(self.model.model.error(self._leads)[self.sure].mean())  # type: ignore[attr-defined]

    def _on_step(self) -> bool:
        self.errors.append(self._error() / self._first)
        if np.isinf(self.steps) and self.errors[-1] <= LEFT:
            self.steps = self.num_timesteps
        return not (self.stops and np.isfinite(self.steps))


def explore(job: Job) -> list[Row]:
    """One agent in one layout: how soon it knows the world, or where it spends its time."""
    kind, layout, given = job.conditions["agent"], job.conditions["layout"], job.arguments
    known = Known(given["stops"])
    agent = CuriousExplorer(
        env=make_sb3(ENV, 1, seed=job.seed, layout=layout, moves=LONG, max_episode_steps=LONG),
        curiosity="count" if kind == "random" else kind,  # type: ignore[arg-type]
        random=kind == "random", net=given["net"], seed=job.seed,
    )  # fmt: skip
    agent.learn(given["steps"], callback=known, log_interval=None)
    visits = agent.state_visits
    noise = visits[~known.sure].sum() / visits.sum() / (~known.sure).mean()
    return [{"steps": known.steps, "noise": float(noise), "environment_steps": agent.num_timesteps}]


def know(job: Job) -> list[Row]:
    """The clairvoyant bound: steps until the oracle, which knows the walls, has tried nine tenths of the pairs."""
    task = CuriosityGrid(layout=job.conditions["layout"])
    worlds = np.zeros(1, task.world)
    task.reset(worlds, np.arange(1), np.array([job.seed], np.uint64))
    rewards, ends, steps = np.zeros(1), np.zeros(1, bool), 0
    while worlds["tried_count"][0] < (1 - LEFT) * task.pairs:
        task.step(worlds, np.ones(1, bool), task.oracle(worlds), rewards, ends)
        steps += 1
    noise = float(worlds["noise"][0] / steps / task.noisy.mean())
    return [{"steps": float(steps), "noise": noise, "environment_steps": steps}]


def make(table: str, learner: str, stops: bool, layouts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of a part."""
    made = []
    for layout in layouts[:1] if quick else layouts:
        for kind in ("random", "count", "disagreement") if quick else KINDS:
            limit = LIMITS[layout] if learner == "tables" else NETS_LIMIT
            steps = 300 if quick else limit if stops else SHARE_STEPS
            arguments: dict[str, Any] = {"steps": steps, "stops": stops, "net": LEARNS[learner]}
            made += [
                Job(table, {"layout": layout, "agent": kind}, seed, explore, arguments)
                for seed in range(1 if quick else seeds)
            ]
        if table == "speed":
            made += [
                Job(table, {"layout": layout, "agent": "clairvoyant"}, seed, know)
                for seed in range(1 if quick else seeds)
            ]
    return made


ALL = ("four_rooms", "corridor", "open")
PARTS = {
    "speed": partial(make, "speed", "tables", True, ALL),
    "noise": partial(make, "noise", "tables", False, ALL),
    "nets": partial(make, "nets", "nets", True, ("four_rooms",)),
}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts, all if none is given."""
    return jobs_of_parts(PARTS, parts, seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """How many times fewer steps than random and than counting, and the share of time in the noise."""
    made = []
    speed, noise = select(rows, table="speed"), select(rows, table="noise")
    bars = {"four_rooms": 3.5, "corridor": 10.0}
    for layout in ALL:
        own = select(speed, layout=layout)
        planned = select(own, agent="disagreement")
        over = partial(_ratio, select(own, agent="random"))
        made.append(make_claim(f"{layout}: random / disagreement, steps", "times", planned, over, bars.get(layout)))
        under = partial(_inverse, select(own, agent="count"))
        most = 1.3 if layout in bars else None
        made.append(make_claim(f"{layout}: disagreement / count, steps", "times", planned, under, None, most))
        bound = partial(_inverse, select(own, agent="clairvoyant"))
        made.append(make_claim(f"{layout}: disagreement / clairvoyant, steps", "times", planned, bound))
        for kind, low, high in (("error", 2.5, None), ("disagreement", None, 1.2), ("improvement", None, 1.2)):
            here = select(noise, layout=layout, agent=kind)
            made.append(
                make_claim(
                    f"{layout}: {kind}, share of steps in the noise", "of uniform", here, mean_of("noise"), low, high
                )
            )
    return made


def _mean(rows: list[Row]) -> float:
    return mean_of("steps")(rows) if rows else float("nan")


def _ratio(others: list[Row], rows: list[Row]) -> float:
    return _mean(others) / _mean(rows)


def _inverse(others: list[Row], rows: list[Row]) -> float:
    return _mean(rows) / _mean(others)
