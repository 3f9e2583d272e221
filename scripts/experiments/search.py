"""Najemnik & Geisler (2005, 2009): searchers on a grid that know the visibility map; and what memory is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal_envs.reference import ScanPolicy, make_reference

from ..runs import make_lanes
from .claims import Claim, Row, make_claim, numbers, select
from .jobs import Job

TITLE = "fixations of raster, random, MAP and ELM searchers to a posterior of 0.95; visual search without memory"
GRID, SEARCH = "Foveal/GridSearch-v0", "Foveal/VisualSearch-v0"
FIGURES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {  # keywords, mean fixations of each searcher
    "9 x 9, e2 1.5": ({}, {"raster": 35.8, "random": 23.0, "map": 9.94, "elm": 8.99}),
    "9 x 9, e2 3": ({"e2": 3.0}, {"raster": 17.2, "random": 7.2, "map": 4.5, "elm": 4.4}),
    "16 x 16, e2 2": ({"n": 16, "e2": 2.0}, {"raster": 109.0, "random": 47.0, "map": 18.9, "elm": 16.5}),
}
TOLERANCE = 0.05  # of a figure


def measure(job: Job) -> list[Row]:
    """Play one episode in each lane with one policy; mean fixations, share found and mean return."""
    policy, keywords, lanes = (job.arguments[name] for name in ("policy", "keywords", "lanes"))
    env = make_lanes(job.arguments["env_id"], keywords, lanes, info="step")
    env.action_space.seed(job.seed)
    agent = ScanPolicy(env, False, job.seed) if policy == "forgetful scan" else make_reference(policy, env)
    obs, _ = env.reset(seed=1_000_000_000 + lanes * job.seed)
    state, start, over = None, np.ones(lanes, bool), np.zeros(lanes, bool)
    fixations, returns, found = np.ones(lanes), np.zeros(lanes), np.zeros(lanes, bool)
    while not over.all():
        actions, state = agent.predict(obs, state, start)
        obs, rewards, start, _, infos = env.step(actions)
        returns += np.where(over, 0.0, rewards)
        fixations = np.where(over, fixations, infos.get("fixations", fixations + 1))
        found = np.where(over, found, infos["is_success"])
        over |= start
    spread = float(fixations.std() / np.sqrt(lanes))
    means = {"fixations": float(fixations.mean()), "standard_error": spread, "found": float(found.mean())}
    return [{**means, "return": float(returns.mean()), "environment_steps": int(fixations.sum() - lanes)}]


def grid(seeds: int, quick: bool) -> list[Job]:
    """The twelve figures."""
    jobs = []
    for name, (keywords, figures) in FIGURES.items():
        lanes = 200 if quick else (300 if "n" in keywords else 1000)
        for searcher in figures:
            arguments = {"env_id": GRID, "policy": searcher, "lanes": lanes, "keywords": {**keywords, "moves": 900}}
            conditions = {"grid": name, "searcher": searcher}
            jobs += [Job("grid", conditions, seed, measure, arguments) for seed in range(seeds)]
    return jobs


def memory(seeds: int, quick: bool) -> list[Job]:
    """VisualSearch by the scan with and without memory, and by random saccades."""
    arguments = {"env_id": SEARCH, "lanes": 200 if quick else 500, "keywords": {}}
    return [
        Job("memory", {"policy": policy}, seed, measure, {**arguments, "policy": policy})
        for policy in ("random", "forgetful scan", "scan", "oracle")
        for seed in range(seeds)
    ]


PARTS = {"grid": grid, "memory": memory}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the chosen parts; one seed if quick."""
    return [job for part in parts or tuple(PARTS) for job in PARTS[part](1 if quick else seeds, quick)]


def claims(rows: list[Row]) -> list[Claim]:
    """Every figure within 5 percent, and a search that needs memory."""
    found = []
    for name, (_, figures) in FIGURES.items():
        for searcher, figure in figures.items():
            mine = select(rows, table="grid", grid=name, searcher=searcher)
            bounds = (1.0 - TOLERANCE) * figure, (1.0 + TOLERANCE) * figure
            if mine:
                claim = f"{name}: {searcher} needs {figure:g} fixations"
                found.append(
                    make_claim(claim, "fixations", mine, lambda r: float(numbers(r, "fixations").mean()), *bounds)
                )
    searches = select(rows, table="memory")
    if searches:
        found.append(make_claim("a scan without memory scores lower by", "score", searches, _gap, 0.2))
    return found


def _gap(rows: list[Row]) -> float:
    """1 less the score of the forgetful scan, between random (0) and the scan (1), by their returns."""
    zero, middle, one = (
        float(numbers(select(rows, policy=policy), "return").mean()) for policy in ("random", "forgetful scan", "scan")
    )
    return 1.0 - (middle - zero) / (one - zero)
