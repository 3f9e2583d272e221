"""The patches that an AttentionAgent attends to, drawn over the picture of an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image, ImageDraw

from agents import AttentionAgent
from foveal_envs.rendering.canvas import SIDE

from .dreams import beside
from .environments import task_in
from .rollouts import Move

COLOUR = 255, 235, 59
FAINTEST = 0.35  # opacity of the least important patch; that of the most important is 1


class AttendedPictures:
    """Pictures with squares over the patches that matter most; the more a patch matters, the stronger its square.

    Where the environment draws the image that it shows the agent (`Task.image_area`), they lie over it. Otherwise the
    observed image stands beside the environment's picture, with the squares over it.

    Args:
        lane: vector environment of one lane, of render mode "rgb_array".
        agent: acts in it.
    """

    def __init__(self, lane: gym.vector.VectorEnv[Any, Any, Any], agent: AttentionAgent) -> None:
        self.lane, self.agent = lane, agent
        task = task_in(lane)
        area = None if task is None else task.image_area
        self._area = None if task is None or area is None else np.array(area) * (SIDE / max(task.render_size))

    def draw(self, move: Move) -> np.ndarray:
        """The picture after a move, (H, W, 3) uint8, with the patches attended to in what is now observed."""
        image, picture = np.asarray(move.obs[0]), self.lane.render()[0]
        _, state = self.agent.predict(move.obs, episode_start=np.ones(1, bool))  # the places depend on the image alone
        squares = self.squares(state)
        if self._area is not None:
            left, top, wide, tall = self._area
            zoom = np.array([wide / image.shape[1], tall / image.shape[0]] * 2)
            return overlay(picture, squares * zoom + (left, top, left, top))
        zoom = SIDE / image.shape[0]
        size = 2 * round(0.5 * zoom * image.shape[1]), SIDE  # even, as video wants it
        colours = np.broadcast_to(image[..., -3:] if image.shape[2] >= 3 else image[..., -1:], (*image.shape[:2], 3))
        seen = np.asarray(Image.fromarray(np.ascontiguousarray(colours)).resize(size, Image.Resampling.NEAREST))
        return beside(picture, overlay(seen, squares * zoom))

    def squares(self, state: np.ndarray) -> np.ndarray:
        """(K, 4) left, top, right and bottom of the patches in pixels of the observation, the most important first."""
        places, half = self.agent.attended(state)[0], 0.5 * self.agent.policy.net.side
        return np.concatenate((places - half, places + half), 1)


def overlay(picture: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 with squares (K, 4) over it, the first the strongest."""
    ground = Image.fromarray(picture)
    strengths = np.linspace(1.0, FAINTEST, len(squares))
    for square, strength in list(zip(squares.tolist(), strengths.tolist(), strict=True))[::-1]:
        layer = Image.new("RGBA", ground.size)
        marks = ImageDraw.Draw(layer)
        left, top, right, bottom = square
        corners = left, top, right - 1, bottom - 1
        marks.rectangle(corners, (*COLOUR, round(40 * strength)), (*COLOUR, round(255 * strength)), 2)
        ground.paste(layer, (0, 0), layer)
    return np.asarray(ground)
