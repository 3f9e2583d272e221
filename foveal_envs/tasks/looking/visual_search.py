"""VisualSearch: one target among look-alikes that only the centre of the gaze can tell apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import LONGEST, one_of, real_number, some_of, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import (
    EYE,
    FOVEA_LIMITS,
    POSE,
    SCENE,
    TRAIL,
    Fovea,
    begin_gaze,
    displacement,
    fovea_fields,
    move_gaze,
)
from ...fovea.goals import GoalSpace
from ...fovea.sensing import add_noise, tell_gaze
from ...limits import COUNT
from ...retinas import Retina
from ...scenes.bank import Bank
from ...scenes.objects import FIXED_SHAPES, OBJECT, OBJECT_LIMITS, copy_shape, shape_table
from ...scenes.pictures import Images
from ...task import Observation
from .pictures import PICTURE, look_over_picture, paint_picture, picture_bank, shares_of_areas
from .shared import Looking

if TYPE_CHECKING:
    from ...rendering import Canvas

REWARDS = ("sparse", "dense")
GRID = 5  # cells along a side, one object in some of them
LARGEST_ITEMS = GRID * GRID
JITTER = 14.0  # of an object in its cell, pixels
RADIUS = 16.0  # of the largest object, pixels
FIXATED = 16.0  # pixels from gaze to centre within which an object is fixated
TOLD = (False, True, "saccade")
WIDE = {"name": "multiscale", "size": 8, "scales": 4, "pixel": 4.0}
PLACE_STREAM, CLASS_STREAM = 1, 2
SETTINGS = np.dtype(
    [
        ("items", np.int64),
        ("pictures", np.int64),
        ("contrast", np.float64),
        ("dwell", np.int64),
        ("moves", np.int64),
        ("sparse", np.bool_),
        ("proprioception", np.int64),  # 0 or 2 numbers
        ("saccades", np.bool_),  # whether they tell the last saccade, and not the gaze
        *EYE,
    ]
)


class VisualSearch(Looking):
    """Find the object of the wanted class among look-alikes, and rest on it.

    Objects of equal area and darkness lie on a texture; one of them belongs to the wanted class. More than 64 pixels
    from the gaze the fields are as wide as the objects, and look-alikes differ by less than the texture varies from
    place to place: the periphery shows where something is, not what it is (Najemnik & Geisler, "Optimal eye movement
    strategies in visual search", Nature 434, 2005, for the problem). The searcher must go and look, and remember where
    it has been, because it does not observe the position of its gaze.

    ### Observation
    A Dict of float32 vectors: ``observation`` (256,), the mean darkness in [0, 1] of four nested grids of 8 x 8 fields;
    ``desired_goal`` (4,), the wanted class, one-hot, constant during an episode; ``achieved_goal`` (4,), the class of
    the object on which the gaze has rested for ``dwell`` observations, one-hot, else zeros.

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times 160 pixels right and down. ``fields``: Discrete(257), to each field's centre or
    no move: a choice among places, where a mean of saccades lies between them. See TargetDetection for the others.

    ### Reward
    ``sparse``: 0 where the goals are equal, else -1; ``dense``: -1/2 |desired - achieved|^2, which is 0 on the target,
    -1/2 on nothing and -1 on a distractor. Both depend on the two goals alone, so HER may relabel.

    ### Episode
    ``terminated`` when the goals are equal, or after ``moves`` moves. The start is anywhere. Info: ``is_success``,
    ``distance`` (pixels to the target), ``fixated`` (number of the object within 16 pixels of the gaze, -1 if none),
    ``target`` (number of the wanted one). Mean sparse returns: random -24.0; an oracle that knows the target -1.9; a
    scan with perfect memory that knows where the objects are but not which is which -9.2 (this scores 1); the same scan
    without memory -15.0; a memory of what has come into view (`SeekPolicy`) -9.3. Use a discount of 1; the horizon is
    24.

    Args:
        items: number of objects, 2 to 25, on a grid of 5 x 5 places with jitter.
        shapes: names of 2 or more classes.
        images: what lies under the objects; as in ImageSearch.
        contrast: darkness of the objects over that of the picture, 0 to 1.
        dwell: number of successive observations for which the gaze rests on an object.
        moves: longest search.
        proprioception: False; True: the gaze stands behind the glimpse, as in TargetDetection, and a fixed tour of the
            scene needs no memory; "saccade": the last displacement right and down, as a share of the scene's side.
        retina, actuators, noise, largest_jump: as in TargetDetection.
        reward: "sparse" or "dense".
        goal_format: "dict" or "concat" (one Box: observation, then desired_goal).
        exact, memory: of the image bank; see ImageSearch.

    Raises:
        ValueError: an impossible keyword or no usable picture; the message names the allowed values, or the file.
    """

    def __init__(
        self,
        items: int = 16,
        shapes: Sequence[str] = ("T", "L", "plus", "triangle"),
        images: Images = "textures",
        contrast: float = 0.9,
        dwell: int = 2,
        moves: int = 24,
        retina: str | Mapping[str, Any] | Retina = WIDE,
        actuators: str = "saccade",
        reward: str = "sparse",
        goal_format: str = "dict",
        proprioception: bool | str = False,
        noise: float = 0.0,
        exact: bool = False,
        memory: float = 256.0,
        largest_jump: float = 160.0,
    ) -> None:
        items = whole_number("items", items, 2, LARGEST_ITEMS)
        contrast = real_number("contrast", contrast, 0.0, 1.0, above=True)
        dwell = whole_number("dwell", dwell, 1, LONGEST)
        moves = whole_number("moves", moves, 1, LONGEST)
        reward = one_of("reward", reward, REWARDS)
        proprioception = one_of("proprioception", proprioception, TOLD)
        self.columns = GRID
        self.shapes = shapes = some_of("shapes", shapes, FIXED_SHAPES, 2, len(FIXED_SHAPES))
        self.fovea = fovea = Fovea(retina, actuators, largest_jump, 1.0, False, 1, noise)
        self.bank = picture_bank(images, fovea, exact, memory)
        self.action_space, own = fovea.action_space, 2 if proprioception else 0
        self._sparse, self._dwell, self._moves = reward == "sparse", dwell, moves
        low = np.zeros(fovea.values + own, np.float32)
        low[fovea.values :] = -1.0
        box = gym.spaces.Box(low, np.ones_like(low), dtype=np.float32)
        classes = gym.spaces.Box(0.0, 1.0, (len(shapes),), np.float32)
        self._space = GoalSpace(box, classes, goal_format)
        self.observation_space = self._space.space
        scene = [("wanted", np.float64, (3,)), ("count", np.int64), ("objects", OBJECT, (items,)), *PICTURE]
        course = [("kind", np.int64, (items,)), *((name, np.int64) for name in ("target", "fixated", "rested"))]
        self.world = np.dtype([*fovea_fields(len(low)), *scene, *course])
        number = 0, items - 1
        self.limits = {
            **FOVEA_LIMITS, "wanted": POSE, "count": (0, items), "objects": OBJECT_LIMITS,
            "picture": (0, len(self.bank) - 1), "kind": (0, len(shapes) - 1), "target": number,
            "fixated": (-1, items - 1), "rested": COUNT,
        }  # fmt: skip
        table = shape_table(RADIUS)[[FIXED_SHAPES.index(name) for name in shapes]]
        self._table, self._scales = table, shares_of_areas(table)
        self._settings = record(
            SETTINGS,
            items=items,
            pictures=len(self.bank),
            contrast=contrast,
            dwell=dwell,
            moves=moves,
            sparse=self._sparse,
            proprioception=own,
            saccades=proprioception == "saccade",
            **fovea.settings,
        )

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        fovea = self.fovea
        _reset(
            worlds, rows, keys, self._settings, self._table, self._scales, fovea.retina.fields, fovea.noise,
            fovea.scratch, self.bank.arrays,
        )  # fmt: skip

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(
            worlds, active, fovea.strengths(actions), self._settings, fovea.moves, fovea.retina.fields, fovea.noise,
            fovea.scratch, self.bank.arrays, rewards, terminated,
        )  # fmt: skip

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self._dwell, *self._space.parts(observation))

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        some = worlds[rows]
        return {
            "is_success": _found(some, self._dwell),
            "distance": np.hypot(*(some["gaze"] - some["wanted"])[:, :2].T),
            "fixated": some["fixated"],
            "target": some["target"],
        }

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        squares = np.square(np.asarray(desired_goal, np.float64) - achieved_goal).sum(-1)
        rewards: np.ndarray = np.where(squares < 0.5, 0.0, -1.0) if self._sparse else -0.5 * squares
        return rewards

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        ends: np.ndarray = np.square(np.asarray(desired_goal, np.float64) - achieved_goal).sum(-1) < 0.5
        return ends

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        return self.fovea.aim_at(worlds["gaze"], worlds["wanted"][:, :2])

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        paint_picture(canvas, self.bank, worlds[row], 1)

    def mark(self, w: np.void, canvas: Canvas) -> None:
        canvas.circle(w["wanted"][0], w["wanted"][1], 1.6 * RADIUS, "#00a676", 3.0)

    def tell(self, w: np.void, canvas: Canvas) -> None:
        canvas.status("move", f"{w['moves']} / {self._moves}")
        if w["count"]:
            canvas.status("wanted", self.shapes[int(w["kind"][w["target"]])])
            canvas.status("fixated", "–" if w["fixated"] < 0 else self.shapes[int(w["kind"][w["fixated"]])])


def _found(worlds: np.ndarray, dwell: int) -> np.ndarray:
    found: np.ndarray = (worlds["fixated"] == worlds["target"]) & (worlds["rested"] >= dwell)
    return found


@kernel
def _tell_saccade(w: np.void, at: int) -> None:
    """The last displacement behind the glimpse."""
    trail, now = w["trail"], w["moves"]
    for axis in range(2):
        w["glimpse"][at + axis] = (trail[now % TRAIL, axis] - trail[(now - 1) % TRAIL, axis]) / SCENE if now else 0.0


@kernel
def _perceive(
    w: np.void, settings: np.void, fields: np.ndarray, noise: np.ndarray, scratch: np.ndarray, bank: Bank
) -> None:
    """Glimpse, and how long the gaze has rested on which object."""
    gaze = w["gaze"]
    look_over_picture(w, settings, gaze[0], gaze[1], 0.0, fields, scratch, bank, w["glimpse"])
    add_noise(w, settings, noise)
    if settings["saccades"]:
        _tell_saccade(w, settings["values"])
    else:
        tell_gaze(w, settings)
    before = w["fixated"]
    w["fixated"] = -1
    for j in range(w["count"]):
        if math.hypot(w["objects"][j]["x"] - gaze[0], w["objects"][j]["y"] - gaze[1]) <= FIXATED:
            w["fixated"] = j
    if w["fixated"] < 0:
        w["rested"] = 0
    elif w["fixated"] == before:
        w["rested"] += 1
    else:
        w["rested"] = 1


@kernel
def _reset(
    worlds: np.ndarray,
    rows: np.ndarray,
    episode_keys: np.ndarray,
    all_settings: np.ndarray,
    table: np.ndarray,
    scales: np.ndarray,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
    bank: Bank,
) -> None:
    settings = all_settings[0]
    items, contrast, classes, cell = settings["items"], settings["contrast"], table.shape[0], SCENE / GRID
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        places, kinds = keys.split(key, PLACE_STREAM), keys.split(key, CLASS_STREAM)
        w["picture"] = keys.below(key, 0, settings["pictures"])
        w["target"] = keys.below(key, 1, items)
        wanted = keys.below(key, 2, classes)
        w["count"] = items
        left = items  # objects still to place, in the cells from here on
        for place in range(GRID * GRID):
            if keys.uniform(places, 3 * place) * (GRID * GRID - place) < left:
                j = items - left
                left -= 1
                kind = wanted
                if j != w["target"]:
                    kind = (wanted + 1 + keys.below(kinds, j, classes - 1)) % classes
                thing = w["objects"][j]
                w["kind"][j] = kind
                copy_shape(table[kind], thing, scales[kind])
                thing["x"] = (place % GRID + 0.5) * cell + keys.between(places, 3 * place + 1, -JITTER, JITTER)
                thing["y"] = (place // GRID + 0.5) * cell + keys.between(places, 3 * place + 2, -JITTER, JITTER)
                thing["angle"] = 0.0
                thing["value"][0] = contrast
        w["wanted"][0] = w["objects"][w["target"]]["x"]
        w["wanted"][1] = w["objects"][w["target"]]["y"]
        w["wanted"][2] = 0.0
        w["fixated"] = -1
        w["rested"] = 0
        begin_gaze(w, key, keys.between(key, 3, 0.0, SCENE), keys.between(key, 4, 0.0, SCENE), 0.0)
        _perceive(w, settings, fields, noise, scratch, bank)


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
    bank: Bank,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    dwell, longest, sparse = settings["dwell"], settings["moves"], settings["sparse"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            w["moves"] += 1
            right, down, _ = displacement(strengths, i, settings, moves)
            move_gaze(w, right, down, 0.0)
            _perceive(w, settings, fields, noise, scratch, bank)
            resting = w["fixated"] >= 0 and w["rested"] >= dwell
            found = resting and w["fixated"] == w["target"]
            if not found:
                rewards[i] = -1.0 if sparse or resting else -0.5
            terminated[i] = found or w["moves"] >= longest


@kernel
def _observe(
    worlds: np.ndarray,
    rows: np.ndarray,
    dwell: int,
    observation: np.ndarray,
    achieved: np.ndarray,
    desired: np.ndarray,
) -> None:
    for row in rows:
        w = worlds[row]
        for k in range(observation.shape[1]):
            observation[row, k] = w["glimpse"][k]
        rests = w["kind"][w["fixated"]] if w["fixated"] >= 0 and w["rested"] >= dwell else -1
        for c in range(achieved.shape[1]):
            achieved[row, c] = 1.0 if c == rests else 0.0
        for c in range(desired.shape[1]):
            desired[row, c] = 1.0 if c == w["kind"][w["target"]] else 0.0
