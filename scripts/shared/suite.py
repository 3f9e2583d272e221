"""The scores of the whole suite: those of references and of saved agents, normalised by the references of each task."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from foveal_envs import IDS

from .environments import make_lanes, untwinned
from .groups import Group, group_runs, name_groups
from .policies import Predictor, load_agent
from .rollouts import EVALUATION_SEED, measured, rollout
from .tables import Row, numeric, read_rows

PATHS = 6  # scanpaths kept of a policy
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
BALANCED: Unit = ("moves", lambda outcome: float(outcome.measures["balanced"].mean()))
SURVIVED: Unit = ("tics", lambda outcome: float(outcome.measures["survived"].mean()))
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
    "Pole": (BALANCED, "oracle", ()),
    "DoublePole": (BALANCED, "oracle", ()),
    "TakeCover": (SURVIVED, "oracle", ()),
}


def task_of(env_id: str) -> tuple[Unit, str, tuple[str, ...]]:
    """Natural unit, best reference and further references of an id; else the return, against the oracle."""
    return TASKS.get(untwinned(env_id).partition("/")[2].removesuffix("-v0"), (RETURN, "oracle", ()))


def reference_heights(env_id: str, keywords: Mapping[str, Any], measure: str, starts: int = 200) -> dict[str, float]:
    """What the random policy and the best reference of a task reach in one measure of `rollouts.scores`.

    Args:
        env_id: of this package, or any other, of which only the random policy is known.
        keywords: of the environment.
        measure: its name; a policy that has it not is left out.
        starts: episodes.

    Returns:
        Name -> mean, for the lines of a learning curve.
    """
    own_id = env_id.rpartition(":")[2]
    names = ("random", task_of(own_id)[1]) if untwinned(own_id) in IDS else ("random",)
    heights = {}
    for name in names:
        played = measured(name, env_id, starts, **keywords)
        if measure in played:
            heights[name] = played[measure]
    return heights


@dataclass
class Line:
    """One policy on one task: its values (S,) in the natural unit, and its normalised scores (S,).

    Attributes:
        env_id, env_kwargs: the task.
        policy: name of a reference, or of an agent and what tells its configuration from the others'.
        unit: of the values.
        values, scores: (S,), one a seed of an agent, or one a set of starts of a reference.
        seeds: (S,) seeds of training, or numbers of the sets of starts.
        starts: (S,) seeds of the first start.
        outcome: of the first seed.
        config: of the agent's training, its seed apart; empty for references.
        folders: of its runs.
        progress: rows of the training logs of its seeds; references have none.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    policy: str
    unit: str
    values: np.ndarray
    scores: np.ndarray
    seeds: list[int]
    starts: list[int]
    outcome: Outcome
    config: dict[str, Any] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    progress: list[Row] = field(default_factory=list)


def score_suite(
    ids: Sequence[str],
    agents: Sequence[str],
    episodes: int,
    seeds: int,
    trust: bool = False,
    seed: int = EVALUATION_SEED,
    keywords: Mapping[str, Any] | None = None,
) -> list[Line]:
    """Scores of references and saved agents on every task.

    An agent is scored between the references of its own task, played with the keywords that it was trained with. An id
    on which agents were trained is played with their keywords alone.

    Args:
        ids: of the environments.
        agents: run folders; those whose configurations differ in the seed alone are seeds of one policy.
        episodes: of one value.
        seeds: values of each reference.
        trust: see ``load_agent``.
        seed: of the first start.
        keywords: of the environments; they override those of the agents' training.

    Returns:
        Per task the random policy, the best reference, the others, and the agents.

    Raises:
        SystemExit: a folder that is no run, or of another environment; an environment that cannot be made.
    """
    keywords = dict(keywords or {})
    groups = group_runs(agents, trust)
    for group in groups:
        if group.env_id not in ids:
            raise SystemExit(f"{group.folders[0]} was trained on {group.env_id}; scored are {', '.join(ids)}")
    lines: list[Line] = []
    for env_id in tqdm(ids, desc="tasks", unit="task", disable=None):
        mine = [group for group in groups if group.env_id == env_id]
        tasks: dict[str, list[Group]] = {}
        for group in mine:
            tasks.setdefault(json.dumps({**group.env_kwargs, **keywords}, sort_keys=True), []).append(group)
        for task, own in tasks.items() or ((json.dumps(keywords), mine),):
            lines += _score_task(env_id, json.loads(task), own, episodes, seeds, trust, seed)
    return lines


def _score_task(
    env_id: str, keywords: dict[str, Any], groups: list[Group], episodes: int, seeds: int, trust: bool, seed: int
) -> list[Line]:
    """The lines of one task: its references, and the agents that were trained on it."""
    (unit, measure), best, more = task_of(env_id)
    starts = [seed + episodes * number for number in range(seeds)]
    played = {name: [run(name, env_id, keywords, episodes, start) for start in starts]
              for name in dict.fromkeys(("random", best, *more))}  # fmt: skip
    zero, one = (np.mean([measure(outcome) for outcome in played[name]]) for name in ("random", best))

    def line(policy: str, outcomes: list[Outcome], seeds: list[int], starts: list[int], **more: Any) -> Line:
        values = np.array([measure(outcome) for outcome in outcomes])
        with np.errstate(divide="ignore", invalid="ignore"):  # where random is as good as the best, no score is defined
            scores = (values - zero) / (one - zero)
        return Line(env_id, keywords, policy, unit, values, scores, seeds, starts, outcomes[0], **more)

    lines = [line(name, outcomes, list(range(seeds)), starts) for name, outcomes in played.items()]
    for name, group in zip(name_groups(groups), groups, strict=True):
        outcomes = [run(folder, env_id, keywords, episodes, seed, trust) for folder in group.folders]
        logs = [Path(folder) / "progress.csv" for folder in group.folders]
        progress = [row for log in logs for row in numeric(read_rows(log))]
        more = {"config": group.config, "folders": group.folders, "progress": progress}
        lines.append(line(name, outcomes, group.seeds, [seed] * len(outcomes), **more))
    return lines


def run(
    policy: Predictor | str, env_id: str, keywords: dict[str, Any], episodes: int, seed: int, trust: bool = False
) -> Outcome:
    """One episode in each of so many lanes of a native vector environment, by an agent or what `load_agent` names."""
    env = make_lanes(env_id, keywords, episodes, info="step")
    env.action_space.seed(seed)
    looks = "gaze" in (env.unwrapped.task.world.names or ())
    agent = load_agent(policy, env, seed, trust) if isinstance(policy, str) else policy
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
