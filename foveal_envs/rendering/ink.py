"""Marks on a surface: translucent colours, even strokes, text, and darkness as a colour. All in fine pixels.

Everything is drawn ``FINE`` times too large and averaged in the end, which smooths every edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pygame

Colour = str | tuple[int, int, int] | tuple[int, int, int, int] | Sequence[int]

FINE = 2
INK, SOFT, PAPER, EDGE = "#263238", "#78909c", "#f4f6f8", "#dde3e7"
LOOK, PATH, GOAL = "#1e88e5", "#f4511e", "#00a676"


def darkness(values: Any, channels: int) -> tuple[int, int, int]:
    """The colour of (3,) or (1,) darkness values: 0 is white, 1 black; one channel gives grey."""
    light = [round(255.0 * (1.0 - min(1.0, max(0.0, float(value))))) for value in values]
    red, green, blue = (light * 3)[:3] if channels == 3 else [light[0]] * 3
    return red, green, blue


class Ink:
    """A surface to draw on with a colour, blended in at the end if it is translucent."""

    def __init__(self, surface: pygame.Surface, colour: Colour) -> None:
        self._target, self._colour = surface, pygame.Color(colour)
        self._layer: pygame.Surface | None = None

    def __enter__(self) -> tuple[pygame.Surface, pygame.Color]:
        if self._colour.a == 255:
            return self._target, self._colour
        self._layer = pygame.Surface(self._target.get_size(), pygame.SRCALPHA)
        return self._layer, self._colour

    def __exit__(self, *error: object) -> None:
        if self._layer is not None:
            self._target.blit(self._layer, (0, 0))


def draw_fields(whole: pygame.Surface, box: pygame.Rect, table: np.ndarray, values: np.ndarray, channels: int) -> None:
    """Fields as discs inside a box, large ones first, so that none hides a smaller one."""
    low, high = (table[:, :2] - 0.5 * table[:, 2:]).min(0), (table[:, :2] + 0.5 * table[:, 2:]).max(0)
    scale = (box.width - FINE * 12) / float((high - low).max())
    middle = 0.5 * (low + high)
    for k in np.argsort(-table[:, 2], kind="stable"):
        x = float(box.centerx + scale * (table[k, 0] - middle[0]))
        y = float(box.centery + scale * (table[k, 1] - middle[1]))
        radius = max(FINE * 1.0, 0.5 * scale * float(table[k, 2]))
        fill, edge = darkness(values[k], channels), rgb("#b0bec5")
        if radius < FINE * 5:  # a pale outline would hide a small dark field
            edge = min(fill[0], edge[0]), min(fill[1], edge[1]), min(fill[2], edge[2])
        pygame.draw.circle(whole, fill, (x, y), radius)
        pygame.draw.circle(whole, edge, (x, y), radius, 1 if radius < FINE * 8 else FINE)


_fonts: dict[int, pygame.font.Font] = {}


def write(
    surface: pygame.Surface, text: str, place: tuple[float, float], colour: Colour, size: float, align: str
) -> None:
    """Text at a place, ``size`` pixels high in the finished picture."""
    if not pygame.font.get_init():
        pygame.font.init()
        _fonts.clear()
    height = round(1.25 * size * FINE)
    if height not in _fonts:
        _fonts[height] = pygame.font.Font(None, height)
    image = _fonts[height].render(text, True, colour)
    anchors = {"left": "midleft", "center": "center", "right": "midright"}
    if align not in anchors:
        raise ValueError(f"align must be one of {', '.join(map(repr, anchors))}; got {align!r}")
    surface.blit(image, image.get_rect(**{anchors[align]: (round(place[0]), round(place[1]))}))


def stroke(
    surface: pygame.Surface, ink: pygame.Color, start: tuple[float, float], end: tuple[float, float], width: int
) -> None:
    """A straight line as a rectangle: pygame's own broad lines change their width with their direction."""
    length = math.dist(start, end)
    if width <= 1 or length < 1e-9:
        pygame.draw.line(surface, ink, start, end, width)
        return
    x, y = 0.5 * width * (end[1] - start[1]) / length, 0.5 * width * (start[0] - end[0]) / length
    corners = [(start[0] + x, start[1] + y), (end[0] + x, end[1] + y), (end[0] - x, end[1] - y)]
    pygame.draw.polygon(surface, ink, [*corners, (start[0] - x, start[1] - y)])


def fine_width(width: float) -> int:
    """Fine pixels of a width in pixels, at least 1; 0 means filled and stays 0."""
    return max(1, round(width * FINE)) if width > 0 else 0


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a named colour, 0 to 255."""
    found = pygame.Color(colour)
    return found.r, found.g, found.b


def pale(colour: str, strength: float) -> tuple[int, int, int]:
    """A colour mixed with white; strength 1 leaves it as it is."""
    red, green, blue = (round(255 + strength * (part - 255)) for part in rgb(colour))
    return red, green, blue
