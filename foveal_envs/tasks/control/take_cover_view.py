"""What the player of TakeCover sees: the room from tables, monsters and balls as discs, far ones first."""

from __future__ import annotations

import functools
import math

import numpy as np

from ... import keys
from ...compiled import compiled, kernel
from .take_cover_rules import DEPTH, EACH, HALF, MOST, present

PERTURBATIONS = ("none", "colour", "bars", "blob")
COLOUR, BARS, BLOB = 1, 2, 3
SIDE, FAR, FLOOR, CEILING = 3.3, 8.6, 1.2, 1.7  # of the walls from the middle and in depth; below, above the eye
PLACES = 241  # of the player, for which the empty room is kept
FINE = 2  # samples of a pixel of the room along each side
LEVELS = 32  # of the shading of a disc
NEAR = 0.05  # depth: what is nearer is behind the eye
BALL_SIZE, BALL_DROP = 0.3, 0.15  # radius; how far below the eye a ball flies
BODY, HEAD, EYE = 0.5, 0.3, 0.07  # radii of a monster's parts
SHIFT = 0.2  # largest change of a colour in [0, 1]
BAR = 0.075  # width of a bar, in frames
BLOB_X, BLOB_Y, BLOB_SIZE = 0.7, 0.3, 0.11  # in frames
WALL, END, TILE, BEAM = (150.0, 96.0, 74.0), (112.0, 118.0, 104.0), (122.0, 112.0, 98.0), (66.0, 70.0, 82.0)


def shading(*colours: tuple[float, float, float]) -> np.ndarray:
    """(LEVELS, 3) uint8: colours from the middle of a disc to its rim, by squared distance."""
    at = np.linspace(0.0, 1.0, len(colours))
    level = np.linspace(0.0, 1.0, LEVELS)
    return np.stack([np.interp(level, at, channel) for channel in np.array(colours).T], 1).round().astype(np.uint8)


DISCS = np.stack(
    [
        shading((255, 252, 214), (255, 220, 96), (255, 150, 30), (222, 66, 12)),  # a ball
        shading((128, 74, 52), (108, 58, 42), (66, 32, 26)),  # a monster's body
        shading((142, 84, 58), (118, 64, 46), (72, 36, 28)),  # its head
        shading((24, 12, 12), (36, 18, 16)),  # its eyes
        shading((214, 30, 40), (214, 30, 40)),  # the blob
    ]
)
A_BALL, A_BODY, A_HEAD, AN_EYE, A_BLOB = range(5)


@functools.lru_cache(maxsize=8)
def rooms(size: int) -> np.ndarray:
    """The empty room (PLACES, size, 3 * size) uint8 from places of the player, left to right."""
    out = np.empty((PLACES, size, 3 * size), np.uint8)
    for frame, x in zip(out, np.linspace(-HALF, HALF, PLACES), strict=True):
        paint_room(frame, x)
    return out


def picture(w: np.void, size: int, perturbation: int) -> np.ndarray:
    """(size, size, 3) uint8: the view at any size, from exactly where the player is."""
    room, frame = np.empty((2, 1, size, 3 * size), np.uint8)
    paint_room(room[0], float(w["x"]))
    show(np.array([w]), np.zeros(1, np.int64), room, perturbation, DISCS, np.zeros(MOST * EACH, np.int64), frame)
    return frame.reshape(size, size, 3)


