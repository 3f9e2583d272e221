"""One evaluation for agents and references: episodes from many starts, all lanes at once, measured at every move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

import foveal_envs  # noqa: F401  registers the ids

EVALUATION_SEED = 1_000_000_000  # training seeds are small, so the two never meet
ANGLE_LIMIT = np.radians(15.0)


class Predictor(Protocol):
    """Anything with the ``predict`` of Stable-Baselines3: agents and references."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]: ...


@dataclass
class Episodes:
    """What happened in one episode of each of N lanes.

    Attributes:
        distance: (moves, N) pixels from the wanted position after each move.
        angle_error: (moves, N) radians, zeros where the fovea does not turn.
        measures: the last value of every other measure in the info, each (N,).
        returns: (N,) sum of rewards.
    """

    distance: np.ndarray
    angle_error: np.ndarray
    measures: dict[str, np.ndarray]
    returns: np.ndarray


def run_episodes(
    policy: Predictor | None,
    env_id: str,
    starts: int = 1000,
    moves: int = 25,
    seed: int = EVALUATION_SEED,
    reference: str | None = None,
    **keywords: Any,
) -> Episodes:
    """One episode of ``moves`` moves from each of ``starts`` starts.

    Args:
        policy: the agent; None with ``reference``.
        env_id: a looking task of this package.
        starts: N lanes.
        moves: length of the episodes.
        seed: of lane 0.
        reference: name of a reference policy, made for the evaluation's own environment.
        **keywords: of the task.
    """
    env = gym.make_vec(
        env_id, starts, vectorization_mode="vector_entry_point", info="step", **{**keywords, "moves": moves}
    )
    if reference is not None:
        from foveal_envs.reference import make_reference

        policy = make_reference(reference, env)
    assert policy is not None
    observation, infos = env.reset(seed=seed)
    state, episode_start = None, np.ones(starts, bool)
    distance, angle_error = np.zeros((moves, starts)), np.zeros((moves, starts))
    returns = np.zeros(starts)
    for move in range(moves):
        actions, state = policy.predict(observation, state, episode_start, deterministic=True)
        observation, rewards, _, _, infos = env.step(actions)
        episode_start = np.zeros(starts, bool)
        distance[move] = infos["distance"]
        angle_error[move] = infos.get("angle_error", 0.0)
        returns += rewards
    env.close()
    measures = {name: value for name, value in infos.items() if not name.startswith("_")}
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
