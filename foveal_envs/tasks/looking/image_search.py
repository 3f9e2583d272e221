"""ImageSearch: find a target pasted into a picture, or the place where a given glimpse was taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import one_of, require
from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea, displacement, move_gaze
from ...fovea.goals import GOAL, Goal, world_reward
from ...fovea.sensing import add_noise, feel, write_pose
from ...retinas import Retina
from ...scenes.bank import Bank
from ...scenes.pictures import Images
from ...scenes.sprites import SPRITE, add_sprite, place_sprite, sprite_limits
from .pictures import PICTURE, look_over_picture, paint_picture, paint_sprites, picture_bank, sprite_bank
from .shared import (
    LOOKS,
    START_RADIUS,
    STARTS,
    GoalLooking,
    Looks,
    looking_limits,
    looking_record,
    place_object,
    start_near,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

TARGETS = ("paste", "glimpse")
RADIUS = 30.0  # of a pasted object, pixels
SETTINGS = np.dtype(
    [
        ("pictures", np.int64),
        ("sprites", np.int64),  # 0: objects are pasted
        ("paste", np.bool_),
        ("start_radius", np.float64),  # negative: anywhere
        ("rotate", np.bool_),
        *LOOKS,
        *GOAL,
        *EYE,
    ]
)


class ImageSearch(GoalLooking):
    """Find a target in a picture: an object pasted into it, or the place that a glimpse shows.

    The scene of 512 x 512 pixels is one of many pictures: procedural textures, photographs, or the user's own. With
    ``target="paste"`` a dark object or one of your sprites lies on it; with ``target="glimpse"`` nothing does, and only
    the goal tells where to go. Pictures are averaged once over the discs of the retina, so a glimpse costs one lookup a
    field.

    ### Observation
    As in TargetDetection: ``observation`` and ``achieved_goal`` (40,) the present glimpse, the mean darkness in [0, 1]
    of every field, and ``desired_goal`` (40,) the glimpse at the wanted place, or with ``goal="pose"`` the place.

    ### Actions
    ``saccade``: Box(-1, 1, (2,)) times 40 pixels right and down; see TargetDetection for the others.

    ### Reward
    ``dense`` -1/2 |desired - achieved|^2 after every move, ``sparse`` 0 or -1, ``terminal`` after the last move only;
    see TargetDetection.

    ### Episode
    ``terminated`` after ``moves`` moves. Info: ``is_success`` (within 10 pixels of the wanted place), ``distance``
    (pixels), with rotation ``angle_error``. After the last move 0.3 % of random gazes are there, and all of the
    oracle's; the mean returns are -117 and -1.3. A discount of 0.95 suits the horizon of 25 moves.

    Args:
        images: "textures" (procedural), "photographs" (needs ``foveal-envs[images]``), a folder, a list of files or
            arrays, or an array (M, H, W) or (M, H, W, 3) of uint8; up to 64 are taken. Those that cannot be used, such
            as damaged files or files of more than 25 million pixels, are left out with one warning.
        sprites: pictures to paste instead of objects, 60 pixels wide, whose transparency is kept: a folder, a list of
            files (PNG, SVG, ...) or arrays, or an array (M, H, W, 4) of uint8; up to 64 are taken. None: objects.
        target: "paste" or "glimpse".
        shape: of the pasted object, as in TargetDetection; sprites have their own.
        rotate: the object lies at a random angle, or the wanted glimpse is turned, and the fovea turns.
        start: "near": uniform in a disc of 72 pixels around the wanted place; "anywhere": uniform in the scene.
        exact: a finer bank: an error of 1 grey level instead of 3, four times the memory.
        memory: most MiB that the bank may take, and that of the sprites.
        moves, retina, actuators, reward, goal, goal_format: as in TargetDetection.
        proprioception, channels, noise, largest_jump, largest_turn: likewise.

    Raises:
        ValueError: an impossible keyword or no usable picture; the message names the allowed values, or the file.
    """

    hides_scene = True

    def __init__(
        self,
        images: Images = "textures",
        sprites: Images | None = None,
        target: str = "paste",
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
        exact: bool = False,
        memory: float = 256.0,
        largest_jump: float = 40.0,
        largest_turn: float = math.radians(50.0),
    ) -> None:
        start = one_of("start", start, STARTS)
        target = one_of("target", target, TARGETS)
        require(sprites is None or target == "paste", "target", "'paste' where there are sprites", target)
        fovea = Fovea(retina, actuators, largest_jump, largest_turn, rotate, channels, noise)
        super().__init__(fovea, Goal(fovea, goal, goal_format, reward, proprioception, moves))
        pasted: list[tuple[Any, ...]] = [*PICTURE, ("pasted", np.int64), ("sprites", SPRITE, (1,))]
        self.world = looking_record(self.goal.observed, self.fovea.values, 1, *pasted)
        self.bank = picture_bank(images, fovea, exact, memory)
        self.sprites = sprite_bank(sprites, 2.0 * RADIUS, fovea, exact, memory)
        self.limits = looking_limits(
            1, picture=(0, len(self.bank) - 1), pasted=(0, 1), sprites=sprite_limits(len(self.sprites))
        )
        self._looks = Looks(shape, RADIUS, None)
        self._settings = record(
            SETTINGS,
            pictures=len(self.bank),
            sprites=0 if sprites is None else len(self.sprites),
            paste=target == "paste",
            start_radius=-1.0 if start == "anywhere" else START_RADIUS,
            rotate=fovea.rotate,
            **self._looks.settings,
            **self.goal.settings,
            **self.fovea.settings,
        )

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        fovea, looks = self.fovea, self._looks
        _reset(
            worlds, rows, keys, self._settings, looks.shapes, looks.table, fovea.retina.fields, fovea.noise,
            fovea.scratch, self.bank.arrays, self.sprites.arrays,
        )  # fmt: skip

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(
            worlds, active, fovea.strengths(actions), self._settings, fovea.moves, fovea.retina.fields, fovea.noise,
            fovea.scratch, self.bank.arrays, self.sprites.arrays, rewards, terminated,
        )  # fmt: skip

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        paint_picture(canvas, self.bank, w, self.fovea.channels)
        paint_sprites(canvas, self.sprites, w["sprites"][: w["pasted"]])


@kernel
def _look(
    w: np.void,
    settings: np.void,
    x: float,
    y: float,
    angle: float,
    fields: np.ndarray,
    scratch: np.ndarray,
    bank: Bank,
    sprites: Bank,
    out: np.ndarray,
) -> None:
    """What the retina gives at a pose: the picture, and what is pasted on it."""
    look_over_picture(w, settings, x, y, angle, fields, scratch, bank, out)
    for i in range(w["pasted"]):
        add_sprite(w["sprites"][i], settings, x, y, angle, sprites, out)


@kernel
def _perceive(
    w: np.void,
    settings: np.void,
    fields: np.ndarray,
    noise: np.ndarray,
    scratch: np.ndarray,
    bank: Bank,
    sprites: Bank,
) -> None:
    """Glimpse (with noise), pose, and proprioception at the end of the observation."""
    gaze = w["gaze"]
    _look(w, settings, gaze[0], gaze[1], gaze[2], fields, scratch, bank, sprites, w["glimpse"])
    add_noise(w, settings, noise)
    feel(w, settings)


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
    bank: Bank,
    sprites: Bank,
) -> None:
    settings = all_settings[0]
    rotate, number = settings["rotate"], settings["sprites"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        w["picture"] = keys.below(key, 0, settings["pictures"])
        x = keys.between(key, 10, START_RADIUS, SCENE - START_RADIUS)
        y = keys.between(key, 11, START_RADIUS, SCENE - START_RADIUS)
        angle = keys.between(key, 12, -math.pi, math.pi) if rotate else 0.0
        w["pasted"], w["count"] = 0, 0
        if number > 0:
            place_sprite(w["sprites"][0], keys.below(key, 13, number), x, y, angle, RADIUS)
            w["pasted"] = 1
        elif settings["paste"]:
            place_object(w["objects"][0], key, 0, x, y, angle, settings, shapes, table, w["background"])
            w["count"] = 1
        wanted = w["wanted"]
        wanted[0] = x
        wanted[1] = y
        wanted[2] = angle
        start_near(w, key, x, y, settings["start_radius"], rotate)
        if settings["by_pose"]:
            write_pose(x, y, angle, w["desired"], 0, settings["pose_length"])
        else:
            _look(w, settings, x, y, angle, fields, scratch, bank, sprites, w["desired"])
        _perceive(w, settings, fields, noise, scratch, bank, sprites)


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
    sprites: Bank,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            w["moves"] += 1
            right, down, turn = displacement(strengths, i, settings, moves)
            move_gaze(w, right, down, turn)
            _perceive(w, settings, fields, noise, scratch, bank, sprites)
            rewards[i] = world_reward(w, settings)
            terminated[i] = w["moves"] >= settings["moves"]
