"""The queue of episodes that a generation has to play, and the lanes that play them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from stable_baselines3.common.vec_env import VecEnv

from ..common.sequences import true_next
from ..common.vec_env import NO_INFO, GymnasiumVecEnv, take

NONE = -1  # the job of a lane that has none
Begin = Literal["keys", "seeds", "none"]


class Jobs:
    """A queue of (candidate, episode key): a lane whose job is over takes the next.

    Args:
        candidates: (J,) int64.
        keys: (J,) uint64, of the episodes.
        lanes: N.
        gamma: discount.

    Attributes:
        of_lane: (N,) int64, the job of each lane, -1 where it has none.
        active: (N,) bool, the lanes with a job.
        who: (N,) int64, each lane's candidate; that of the first job where it has none.
        lane_keys: (N,) uint64, the key of each lane's episode; that of the first job where it has none.
        returns: (J,) float64, discounted sums of rewards; NaN where the candidate's outputs were not finite.
        lengths: (J,) int64.
    """

    def __init__(self, candidates: np.ndarray, keys: np.ndarray, lanes: int, gamma: float = 1.0) -> None:
        count = len(candidates)
        self.candidates, self.keys, self._gamma = candidates, keys, gamma
        self._undiscounted = np.zeros(count)
        self.of_lane = np.full(lanes, NONE)
        self.returns, self.lengths = np.zeros(count), np.zeros(count, np.int64)
        self._begun = time.time()
        self._next = 0
        self._note()

    def _note(self) -> None:
        """What follows from the jobs of the lanes; read at every step, so made where they change."""
        self.active = self.of_lane != NONE
        self._lanes = np.flatnonzero(self.active)
        self._own = self.of_lane[self._lanes]
        some = np.maximum(self.of_lane, 0)
        self.who, self.lane_keys = self.candidates[some], self.keys[some]

    @property
    def playing(self) -> int:
        """How many lanes have a job."""
        return len(self._lanes)

    @property
    def finished(self) -> bool:
        return not self.playing and self._next == len(self.keys)

    def take(self, lanes: np.ndarray) -> np.ndarray:
        """Gives the next jobs to some lanes (n,), whose own are over; returns those that got one."""
        count = min(len(lanes), len(self.keys) - self._next)
        self.of_lane[lanes] = NONE
        given = lanes[:count]
        self.of_lane[given] = np.arange(self._next, self._next + count)
        self._next += count
        self._note()
        return given

    def add(self, rewards: np.ndarray, broken: np.ndarray) -> None:
        """The rewards (N,) of a step, and in which lanes (N,) bool the candidate's outputs were not finite."""
        own, given, lengths = self._own, rewards[self._lanes], self.lengths[self._own]
        if np.count_nonzero(given):
            self._undiscounted[own] += given
            self.returns[own] += self._gamma**lengths * given
        self.returns[self.of_lane[broken]] = np.nan
        self.lengths[own] = lengths + 1

    def infos(self, rewards: np.ndarray, ends: np.ndarray) -> list[dict[str, Any]]:
        """One info a lane, with the `episode` of those that end with these rewards (N,), as Monitor writes it."""
        infos: list[dict[str, Any]] = [NO_INFO] * len(ends)
        for lane in ends.nonzero()[0].tolist():
            job, seconds = self.of_lane[lane], round(time.time() - self._begun, 6)
            whole = {"r": float(self._undiscounted[job] + rewards[lane]), "l": int(self.lengths[job]) + 1, "t": seconds}
            infos[lane] = {"episode": whole}
        return infos


class Lanes:
    """A VecEnv whose lanes begin the episodes that they are told to, and rest without one, as far as it can.

    An environment whose metadata say `episode_keys` begins the episode of a key; Gymnasium's Sync- and AsyncVectorEnv
    seed a lane with it. Others, wrapped ones among them, are all seeded once a generation, and then a lane's episodes
    follow one another. Where a step takes no `active`, lanes without a job play on.

    Args:
        env: VecEnv of N lanes.

    Attributes:
        begins: "keys", "seeds" or "none": what decides about an episode.
    """

    def __init__(self, env: VecEnv) -> None:
        self.env = env
        self.begins: Begin = "none"
        self._inner: Any = None
        self._rests = False
        self._obs: Any = None
        if isinstance(env, GymnasiumVecEnv):
            inner = env.env
            if inner.metadata.get("episode_keys"):
                self.begins = "keys"
            elif isinstance(inner.unwrapped, SyncVectorEnv | AsyncVectorEnv):
                self.begins = "seeds"
            if self.begins != "none":
                self._inner = inner
                self._rests = getattr(inner, "can_rest", "active" in inspect.signature(inner.step).parameters)

    def start(self, seed: int) -> None:
        """Before a generation's first episodes."""
        if self._inner is None:
            self.env.seed(seed)
            self._obs = self.env.reset()

    def begin(self, lanes: np.ndarray, keys: np.ndarray, obs: Any = None) -> Any:
        """Begins episodes in some lanes.

        Args:
            lanes: (n,).
            keys: (n,) uint64.
            obs: (N, ...) of all lanes now; None: before the first episodes, which all lanes begin.

        Returns:
            Observations (N, ...).
        """
        if self._inner is None:
            return self._obs
        if not len(lanes):
            return obs
        count = self.env.num_envs
        mask = np.zeros(count, bool)
        mask[lanes] = True
        of_lane = np.full(count, keys[0])
        of_lane[lanes] = keys
        options: dict[str, Any] = {} if obs is None else {"reset_mask": mask}
        if self.begins == "keys":
            return self._inner.reset(options={**options, "episode_key": of_lane})[0]
        return self._inner.reset(seed=[key % 2**31 for key in of_lane.tolist()], options=options)[0]

    def step(self, actions: np.ndarray, active: np.ndarray) -> tuple[Any, Any, np.ndarray, np.ndarray, np.ndarray]:
        """One step: observations to go on from, those that the actions led to, rewards (N,), ends (N,) bool and
        terminated (N,) bool, the last two False where a lane has no job."""
        if self._inner is None:
            self._obs, rewards, ends, infos = self.env.step(actions)
            last, terminated = true_next(self._obs, ends, infos)
            return self._obs, last, rewards, ends & active, terminated & active
        given = (actions, active) if self._rests else (actions,)
        obs, rewards, terminated, truncated, told = self._inner.step(*given)
        ends = (terminated | truncated) & active
        last = obs
        if ends.any() and "final_obs" in told:
            last = _with_last(obs, ends, told["final_obs"])
        return obs, last, rewards, ends, terminated & active


def _with_last(obs: Any, ends: np.ndarray, last: Any) -> Any:
    """Observations (N, ...), the last ones where episodes ended."""
    if isinstance(obs, Mapping):
        return {key: _with_last(part, ends, _part(last, key)) for key, part in obs.items()}
    changed = np.array(obs)
    for lane in np.flatnonzero(ends).tolist():
        changed[lane] = take(last, lane)
    return changed


def _part(last: Any, key: str) -> Any:
    if isinstance(last, Mapping):
        return last[key]
    return [one if one is None else one[key] for one in last]
