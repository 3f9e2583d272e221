"""What the looking tasks share: their abstract parents, the record, and the looks, layout and starts of objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import is_list, number_range, one_of, require
from ...compiled import kernel
from ...fovea.fovea import FOVEA_LIMITS, SCENE, Fovea, begin_gaze, displacement, fovea_fields, move_gaze, wrap
from ...fovea.goals import GOAL_LIMITS, Goal, goal_fields, measures, world_reward
from ...fovea.sensing import perceive
from ...limits import Limits
from ...scenes.objects import CONCAVE, CONVEX, OBJECT, OBJECT_LIMITS, SHAPES, copy_shape, random_polygon, shape_table
from ...task import Observation, Task

if TYPE_CHECKING:
    from ...rendering import Canvas

RADIUS = 60.0  # of an object, pixels
START_RADIUS = 72.0
STARTS = ("near", "anywhere")
RANGES = {"size": (0.5, 1.2), "contrast": (0.05, 1.0), "background": (0.0, 0.95)}  # what ``randomise`` may span
OBJECT_STREAM = 100
LOOKS: list[tuple[Any, ...]] = [  # what kernels know of the looks of objects: part of a task's settings
    ("size", np.float64, (2,)),  # smallest and largest, times the radius
    ("contrast", np.float64, (2,)),
    ("background", np.float64, (2,)),
]


def looking_record(observed: int, values: int, objects: int, *more: tuple[Any, ...]) -> np.dtype[Any]:
    """The record of a looking task with so many objects, and further fields of its own.

    Those stand before the scene: Numba takes a record that only adds to another's end for its subtype, and warns.
    """
    scene = [("count", np.int64), ("objects", OBJECT, (objects,))]
    return np.dtype(fovea_fields(observed) + goal_fields(values) + list(more) + scene)


def looking_limits(objects: int, **more: Any) -> Limits:
    """Limits of a ``looking_record`` that shows at most so many objects, and those of its further fields."""
    return {**FOVEA_LIMITS, **GOAL_LIMITS, **more, "count": (0, objects), "objects": OBJECT_LIMITS}


class Looks:
    """What objects look like: their shapes and the ranges of domain randomisation.

    Args:
        shape: one of SHAPES, or a sequence of them.
        radius: of the objects, pixels.
        randomise: {"size": (least, largest), "contrast": ..., "background": ...}, each optional; None: none.

    Attributes:
        shapes: (M,) int64, numbers of the shapes from which an object draws its own.
        table: (8,) OBJECT, the fixed shapes.
        settings: values of the fields of LOOKS, for ``record``.

    Raises:
        ValueError: an unknown shape or range.
    """

    def __init__(self, shape: str | Sequence[str], radius: float, randomise: Mapping[str, Sequence[float]] | None):
        names = shape if is_list(shape) and len(shape) > 0 else [shape]
        self.shapes = np.array([SHAPES.index(one_of("shape", name, SHAPES)) for name in names], np.int64)
        self.table = shape_table(radius)
        self.settings: dict[str, Any] = {"size": (1.0, 1.0), "contrast": (1.0, 1.0), "background": (0.0, 0.0)}
        require(randomise is None or isinstance(randomise, Mapping), "randomise", "None or a dict of ranges", randomise)
        for name, ends in (randomise or {}).items():
            require(name in RANGES, "a range of randomise", tuple(RANGES), name)
            self.settings[name] = number_range(f"randomise[{name!r}]", ends, *RANGES[name])


class Looking(Task):
    """Abstract: actions steer a fovea over a scene of 512 x 512 pixels; records have the fields of ``fovea_fields``.

    A subclass sets ``fovea`` and writes what `Task` asks for. It may override `aim`, where an action says more than
    where to look, `targets`, and the parts of a picture: `paint`, `mark`, `tell`.

    Attributes:
        hides_scene: whether a person who plays sees only what the retina gives, and not the scene.
    """

    fovea: Fovea
    steers_gaze = True
    hides_scene: bool = True
    _settings: np.ndarray

    def aim(self, worlds: np.ndarray, places: np.ndarray, turns: float | np.ndarray = 0.0) -> np.ndarray:
        return self.fovea.aim_at(worlds["gaze"], places, turns)

    def targets(self, worlds: np.ndarray) -> np.ndarray | None:
        return np.array(worlds["wanted"][:, :2])

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        canvas.scene(w["objects"][: w["count"]], w["background"], self.fovea.channels)

    def mark(self, w: np.void, canvas: Canvas) -> None:
        """Show on the scene what the policy has to find."""

    def tell(self, w: np.void, canvas: Canvas) -> None:
        """Put goal and measures into the panel."""

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w, table, channels = worlds[row], self.fovea.retina.table, self.fovea.channels
        glimpse = w["glimpse"][: self.fovea.values]
        if self.reveal or not self.hides_scene:
            self.paint(worlds, row, canvas)
            canvas.fovea(table, w["gaze"])
            self.mark(w, canvas)
        else:
            canvas.glimpse(table, w["gaze"], glimpse, channels)
        canvas.scanpath(w["trail"], int(w["moves"]))
        canvas.retina_inset("Retina", table, glimpse, channels)
        self.tell(w, canvas)


class GoalLooking(Looking):
    """Abstract: the fovea is to come to the wanted pose that a goal vector describes; records are ``looking_record``s.

    A subclass sets ``world``, ``limits`` and ``_settings``, a record with the fields of GOAL and EYE, and writes
    ``reset``. Beside what Looking allows, it may override `step`, `info`, `oracle` and `gap`.

    Args:
        fovea: the fovea.
        goal: what it looks for.
    """

    hides_scene = False  # nothing on the scene tells what the goal vector does not

    def __init__(self, fovea: Fovea, goal: Goal) -> None:
        self.fovea, self.goal = fovea, goal
        self.observation_space, self.action_space = goal.observation_space, fovea.action_space

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(
            worlds, active, fovea.strengths(actions), self._settings, fovea.moves, fovea.retina.fields, fovea.noise,
            fovea.scratch, rewards, terminated,
        )  # fmt: skip

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        self.goal.observe(worlds, rows, observation)

    def stored(self, worlds: np.ndarray) -> Observation | None:
        return self.goal.stored(worlds)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        return measures(worlds, rows, self.fovea.rotate)

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        return self.goal.compute_reward(achieved_goal, desired_goal)

    def gap(self, gaze: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """What lies between two poses (..., 3): (..., 3) pixels and radians."""
        gap: np.ndarray = wanted - gaze
        return gap

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        gaze = worlds["gaze"]
        return self.fovea.aim(self.gap(gaze, worlds["wanted"]), gaze[:, 2])

    def mark(self, w: np.void, canvas: Canvas) -> None:
        canvas.wanted(w["wanted"], self.fovea.rotate)

    def tell(self, w: np.void, canvas: Canvas) -> None:
        fovea, goal, gap = self.fovea, self.goal, self.gap(w["gaze"], w["wanted"])
        if goal.shown and not goal.by_pose:
            canvas.retina_inset("Goal", fovea.retina.table, w["desired"][: fovea.values], fovea.channels)
        canvas.status("move", f"{w['moves']} / {goal.settings['moves']}")
        canvas.status("distance", f"{math.hypot(gap[0], gap[1]):.1f} px")
        if fovea.rotate:
            canvas.status("angle error", f"{math.degrees(abs(wrap(gap[2]))):.0f}°")


@kernel
def set_background(w: np.void, key: np.uint64, settings: np.void) -> None:
    """Darkness of the empty scene, drawn once an episode, the same in all channels."""
    for c in range(3):
        w["background"][c] = keys.between(key, 0, settings["background"][0], settings["background"][1])


@kernel
def place_object(
    thing: np.void,
    key: np.uint64,
    index: int,
    x: float,
    y: float,
    angle: float,
    settings: np.void,
    shapes: np.ndarray,
    table: np.ndarray,
    background: np.ndarray,
) -> None:
    """Object number ``index`` of the episode at a pose: its shape, size and darkness, drawn from the key.

    The darkness is ``background + contrast (1 - background)``; in colour each channel draws its own contrast.
    """
    own = keys.split(key, OBJECT_STREAM + index)
    size = keys.between(own, 0, settings["size"][0], settings["size"][1])
    shape = shapes[keys.below(own, 1, shapes.shape[0])]
    if shape >= CONVEX:
        random_polygon(thing, keys.split(own, 0), size * table[0]["radius"], shape == CONCAVE)
    else:
        copy_shape(table[shape], thing, size)
    thing["x"] = x
    thing["y"] = y
    thing["angle"] = angle
    for c in range(3):
        contrast = keys.between(own, 2 + c, settings["contrast"][0], settings["contrast"][1])
        thing["value"][c] = background[c] + contrast * (1.0 - background[c])


@kernel
def start_near(w: np.void, key: np.uint64, x: float, y: float, radius: float, rotate: bool) -> None:
    """Begin uniformly in the disc of ``radius`` pixels around (x, y), or anywhere if it is negative; any angle."""
    angle = keys.between(key, 20, -math.pi, math.pi) if rotate else 0.0
    if radius < 0.0:
        begin_gaze(w, key, keys.between(key, 21, 0.0, SCENE), keys.between(key, 22, 0.0, SCENE), angle)
    else:
        distance = radius * math.sqrt(keys.uniform(key, 21))
        direction = keys.between(key, 22, -math.pi, math.pi)
        begin_gaze(w, key, x + distance * math.cos(direction), y + distance * math.sin(direction), angle)


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
    """One saccade in a scene that stands still: all worlds move, then all sense, then all are rewarded, so that the
    processor can work on several at once.
    """
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            worlds[i]["moves"] += 1
            right, down, turn = displacement(strengths, i, settings, moves)
            move_gaze(worlds[i], right, down, turn)
    for i in range(worlds.shape[0]):
        if active[i]:
            perceive(worlds[i], settings, fields, noise, scratch)
    for i in range(worlds.shape[0]):
        if active[i]:
            rewards[i] = world_reward(worlds[i], settings)
            terminated[i] = worlds[i]["moves"] >= settings["moves"]
