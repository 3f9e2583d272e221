"""How episodes are played, by one loop for all commands, and the scores of agents and references from many starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from .environments import make_lanes
from .policies import Predictor, load_agent

EVALUATION_SEED = 1_000_000_000  # training seeds are small, so the two never meet
ANGLE_LIMIT = np.radians(15.0)


@dataclass(frozen=True)
class Move:
    """What one move led to in N lanes; the first of a rollout is the reset before any move.

    Attributes:
        number: of the move, 0 for the reset.
        obs: (N, ...) as the environment gave it.
        actions: (N, ...) that led here; None for the reset.
        rewards: (N,), 0 for the reset.
        terminated: (N,) bool, whether an episode ended for any reason but a time limit.
        truncated: (N,) bool, whether it ran into its time limit; a last step at the limit is both.
        running: (N,) bool, whether the lane's first episode went on until this move.
        infos: of the environment.
    """

    number: int
    obs: Any
    actions: Any
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    running: np.ndarray
    infos: dict[str, Any]

    @property
    def ended(self) -> np.ndarray:
        """(N,) bool, whether an episode ended for any reason."""
        return self.terminated | self.truncated

    def held(self, before: np.ndarray | float, now: np.ndarray) -> np.ndarray:
        """(N,) what is now in lanes whose first episode is running, and what was before in the others."""
        return np.where(self.running, now, before)

    def measures(self, before: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The infos' measures, numbers (N,), held likewise; of other infos, as a gaze (N, 2), nothing is kept."""
        arrays = {name: np.asarray(values) for name, values in self.infos.items() if name[0] != "_"}
        now = {
            name: values
            for name, values in arrays.items()
            if values.shape == self.running.shape and values.dtype.kind in "biuf" and name != "episode_key"
        }
        return {**before, **{name: self.held(before.get(name, values), values) for name, values in now.items()}}


def rollout(
    env: gym.vector.VectorEnv[Any, Any, Any] | gym.Env[Any, Any],
    policy: Predictor,
    seed: int | None = None,
    deterministic: bool = True,
    options: dict[str, Any] | None = None,
) -> Iterator[Move]:
    """The one loop of an episode: plays until the first episode of every lane is over.

    Args:
        env: vector environment of N lanes, or a single one, N = 1.
        policy: whatever has Stable-Baselines3's ``predict``.
        seed: of lane 0; None: the lanes go on with their own episodes.
        deterministic: passed to the policy.
        options: of the reset.

    Yields:
        The reset, then every move.
    """
    lanes = getattr(env, "num_envs", 1)
    obs, infos = env.reset(seed=seed, options=options)
    state, start, running, number = None, np.ones(lanes, bool), np.ones(lanes, bool), 0
    nothing = np.zeros(lanes, bool)
    yield Move(0, obs, None, np.zeros(lanes), nothing, nothing, running, infos)
    while running.any():
        actions, state = policy.predict(obs, state, start, deterministic=deterministic)
        obs, rewards, terminated, truncated, infos = env.step(actions)
        number += 1
        move = Move(number, obs, actions, *np.atleast_1d(rewards, terminated, truncated), running, infos)
        yield move
        start = move.ended
        running = running & ~start


@dataclass
class Episodes:
    """What happened in one episode of each of N lanes.

    Attributes:
        distance: (moves, N) from the goal after each move, as the task measures it; zeros where it does not.
        angle_error: (moves, N) radians, zeros where nothing turns.
        measures: every measure of the info at the end of each lane's first episode, each (N,).
        returns: (N,) sum of rewards.
    """

    distance: np.ndarray
    angle_error: np.ndarray
    measures: dict[str, np.ndarray]
    returns: np.ndarray


