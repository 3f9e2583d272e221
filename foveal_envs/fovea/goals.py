"""Goals of looking tasks: their vectors, their spaces, and the rewards that depend on the two vectors alone."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from ..checks import LONGEST, flag, one_of, whole_number
from ..compiled import kernel
from ..scenes.coverage import ZERO
from ..vectors import LANES, first, full, load, total, where
from .fovea import HALF_SCENE, POSE, SEEN, Fovea
from .sensing import look, write_pose

SUCCESS_RADIUS = 10.0  # pixels
SUCCESS_ANGLE = math.radians(15.0)
APPEARANCE_TOLERANCE = 0.06  # root mean square difference of two glimpses
GOALS = ("appearance", "pose", None)
FORMATS = ("dict", "concat")
REWARDS = ("dense", "sparse", "terminal")
DENSE, SPARSE, TERMINAL = range(3)
_NONE, _BOOL = np.empty(0), np.dtype(np.bool_)
GOAL_LIMITS = {"wanted": POSE, "pose": (-1.0, 1.0), "desired": SEEN}
GOAL: list[tuple[Any, ...]] = [  # what kernels know of a goal: part of a task's settings
    ("proprioception", np.int64),  # 0, 2 or 4 numbers
    ("pose_length", np.int64),  # 2 or 4
    ("observed", np.int64),  # numbers of an observation
    ("goal_length", np.int64),
    ("by_pose", np.bool_),
    ("reward", np.int64),
    ("moves", np.int64),
]


def goal_fields(values: int) -> list[tuple[Any, ...]]:
    """Fields of a looking task's record for the wanted pose and goal vectors of up to ``values`` numbers, which kernels
    may write in vectors."""
    return [
        ("wanted", np.float64, (3,)),
        ("pose", np.float32, (4,)),
        ("desired", np.float32, (-(-values // LANES) * LANES,)),
    ]


class GoalSpace:
    """Space of an observation and a goal: the three goal keys, one Box of both, or the observation alone.

    Args:
        observation: Box of a vector.
        goal: Box of a vector; None: there are no goal keys.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).

    Attributes:
        space: the observation space.
        shown: whether there is a goal.
        concatenated: whether both are one Box.

    Raises:
        ValueError: an unknown format.
    """

    def __init__(self, observation: gym.spaces.Box, goal: gym.spaces.Box | None, goal_format: str) -> None:
        goal_format = one_of("goal_format", goal_format, FORMATS)
        self._observed, self._length = observation.shape[0], 0 if goal is None else goal.shape[0]
        self.shown, self.concatenated = goal is not None, goal is not None and goal_format == "concat"
        self.space: gym.Space[Any] = observation
        if goal is not None and self.concatenated:
            low, high = np.concatenate([observation.low, goal.low]), np.concatenate([observation.high, goal.high])
            self.space = gym.spaces.Box(low, high, dtype=np.float32)
        elif goal is not None:
            self.space = gym.spaces.Dict({"observation": observation, "achieved_goal": goal, "desired_goal": goal})

    def parts(self, observation: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arrays of a batch of ``space`` to write to: observation (N, K), achieved goal and desired goal, each (N, G),
        or (N, 0) where it is not shown."""
        if isinstance(observation, dict):
            return observation["observation"], observation["achieved_goal"], observation["desired_goal"]
        return observation[:, : self._observed], observation[:, :0], observation[:, self._observed :]

    def pairs(self, achieved: np.ndarray, desired: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Goals (..., G) broadcast, as two (P, G) float32 arrays, and the leading shape.

        Raises:
            ValueError: goals of another length.
        """
        first, second = np.broadcast_arrays(achieved, desired)
        if first.shape[-1:] != (self._length,):
            raise ValueError(f"goals must have shape (..., {self._length}), got {first.shape}")
        flat = [np.ascontiguousarray(goals, np.float32).reshape(-1, self._length) for goals in (first, second)]
        return flat[0], flat[1], first.shape[:-1]


class Goal:
    """Configuration of goal vectors, observation spaces and rewards.

    Args:
        fovea: the fovea that looks.
        goal: "appearance": the glimpse at the wanted pose; "pose": the pose itself; None: no goal keys.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).
        reward: "dense": -1/2 |d - x|^2 of glimpses (Schmidhuber & Huber 1990, E) or -|d - x| of poses, every move;
            "sparse": 0 where the goals match, else -1; "terminal": the dense reward, at the last move only.
        proprioception: whether the gaze's pose stands behind the glimpse in the observation.
        extra: further numbers, in [-1, 1], between the two.
        moves: length of an episode.

    Attributes:
        settings: values of the fields of GOAL, for ``record``.
        observation_space: of one world.
        shown: whether there are goal keys.
        by_pose: whether they are poses.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(
        self,
        fovea: Fovea,
        goal: str | None,
        goal_format: str,
        reward: str,
        proprioception: bool,
        moves: int,
        extra: int = 0,
    ) -> None:
        goal = one_of("goal", goal, GOALS)
        reward = one_of("reward", reward, REWARDS)
        proprioception = flag("proprioception", proprioception)
        moves = whole_number("moves", moves, 1, LONGEST)
        values, pose = fovea.values, 4 if fovea.rotate else 2
        self.by_pose = goal == "pose"
        self.length = pose if self.by_pose else values
        self.observed = values + extra + (pose if proprioception else 0)
        self.kind = REWARDS.index(reward)
        self.settings = {
            "proprioception": pose if proprioception else 0,
            "pose_length": pose,
            "observed": self.observed,
            "goal_length": self.length,
            "by_pose": self.by_pose,
            "reward": self.kind,
            "moves": moves,
        }
        low = np.full(self.observed, -1.0, np.float32)
        low[:values] = 0.0
        box = gym.spaces.Box(low, np.ones_like(low), dtype=np.float32)
        vector = gym.spaces.Box(-1.0 if self.by_pose else 0.0, 1.0, (self.length,), np.float32)
        self._space = GoalSpace(box, None if goal is None else vector, goal_format)
        self.observation_space, self.shown = self._space.space, self._space.shown

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Any) -> None:
        """Copy the stored observation and goals of the worlds of ``rows``; see ``Task.observe``."""
        _show(worlds, rows, self.by_pose, *self._space.parts(observation))

    def stored(self, worlds: np.ndarray) -> Any:
        """Views of what ``observe`` copies; see ``Task.stored``. Two vectors in one have none."""
        if self._space.concatenated:
            return None
        observation = worlds["glimpse"][:, : self.observed]
        if not self.shown:
            return observation
        achieved = worlds["pose" if self.by_pose else "glimpse"][:, : self.length]
        return {
            "observation": observation, "achieved_goal": achieved, "desired_goal": worlds["desired"][:, : self.length]
        }  # fmt: skip

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Reward (...) of each pair of goals (..., G)."""
        achieved, desired, shape = self._space.pairs(achieved_goal, desired_goal)
        rewards = np.empty(len(achieved))
        _reward_pairs(_padded(achieved), _padded(desired), self.length, self.by_pose, self.kind, rewards)
        return rewards.reshape(shape)


def _padded(goals: np.ndarray) -> np.ndarray:
    """Goals (P, G) as rows that reach to a multiple of 16."""
    return np.pad(goals, ((0, 0), (0, -goals.shape[1] % LANES)))


def measures(worlds: np.ndarray, rows: np.ndarray, rotate: bool) -> dict[str, np.ndarray]:
    """``is_success`` (R,) bool, ``distance`` (R,) pixels and, with rotation, ``angle_error`` (R,) radians."""
    count = len(rows)
    distance, is_success, angle_error = np.empty(count), np.empty(count, _BOOL), np.empty(count) if rotate else _NONE
    _measure(worlds, rows, distance, angle_error, is_success)
    if rotate:
        return {"is_success": is_success, "distance": distance, "angle_error": angle_error}
    return {"is_success": is_success, "distance": distance}


@kernel
def _measure(
    worlds: np.ndarray,
    rows: np.ndarray,
    distance: np.ndarray,
    angle_error: np.ndarray,
    is_success: np.ndarray,
) -> None:
    """Nothing turns where ``angle_error`` has no room."""
    rotate = angle_error.shape[0] > 0
    for i in range(rows.shape[0]):
        gaze, wanted = worlds[rows[i]]["gaze"], worlds[rows[i]]["wanted"]
        distance[i] = math.hypot(gaze[0] - wanted[0], gaze[1] - wanted[1])
        is_success[i] = distance[i] <= SUCCESS_RADIUS
        if rotate:
            turned = abs(gaze[2] - wanted[2])
            angle_error[i] = min(turned, 2.0 * math.pi - turned)
            is_success[i] = is_success[i] and angle_error[i] <= SUCCESS_ANGLE


@kernel
def goal_reward(achieved: np.ndarray, desired: np.ndarray, length: int, by_pose: bool, kind: int) -> float:
    """Reward of one pair of goals, from the two vectors alone, which reach to a multiple of 16; "terminal" pays as
    "dense" does."""
    if by_pose:
        away = math.hypot(desired[0] - achieved[0], desired[1] - achieved[1])
        turned = math.hypot(desired[2] - achieved[2], desired[3] - achieved[3]) if length == 4 else 0.0
        if kind == SPARSE:
            near = away <= SUCCESS_RADIUS / HALF_SCENE and turned <= 2.0 * math.sin(0.5 * SUCCESS_ANGLE)
            return 0.0 if near else -1.0
        return -math.hypot(away, turned)
    squares = _squared_distance(achieved, desired, length)
    if kind == SPARSE:
        return 0.0 if squares <= length * APPEARANCE_TOLERANCE * APPEARANCE_TOLERANCE else -1.0
    return -0.5 * float(squares)


@kernel
def _squared_distance(a: np.ndarray, b: np.ndarray, length: int) -> np.float32:
    """|a - b|^2 over the first ``length`` numbers; both arrays reach to a multiple of 16."""
    squares = full(ZERO)
    for k in range(0, length, LANES):
        difference = where(first(length - k), load(a, k) - load(b, k), ZERO)
        squares += difference * difference
    return np.float32(total(squares))


@kernel
def world_reward(w: np.void, settings: np.void) -> float:
    """Reward of the world as it is after move ``w["moves"]``."""
    kind = settings["reward"]
    if kind == TERMINAL and w["moves"] < settings["moves"]:
        return 0.0
    if settings["by_pose"]:
        return goal_reward(w["pose"], w["desired"], settings["goal_length"], True, kind)
    return goal_reward(w["glimpse"], w["desired"], settings["goal_length"], False, kind)


@kernel
def set_goal(w: np.void, settings: np.void, fields: np.ndarray, scratch: np.ndarray) -> None:
    """The goal vector of ``w["wanted"]``: the pose, or what the retina would give there without noise."""
    wanted, desired = w["wanted"], w["desired"]
    if settings["by_pose"]:
        write_pose(wanted[0], wanted[1], wanted[2], desired, 0, settings["pose_length"])
    else:
        look(w, settings, wanted[0], wanted[1], wanted[2], fields, scratch, desired)


@kernel
def _reward_pairs(
    achieved: np.ndarray, desired: np.ndarray, length: int, by_pose: bool, kind: int, rewards: np.ndarray
) -> None:
    for i in range(achieved.shape[0]):
        rewards[i] = goal_reward(achieved[i], desired[i], length, by_pose, kind)


@kernel
def _show(
    worlds: np.ndarray,
    rows: np.ndarray,
    by_pose: bool,
    observation: np.ndarray,
    achieved: np.ndarray,
    desired: np.ndarray,
) -> None:
    """Copy what each world of ``rows`` stores to its row of the three arrays, as many numbers as each is wide."""
    for row in rows:
        w = worlds[row]
        _copy(w["glimpse"], observation[row])
        if by_pose:
            _copy(w["pose"], achieved[row])
        else:
            _copy(w["glimpse"], achieved[row])
        _copy(w["desired"], desired[row])


@kernel
def _copy(source: np.ndarray, target: np.ndarray) -> None:
    for k in range(target.shape[0]):
        target[k] = source[k]
