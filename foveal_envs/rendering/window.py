"""Screen and Window: frames of worlds, as arrays or in a window."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import cast

import gymnasium as gym
import numpy as np
import pygame

from .canvas import Canvas
from .ink import PAPER

Draw = Callable[[np.ndarray, int, Canvas], None]


class Screen:
    """Frames of worlds.

    Args:
        draw: draws world ``row`` of an array of records on a canvas: ``Task.draw``.
        size: width and height of what it draws, in its own units: ``Task.render_size``.
        title: of the window.
        render_mode: "rgb_array", or "human" for a window.
        fps: frames a second that the window shows at most.

    Raises:
        gymnasium.error.Error: a window is wanted and there is no display.
    """

    def __init__(self, draw: Draw, size: tuple[float, float], title: str, render_mode: str | None, fps: int) -> None:
        self.draw, self.size, self.fps = draw, size, fps
        self.window = Window(title) if render_mode == "human" else None

    def show(self, worlds: np.ndarray, row: int, notes: Iterable[tuple[str, str]] = ()) -> np.ndarray | None:
        """Draw world ``row``, with further (name, value) lines below its own.

        Returns:
            (H, W, 3) uint8, or None where the window shows it.
        """
        canvas = Canvas(self.size)
        self.draw(worlds, row, canvas)
        for name, value in notes:
            canvas.status(name, value)
        picture = canvas.finish()
        if self.window is None:
            return pixels(picture)
        self.window.show(picture, self.fps)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self.window is not None:
            self.window.close()


class Window:
    """A resizable window. After a person has closed it, ``is_open`` is False and showing does nothing.

    Args:
        title: of the window.

    Raises:
        gymnasium.error.Error: there is no display.
    """

    def __init__(self, title: str) -> None:
        self.title, self.is_open = title, True
        self.events: list[pygame.event.Event] = []  # since the last ``show``
        self._surface: pygame.Surface | None = None
        self._area = pygame.Rect(0, 0, 1, 1)  # of the picture in the window
        self._zoom = 1.0
        self._clock = pygame.time.Clock()
        try:
            pygame.display.init()
        except pygame.error as error:
            raise _no_display(str(error)) from error
        driver = pygame.display.get_driver()
        if driver in ("dummy", "offscreen") and not os.environ.get("SDL_VIDEODRIVER"):
            pygame.display.quit()
            raise _no_display(f"SDL offers only its driver {driver!r}")

    def show(self, picture: pygame.Surface | np.ndarray, fps: float) -> None:
        """Show a Surface or (H, W, 3) uint8 at most ``fps`` times a second, and read what the person did."""
        if not self.is_open:
            return
        if isinstance(picture, np.ndarray):
            picture = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        if self._surface is None:
            try:
                self._surface = pygame.display.set_mode(picture.get_size(), pygame.RESIZABLE)
            except pygame.error as error:
                self.close()
                raise _no_display(str(error)) from error
            pygame.display.set_caption(self.title)
        self._surface = cast(pygame.Surface, pygame.display.get_surface())
        room = self._surface.get_rect()
        self._area = picture.get_rect().fit(room)
        self._zoom = self._area.width / max(1, picture.get_width())
        self._surface.fill(PAPER)
        shown = picture if self._area.size == picture.get_size() else _resized(picture, self._area.size)
        self._surface.blit(shown, self._area)
        pygame.display.flip()
        self._clock.tick(fps)
        self.events = pygame.event.get()
        if any(event.type == pygame.QUIT for event in self.events):
            self.close()

    def locate(self, place: tuple[float, float]) -> tuple[float, float]:
        """Place in the picture, pixels, of a place in the window, as a mouse event gives it."""
        return (place[0] - self._area.left) / self._zoom, (place[1] - self._area.top) / self._zoom

    def close(self) -> None:
        """Close it; twice is once."""
        if self.is_open:
            self.is_open = False
            pygame.display.quit()


def pixels(picture: pygame.Surface) -> np.ndarray:
    """(H, W, 3) uint8 of a surface."""
    width, height = picture.get_size()
    return np.frombuffer(pygame.image.tobytes(picture, "RGB"), np.uint8).reshape(height, width, 3).copy()


def _resized(picture: pygame.Surface, size: tuple[int, int]) -> pygame.Surface:
    return pygame.transform.smoothscale(picture, (max(1, size[0]), max(1, size[1])))


def _no_display(reason: str) -> gym.error.Error:
    return gym.error.Error(
        f'there is no display to open a window on ({reason}); render_mode="rgb_array" works without one'
    )
