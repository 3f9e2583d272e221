"""Rendering with pygame: the canvas that tasks draw on, the frames made of it, and the window that shows them.

Pictures need no display: everything is drawn on plain surfaces, and only ``Window`` asks for one. No other part of the
package imports pygame.
"""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

from .canvas import Canvas
from .window import Screen, Window, pixels

__all__ = ["Canvas", "Screen", "Window", "pixels"]
