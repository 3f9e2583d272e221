"""ImageSearch: find a target pasted into a picture, or the place where a given glimpse was taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import require
from ...compiled import kernel
from ...fovea.fovea import SCENE, Fovea, displacement, move_gaze
from ...fovea.goals import Goal, measures, world_reward
from ...fovea.sensing import add_noise, write_pose
from ...retinas import Retina
from ...scenes.pictures import Images
from ...scenes.sprites import SPRITE, place_sprite, sprite_limits
from ...task import Observation, Task
from .pictures import (
    PICTURE,
    Sprites,
    View,
    look_at_sprites,
    look_over_picture,
    paint_picture,
    paint_sprites,
    picture_view,
    sprite_view,
)
from .shared import START_RADIUS, STARTS, Looks, looking_limits, looking_record, place_object, start_near

if TYPE_CHECKING:
    from ...rendering import Canvas

TARGETS = ("paste", "glimpse")
RADIUS = 30.0  # of a pasted object, pixels


class ImageSearch(Task):
    """Find a target in a picture: an object pasted into it, or the place that a glimpse shows.

    The scene of 512 x 512 pixels is one of many pictures: procedural textures, photographs, or the user's own. With
    ``target="paste"`` a dark object or one of your sprites lies on it; with ``target="glimpse"`` nothing does, and only
    the goal says where to go. Pictures are averaged once over the discs of the retina, so that a glimpse costs one
    lookup a field.

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
    (pixels), with rotation ``angle_error``. Of random gazes 0.3 % are there after the last move, of the oracle's
    all; mean return -117 and -1.3. Discount 0.95 suits the horizon of 25 moves.

    Args:
        images: "textures" (procedural), "photographs" (needs ``foveal-envs[images]``), a folder, a list of files or
            arrays, or an array (M, H, W) or (M, H, W, 3) of uint8; up to 64 are taken. Files that are broken, empty,
            tiny or of 16 bits are left out with one warning.
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
        require(start in STARTS, "start", STARTS, start)
        require(target in TARGETS, "target", TARGETS, target)
        require(sprites is None or target == "paste", "target", "'paste' where there are sprites", target)
        self.fovea = Fovea(retina, actuators, largest_jump, largest_turn, rotate, channels, noise)
        self.goal = Goal(self.fovea, goal, goal_format, reward, proprioception, moves)
        pasted: list[tuple[Any, ...]] = [*PICTURE, ("pasted", np.int64), ("sprites", SPRITE, (1,))]
        self.world = looking_record(self.goal.observed, self.fovea.values, 1, *pasted)
        self.observation_space, self.action_space = self.goal.observation_space, self.fovea.action_space
        self.bank, self._view = picture_view(images, self.fovea, exact, memory)
        self.sprites, self._sprites = sprite_view(sprites, 2.0 * RADIUS, self.fovea, exact, memory)
        self.limits = looking_limits(
            1, picture=(0, len(self.bank) - 1), pasted=(0, 1), sprites=sprite_limits(len(self.sprites))
        )
        self._looks = Looks(shape, RADIUS, None)
        start_radius = -1.0 if start == "anywhere" else START_RADIUS
        number = 0 if sprites is None else len(self.sprites)
        self._rules = len(self.bank), start_radius, rotate, target == "paste", number

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        looks, goal = self._looks, self.goal
        _reset(worlds, rows, keys, goal.settings, self._rules, looks.shapes, looks.table, looks.ranges, self._view,
               self._sprites, self.fovea.noise)  # fmt: skip

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(
            worlds, active, fovea.strengths(actions), fovea.low, fovea.moves, self.goal.settings, self._view,
            self._sprites, fovea.noise, rewards, terminated,
        )  # fmt: skip

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        self.goal.observe(worlds, rows, observation)

    def stored(self, worlds: np.ndarray) -> Observation | None:
        return self.goal.stored(worlds)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        return measures(worlds, rows, self.fovea.rotate)

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        return self.goal.compute_reward(achieved_goal, desired_goal)

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        return self.fovea.aim(worlds["wanted"] - worlds["gaze"], worlds["gaze"][:, 2])

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        """The scene alone: picture, and object or sprite."""
        w = worlds[row]
        paint_picture(canvas, self.bank, w, self.fovea.channels)
        paint_sprites(canvas, self.sprites, w["sprites"][: w["pasted"]])

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w, fovea, goal = worlds[row], self.fovea, self.goal
        if self.reveal:
            self.paint(worlds, row, canvas)
            canvas.fovea(fovea.retina.table, w["gaze"])
            canvas.wanted(w["wanted"], fovea.rotate)
        else:
            canvas.glimpse(fovea.retina.table, w["gaze"], w["glimpse"][: fovea.values], fovea.channels)
        canvas.scanpath(w["trail"], int(w["moves"]))
        canvas.retina_inset("Retina", fovea.retina.table, w["glimpse"][: fovea.values], fovea.channels)
        if goal.shown and not goal.by_pose:
            canvas.retina_inset("Goal", fovea.retina.table, w["desired"][: fovea.values], fovea.channels)
        canvas.status("move", f"{w['moves']} / {goal.settings['moves'][0]}")
        canvas.status("distance", f"{np.hypot(*(w['gaze'] - w['wanted'])[:2]):.1f} px")


