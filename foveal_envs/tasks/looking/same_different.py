"""SameDifferent: two objects that no glimpse holds at once; are they the same?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import flag, some_of
from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea, begin_gaze, displacement, move_gaze
from ...fovea.sensing import see, tell_gaze
from ...retinas import Retina
from ...scenes.objects import FIXED_SHAPES, OBJECT, OBJECT_LIMITS
from .shared import LOOKS, Looks, place_object, set_background
from .verdict import RULES, Recognition, begin_verdict, judge, verdict_fields, verdict_limits

if TYPE_CHECKING:
    pass

RADIUS = 30.0  # of an object, pixels
NEAREST, FARTHEST = 40.0, 60.0  # of an object's centre from its side of the scene
WIDE = {"name": "multiscale", "size": 8, "scales": 4, "pixel": 5.0}  # 320 pixels: less than from object to object
SETTINGS = np.dtype([("rotate", np.bool_), *LOOKS, *RULES, *EYE])


class SameDifferent(Recognition):
    """Say whether two distant objects have the same shape.

    The same-different task of Fleuret et al., "Comparing machines and humans on a visual categorization test" (PNAS
    108, 2011), for an eye that must move: the objects stand at opposite sides of the scene, at least 392 pixels apart,
    and a glimpse is 320 wide. The agent must remember what the first one looks like. Half of the pairs are the same.

    ### Observation
    Box(0, 1, (256,)) float32: the glimpse, the mean darkness of every field; with ``proprioception`` then the gaze
    (x, y) in [-1, 1].

    ### Actions
    Box(-1, 1, (4,)): a saccade, times 256 pixels right and down, then a score for "different" and for "same". A logit
    is five times its score.

    ### Reward
    ``dense``: log softmax(5 scores)[label] / moves at every move; ``final``: 1 at the last move if the larger score is
    that of the label, else 0.

    ### Episode
    ``terminated`` after ``moves`` moves. Info: ``label`` (1: same), ``answer`` (-1 before the first), ``is_success``
    (they are equal), ``log_score``. The mean return is -1.8 (``dense``) or 0.5 (``final``) for random scores, and 0 or
    1 for the oracle. An eye that seeks sees the second object after three to four moves on average, each of which costs
    at least log(2) / 12 at the dense reward: it cannot return more than about -0.22, and the task counts as solved from
    -0.32 on. A policy without memory is at chance, except for what it can store in the position of its gaze. Use a
    discount of 1.

    Args:
        shapes: names of shapes, at least 2.
        rotate: each object lies at an angle of its own.
        moves: length of an episode.
        retina, noise: as in TargetDetection; by default four nested grids of 8 x 8 fields.
        reward: "dense" or "final".
        proprioception: whether the gaze is observed.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self,
        shapes: Sequence[str] = FIXED_SHAPES,
        rotate: bool = False,
        moves: int = 12,
        retina: str | Mapping[str, Any] | Retina = WIDE,
        reward: str = "dense",
        proprioception: bool = False,
        noise: float = 0.0,
    ) -> None:
        shapes = some_of("shapes", shapes, FIXED_SHAPES, 2, len(FIXED_SHAPES))
        fovea = Fovea(retina, "saccade", 0.5 * SCENE, 1.0, False, 1, noise)
        super().__init__(fovea, ("different", "same"), reward, moves, proprioception)
        more: list[tuple[Any, ...]] = [("count", np.int64), ("objects", OBJECT, (2,))]
        self.world = np.dtype(verdict_fields(self.observed) + more)
        self.limits = {**verdict_limits(len(self.names)), "count": (0, 2), "objects": OBJECT_LIMITS}
        self._looks = Looks(shapes, RADIUS, None)
        parts = {**self._looks.settings, **self.rules, **self.fovea.settings}
        self._settings = record(SETTINGS, rotate=flag("rotate", rotate), **parts)

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
            worlds, active, actions, self._settings, fovea.moves, fovea.retina.fields, fovea.noise, fovea.scratch,
            rewards, terminated,
        )  # fmt: skip

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Look at the nearer object, then at the other, two saccades for each, for one is too short; and know."""
        objects, gaze = worlds["objects"], worlds["gaze"]
        distance = np.hypot(objects["x"] - gaze[:, :1], objects["y"] - gaze[:, 1:2])
        turn = (distance[:, 0] > distance[:, 1]) ^ (worlds["moves"] == 2)
        at = worlds["objects"][np.arange(len(worlds)), turn.astype(int)]
        looks = self.aim(worlds, np.stack([at["x"], at["y"]], axis=1))
        return self.say(looks, worlds["label"])


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
        same = keys.below(key, 0, 2)
        first = keys.below(key, 1, shapes.shape[0])
        other = first if same else (first + 1 + keys.below(key, 2, shapes.shape[0] - 1)) % shapes.shape[0]
        begin_verdict(w, same)
        upright, swapped = keys.below(key, 3, 2) == 1, keys.below(key, 4, 2)
        w["count"] = 2
        for n in range(2):
            shape = first if n == 0 else other
            along = keys.between(key, 5 + n, NEAREST, FARTHEST)
            along = along if n == swapped else SCENE - along
            across = keys.between(key, 7 + n, NEAREST, SCENE - NEAREST)
            x, y = (across, along) if upright else (along, across)
            angle = keys.between(key, 9 + n, -math.pi, math.pi) if settings["rotate"] else 0.0
            kind = shapes[shape : shape + 1]
            place_object(w["objects"][n], key, n, x, y, angle, settings, kind, table, w["background"])
        begin_gaze(w, key, keys.between(key, 11, 0.0, SCENE), keys.between(key, 12, 0.0, SCENE), 0.0)
        see(w, settings, fields, noise, scratch)
        tell_gaze(w, settings)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    moves: np.ndarray,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            w["moves"] += 1
            right, down, _ = displacement(actions, i, settings, moves)
            move_gaze(w, right, down, 0.0)
            see(w, settings, fields, noise, scratch)
            tell_gaze(w, settings)
            rewards[i] = judge(w, actions, i, settings)
            terminated[i] = w["moves"] >= settings["moves"]
