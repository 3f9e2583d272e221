"""Canvas: the drawing surface that tasks know."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pygame

from .ink import (
    EDGE,
    FINE,
    GOAL,
    INK,
    LOOK,
    PAPER,
    PATH,
    SOFT,
    Colour,
    Ink,
    darkness,
    draw_fields,
    fine_width,
    pale,
    rgb,
    stroke,
    write,
)

Points = Sequence[Sequence[float]] | np.ndarray

SIDE = 512  # longer side of the scene, pixels
PANEL, PADDING, LINE, TITLE, GAP = 192, 20, 20, 20, 12  # pixels: width, margin, heights of a line, a title, a gap
INSET = PANEL - 2 * PADDING
OBJECT_FINE = 3  # times FINE: objects are drawn still finer, as the retina senses them


class Canvas:
    """What a task draws on. Positions and radii are in scene units, x right and y down; widths and sizes in pixels.

    A colour is a name, "#rrggbb", (r, g, b) or, translucent, "#rrggbbaa" or (r, g, b, a).

    Args:
        size: width and height of the scene, in the task's units.
    """

    def __init__(self, size: tuple[float, float]) -> None:
        self.size = size
        self.zoom = SIDE / max(size)  # pixels a unit
        self._fine = self.zoom * FINE
        extent = [2 * math.ceil(0.5 * self.zoom * side) for side in size]  # even, as video formats want it
        self._extent = (extent[0], extent[1])
        self._surface = pygame.Surface((FINE * extent[0], FINE * extent[1]))
        self._surface.fill("white")
        self._insets: list[tuple[str, np.ndarray, np.ndarray, int]] = []
        self._lines: list[tuple[str, str]] = []

    def fill(self, colour: Colour) -> None:
        """Paint the whole scene."""
        self._surface.fill(colour)

    def circle(self, x: float, y: float, radius: float, colour: Colour, width: float = 0.0) -> None:
        """A disc, or its outline of ``width`` pixels."""
        centre, reach = self._place((x, y)), max(1.0, float(radius) * self._fine)
        with Ink(self._surface, colour) as (surface, ink):
            pygame.draw.circle(surface, ink, centre, reach, fine_width(width))

    def line(self, points: Points, colour: Colour, width: float = 2.0) -> None:
        """A polyline through (P, 2) points, with round corners and ends."""
        places, broad = [self._place(point) for point in points], fine_width(width)
        with Ink(self._surface, colour) as (surface, ink):
            for start, end in itertools.pairwise(places):
                stroke(surface, ink, start, end, broad)
            for place in places if broad > 2 else []:
                pygame.draw.circle(surface, ink, place, 0.5 * broad)

    def polygon(self, points: Points, colour: Colour, width: float = 0.0) -> None:
        """A filled polygon of (P, 2) corners, or its outline of ``width`` pixels."""
        if width:
            self.line([*points, points[0]], colour, width)
            return
        with Ink(self._surface, colour) as (surface, ink):
            pygame.draw.polygon(surface, ink, [self._place(point) for point in points])

    def text(
        self, text: str, x: float, y: float, colour: Colour = INK, size: float = 14.0, align: str = "center"
    ) -> None:
        """One line of text, vertically centred on y; ``align``: "left", "center" or "right" of it stands at x."""
        write(self._surface, text, self._place((x, y)), colour, size, align)

    def image(self, pixels: np.ndarray, x: float, y: float, width: float, height: float, angle: float = 0.0) -> None:
        """A picture (H, W) or (H, W, 3 or 4) uint8, its top left corner at (x, y), stretched to width and height.

        A fourth channel is opacity; ``angle`` turns it about its middle, radians.
        """
        colours = np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels
        mode: Literal["RGB", "RGBA"] = "RGB" if colours.shape[2] == 3 else "RGBA"
        picture = pygame.image.frombuffer(colours.tobytes(), (colours.shape[1], colours.shape[0]), mode)
        wide, tall = max(1, round(width * self._fine)), max(1, round(height * self._fine))
        picture = pygame.transform.smoothscale(picture, (wide, tall))
        left, top = self._place((x, y))
        if angle != 0.0:
            picture = pygame.transform.rotate(picture, -math.degrees(angle))
            left, top = left + (wide - picture.get_width()) // 2, top + (tall - picture.get_height()) // 2
        self._surface.blit(picture, (left, top))

    def scene(self, objects: np.ndarray, background: np.ndarray, channels: int = 3, wrap: bool = False) -> None:
        """Objects on an empty scene.

        Args:
            objects: (M,) records OBJECT.
            background: (3,) darkness of each channel, 0 white and 1 black.
            channels: 1 shows the first channel as grey, 3 shows colours.
            wrap: the scene is a torus: an object that leaves it on one side comes in on the other.
        """
        self.fill(darkness(background, channels))
        self.objects(objects, channels, wrap)

    def objects(self, objects: np.ndarray, channels: int = 3, wrap: bool = False) -> None:
        """Objects on what is there already; arguments as of ``scene``."""
        for thing in objects:
            for x, y in self._appearances(thing, wrap):
                self._object(thing, x, y, darkness(thing["value"], channels))

    def _appearances(self, thing: np.void, wrap: bool) -> Iterable[tuple[float, float]]:
        """Where an object shows: at its place and, on a torus, wherever it reaches over the border."""
        x, y, radius, (width, height) = float(thing["x"]), float(thing["y"]), float(thing["radius"]), self.size
        shifts = (-1, 0, 1) if wrap else (0,)
        places = [(x + i * width, y + j * height) for i in shifts for j in shifts]
        return [(a, b) for a, b in places if -radius < a < width + radius and -radius < b < height + radius]

    def _object(self, thing: np.void, x: float, y: float, colour: tuple[int, int, int]) -> None:
        """One object on a finer surface of its own, because its negative parts cut only itself."""
        half = math.ceil(float(thing["radius"]) * self._fine) + 2
        scale, centre = self._fine * OBJECT_FINE, half * OBJECT_FINE
        own = pygame.Surface((2 * centre, 2 * centre), pygame.SRCALPHA)
        own.fill((*colour, 0))
        cos, sin = math.cos(float(thing["angle"])), math.sin(float(thing["angle"]))
        left, top = math.floor(x * self._fine) - half, math.floor(y * self._fine) - half
        px, py = OBJECT_FINE * (x * self._fine - left), OBJECT_FINE * (y * self._fine - top)

        def place(u: float, v: float) -> tuple[int, int]:
            u, v = float(u), float(v)
            return math.floor(px + scale * (cos * u - sin * v)), math.floor(py + scale * (sin * u + cos * v))

        for part in sorted(thing["part"][: thing["parts"]], key=lambda part: -float(part["sign"])):
            ink = (*colour, 255 if part["sign"] > 0 else 0)
            if part["edges"] == 0:
                pygame.draw.circle(own, ink, place(part["x"], part["y"]), scale * float(part["radius"]))
            else:
                corners = zip(part["vertex_x"][: part["edges"]], part["vertex_y"][: part["edges"]], strict=True)
                outline = [place(u, v) for u, v in corners]
                pygame.draw.polygon(own, ink, outline)
                pygame.draw.polygon(own, ink, outline, 1)  # parts that touch leave no seam
        self._surface.blit(pygame.transform.smoothscale(own, (2 * half, 2 * half)), (left, top))

    def fovea(self, table: np.ndarray, gaze: np.ndarray) -> None:
        """Outlines of the receptive fields.

        Args:
            table: (K, 3) of (u, v, diameter), a Retina's.
            gaze: (3,) pose.
        """
        cos, sin = math.cos(float(gaze[2])), math.sin(float(gaze[2]))
        crowd = min(1.0, 60.0 / len(table))
        with Ink(self._surface, (*rgb(LOOK), round(130 + 90 * crowd))) as (surface, ink):
            for u, v, diameter in table.tolist():
                centre = self._place((gaze[0] + cos * u - sin * v, gaze[1] + sin * u + cos * v))
                pygame.draw.circle(surface, ink, centre, max(1.5, 0.5 * diameter * self._fine), fine_width(1.2))
        self.circle(gaze[0], gaze[1], 5.0 / self.zoom, "white")
        self.circle(gaze[0], gaze[1], 3.5 / self.zoom, LOOK)
        if abs(gaze[2]) > 1e-9:  # which way is up for the fovea
            reach = float(np.hypot(table[:, 0], table[:, 1]).max())
            self._arrow((gaze[0], gaze[1]), (gaze[0] + sin * reach, gaze[1] - cos * reach), LOOK)

    def glimpse(self, table: np.ndarray, gaze: np.ndarray, values: np.ndarray, channels: int = 1) -> None:
        """The scene as the retina sees it: each field a disc of its darkness, and nothing between them.

        Args:
            table: (K, 3) of (u, v, diameter).
            gaze: (3,) pose.
            values: (K * channels,) darkness; channel c of field k at k * channels + c.
            channels: 1 or 3.
        """
        self.fill(PAPER)
        cos, sin, rows = math.cos(float(gaze[2])), math.sin(float(gaze[2])), values.reshape(-1, channels)
        for k in np.argsort(-table[:, 2], kind="stable"):
            u, v, diameter = (float(number) for number in table[k])
            x, y = float(gaze[0]) + cos * u - sin * v, float(gaze[1]) + sin * u + cos * v
            self.circle(x, y, 0.5 * diameter, darkness(rows[k], channels))

    def wanted(self, pose: np.ndarray, rotate: bool = False) -> None:
        """A cross at the wanted pose (3,), with an arrow that points to where up should be if ``rotate``."""
        x, y, arm = float(pose[0]), float(pose[1]), 11.0 / self.zoom
        for colour, width in (("white", 5.0), (GOAL, 2.4)):
            self.line([(x - arm, y), (x + arm, y)], colour, width)
            self.line([(x, y - arm), (x, y + arm)], colour, width)
            self.circle(x, y, 1.6 * arm, colour, width)
        if rotate:
            far = 3.6 * arm
            sin, cos = math.sin(pose[2]), math.cos(pose[2])
            self._arrow((x + 1.6 * arm * sin, y - 1.6 * arm * cos), (x + far * sin, y - far * cos), GOAL)

    def _arrow(self, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
        length = math.dist(start, end) * self.zoom
        ux, uy = [(b - a) / max(length, 1e-9) for a, b in zip(start, end, strict=True)]  # one pixel along it
        base = (end[0] - 9.0 * ux, end[1] - 9.0 * uy)
        head = [end, (base[0] - 5.0 * uy, base[1] + 5.0 * ux), (base[0] + 5.0 * uy, base[1] - 5.0 * ux)]
        self.line([start, base], "white", 5.0)
        self.polygon(head, "white", 3.0)
        self.line([start, base], colour, 2.4)
        self.polygon(head, colour)

    def scanpath(self, trail: np.ndarray, moves: int) -> None:
        """The fixations so far: older ones paler, the first ringed, the last blue, some numbered where there is room.

        Args:
            trail: (T, 3) poses, a ring buffer: the gaze after move m at m % T.
            moves: number of moves made.
        """
        numbers = range(max(0, moves - len(trail) + 1), moves + 1)
        places = [(float(trail[m % len(trail)][0]), float(trail[m % len(trail)][1])) for m in numbers]
        fresh = [0.35 + 0.65 * (i + 1) / len(places) for i in range(len(places))]
        for i in range(1, len(places)):
            self.line(places[i - 1 : i + 1], "white", 4.6)
        for i in range(1, len(places)):
            self.line(places[i - 1 : i + 1], pale(PATH, fresh[i]), 2.2)
        for m, place, strength in zip(numbers, places, fresh, strict=True):
            self.circle(*place, 4.4 / self.zoom, "white")
            self.circle(*place, 3.4 / self.zoom, LOOK if m == moves else pale(PATH, strength))
            if m == 0:
                self.circle(*place, 6.5 / self.zoom, PATH, 2.0)
        written: list[tuple[float, float]] = []
        for m, place in zip(numbers, places, strict=True):
            if m % 5 == 0 and m and all(math.dist(place, other) * self.zoom > 22.0 for other in written):
                written.append(place)
                self._number(str(m), place[0] + 11.0 / self.zoom, place[1] - 11.0 / self.zoom)

    def _number(self, text: str, x: float, y: float) -> None:
        radius = (5.5 + 2.0 * len(text)) / self.zoom
        x = min(max(x, radius), self.size[0] - radius)
        y = min(max(y, radius), self.size[1] - radius)
        self.circle(x, y, radius, "white")
        self.text(text, x, y, PATH, 12.0)

    def retina_inset(self, title: str, table: np.ndarray, values: np.ndarray, channels: int = 1) -> None:
        """Show in the panel what a retina gives, each field a disc of its darkness.

        Args:
            title: written above.
            table: (K, 3) of (u, v, diameter).
            values: (K * channels,) darkness; channel c of field k at k * channels + c.
            channels: 1 or 3.
        """
        self._insets.append((title, np.asarray(table, float), np.array(values, float).reshape(-1, channels), channels))

    def status(self, name: str, value: str) -> None:
        """Write a line in the panel: what, and how much."""
        self._lines.append((name, value))

    def finish(self) -> pygame.Surface:
        """The picture: the scene and, if anything was put there, the panel on its right."""
        panel = PANEL if self._insets or self._lines else 0
        width, height = self._extent
        needed = len(self._insets) * (TITLE + INSET + GAP) + len(self._lines) * LINE + PADDING
        tall = max(height, needed + needed % 2 if panel else 0)
        whole = pygame.Surface((FINE * (width + panel), FINE * tall))
        whole.fill(PAPER)
        whole.blit(self._surface, (0, 0))
        if panel:
            pygame.draw.rect(whole, EDGE, (FINE * width, 0, FINE, FINE * tall))
            self._panel(whole, FINE * (width + PADDING))
        return pygame.transform.smoothscale(whole, (width + panel, tall))

    def _panel(self, whole: pygame.Surface, left: int) -> None:
        top, inset = FINE * (PADDING - 6), FINE * INSET
        for title, table, values, channels in self._insets:
            write(whole, title, (left, top + FINE * 9), INK, 14.0, "left")
            top += FINE * TITLE
            box = pygame.Rect(left, top, inset, inset)
            pygame.draw.rect(whole, "white", box, border_radius=FINE * 6)
            draw_fields(whole, box, table, values, channels)
            pygame.draw.rect(whole, EDGE, box, FINE, border_radius=FINE * 6)
            top += inset + FINE * GAP
        for name, value in self._lines:
            top += FINE * LINE
            write(whole, name, (left, top - FINE * LINE // 2), SOFT, 14.0, "left")
            write(whole, value, (left + inset, top - FINE * LINE // 2), INK, 14.0, "right")

    def _place(self, point: Sequence[float] | np.ndarray) -> tuple[int, int]:
        return round(float(point[0]) * self._fine), round(float(point[1]) * self._fine)  # pygame would truncate