def run_episodes(
    policy: Predictor | Callable[[Any], Predictor] | str,
    env_id: str,
    starts: int = 1000,
    seed: int = EVALUATION_SEED,
    trust: bool = False,
    algorithm: str | None = None,
    **keywords: Any,
) -> Episodes:
    """One episode from each of ``starts`` starts, until every lane's first episode is over.

    Args:
        policy: the agent, a function that makes it of the lanes, or the name of a reference.
        env_id: any environment of this package, or any that says ``is_success`` or nothing in its infos.
        starts: N lanes.
        seed: of lane 0; lane i is seeded ``seed + i``.
        trust, algorithm: see ``load_agent``.
        **keywords: of the task.
    """
    env = make_lanes(env_id, keywords, starts, info="step")
    if isinstance(policy, str):
        policy = load_agent(policy, env, seed, trust, algorithm)
    elif not isinstance(policy, Predictor):
        policy = policy(env)
    trace: list[tuple[np.ndarray, np.ndarray]] = []
    returns, measures, nothing = np.zeros(starts), {}, np.zeros(starts)
    for move in rollout(env, policy, seed):
        returns += move.held(0.0, move.rewards)
        if move.number:
            trace.append((move.infos.get("distance", nothing), move.infos.get("angle_error", nothing)))
            measures = move.measures(measures)
    env.close()
    distance, angle_error = (np.array(column) for column in zip(*trace, strict=True))
    return Episodes(distance, angle_error, measures, returns)


def detection_scores(episodes: Episodes, rotate: bool = False) -> dict[str, float]:
    """Shares of starts that end on the target after the 5th and the last move, median error, and fixations to it.

    Returns:
        ``within_5``, ``within_10`` (after the last move), ``within_5_at_5``, ``within_10_at_5`` (after the 5th),
        ``median`` (pixels), ``fixations`` (mean number of moves until the gaze first lies within 10 pixels, counted as
        all moves where it never does); with rotation also ``pose`` (within 10 pixels and 15 degrees) and
        ``median_angle`` (degrees) and ``within_15_degrees``.
    """
    distance, last, fifth = episodes.distance, -1, min(4, len(episodes.distance) - 1)
    arrived = distance <= 10.0
    first = np.where(arrived.any(0), arrived.argmax(0) + 1, len(distance))
    scores = {
        "within_5": float((distance[last] <= 5.0).mean()),
        "within_10": float((distance[last] <= 10.0).mean()),
        "median": float(np.median(distance[last])),
        "within_5_at_5": float((distance[fifth] <= 5.0).mean()),
        "within_10_at_5": float((distance[fifth] <= 10.0).mean()),
        "fixations": float(first.mean()),
    }
    if rotate:
        turned = episodes.angle_error[last]
        scores["pose"] = float(((distance[last] <= 10.0) & (turned <= ANGLE_LIMIT)).mean())
        scores["within_15_degrees"] = float((turned <= ANGLE_LIMIT).mean())
        scores["median_angle"] = float(np.degrees(np.median(turned)))
    return scores


def tracking_scores(episodes: Episodes, skip: int = 10) -> dict[str, float]:
    """``error``: mean distance in pixels after the target's move, the first ``skip`` moves left out; its ``median``."""
    kept = episodes.distance[skip:]
    return {"error": float(kept.mean()), "median": float(np.median(kept))}


def scores(episodes: Episodes, env_id: str, rotate: bool = False) -> dict[str, float]:
    """The measures that suit the task: of detection, of tracking, or the means of its own; and the mean return."""
    if "Detection" in env_id:
        own = detection_scores(episodes, rotate)
    elif "Tracking" in env_id:
        own = tracking_scores(episodes)
    else:
        numbers = {name: values for name, values in episodes.measures.items() if values.dtype.kind in "biuf"}
        own = {name: float(values.mean()) for name, values in numbers.items()}
    return {**own, "return": float(episodes.returns.mean())}


def measured(policy: Any, env_id: str, *arguments: Any, **keywords: Any) -> dict[str, float]:
    """The `scores` of `run_episodes`, which takes the same arguments."""
    episodes = run_episodes(policy, env_id, *arguments, **keywords)
    return scores(episodes, env_id, bool(keywords.get("rotate", False)))
