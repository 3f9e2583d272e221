"""What tasks over pictures share: the record, the look at picture and objects, coloured sprites, and the painting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checks import require
from ...compiled import kernel
from ...fovea.fovea import SCENE, Fovea
from ...fovea.sensing import fill
from ...scenes.bank import Bank, ImageBank, look_at_picture
from ...scenes.coverage import ONE, ZERO
from ...scenes.objects import LINE, add_object
from ...scenes.pictures import Images, load_pictures
from ...vectors import LANES, anywhere, larger, load, smaller, store

if TYPE_CHECKING:
    from ...rendering import Canvas

LARGEST_COUNT = 64  # pictures taken of a folder
SIDE = 512  # of a picture, pixels
SPRITE_SIDE = 64  # of a sprite's picture, pixels
PICTURE = [("picture", np.int64)]


def picture_bank(images: Images, fovea: Fovea, exact: bool, memory: float) -> ImageBank:
    """The bank of the pictures that fill the scene."""
    pictures = _load("images", images, SIDE, fovea.channels)
    return ImageBank(pictures, fovea.retina, SCENE / SIDE, exact, memory=memory)


def sprite_bank(images: Images | None, side: float, fovea: Fovea, exact: bool, memory: float) -> ImageBank:
    """The bank of coloured sprites of ``side`` scene pixels; None: one that shows nothing."""
    pictures = np.full((1, SPRITE_SIDE, SPRITE_SIDE, fovea.channels + 1), 255, np.uint8)
    if images is not None:
        pictures = _load("sprites", images, SPRITE_SIDE, fovea.channels)
    return ImageBank(pictures, fovea.retina, side / SPRITE_SIDE, exact, outside=0.0, memory=memory)


def _load(name: str, images: Any, side: int, channels: int) -> np.ndarray:
    """The pictures of the keyword "images" or "sprites"; see ``load_pictures``."""
    some = images.ndim > 0 if isinstance(images, np.ndarray) else isinstance(images, str | Path | list | tuple)
    require(some and str(images) != "", name, "a name, a folder, or a list of files or arrays of uint8", images)
    try:
        return load_pictures(images, side, channels, LARGEST_COUNT, sprites=name == "sprites")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


@kernel
def look_over_picture(
    w: np.void,
    settings: np.void,
    x: float,
    y: float,
    angle: float,
    fields: np.ndarray,
    scratch: np.ndarray,
    bank: Bank,
    out: np.ndarray,
) -> None:
    """What the retina gives at a pose: the picture of number ``w["picture"]``, and the objects on it.

    Args:
        w: record with ``picture``, ``count`` and ``objects``.
        settings: record with the fields of EYE.
        x, y, angle: pose, scene pixels and radians.
        fields: of the retina.
        scratch: of the fovea.
        bank: of ``picture_bank``.
        out: receives the glimpse.
    """
    channels, values, reach, pixel = settings["channels"], settings["values"], settings["reach"], SCENE / SIDE
    look_at_picture(bank, w["picture"], x / pixel, y / pixel, angle, out)
    share, objects, count = scratch[LINE], w["objects"], w["count"]
    if count > 0:
        fill(share, ZERO)
    for i in range(count):
        if add_object(objects[i], ONE, x, y, angle, fields, reach, scratch, share):
            _cover(share, objects[i]["value"], channels, values, out)
            fill(share, ZERO)


@kernel
def _cover(share: np.ndarray, value: np.ndarray, channels: int, values: int, out: np.ndarray) -> None:
    """Lay an object of darkness ``value`` over a glimpse, where it covers the given shares of the fields; ``out`` is as
    long as ``share``, or longer, if there is one channel."""
    for start in range(0, share.shape[0], LANES):
        covered = smaller(larger(load(share, start), ZERO), ONE)
        if anywhere(covered > ZERO):
            if channels == 1:
                below = load(out, start)
                store(out, start, below + covered * (value[0] - below))
            else:
                store(share, start, covered)
                for k in range(start * channels, min((start + LANES) * channels, values)):
                    out[k] += share[k // channels] * (value[k % channels] - out[k])


def paint_picture(canvas: Canvas, bank: ImageBank, w: np.void, channels: int) -> None:
    """The picture over the whole scene, and the objects on it."""
    pixels = bank.pictures[int(w["picture"])]
    canvas.image(pixels[..., 0] if pixels.shape[2] == 1 else pixels, 0.0, 0.0, SCENE, SCENE)
    canvas.objects(w["objects"][: w["count"]], channels)


def paint_sprites(canvas: Canvas, bank: ImageBank, sprites: np.ndarray) -> None:
    """Coloured sprites (M,) of ``sprite_bank`` on what is there already."""
    side = bank.pixel * SPRITE_SIDE
    for sprite in sprites:
        planes = bank.pictures[int(sprite["picture"])].astype(np.float64)
        opacity = 1.0 - planes[..., -1:] / 255.0
        colour = 255.0 - (255.0 - planes[..., :-1]) / np.maximum(opacity, 1.0 / 255.0)  # without the white ground
        image = np.concatenate([np.broadcast_to(colour, (SPRITE_SIDE, SPRITE_SIDE, 3)), 255.0 * opacity], axis=2)
        corner = float(sprite["x"]) - 0.5 * side, float(sprite["y"]) - 0.5 * side
        canvas.image(np.clip(np.rint(image), 0, 255).astype(np.uint8), *corner, side, side, float(sprite["angle"]))


def shares_of_areas(shapes: np.ndarray) -> np.ndarray:
    """Factors (M,) that give objects (M,) of the shape table the area of the smallest of them."""
    areas = np.array([sum(_area(part) for part in thing["part"][: thing["parts"]]) for thing in shapes])
    factors: np.ndarray = np.sqrt(areas.min() / areas)
    return factors


def _area(part: Any) -> float:
    edges = int(part["edges"])
    if edges == 0:
        return float(part["sign"] * np.pi * part["radius"] ** 2)
    x, y = part["vertex_x"][:edges].astype(np.float64), part["vertex_y"][:edges].astype(np.float64)
    return float(part["sign"] * 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
