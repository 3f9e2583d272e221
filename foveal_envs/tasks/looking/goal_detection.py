"""GoalDetection: several objects in one scene; the goal vector says which of them to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import keys
from ...checks import one_of, some_of
from ...compiled import compiled, kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea
from ...fovea.goals import GOAL, SUCCESS_RADIUS, Goal, set_goal
from ...fovea.sensing import perceive
from ...retinas import Retina
from ...scenes.objects import FIXED_SHAPES
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

SPACING = 150.0  # between neighbouring objects, pixels
MAX_OBJECTS = 9
ARRANGEMENTS = ("fixed", "shuffled")
STARTS = ("near", "other", "anywhere")
NEAR, OTHER, ANYWHERE = range(3)
SETTINGS = np.dtype([("shuffled", np.bool_), ("start", np.int64), ("rotate", np.bool_), *LOOKS, *GOAL, *EYE])


class GoalDetection(GoalLooking):
    """Bring the fovea to the object, one of several, that the goal vector describes.

    Schmidhuber & Huber (1990, several targets): the goal input makes one controller serve all targets. Objects of
    different shapes stand 150 pixels apart on a small square grid somewhere on the white 512 x 512 scene; the goal is
    what the retina would give with the gaze on the wanted object. Retina, actuators, rewards and goal forms are those
    of TargetDetection.

    ### Observation
    A Dict of float32 vectors: ``observation`` (40,) and ``achieved_goal`` (40,) the present glimpse, ``desired_goal``
    (40,) the glimpse at the wanted object, constant during an episode; each number the mean darkness in [0, 1] of one
    field. With ``goal="pose"`` the goals are (x / 256 - 1, y / 256 - 1).

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times 20 pixels right and down; see TargetDetection for the others.

    ### Reward
    ``dense`` -1/2 |desired - achieved|^2 after every move, ``sparse`` 0 or -1, ``terminal`` after the last move only.

    ### Episode
    ``terminated`` after ``moves`` moves. Info: ``is_success`` (within 10 pixels of the wanted object, and 15 degrees of
    its angle with rotation), ``distance`` (pixels), ``target`` (index of the wanted object), ``fixated`` (index of the
    object whose centre lies within 10 pixels of the gaze, -1 if none) and ``origin`` (index of the object near which
    the episode began). A discount of 0.95 suits the horizon of 25 moves.

    Args:
        shapes: names of the objects' shapes, 2 to 9 of them, in the order of the grid's places, row by row.
        arrangement: "fixed": object i always stands at place i; "shuffled": places are drawn in every episode.
        rotate: every object lies at a random angle and the fovea turns.
        start: "near": uniform in a disc of 72 pixels around the wanted object; "other": around one of the others, the
            swapped-goal control: an agent that ignores the goal ends at ``origin``; "anywhere": uniform in the scene.
        moves: length of an episode.
        retina, actuators, reward, goal, goal_format: as in TargetDetection.
        proprioception, channels, noise, randomise, largest_jump, largest_turn: likewise.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self,
        shapes: Sequence[str] = ("triangle", "L", "plus", "ring"),
        arrangement: str = "fixed",
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
        arrangement = one_of("arrangement", arrangement, ARRANGEMENTS)
        self.shapes = shapes = some_of("shapes", shapes, FIXED_SHAPES, 2, MAX_OBJECTS)
        fovea = Fovea(retina, actuators, largest_jump, largest_turn, rotate, channels, noise)
        super().__init__(fovea, Goal(fovea, goal, goal_format, reward, proprioception, moves))
        more = [("target", np.int64), ("origin", np.int64)]
        self.world = looking_record(self.goal.observed, self.fovea.values, MAX_OBJECTS, *more)
        number = 0, len(shapes) - 1
        self.limits = looking_limits(len(shapes), target=number, origin=number)
        self._looks = Looks(shapes, RADIUS, randomise)
        parts = {**self._looks.settings, **self.goal.settings, **self.fovea.settings}
        shuffled = arrangement == "shuffled"
        self._settings = record(SETTINGS, shuffled=shuffled, start=STARTS.index(start), rotate=fovea.rotate, **parts)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        fovea, looks = self.fovea, self._looks
        _reset(
            worlds, rows, keys, self._settings, looks.shapes, looks.table, fovea.retina.fields, fovea.noise,
            fovea.scratch,
        )  # fmt: skip

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        fixated = np.empty(len(rows), np.int64)
        _fixated(worlds, rows, fixated)
        return {
            **super().info(worlds, rows),
            "target": worlds["target"][rows],
            "fixated": fixated,
            "origin": worlds["origin"][rows],
        }


@compiled
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
    start, rotate = settings["start"], settings["rotate"]
    count = shapes.shape[0]
    columns = math.ceil(math.sqrt(count))
    lines = math.ceil(count / columns)
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        set_background(w, key, settings)
        half_x, half_y = 0.5 * SPACING * (columns - 1), 0.5 * SPACING * (lines - 1)
        centre_x = keys.between(key, 10, half_x + START_RADIUS, SCENE - half_x - START_RADIUS)
        centre_y = keys.between(key, 11, half_y + START_RADIUS, SCENE - half_y - START_RADIUS)
        w["count"] = count
        place = np.arange(count)
        if settings["shuffled"]:
            for i in range(count - 1, 0, -1):
                j = keys.below(key, 40 + i, i + 1)
                place[i], place[j] = place[j], place[i]
        for i in range(count):
            x = centre_x - half_x + SPACING * (place[i] % columns)
            y = centre_y - half_y + SPACING * (place[i] // columns)
            angle = keys.between(key, 60 + i, -math.pi, math.pi) if rotate else 0.0
            place_object(w["objects"][i], key, i, x, y, angle, settings, shapes[i : i + 1], table, w["background"])
        target = keys.below(key, 12, count)
        origin = target
        if start == OTHER:
            origin = (target + 1 + keys.below(key, 13, count - 1)) % count
        wanted, first = w["objects"][target], w["objects"][origin]
        w["target"] = target
        w["origin"] = origin
        w["wanted"][0] = wanted["x"]
        w["wanted"][1] = wanted["y"]
        w["wanted"][2] = wanted["angle"]
        start_near(w, key, first["x"], first["y"], -1.0 if start == ANYWHERE else START_RADIUS, rotate)
        set_goal(w, settings, fields, scratch)
        perceive(w, settings, fields, noise, scratch)


@kernel
def _fixated(worlds: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    for i in range(rows.shape[0]):
        w = worlds[rows[i]]
        gaze, objects = w["gaze"], w["objects"]
        out[i] = -1
        for j in range(w["count"]):
            if math.hypot(objects[j]["x"] - gaze[0], objects[j]["y"] - gaze[1]) <= SUCCESS_RADIUS:
                out[i] = j