@compiled
def paint_room(frame: np.ndarray, x: float) -> None:
    """The empty room from place x, over the whole frame (S, 3 S)."""
    size, part = frame.shape[0], 1.0 / (FINE * FINE)
    for row in range(size):
        for column in range(size):
            red = green = blue = 0.5
            for k in range(FINE * FINE):
                across = 2.0 * (column + (k % FINE + 0.5) / FINE) / size - 1.0
                down = 2.0 * (row + (k // FINE + 0.5) / FINE) / size - 1.0
                r, g, b = _colour(x, across, down)
                red, green, blue = red + part * r, green + part * g, blue + part * b
            frame[row, 3 * column] = int(red)
            frame[row, 3 * column + 1] = int(green)
            frame[row, 3 * column + 2] = int(blue)


@kernel
def _colour(x: float, across: float, down: float) -> tuple[float, float, float]:
    """Colour of the room along the ray that goes so far to the right and down in a unit of depth."""
    side = ((SIDE if across > 0.0 else -SIDE) - x) / across if across != 0.0 else 1e9
    level = (FLOOR if down > 0.0 else -CEILING) / down if down != 0.0 else 1e9
    depth = min(side, level, FAR)
    light = 1.25 / (1.0 + 0.16 * depth)
    u, v = x + across * depth, down * depth
    if depth == FAR:
        base = END
        course = math.floor((v + CEILING) / 0.58)
        joint = (v + CEILING) / 0.58 - course < 0.1 or (u + 0.6 * (course % 2)) % 1.2 < 0.07
        light *= 0.82 if joint else 1.1
    elif depth == level:
        dark = (math.floor(u + 0.5) + math.floor(depth)) % 2 == 0
        base = TILE if down > 0.0 else BEAM
        light *= (0.8 if dark else 1.0) if down > 0.0 else (0.75 if depth % 2.0 < 0.4 else 1.0)
    else:
        base = WALL
        light *= 0.7 if depth % 2.0 < 0.12 or abs(v - FLOOR) < 0.16 else 1.0
    return min(255.0, light * base[0]), min(255.0, light * base[1]), min(255.0, light * base[2])


@kernel
def show(
    worlds: np.ndarray,
    rows: np.ndarray,
    tables: np.ndarray,
    perturbation: int,
    discs: np.ndarray,
    order: np.ndarray,
    frames: np.ndarray,
) -> None:
    """Write what the players of ``rows`` see.

    Args:
        worlds: (N,) records.
        rows: (R,) int64.
        tables: (P, S, 3 S) uint8, the empty room from P places.
        perturbation: number in PERTURBATIONS.
        discs: DISCS.
        order: (MOST * EACH,) scratch.
        frames: (N, S, 3 S) uint8, rows of pixels of 3 bytes; those of ``rows`` are written.
    """
    places, size = tables.shape[0], frames.shape[1]
    for row in rows:
        w, frame = worlds[row], frames[row]
        place = int((w["x"] + HALF) / (2.0 * HALF) * (places - 1) + 0.5)
        for line in range(size):
            for k in range(3 * size):
                frame[line, k] = tables[place, line, k]
        if perturbation == COLOUR:
            _tint(w, frame)
        zoom = 0.5 * size
        for i in range(present(w["tics"])):
            _draw_monster(w["monsters"][i]["x"] - w["x"], zoom, discs, frame)
        count = _sort(w["balls"], order)
        for i in range(count):
            ball = w["balls"][order[i]]
            scale = zoom / ball["z"]
            x, y = zoom + scale * (ball["x"] - w["x"]), zoom + scale * BALL_DROP
            _disc(x, y, scale * BALL_SIZE, discs[A_BALL], frame)
        if perturbation == BARS:
            wide = int(BAR * size + 0.5)
            _blacken(frame, wide)
        elif perturbation == BLOB:
            _disc(BLOB_X * size, BLOB_Y * size, BLOB_SIZE * size, discs[A_BLOB], frame)


@kernel
def _blacken(frame: np.ndarray, wide: int) -> None:
    """Black bars, so many columns wide, at both sides."""
    size = frame.shape[0]
    for row in range(size):
        for column in range(wide):
            for c in range(3):
                frame[row, 3 * column + c] = frame[row, 3 * (size - 1 - column) + c] = 0


@kernel
def _draw_monster(across: float, zoom: float, discs: np.ndarray, frame: np.ndarray) -> None:
    scale = zoom / DEPTH
    x, ground = zoom + scale * across, zoom + scale * FLOOR
    _disc(x, ground - scale * BODY, scale * BODY, discs[A_BODY], frame)
    head = ground - scale * (2.0 * BODY + 0.6 * HEAD)
    _disc(x, head, scale * HEAD, discs[A_HEAD], frame)
    if scale * EYE < 0.5:  # too small to be seen
        return
    for side in (-0.4, 0.4):
        _disc(x + scale * side * HEAD, head, scale * EYE, discs[AN_EYE], frame)


@kernel
def _sort(balls: np.ndarray, order: np.ndarray) -> int:
    """Write the numbers of the balls in sight to ``order``, the farthest first, and return how many they are."""
    count = 0
    for i in range(balls.shape[0]):
        if balls[i]["flying"] and balls[i]["z"] > NEAR:
            k = count
            while k > 0 and balls[order[k - 1]]["z"] < balls[i]["z"]:
                order[k] = order[k - 1]
                k -= 1
            order[k] = i
            count += 1
    return count


@kernel
def _disc(x: float, y: float, radius: float, colours: np.ndarray, frame: np.ndarray) -> None:
    """A shaded disc, its rim mixed with what is behind, row by row.

    Args:
        x, y, radius: in pixels.
        colours: (LEVELS, 3) from the middle to the rim.
        frame: (S, 3 S) uint8.
    """
    size, reach, square = frame.shape[0], radius + 0.5, radius * radius
    level, rim = LEVELS / square, 128.0 / radius
    top, bottom = max(0.0, y - reach), min(float(size), y + reach)
    for row in range(int(top), math.ceil(bottom)):
        dy = row + 0.5 - y
        room = reach * reach - dy * dy
        if room <= 0.0:
            continue
        half = math.sqrt(room)
        left, right = max(0.0, x - half + 0.5), min(float(size), x + half + 0.5)
        for column in range(int(left), int(right)):
            dx = column + 0.5 - x
            gap = dx * dx + dy * dy
            mix = min(256, int((square - gap) * rim + 128.5))  # 256 times the share of the pixel, about
            shade = min(LEVELS - 1, int(gap * level))
            if mix == 256:
                for c in range(3):
                    frame[row, 3 * column + c] = colours[shade, c]
            elif mix > 0:
                for c in range(3):
                    behind = int(frame[row, 3 * column + c])
                    frame[row, 3 * column + c] = behind + (((int(colours[shade, c]) - behind) * mix) >> 8)


@kernel
def _tint(w: np.void, frame: np.ndarray) -> None:
    """Change the colours of walls and floor, as the key of the episode says; the ceiling stays as it is."""
    size, key = frame.shape[0], keys.split(w["key"], MOST)
    for row in range(size):
        down = 2.0 * (row + 0.5) / size - 1.0
        depth = FLOOR / down if down > 0.0 else -CEILING / down if down < 0.0 else FAR
        left = right = size
        if depth < FAR:  # floor or ceiling goes from one wall to the other
            left = int(size * max(0.0, 0.5 - 0.5 * (SIDE + w["x"]) / depth) + 0.5)
            right = int(size * min(1.0, 0.5 + 0.5 * (SIDE - w["x"]) / depth) + 0.5)
        for c in range(3):
            wall = _gain(keys.between(key, c, -SHIFT, SHIFT), WALL[c])
            level = _gain(keys.between(key, 3 + c, -SHIFT, SHIFT), TILE[c]) if down > 0.0 else 256
            for column in range(size):
                gain = level if left <= column < right else wall
                frame[row, 3 * column + c] = min(255, (int(frame[row, 3 * column + c]) * gain) >> 8)


@kernel
def _gain(shift: float, channel: float) -> int:
    """256 times the factor that adds ``shift``, in units of full brightness, to a channel of a colour in full light."""
    return int(256.0 * (1.0 + 255.0 * shift / channel))
