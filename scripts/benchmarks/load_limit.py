"""The load-and-cache-line limit of the image bank: what ``benchmark images`` holds the image bank against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from foveal_envs.compiled import compiled
from foveal_envs.scenes.bank import AT, look_at_picture

LINE = 64  # bytes that come with every load
POSES = 200


def lines_of_a_glimpse(task: Any) -> int:
    """Distinct cache lines of the bank that one glimpse of an ImageSearch needs: the mean over random poses."""
    bank, glimpse, rng = task.bank, np.zeros(task.fovea.values, np.float32), np.random.default_rng(0)
    _, _, _, points, _ = bank.arrays
    at = points[AT, : len(task.fovea.retina)]
    side, counts = bank.pictures.shape[1], []
    for x, y, angle in rng.uniform((0, 0, -np.pi), (side, side, np.pi), (POSES, 3)).tolist():
        look_at_picture(bank.arrays, 0, x, y, angle if task.fovea.rotate else 0.0, glimpse)
        counts.append(len(np.unique(at.astype(np.int64) * 4 // LINE)))
    return task.fovea.channels * round(np.mean(counts))


def load_limit(env: gym.vector.VectorEnv[Any, Any, Any], lines: int) -> Callable[[int], None]:
    """A function that does so many times the least that a step of all lanes must do.

    It loads cache lines from random places of the bank, none of them waiting for another, and writes an observation; it
    computes nothing.

    Args:
        env: a native vector environment of ImageSearch.
        lines: loaded for each lane: one a sample, or as many as ``lines_of_a_glimpse`` says.
    """
    task = env.unwrapped.task  # type: ignore[attr-defined]
    (_, texels, _, _, _), rng = task.bank.arrays, np.random.default_rng(0)
    places = rng.integers(len(texels), size=(env.num_envs, lines), dtype=np.uint32)
    observation = np.zeros((env.num_envs, gym.spaces.flatdim(env.single_observation_space)), np.float32)

    def steps(count: int) -> None:
        for shift in rng.integers(len(texels), size=count, dtype=np.uint32):
            _load(texels, places, shift, observation)

    return steps


@compiled
def _load(texels: np.ndarray, places: np.ndarray, shift: np.uint32, observation: np.ndarray) -> None:
    """One load a place, all places moved by ``shift`` around the bank, so that no call finds the lines of the last."""
    size = np.uint32(texels.shape[0])
    for lane in range(places.shape[0]):
        found = np.uint32(0)
        for i in range(places.shape[1]):
            at = places[lane, i] + shift
            found ^= texels[at - size if at >= size else at]
        for k in range(observation.shape[1]):
            observation[lane, k] = found
