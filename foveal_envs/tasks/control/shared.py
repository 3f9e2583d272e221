"""A cart on a track: the keywords, spaces, observations, measures and pictures of all tasks with poles on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import flag, one_of, real_number
from ...compiled import kernel, record
from ...limits import COUNT
from ...task import Observation, Task

if TYPE_CHECKING:
    from ...rendering import Canvas

ACTUATORS = ("force", "bang-bang")
GRAVITY, TRACK, TICK = 9.8, 2.4, 0.02  # m/s^2, farthest position in metres, seconds of a move
LARGEST = 10.0  # of any observed number
METRE, GROUND, TOP = 512.0 / (2 * TRACK + 0.8), 256.0, 238.0  # of the picture: a metre, the track, the cart's top
INK, SOFT, LIGHT, WOOD, PAIN, PUSH = "#263238", "#90a4ae", "#dde3e7", "#c77d3b", "#e53935", "#1e88e5"


class Cart(Task):
    """Poles on a cart that is pushed left and right.

    Abstract: a task writes ``reset``, ``step``, ``_wanted`` and ``_poles``.

    Args:
        actuators, velocities, pain, largest_force: keywords of the task.
        scales: (K,) what is observed as 1 of position, its velocity, and each angle and its velocity, in ``pose``'s
            order.
        **own: further settings of the task.
    """

    render_size = (512.0, 320.0)
    action_names = ("left", "right")
    tilt: float  # the largest angle, radians
    angles: tuple[str, ...] = ("angle",)  # what the picture calls those of the poles

    def __init__(
        self,
        actuators: str,
        velocities: bool,
        pain: bool,
        largest_force: float,
        scales: tuple[float, ...],
        **own: float,
    ) -> None:
        self._bang = one_of("actuators", actuators, ACTUATORS) == "bang-bang"
        velocities, pain = flag("velocities", velocities), flag("pain", pain)
        self._force = real_number("largest_force", largest_force, 0.0, 1000.0, "a number of newtons", above=True)
        low = np.full(len(scales) // 2 * (1 + velocities) + pain, -LARGEST, np.float32)
        if pain:
            low[-1] = 0.0
        high = np.where(low < 0, LARGEST, 1.0).astype(np.float32)
        self.observation_space = gym.spaces.Box(low, high, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2) if self._bang else gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        dtype = [("force", np.float64), ("scales", np.float64, (len(scales),)), *((name, np.float64) for name in own)]
        flags = [(name, np.bool_) for name in ("bang", "velocities", "pain")]
        self._settings = record(
            np.dtype([*dtype, *flags]),
            force=self._force, scales=scales, bang=self._bang, velocities=velocities, pain=pain, **own,
        )  # fmt: skip

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self._settings, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        return {"is_success": ~w["failed"], "balanced": w["moves"], "distance": np.abs(w["pose"][:, 0])}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """A linear function of positions and velocities."""
        push = self._wanted(worlds)
        actions: np.ndarray = push > 0 if self._bang else np.clip(push / self._force, -1.0, 1.0)[:, None]
        return actions.astype(self.action_space.dtype)

    def _wanted(self, worlds: np.ndarray) -> np.ndarray:
        """The push of the oracle, (N,) newtons, before it is limited."""
        raise NotImplementedError

    def _poles(self, w: np.void) -> list[tuple[float, float, float, float, float]]:
        """Poles of a world as drawn: x and y of the hinge, angle, length and width, in the picture's units."""
        raise NotImplementedError

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        x = 256.0 + METRE * w["pose"][0]
        left, right = 256.0 - METRE * TRACK, 256.0 + METRE * TRACK
        canvas.line([(left, GROUND), (right, GROUND)], LIGHT, 4.0)
        for end in (left, right):
            canvas.line([(end, GROUND - 10.0), (end, GROUND + 10.0)], SOFT, 3.0)
        for lean in (-self.tilt, self.tilt):
            canvas.line([(x, TOP), tip(x, TOP, lean, METRE * 1.08)], LIGHT, 1.5)
        canvas.polygon([(x - 26, TOP - 4), (x + 26, TOP - 4), (x + 26, GROUND - 8), (x - 26, GROUND - 8)], INK)
        for wheel in (-15.0, 15.0):
            canvas.circle(x + wheel, GROUND - 6.0, 6.0, SOFT)
        poles = self._poles(w)
        for hinge_x, hinge_y, angle, length, width in poles:
            ends = [(hinge_x, hinge_y), tip(hinge_x, hinge_y, angle, length)]
            canvas.line(ends, PAIN if w["failed"] else WOOD, width)
            canvas.circle(hinge_x, hinge_y, 0.625 * width, SOFT)
        push = w["push"] / self._force
        if push:
            canvas.line([(x, GROUND + 26.0), (x + 70.0 * push, GROUND + 26.0)], PUSH, 5.0)
        canvas.status("move", str(int(w["moves"])))
        canvas.status("position", f"{w['pose'][0]:+.2f} m")
        for name, (_, _, angle, _, _) in zip(self.angles, poles, strict=False):
            canvas.status(name, f"{math.degrees(angle):+.1f} degrees")
        canvas.status("push", f"{w['push']:+.1f} N")


def cart_record(poles: int, *own: tuple[Any, ...]) -> np.dtype[Any]:
    """Record of a world: ``pose`` holds the cart's position and velocity, then each pole's angle and velocity."""
    pose = ("pose", np.float64, (2 + 2 * poles,))
    return np.dtype([("moves", np.int64), pose, ("failed", np.bool_), ("push", np.float64), *own])


def cart_limits(**own: tuple[float, float]) -> dict[str, Any]:
    """Limits of such a record."""
    return {"moves": COUNT, "pose": (-1e6, 1e6), "failed": (0, 1), "push": (-1e6, 1e6), **own}


def tip(x: float, y: float, angle: float, length: float) -> tuple[float, float]:
    """The upper end of a pole in the picture."""
    return x + length * math.sin(angle), y - length * math.cos(angle)


@kernel
def newtons(settings: np.void, action: float) -> float:
    """The push of an action."""
    share = 2.0 * action - 1.0 if settings["bang"] else min(1.0, max(-1.0, float(action)))
    return float(settings["force"] * share)


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, all_settings: np.ndarray, observation: np.ndarray) -> None:
    settings = all_settings[0]
    scales = settings["scales"]
    places = len(scales) // 2
    for row in rows:
        pose = worlds[row]["pose"]
        for k in range(places):
            observation[row, k] = _clipped(pose[2 * k] / scales[2 * k])
        if settings["velocities"]:
            for k in range(places):
                observation[row, places + k] = _clipped(pose[2 * k + 1] / scales[2 * k + 1])
        if settings["pain"]:
            observation[row, observation.shape[1] - 1] = 1.0 if worlds[row]["failed"] else 0.0


@kernel
def _clipped(x: float) -> float:
    return min(LARGEST, max(-LARGEST, x))
