"""The score table of the whole suite: normalised scores of references and saved agents, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from foveal_envs.reference import make_reference

from .plots import bootstrap_interval, interquartile_mean
from .rollouts import EVALUATION_SEED, rollout
from .runs import load_agent, make_lanes, read_config
from .tables import Row, numeric, read_rows

PATHS = 6  # scanpaths kept of a policy
SAMPLES = 2000
Unit = tuple[str, Callable[["Outcome"], float]]


@dataclass
class Outcome:
    """One episode in each of N lanes.

    Attributes:
        returns, fixations: (N,) sum of rewards; observations until the episode's end.
        measures: last infos, each (N,).
        distance: mean over all moves and lanes, where the task measures it.
        success: (moves,) share of lanes that stand as successful after each move; empty where nothing says so.
        paths: gaze (F, 2) in the first lanes, in scene units; empty where nothing looks.
        amplitudes: of all saccades.
        size: of the scene.
    """

    returns: np.ndarray
    fixations: np.ndarray
    measures: dict[str, np.ndarray]
    distance: float
    success: list[float] = field(default_factory=list)
    paths: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    amplitudes: np.ndarray = field(default_factory=lambda: np.empty(0))
    size: tuple[float, float] = (1.0, 1.0)


SUCCESS: Unit = ("share of successes", lambda outcome: float(outcome.measures["is_success"].mean()))
FIXATIONS: Unit = ("fixations", lambda outcome: float(outcome.fixations.mean()))
DISTANCE: Unit = ("mean distance", lambda outcome: outcome.distance)
RETURN: Unit = ("return", lambda outcome: float(outcome.returns.mean()))
GAZES = ("raster", "centre")
TASKS: dict[str, tuple[Unit, str, tuple[str, ...]]] = {  # unit, best reference, further references
    "TargetDetection": (SUCCESS, "oracle", GAZES),
    "GoalDetection": (SUCCESS, "oracle", GAZES),
    "TargetTracking": (DISTANCE, "oracle", GAZES),
    "GridSearch": (FIXATIONS, "elm", (*GAZES, "map")),
    "VisualSearch": (FIXATIONS, "scan", (*GAZES, "oracle")),
    "ImageSearch": (SUCCESS, "oracle", GAZES),
    "GlimpseClassification": (SUCCESS, "oracle", GAZES),
    "SameDifferent": (SUCCESS, "oracle", GAZES),
}


def task_of(env_id: str) -> tuple[Unit, str, tuple[str, ...]]:
    """Natural unit, best reference and further references of an id; else the return, against the oracle."""
    return TASKS.get(env_id.partition("/")[2].removesuffix("-v0"), (RETURN, "oracle", ()))


def suite_ids() -> list[str]:
    """All ids of this package, in the order of registration."""
    return [id for id in gym.registry if id.startswith("Foveal/")]


@dataclass
class Line:
    """One policy on one task: its values (S,) in the natural unit, and its normalised scores (S,).

    ``progress`` holds the rows of the training logs of its seeds; references have none.
    """

    env_id: str
    policy: str
    unit: str
    values: np.ndarray
    scores: np.ndarray
    outcome: Outcome
    progress: list[Row] = field(default_factory=list)


def score_suite(
    ids: Sequence[str], agents: Sequence[str], episodes: int, seeds: int, trust: bool = False
) -> list[Line]:
    """Scores of references and saved agents on every task.

    Args:
        ids: of the environments.
        agents: run folders; those of one algorithm and environment are its seeds.
        episodes: of one value.
        seeds: values of each reference.
        trust: see ``load_agent``.

    Raises:
        SystemExit: a folder that is no run, or an environment that cannot be made.
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for folder in agents:
        config = read_config(folder)
        own = Path(folder).resolve().parent.name if config["algorithm"] is None else str(config["algorithm"])
        groups.setdefault(config["env_id"].partition(":")[2] or config["env_id"], {}).setdefault(own, []).append(folder)
    lines: list[Line] = []
    for env_id in tqdm(ids, desc="tasks", unit="task", disable=None):
        (unit, measure), best, more = task_of(env_id)
        mine = []
        for name in dict.fromkeys(("random", best, *more)):
            outcomes = [run(name, env_id, {}, episodes, EVALUATION_SEED + episodes * s) for s in range(seeds)]
            mine.append((name, outcomes))
        for name, folders in groups.get(env_id, {}).items():
            keywords = read_config(folders[0])["env_kwargs"]
            mine.append((name, [run(folder, env_id, keywords, episodes, EVALUATION_SEED, trust) for folder in folders]))
        values = {name: np.array([measure(outcome) for outcome in outcomes]) for name, outcomes in mine}
        zero, one = values["random"].mean(), values[best].mean()
        for name, outcomes in mine:
            scores = (values[name] - zero) / (one - zero)
            logs = [Path(folder) / "progress.csv" for folder in groups.get(env_id, {}).get(name, ())]
            progress = [row for log in logs if log.is_file() for row in numeric(read_rows(log))]
            lines.append(Line(env_id, name, unit, values[name], scores, outcomes[0], progress))
    return lines


