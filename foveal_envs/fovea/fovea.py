"""Fovea: a retina on a movable gaze, its actuators, and the record and kernels that every looking task shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from ..checks import flag, one_of, real_number
from ..compiled import aligned, kernel
from ..limits import COUNT, KEY
from ..retinas import Retina, make_retina
from ..scenes.objects import LINE

SCENE = 512.0  # side of the square scene, pixels
HALF_SCENE = 0.5 * SCENE
TRAIL = 64  # fixations remembered for drawing
CAPACITIES = (64, 256, 1024, 4096)  # of a glimpse, so that few sizes of record are ever compiled
DISCRETE = "directions", "fields"
ACTUATORS = ("saccade", "muscles", *DISCRETE)
POSE = (0.0, 0.0, -math.pi), (SCENE, SCENE, math.pi)  # range of a pose in the scene
SEEN = -1.1, 1.1  # range of what is observed; a bank of pictures rounds
FOVEA_LIMITS = {"key": KEY, "moves": COUNT, "gaze": POSE, "trail": POSE, "background": (0.0, 1.0), "glimpse": SEEN}
EYE: list[tuple[Any, ...]] = [  # what kernels know of a fovea: part of a looking task's settings
    ("low", np.float64),  # smallest strength of a move; the largest is 1
    ("reach", np.float64),  # of the retina, pixels
    ("channels", np.int64),
    ("values", np.int64),  # of a glimpse: channels times fields
    ("noisy", np.bool_),
]


def fovea_fields(values: int) -> list[tuple[Any, ...]]:
    """Fields of a looking task's record, for a glimpse of ``values`` numbers.

    ``gaze`` is (x, y, angle): pixels from the top left corner, x right and y down, and radians, clockwise.
    """
    capacity = next(size for size in CAPACITIES if size >= values)
    return [
        ("key", np.uint64),
        ("moves", np.int64),
        ("gaze", np.float64, (3,)),
        ("trail", np.float32, (TRAIL, 3)),  # gaze after move m at m % TRAIL
        ("background", np.float32, (3,)),
        ("glimpse", np.float32, (capacity,)),
    ]


class Fovea:
    """Configuration of a steerable retina: its fields, what moves it, and how noisy it is.

    Args:
        retina: name, dict or Retina.
        actuators: all in the fovea's own frame, which turns with it. "saccade": Box(-1, 1), times the largest jump
            right and down (and turn clockwise); "muscles": Box(0, 1), pushes up, down, left, right (and clockwise,
            counter-clockwise) as in 1990; "directions": Discrete, the 8 compass directions at the largest jump and at a
            quarter of it, (4 turns,) and no move; "fields": Discrete, to the centre of each field of the retina,
            whatever the largest jump, (4 turns,) and no move.
        largest_jump: pixels along each axis.
        largest_turn: radians.
        rotate: whether the fovea turns.
        channels: 1, or 3 for colour.
        noise: standard deviation of the noise of one pixel; a field averages it over its area.

    Attributes:
        settings: values of the fields of EYE, for ``record``.
        moves: (n, 3) displacement of each action component (or each discrete action) at full strength.
        noise: (K,) float32, standard deviation of each field's noise.
        scratch: (LINE + 1, K') float32, work space of ``look``. Kernels take moves, the retina's fields, noise and
            scratch, as far as they need them, in this order.

    Raises:
        ValueError: an unknown name or a value out of range.
    """

    def __init__(
        self,
        retina: str | Mapping[str, Any] | Retina,
        actuators: str,
        largest_jump: float,
        largest_turn: float,
        rotate: bool,
        channels: int,
        noise: float,
    ) -> None:
        actuators = one_of("actuators", actuators, ACTUATORS)
        channels = one_of("channels", channels, (1, 3))
        largest_jump = real_number("largest_jump", largest_jump, 0.0, SCENE, "a number of pixels", above=True)
        largest_turn = real_number("largest_turn", largest_turn, 0.0, math.pi, "an angle", above=True)
        noise = real_number("noise", noise, 0.0, 10.0, "a standard deviation")
        self.rotate = rotate = flag("rotate", rotate)
        self.retina = make_retina(retina)
        self.channels = channels
        self.values = channels * len(self.retina)
        if self.values > CAPACITIES[-1]:
            raise ValueError(f"a glimpse holds at most {CAPACITIES[-1]} numbers; this retina gives {self.values}")
        self.noise = (2.0 * noise / np.sqrt(np.pi * self.retina.table[:, 2] ** 2)).astype(np.float32)
        self.moves = _moves(actuators, largest_jump, largest_turn if rotate else None, self.retina.table)
        self.largest_jump, self.largest_turn = largest_jump, largest_turn
        self.actuators = actuators
        shape = (len(self.moves),)
        self.action_space: gym.Space[Any] = {
            "saccade": gym.spaces.Box(-1.0, 1.0, shape, np.float32),
            "muscles": gym.spaces.Box(0.0, 1.0, shape, np.float32),
        }.get(actuators, gym.spaces.Discrete(len(self.moves)))
        self._one_hot = np.eye(len(self.moves), dtype=np.float32) if actuators in DISCRETE else None
        self.scratch = aligned((LINE + 1, self.retina.fields.shape[1]))  # for ``add_object``, and a row of shares
        self.settings = {
            "low": -1.0 if actuators == "saccade" else 0.0,
            "reach": self.retina.reach,
            "channels": channels,
            "values": self.values,
            "noisy": noise > 0,
        }

    def strengths(self, actions: np.ndarray) -> np.ndarray:
        """How much (N, n) float32 of each of the n moves the actions (N, n) or (N,) ask for; ``displacement`` clips."""
        return actions if self._one_hot is None else self._one_hot[actions]

    def aim(self, displacements: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """Actions (N, ...) whose moves come nearest to the wanted ones.

        Args:
            displacements: (N, 3) in the scene, pixels and radians.
            angles: (N,) of the fovea, radians.
        """
        wanted = np.array(displacements, np.float64)
        cos, sin = np.cos(angles), np.sin(angles)
        wanted[:, 0] = cos * displacements[:, 0] + sin * displacements[:, 1]
        wanted[:, 1] = cos * displacements[:, 1] - sin * displacements[:, 0]
        wanted[:, 2] = wrap(wanted[:, 2])
        limits = np.array([self.largest_jump, self.largest_jump, self.largest_turn])
        if self.actuators in DISCRETE:
            gap = (wanted[:, None] - self.moves[None]) / limits
            return np.asarray(np.argmin((gap[..., : 3 if self.rotate else 2] ** 2).sum(-1), axis=1))
        x, y, turn = np.clip(wanted / limits, -1.0, 1.0).T
        if self.actuators == "saccade":
            actions = np.stack([x, y, turn][: len(self.moves)], axis=1)
        else:
            actions = np.stack([-y, y, -x, x, turn, -turn][: len(self.moves)], axis=1).clip(0.0)
        return actions.astype(np.float32)

    def aim_at(self, gaze: np.ndarray, places: np.ndarray, turns: float | np.ndarray = 0.0) -> np.ndarray:
        """Actions (N, ...) that bring gazes (N, 3) nearest to places (N, 2) in the scene and turn them (N,) radians."""
        return self.aim(np.column_stack([places - gaze[:, :2], np.broadcast_to(turns, len(gaze))]), gaze[:, 2])


def _moves(actuators: str, jump: float, turn: float | None, table: np.ndarray) -> np.ndarray:
    """(n, 3) displacement of each action component (or each discrete action) at full strength."""
    moves: list[tuple[float, float, float]]
    if actuators == "saccade":
        moves = [(jump, 0, 0), (0, jump, 0)] + ([(0, 0, turn)] if turn else [])
    elif actuators == "muscles":
        moves = [(0, -jump, 0), (0, jump, 0), (-jump, 0, 0), (jump, 0, 0)]
        moves += [(0, 0, turn), (0, 0, -turn)] if turn else []
    elif actuators == "directions":
        compass = [(dx, dy, 0.0) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
        moves = [(size * dx, size * dy, 0.0) for size in (jump, 0.25 * jump) for dx, dy, _ in compass]
    else:
        moves = [(u, v, 0.0) for u, v, _ in table]
    if actuators in DISCRETE:
        moves += [(0, 0, sign * turn * size) for size in (1, 0.25) for sign in (1, -1)] if turn else []
        moves += [(0.0, 0.0, 0.0)]
    return np.array(moves, np.float64)


def wrap(angle: Any) -> Any:
    """Angle in radians, brought to [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@kernel
def displacement(strengths: np.ndarray, i: int, settings: np.void, moves: np.ndarray) -> tuple[float, float, float]:
    """Right, down and turn of lane ``i``: the sum over j of clip(strengths[i, j], low, 1) moves[j]."""
    right = down = turn = 0.0
    low = settings["low"]
    for j in range(moves.shape[0]):
        strength = min(1.0, max(low, float(strengths[i, j])))
        right += strength * moves[j, 0]
        down += strength * moves[j, 1]
        turn += strength * moves[j, 2]
    return right, down, turn


@kernel
def begin_gaze(w: np.void, key: np.uint64, x: float, y: float, angle: float) -> None:
    """Start an episode's fovea at a pose."""
    w["key"] = key
    w["moves"] = 0
    set_gaze(w, x, y, angle)


@kernel
def set_gaze(w: np.void, x: float, y: float, angle: float) -> None:
    """Put the gaze at a pose, kept inside the scene, and remember it in the trail."""
    gaze, trail = w["gaze"], w["trail"]
    gaze[0] = min(SCENE, max(0.0, x))
    gaze[1] = min(SCENE, max(0.0, y))
    if not -math.pi <= angle < math.pi:
        angle = (angle + math.pi) % (2.0 * math.pi) - math.pi
    gaze[2] = angle
    slot = w["moves"] % TRAIL
    trail[slot, 0] = gaze[0]
    trail[slot, 1] = gaze[1]
    trail[slot, 2] = gaze[2]


@kernel
def move_gaze(w: np.void, right: float, down: float, turn: float) -> None:
    """One saccade: a jump along the fovea's own axes, then a turn about its centre."""
    gaze = w["gaze"]
    c, s = 1.0, 0.0
    if gaze[2] != 0.0:
        c, s = math.cos(gaze[2]), math.sin(gaze[2])
    set_gaze(w, gaze[0] + c * right - s * down, gaze[1] + s * right + c * down, gaze[2] + turn)
