"""TargetTracking: keep the fovea on a moving target (smooth pursuit by saccades)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import number_range, one_of
from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea, displacement, set_gaze
from ...fovea.goals import GOAL, SUCCESS_RADIUS, Goal, set_goal, world_reward
from ...fovea.sensing import perceive
from ...retinas import Retina
from .shared import (
    LOOKS,
    RADIUS,
    START_RADIUS,
    GoalLooking,
    Looks,
    looking_limits,
    looking_record,
    place_object,
    set_background,
    start_near,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

MOTIONS = ("line", "bounce", "circle", "random_walk")
LINE, BOUNCE, CIRCLE, RANDOM_WALK = range(4)
ORBIT = 100.0  # radius of "circle", pixels
MAX_SPEED = 40.0
SETTINGS = np.dtype(
    [("motion", np.int64), ("speed", np.float64, (2,)), ("largest_jump", np.float64), *LOOKS, *GOAL, *EYE]
)


class TargetTracking(GoalLooking):
    """Keep the gaze on a moving target; the error is measured after each move of the target.

    Schmidhuber & Huber (1990, tracking of moving targets). In every step the gaze jumps, then the target moves, then
    the retina sees where it went, so staying on the target takes prediction. The observation therefore holds two
    glimpses and the last jump, which together give the velocity.

    ### Observation
    A Dict of float32 vectors: ``observation`` (82,): the present glimpse (40,), the one before it (40,), and the last
    jump over the largest (2,), right and down; ``achieved_goal`` (40,) the present glimpse; ``desired_goal`` (40,) the
    glimpse with the gaze on the target's centre. With ``goal="pose"`` the desired goal is the target's position *now*
    and moves with it.

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times 20 pixels right and down; see TargetDetection for the others.

    ### Reward
    ``dense`` -1/2 |desired - achieved|^2 after every move, ``sparse`` 0 or -1, ``terminal`` after the last move only.

    ### Episode
    ``terminated`` after ``moves`` moves. Info: ``distance`` (pixels, after the target's move) and ``is_success``
    (distance at most 10). A discount of 0.9 suits the task.

    Args:
        motion: "line": straight on, on a scene whose opposite borders are joined; "bounce": straight on, reflected
            before the borders; "circle": on a circle of 100 pixels around the middle; "random_walk": every step in a
            new direction, uniform over all angles, reflected before the borders.
        speed: pixels a step, or (low, high) from which every episode draws; at most 40.
        shape: as in TargetDetection.
        moves: length of an episode.
        retina, actuators, reward, goal, goal_format, proprioception, channels, noise, randomise, largest_jump: as in
            TargetDetection.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self,
        motion: str = "bounce",
        speed: float | Sequence[float] = 5.0,
        shape: str | Sequence[str] = "triangle",
        moves: int = 50,
        retina: str | Mapping[str, Any] | Retina = "rings",
        actuators: str = "saccade",
        reward: str = "dense",
        goal: str | None = "appearance",
        goal_format: str = "dict",
        proprioception: bool = False,
        channels: int = 1,
        noise: float = 0.0,
        randomise: Mapping[str, Sequence[float]] | None = None,
        largest_jump: float = 20.0,
    ) -> None:
        motion = one_of("motion", motion, MOTIONS)
        speeds = number_range("speed", speed, 0.0, MAX_SPEED)
        fovea = Fovea(retina, actuators, largest_jump, math.pi, False, channels, noise)
        values = fovea.values
        super().__init__(fovea, Goal(fovea, goal, goal_format, reward, proprioception, moves, extra=values + 2))
        self.world = looking_record(self.goal.observed, values, 1, ("velocity", np.float64, (2,)), ("joined", np.bool_))
        self.limits = looking_limits(1, velocity=(-2.0 * MAX_SPEED, 2.0 * MAX_SPEED), joined=(0, 1))
        self._looks = Looks(shape, RADIUS, randomise)
        self._motion = MOTIONS.index(motion)
        parts = {**self._looks.settings, **self.goal.settings, **self.fovea.settings}
        self._settings = record(SETTINGS, motion=self._motion, speed=speeds, largest_jump=fovea.largest_jump, **parts)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        fovea, looks = self.fovea, self._looks
        _reset(
            worlds, rows, keys, self._settings, looks.shapes, looks.table, fovea.retina.fields, fovea.noise,
            fovea.scratch,
        )  # fmt: skip

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(
            worlds, active, fovea.strengths(actions), self._settings, fovea.moves, fovea.retina.fields, fovea.noise,
            fovea.scratch, rewards, terminated,
        )  # fmt: skip

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        gap = self.gap(worlds["gaze"][rows], worlds["wanted"][rows])
        distance = np.hypot(gap[:, 0], gap[:, 1])
        return {"is_success": distance <= SUCCESS_RADIUS, "distance": distance}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Jump to where the target will be; on a random walk, to where it is: no predictor that knows its law does
        better, and the error then equals the speed.
        """
        gaze, ahead = worlds["gaze"], worlds["wanted"].copy()
        for place, w in zip(ahead, worlds, strict=True):
            place[:2] = _ahead(w, self._motion)[:2]
        return self.fovea.aim(self.gap(gaze, ahead), gaze[:, 2])

    def gap(self, gaze: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """What lies between two poses, the shorter way round where opposite borders are joined."""
        gap = super().gap(gaze, wanted)
        if self._motion == LINE:
            gap[..., :2] = (gap[..., :2] + 0.5 * SCENE) % SCENE - 0.5 * SCENE
        return gap

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        canvas.scene(w["objects"][: w["count"]], w["background"], self.fovea.channels, wrap=self._motion == LINE)


@kernel
def _reset(
    worlds: np.ndarray,
    rows: np.ndarray,
    episode_keys: np.ndarray,
    all_settings: np.ndarray,
    shapes: np.ndarray,
    table: np.ndarray,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
) -> None:
    settings = all_settings[0]
    motion, speed = settings["motion"], settings["speed"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        set_background(w, key, settings)
        x = keys.between(key, 10, START_RADIUS, SCENE - START_RADIUS)
        y = keys.between(key, 11, START_RADIUS, SCENE - START_RADIUS)
        pace = keys.between(key, 13, speed[0], speed[1])
        direction = keys.between(key, 14, -math.pi, math.pi)
        if motion == CIRCLE:
            x, y = 0.5 * SCENE + ORBIT * math.cos(direction), 0.5 * SCENE + ORBIT * math.sin(direction)
            direction += math.copysign(0.5 * math.pi, keys.uniform(key, 15) - 0.5)
        w["velocity"][0] = pace * math.cos(direction)
        w["velocity"][1] = pace * math.sin(direction)
        w["joined"] = motion == LINE
        w["count"] = 1
        place_object(w["objects"][0], key, 0, x, y, 0.0, settings, shapes, table, w["background"])
        w["wanted"][0] = x
        w["wanted"][1] = y
        w["wanted"][2] = 0.0
        start_near(w, key, x, y, START_RADIUS, False)
        set_goal(w, settings, fields, scratch)
        _perceive(w, 0.0, 0.0, settings, fields, noise, scratch)
        values = settings["values"]
        for k in range(values):
            w["glimpse"][values + k] = w["glimpse"][k]


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    strengths: np.ndarray,
    all_settings: np.ndarray,
    moves: np.ndarray,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    motion, largest_jump = settings["motion"], settings["largest_jump"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            gaze = w["gaze"]
            w["moves"] += 1
            right, down, _ = displacement(strengths, i, settings, moves)
            x, y = gaze[0] + right, gaze[1] + down
            if motion == LINE:
                x, y = x % SCENE, y % SCENE
            set_gaze(w, x, y, 0.0)
            _move_target(w, motion)
            if settings["by_pose"]:
                set_goal(w, settings, fields, scratch)
            jump_x, jump_y = right / largest_jump, down / largest_jump
            _perceive(w, jump_x, jump_y, settings, fields, noise, scratch)
            rewards[i] = world_reward(w, settings)
            terminated[i] = w["moves"] >= settings["moves"]


@kernel
def _ahead(w: np.void, motion: int) -> tuple[float, float, float, float]:
    """Position and velocity of the target after its next move, as far as its law tells: (x, y, vx, vy)."""
    x, y, vx, vy = w["wanted"][0], w["wanted"][1], w["velocity"][0], w["velocity"][1]
    if motion == RANDOM_WALK:
        return x, y, vx, vy
    if motion == CIRCLE:
        turn = 2.0 * math.asin(0.5 * math.hypot(vx, vy) / ORBIT)  # the chord is one step long
        cross = (x - 0.5 * SCENE) * vy - (y - 0.5 * SCENE) * vx
        c, s = math.cos(turn), math.copysign(math.sin(turn), cross)
        dx, dy = x - 0.5 * SCENE, y - 0.5 * SCENE
        return 0.5 * SCENE + c * dx - s * dy, 0.5 * SCENE + s * dx + c * dy, c * vx - s * vy, s * vx + c * vy
    if motion == LINE:
        return (x + vx) % SCENE, (y + vy) % SCENE, vx, vy
    return _reflect(x, y, vx, vy)


@kernel
def _reflect(x: float, y: float, vx: float, vy: float) -> tuple[float, float, float, float]:
    """One step of straight motion, reflected START_RADIUS pixels before the borders."""
    low, high = START_RADIUS, SCENE - START_RADIUS
    x, y = x + vx, y + vy
    if not low <= x <= high:
        x, vx = (2.0 * low - x if x < low else 2.0 * high - x), -vx
    if not low <= y <= high:
        y, vy = (2.0 * low - y if y < low else 2.0 * high - y), -vy
    return x, y, vx, vy


@kernel
def _move_target(w: np.void, motion: int) -> None:
    if motion == RANDOM_WALK:
        pace = math.hypot(w["velocity"][0], w["velocity"][1])
        direction = keys.between(w["key"], 1000 + w["moves"], -math.pi, math.pi)
        vx, vy = pace * math.cos(direction), pace * math.sin(direction)
        x, y, vx, vy = _reflect(w["wanted"][0], w["wanted"][1], vx, vy)
    else:
        x, y, vx, vy = _ahead(w, motion)
    target = w["objects"][0]
    target["x"] = x
    target["y"] = y
    w["wanted"][0] = x
    w["wanted"][1] = y
    w["velocity"][0] = vx
    w["velocity"][1] = vy


@kernel
def _perceive(
    w: np.void,
    jump_x: float,
    jump_y: float,
    settings: np.void,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Glimpse, the glimpse before it, the last jump. Across joined borders the nearest image of the target is seen."""
    values, glimpse, gaze, target = settings["values"], w["glimpse"], w["gaze"], w["objects"][0]
    for k in range(values):
        glimpse[values + k] = glimpse[k]
    x, y = target["x"], target["y"]
    dx, dy = x - gaze[0], y - gaze[1]
    if w["joined"]:
        target["x"] = gaze[0] + (dx + 0.5 * SCENE) % SCENE - 0.5 * SCENE
        target["y"] = gaze[1] + (dy + 0.5 * SCENE) % SCENE - 0.5 * SCENE
    perceive(w, settings, fields, noise, scratch)
    target["x"] = x
    target["y"] = y
    glimpse[2 * values] = min(1.0, max(-1.0, jump_x))
    glimpse[2 * values + 1] = min(1.0, max(-1.0, jump_y))
