"""Image bank: pictures averaged beforehand over the discs of a retina, so that sensing is one lookup a field.

For every field size the bank holds each picture's exact area averages on a grid of half that size (``exact=True``: a
quarter); what lies between is interpolated bilinearly. A point stands with its right, lower and lower right neighbour
in one 32-bit number, so that a field costs one load. A larger field has a coarser grid, so that a bank needs little
more memory than its smallest fields alone. Gaze and angle are continuous; no picture is ever turned or drawn again, and
moving over it costs nothing at reset.
"""

from __future__ import annotations

import hashlib
import math
import weakref
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from ..checks import flag, real_number, require
from ..compiled import aligned, kernel, record
from ..retinas import Retina
from ..retinas.limits import LARGEST, SMALLEST
from ..retinas.retina import RADIUS
from ..vectors import LANES, byte, floor, gather, larger, load, smaller, store, whole

ZERO = np.float32(0.0)
TO_UNIT = np.float32(1.0 / 255.0)
SHIFT_8, SHIFT_16, SHIFT_24 = np.uint32(8), np.uint32(16), np.uint32(24)
MOST_MEMORY = 2.0**20  # MiB
LARGEST_GRID = 2**24  # points, so that a float32 holds their number
ROWS, FEWEST = 2, 16  # scan lines of a disc: a pixel, and at least
U, V, PER_PIXEL, ORIGIN, MOST, PITCH, ALONG, DOWN, MIXED = range(9)  # rows of ``grids``; the last three: work space
BASE, AT, FOUND = range(3)  # rows of ``points``; the last two: work space
LAYOUT = np.dtype(
    [
        ("pixel", np.float64),  # side of a picture's pixel, scene pixels
        ("half", np.float64),  # of a picture's side, its own pixels
        ("channels", np.int64),
        ("fields", np.int64),
        ("block", np.int64),  # points of one channel of one picture
    ]
)
# A bank as kernels take it: layout (1,) LAYOUT, texels uint32, grids (9, K) float32, points (3, K) uint32, and share,
# room for what a look at one of its pictures gives. A kernel unpacks it at once, under these names.
Bank = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _Level(NamedTuple):
    """The grid of all fields of a size, in pixels of the picture."""

    size: float
    stride: float
    margin: float  # around the picture; beyond it all is outside
    steps: int  # points a side


class ImageBank:
    """Disc-averaged pictures for one retina.

    Args:
        pictures: (M, S, S) or (M, S, S, C) uint8, ordinary pictures: 0 is black. C is 1 or 3; of sprites one more, for
            transparency, see ``load_pictures``.
        retina: whose fields look at them.
        pixel: side of a picture's pixel in the scene, scene pixels.
        exact: a grid of a quarter of a field instead of half of it: four times the memory, a third of the error.
        outside: darkness around a picture, 0 white and 1 black; None: the mean darkness of its border.
        memory: most MiB that the bank may take.

    Attributes:
        pictures: as given, (M, S, S, C).
        bytes: what the grids take.
        arrays: for kernels, see Bank.

    Raises:
        ValueError: pictures of another kind, or a bank above ``memory``; it says how much it would take.
    """

    def __init__(
        self,
        pictures: np.ndarray,
        retina: Retina,
        pixel: float = 1.0,
        exact: bool = False,
        outside: float | None = None,
        memory: float = 256.0,
    ) -> None:
        require(isinstance(retina, Retina), "retina", "a Retina", retina)
        pixel = real_number("pixel", pixel, SMALLEST, LARGEST, "a number of pixels")
        exact = flag("exact", exact)
        outside = None if outside is None else real_number("outside", outside, 0.0, 1.0, "None or a darkness")
        memory = real_number("memory", memory, 0.0, MOST_MEMORY, "a number of MiB")
        require(isinstance(pictures, np.ndarray), "pictures", "an array of uint8", pictures)
        pictures = pictures[..., None] if pictures.ndim == 3 else pictures
        square = pictures.ndim == 4 and pictures.shape[1] == pictures.shape[2] and 1 <= pictures.shape[3] <= 4
        if not square or pictures.dtype != np.uint8 or pictures.size == 0:
            raise ValueError(
                f"pictures must be uint8 (M, S, S) or (M, S, S, 1 to 4), got {pictures.dtype} {pictures.shape}"
            )
        self.pictures, self.pixel = pictures, pixel
        count, side, _, channels = pictures.shape
        self.bytes = bank_bytes(count * channels, side, retina, pixel, exact)
        if self.bytes > memory * 2**20:
            raise ValueError(
                f"{count} pictures of {side} x {side} would take {self.bytes / 2**20:.0f} MiB, more than {memory=:g}: "
                "give fewer or smaller pictures, larger fields, or a larger memory"
            )
        levels = _levels(side, retina, pixel, exact)
        if levels[0].steps ** 2 > LARGEST_GRID:
            raise ValueError(f"fields of {levels[0].size:g} pixels are too fine for a picture of {side} x {side}")
        planes = np.ascontiguousarray(np.moveaxis(pictures, 3, 1)).reshape(count * channels, side, side)
        texels = _shared(planes, levels, outside)
        layout = record(
            LAYOUT, pixel=pixel, half=0.5 * side, channels=channels, fields=len(retina), block=texels.shape[1]
        )
        share = aligned((channels * len(retina),))
        self.arrays: Bank = layout, texels.reshape(-1), *_grids(levels, retina, pixel), share

    def __len__(self) -> int:
        return len(self.pictures)