# Number of pictures, radius of starts, whether it turns, whether to paste, number of sprites
Rules = tuple[int, float, bool, bool, int]


@kernel
def _look(w: np.void, view: View, sprites: Sprites, x: float, y: float, angle: float, out: np.ndarray) -> None:
    look_over_picture(w, view, x, y, angle, out)
    look_at_sprites(w["sprites"], w["pasted"], view, sprites, x, y, angle, out)


@kernel
def _perceive(w: np.void, settings: np.void, view: View, sprites: Sprites, noise: np.ndarray) -> None:
    """Glimpse (with noise), pose, and proprioception at the end of the observation."""
    gaze, glimpse = w["gaze"], w["glimpse"]
    _look(w, view, sprites, gaze[0], gaze[1], gaze[2], glimpse)
    if settings["noisy"]:
        add_noise(w, noise, settings["channels"], w["moves"], glimpse)
    write_pose(gaze[0], gaze[1], gaze[2], w["pose"], 0, settings["pose_length"])
    own = settings["proprioception"]
    for i in range(own):
        glimpse[settings["observed"] - own + i] = w["pose"][i]


@kernel
def _reset(
    worlds: np.ndarray,
    rows: np.ndarray,
    episode_keys: np.ndarray,
    all_settings: np.ndarray,
    rules: Rules,
    shapes: np.ndarray,
    table: np.ndarray,
    ranges: np.ndarray,
    view: View,
    sprites: Sprites,
    noise: np.ndarray,
) -> None:
    settings = all_settings[0]
    pictures, start_radius, rotate, paste, number = rules
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        w["picture"] = keys.below(key, 0, pictures)
        x = keys.between(key, 10, START_RADIUS, SCENE - START_RADIUS)
        y = keys.between(key, 11, START_RADIUS, SCENE - START_RADIUS)
        angle = keys.between(key, 12, -math.pi, math.pi) if rotate else 0.0
        w["pasted"], w["count"] = 0, 0
        if number > 0:
            place_sprite(w["sprites"][0], keys.below(key, 13, number), x, y, angle, RADIUS)
            w["pasted"] = 1
        elif paste:
            place_object(w["objects"][0], key, 0, x, y, angle, shapes, table, ranges, w["background"])
            w["count"] = 1
        wanted = w["wanted"]
        wanted[0] = x
        wanted[1] = y
        wanted[2] = angle
        start_near(w, key, x, y, start_radius, rotate)
        if settings["by_pose"]:
            write_pose(x, y, angle, w["desired"], 0, settings["pose_length"])
        else:
            _look(w, view, sprites, x, y, angle, w["desired"])
        _perceive(w, settings, view, sprites, noise)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    strengths: np.ndarray,
    low: float,
    moves: np.ndarray,
    all_settings: np.ndarray,
    view: View,
    sprites: Sprites,
    noise: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            w["moves"] += 1
            right, down, turn = displacement(strengths, i, low, moves)
            move_gaze(w, right, down, turn)
            _perceive(w, settings, view, sprites, noise)
            rewards[i] = world_reward(w, settings)
            terminated[i] = w["moves"] >= settings["moves"]
