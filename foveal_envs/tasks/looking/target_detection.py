"""TargetDetection: steer the fovea until the target lies under it as the goal vector says (1990)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import keys
from ...checks import one_of
from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea
from ...fovea.goals import GOAL, Goal, set_goal
from ...fovea.sensing import perceive
from ...retinas import Retina
from .shared import (
    LOOKS,
    RADIUS,
    START_RADIUS,
    STARTS,
    GoalLooking,
    Looks,
    looking_limits,
    looking_record,
    place_object,
    set_background,
    start_near,
)

SETTINGS = np.dtype([("start_radius", np.float64), ("rotate", np.bool_), *LOOKS, *GOAL, *EYE])


class TargetDetection(GoalLooking):
    """Bring the fovea to the wanted pose over one dark object on a white 512 x 512 scene.

    The system of Schmidhuber & Huber, "Learning to generate artificial fovea trajectories for target detection" (1990;
    Int. J. Neural Systems 2, 1991). A retina of 40 receptive fields, small and dense in the centre, large at the
    periphery, moves with a gaze that jumps by at most 20 pixels along each axis. The *goal input* is what the retina
    would give at the wanted pose: the gaze on the object's centre and, with rotation, the fovea upright on the object.

    ### Observation
    With ``goal="appearance"`` a Dict of float32 vectors, each number the mean darkness in [0, 1] of one field (white 0,
    black 1): ``observation`` (40,), ``achieved_goal`` (40,) equal to it, ``desired_goal`` (40,), constant during an
    episode. With ``goal="pose"`` the goals are (x / 256 - 1, y / 256 - 1) and, with rotation, (cos, sin) of the angle.

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times 20 pixels right and down; with rotation (3,), the third times 50 degrees
    clockwise. ``muscles``: Box(0, 1, (4,)) pushes up, down, left, right of 20 pixels each, as in 1990; with rotation
    (6,), clockwise and counter-clockwise. ``directions``: Discrete(17), 8 compass directions at 20 and 5 pixels and no
    move; with rotation Discrete(21). ``fields``: Discrete(41), to the centre of each field of the retina or no move;
    with rotation Discrete(45). Directions are those of the fovea, which has no compass: when it has turned clockwise by
    90 degrees, "right" is down the scene. Values outside a Box are clipped. The gaze stays in the scene.

    ### Reward
    ``dense`` -1/2 |desired - achieved|^2 after every move; ``sparse`` 0 if the root mean square difference of the two
    goals is at most 0.06, else -1; ``terminal`` the dense reward after the last move only, as in 1990 (not for HER,
    which relabels single moves). With ``goal="pose"``: -|desired - achieved|, and 0 within 10 pixels (and 15 degrees).

    ### Episode
    An episode ends (``terminated``) after ``moves`` moves. ``is_success`` in the info: within 10 pixels of the wanted
    position and, with rotation, 15 degrees of the wanted angle. Also ``distance`` (pixels) and ``angle_error``
    (radians). A discount of 0.95 suits the horizon of 25 moves.

    Args:
        shape: "triangle", "L", "T", "plus", "ring", "disc", "square", "arrow", "convex" or "concave" (random polygons,
            new in every episode); or a list, one of which each episode draws.
        rotate: the object lies at a random angle and the fovea turns.
        start: "near": uniform in a disc of 72 pixels around the wanted position; "anywhere": uniform in the scene. With
            rotation over all angles.
        moves: length of an episode.
        retina: "rings", "multiscale", "logpolar", "uniform", {"name": ..., keyword: value} or a Retina.
        actuators: "saccade", "muscles", "directions" or "fields".
        reward: "dense", "sparse" or "terminal".
        goal: "appearance", "pose" or None (the observation alone).
        goal_format: "dict" or "concat" (one Box: observation, then desired_goal).
        proprioception: append the gaze's pose to the observation, as a pose goal is written.
        channels: 1 or 3 (colour).
        noise: standard deviation of the noise of one pixel; a field averages it over its area.
        randomise: ranges drawn from in every episode: {"size": (low, high)} times the radius of 60 pixels,
            {"contrast": ...} of the object, {"background": ...} darkness.
        largest_jump: pixels along each axis.
        largest_turn: radians.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self,
        shape: str | Sequence[str] = "triangle",
        rotate: bool = False,
        start: str = "near",
        moves: int = 25,
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
        largest_turn: float = math.radians(50.0),
    ) -> None:
        start = one_of("start", start, STARTS)
        fovea = Fovea(retina, actuators, largest_jump, largest_turn, rotate, channels, noise)
        super().__init__(fovea, Goal(fovea, goal, goal_format, reward, proprioception, moves))
        self.world = looking_record(self.goal.observed, self.fovea.values, objects=1)
        self.limits = looking_limits(objects=1)
        self._looks = Looks(shape, RADIUS, randomise)
        start_radius = -1.0 if start == "anywhere" else START_RADIUS
        parts = {**self._looks.settings, **self.goal.settings, **self.fovea.settings}
        self._settings = record(SETTINGS, start_radius=start_radius, rotate=fovea.rotate, **parts)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        fovea, looks = self.fovea, self._looks
        _reset(
            worlds, rows, keys, self._settings, looks.shapes, looks.table, fovea.retina.fields, fovea.noise,
            fovea.scratch,
        )  # fmt: skip


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
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        set_background(w, key, settings)
        x = keys.between(key, 10, START_RADIUS, SCENE - START_RADIUS)
        y = keys.between(key, 11, START_RADIUS, SCENE - START_RADIUS)
        angle = keys.between(key, 12, -math.pi, math.pi) if settings["rotate"] else 0.0
        w["count"] = 1
        place_object(w["objects"][0], key, 0, x, y, angle, settings, shapes, table, w["background"])
        w["wanted"][0] = x
        w["wanted"][1] = y
        w["wanted"][2] = angle
        start_near(w, key, x, y, settings["start_radius"], settings["rotate"])
        set_goal(w, settings, fields, scratch)
        perceive(w, settings, fields, noise, scratch)