def bank_bytes(planes: int, side: int, retina: Retina, pixel: float = 1.0, exact: bool = False) -> int:
    """Bytes of a bank of so many planes (pictures times channels) of side x side pixels, before it is built."""
    return 4 * planes * sum(level.steps**2 for level in _levels(side, retina, pixel, exact))


def _levels(side: int, retina: Retina, pixel: float, exact: bool) -> list[_Level]:
    """A level for every distinct size of field, the smallest first."""
    levels = []
    for size in np.unique(2.0 * retina.fields[RADIUS, : len(retina)] / pixel).tolist():
        stride = size * (0.25 if exact else 0.5)
        margin = 0.5 * size + stride
        levels.append(_Level(size, stride, margin, math.ceil((side + 2.0 * margin) / stride) + 1))
    return levels


def _grids(levels: list[_Level], retina: Retina, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Grids (9, K) float32 and points (3, K) uint32 of a bank: of every field its place and the grid of its level."""
    padded = retina.fields.shape[1]
    grids, points, base = aligned((9, padded)), aligned((3, padded)).view(np.uint32), 0
    for level in levels:
        mine = 2.0 * retina.fields[RADIUS] / pixel == np.float32(level.size)
        grids[PER_PIXEL, mine], grids[ORIGIN, mine] = 1.0 / level.stride, level.margin / level.stride
        grids[MOST, mine], grids[PITCH, mine] = np.nextafter(np.float32(level.steps - 1), ZERO), level.steps
        points[BASE, mine] = base
        base += level.steps**2
    grids[[U, V]] = retina.fields[:2] / pixel
    grids[[U, V, MOST], len(retina) :] = 0.0  # fields that are not there
    return grids, points


SMALL = 2**23  # bytes of a bank that is kept, so that environments made one after the other share it
_RECENT: deque[np.ndarray] = deque(maxlen=8)
_BANKS: weakref.WeakValueDictionary[str, np.ndarray] = weakref.WeakValueDictionary()


def _shared(planes: np.ndarray, levels: list[_Level], outside: float | None) -> np.ndarray:
    """Grids (P, points of a plane) uint32; environments with the same pictures and fields share one array."""
    key = hashlib.blake2b(planes.data, digest_size=16).hexdigest() + repr((planes.shape, levels, outside))
    texels = _BANKS.get(key)
    if texels is None:
        grids = [_packed(_averages(planes, level, outside)) for level in levels]
        _BANKS[key] = texels = np.concatenate(grids, axis=1)
        if texels.nbytes <= SMALL:
            _RECENT.append(texels)
    return texels


def _averages(planes: np.ndarray, level: _Level, outside: float | None) -> np.ndarray:
    """Mean darkness 0..255 (P, steps, steps) of discs of a size on a grid: chords of scan lines, from running sums."""
    (count, side, _), (size, stride, margin, steps) = planes.shape, level
    radius, centres = 0.5 * size, np.arange(steps) * stride - margin
    lines = max(FEWEST, math.ceil(ROWS * size))
    offsets = ((np.arange(lines) + 0.5) / lines * 2.0 - 1.0) * radius
    halves = np.sqrt(radius * radius - offsets * offsets)
    out = np.empty((count, steps, steps), np.uint8)
    batch = max(1, 2**22 // (steps * steps))
    for first in range(0, count, batch):
        dark = 255.0 - planes[first : first + batch].astype(np.float32)
        rim = np.concatenate([dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1]], axis=1).mean(1)
        around = rim if outside is None else np.full(len(dark), 255.0 * outside, np.float32)
        dark = np.pad(dark - around[:, None, None], ((0, 0), (1, 1), (0, 0)))  # rows above and below: outside
        sums = np.pad(np.cumsum(dark, axis=2, dtype=np.float32), ((0, 0), (0, 0), (1, 0)))
        total = np.zeros((len(dark), steps, steps), np.float32)
        for offset, half in zip(offsets, halves, strict=True):
            rows = sums[:, np.clip(np.floor(centres + offset) + 1, 0, side + 1).astype(np.int64)]
            total += _at(rows, centres + half) - _at(rows, centres - half)
        means = _sharpened(total / np.float32(2.0 * halves.sum())) + around[:, None, None]
        out[first : first + batch] = np.clip(np.rint(means), 0, 255).astype(np.uint8)
    return out


def _sharpened(grid: np.ndarray) -> np.ndarray:
    """A grid (P, n, n) less 1/12 of its second differences: as much as a chord lies above a hollow on average."""
    twice = np.zeros_like(grid)
    twice[:, 1:-1] += grid[:, :-2] + grid[:, 2:] - 2.0 * grid[:, 1:-1]
    twice[:, :, 1:-1] += grid[:, :, :-2] + grid[:, :, 2:] - 2.0 * grid[:, :, 1:-1]
    sharpened: np.ndarray = grid - twice / 12.0
    return sharpened


def _packed(grid: np.ndarray) -> np.ndarray:
    """Grids (P, n, n) uint8 as (P, n * n) uint32: each point with its right, lower and lower right neighbour."""
    wide = np.pad(grid, ((0, 0), (0, 1), (0, 1)), "edge").astype(np.uint32)
    right, lower, both = wide[:, :-1, 1:] << SHIFT_8, wide[:, 1:, :-1] << SHIFT_16, wide[:, 1:, 1:] << SHIFT_24
    packed: np.ndarray = wide[:, :-1, :-1] | right | lower | both
    return packed.reshape(len(grid), -1)


def _at(sums: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Running sums (P, rows, S + 1) at continuous places along the last axis."""
    places = np.clip(places, 0.0, sums.shape[2] - 1.0)
    left = np.minimum(places.astype(np.int64), sums.shape[2] - 2)
    share = (places - left).astype(np.float32)
    below = sums[:, :, left]
    between: np.ndarray = below + share * (sums[:, :, left + 1] - below)
    return between


@kernel
def look_at_picture(bank: Bank, picture: int, x: float, y: float, angle: float, out: np.ndarray) -> None:
    """What the retina gives over one picture of a bank: darkness in [0, 1] of channel c of field k at k * C + c.

    Args:
        bank: ``ImageBank.arrays``.
        picture: its number.
        x, y, angle: pose of the gaze in the picture's frame, from its top left corner, in its pixels, and radians.
        out: receives (C * fields,) numbers.
    """
    layout, texels, grids, points, _ = bank
    block, channels, fields = layout[0]["block"], layout[0]["channels"], layout[0]["fields"]
    c, s = np.float32(1.0), ZERO
    if angle != 0.0:
        c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    _place(grids, points, np.float32(x), np.float32(y), c, s)
    for channel in range(channels):
        start = (picture * channels + channel) * block
        _gather(texels[start : start + block], points[AT], points[FOUND])
        _blend(grids, points[FOUND], out, fields, channel, channels)


@kernel
def _place(grids: np.ndarray, points: np.ndarray, x: np.float32, y: np.float32, c: np.float32, s: np.float32) -> None:
    """Every field's centre in steps of its grid, kept on the grid, and where its upper left neighbour stands."""
    for k in range(0, grids.shape[1], LANES):
        u, v, per = load(grids[U], k), load(grids[V], k), load(grids[PER_PIXEL], k)
        origin, most = load(grids[ORIGIN], k), load(grids[MOST], k)
        along = smaller(larger((x + (c * u - s * v)) * per + origin, ZERO), most)
        down = smaller(larger((y + (s * u + c * v)) * per + origin, ZERO), most)
        store(grids[ALONG], k, along)
        store(grids[DOWN], k, down)
        point = floor(down) * load(grids[PITCH], k) + floor(along)  # floats are exact below 2^24
        store(points[AT], k, load(points[BASE], k) + whole(point))


@kernel
def _gather(texels: np.ndarray, at: np.ndarray, found: np.ndarray) -> None:
    for k in range(0, at.shape[0], LANES):
        store(found, k, gather(texels, load(at, k)))


@kernel
def _mix(four: Any, x: Any, y: Any) -> Any:
    """Bilinear interpolation between four neighbours, the bytes of one number; 16 at once."""
    fx, fy = x - floor(x), y - floor(y)
    a, b, c, d = byte(four, 0), byte(four, 1), byte(four, 2), byte(four, 3)
    above, below = a + fx * (b - a), c + fx * (d - c)
    return (above + fy * (below - above)) * TO_UNIT


@kernel
def _blend(grids: np.ndarray, found: np.ndarray, out: np.ndarray, fields: int, channel: int, channels: int) -> None:
    """What every field shows of one channel, to its place in ``out``."""
    row = grids[MIXED]
    for k in range(0, fields, LANES):
        mixed, end = _mix(load(found, k), load(grids[ALONG], k), load(grids[DOWN], k)), k + LANES
        if channels == 1 and end <= fields:
            store(out, k, mixed)
        else:
            store(row, k, mixed)
            for i in range(k, min(end, fields)):
                out[i * channels + channel] = row[i]