def run(policy: str, env_id: str, keywords: dict[str, Any], episodes: int, seed: int, trust: bool = False) -> Outcome:
    """One episode in each of so many lanes of a native vector environment."""
    env = make_lanes(env_id, keywords, episodes, info="step")
    env.action_space.seed(seed)
    looks = "gaze" in (env.unwrapped.task.world.names or ())
    agent = load_agent(policy, env, seed, trust) if Path(policy).exists() else make_reference(policy, env)
    returns, fixations = np.zeros(episodes), np.ones(episodes)
    measures: dict[str, np.ndarray] = {}
    distances, success, gazes = [], [], []
    first_wanted = None
    for move in rollout(env, agent, seed):
        if looks:
            gazes.append(_gazes(env))
        if not move.number:
            first_wanted = _wanted(env)
            continue
        returns += move.held(0.0, move.rewards)
        fixations += move.running
        if "distance" in move.infos:
            distances.append(move.infos["distance"][move.running].mean())
        measures = move.measures(measures)
        if "is_success" in measures:
            success.append(float(measures["is_success"].mean()))
    size = env.unwrapped.task.render_size
    env.close()
    outcome = Outcome(
        returns, measures.get("fixations", fixations), measures, float(np.mean(distances or [0.0])), success
    )
    if looks:
        paths = [path[: int(count)] for path, count in zip(np.stack(gazes, 1), fixations, strict=True)]
        outcome.amplitudes = np.concatenate([np.hypot(*np.diff(path, axis=0).T) for path in paths])
        outcome.paths, outcome.size = paths[:PATHS], size
        outcome.targets = list(first_wanted[:PATHS]) if first_wanted is not None else []
    return outcome


def _gazes(env: Any) -> np.ndarray:
    gazes: np.ndarray = env.unwrapped.get_state()["worlds"]["gaze"][:, :2].copy()
    return gazes


def _wanted(env: Any) -> np.ndarray | None:
    """Where the target is (N, 2), for tasks that have one at a place."""
    targets: np.ndarray | None = env.unwrapped.task.targets(env.unwrapped.get_state()["worlds"])
    return targets


def format_suite(lines: Sequence[Line]) -> str:
    """The table: per task and policy the value in the natural unit and the score, each with its interval."""
    rows = [("task", "policy", "unit", "value", "score", "95 % interval")]
    for line in lines:
        low, high = bootstrap_interval(line.scores)
        value = float(interquartile_mean(line.values))
        score = float(interquartile_mean(line.scores))
        task = line.env_id.partition("/")[2]
        rows.append((task, line.policy, line.unit, f"{value:.3f}", f"{score:.3f}", f"[{low:.3f}, {high:.3f}]"))
    for policy in dict.fromkeys(line.policy for line in lines):
        scores = [line.scores for line in lines if line.policy == policy]
        mean, low, high = aggregate(scores)
        rows.append((f"all {len(scores)}", policy, "IQM of scores", "", f"{mean:.3f}", f"[{low:.3f}, {high:.3f}]"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def aggregate(scores: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Interquartile mean over tasks and seeds, and its 95 % interval by a bootstrap stratified by task (rliable)."""
    rng = np.random.default_rng(0)
    drawn = [values[rng.integers(len(values), size=(len(values), SAMPLES))] for values in scores]
    low, high = np.quantile(interquartile_mean(np.concatenate(drawn)), [0.025, 0.975])
    return float(interquartile_mean(np.concatenate(list(scores)))), float(low), float(high)
