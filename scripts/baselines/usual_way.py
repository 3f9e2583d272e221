"""TargetDetection written the usual way, one world in NumPy: what ``benchmark envs`` holds the compiled one against."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from foveal_envs.retinas import make_retina
from foveal_envs.retinas.rings import rings
from foveal_envs.scenes.objects import shape_table
from foveal_envs.scenes.pictures import textures
from foveal_envs.tasks.looking.shared import RADIUS, START_RADIUS

SCENE, JUMP, MOVES = 512, 20.0, 25
SUCCESS_RADIUS = 10.0
SUPERSAMPLING = 4


class Yardstick(gym.Env[dict[str, np.ndarray], np.ndarray]):
    """``Foveal/TargetDetection-v0`` with its default keywords, as a mean over each field's pixels.

    The target's picture is drawn once, in the middle of a 512 x 512 image that moves with it, and the pixels of all
    fields are listed once: a glimpse is one gather of 11,000 pixels and one ``np.add.reduceat``. The gaze is rounded to
    whole pixels, at an error of 3.3 grey levels (root mean square). Exact areas, vectorised over the fields, take 1.6
    to 3 times as long in NumPy.
    """

    def __init__(self) -> None:
        table = rings()
        offsets = [_pixels(*field) for field in table.tolist()]
        self._counts = np.array([len(field) for field in offsets], np.float32)
        self._starts = np.cumsum(self._counts, dtype=np.int64) - self._counts.astype(np.int64)
        reach = math.ceil((np.hypot(table[:, 0], table[:, 1]) + table[:, 2] / 2).max()) + 1
        self._corner = SCENE // 2 - reach  # of the fields' square, in the image, when the gaze is on the target
        self._offsets = np.concatenate(offsets) + reach * (SCENE + 1)
        self._image = _picture()
        glimpse = gym.spaces.Box(0.0, 1.0, (len(table),), np.float32)
        self.observation_space = gym.spaces.Dict(
            {"observation": glimpse, "achieved_goal": glimpse, "desired_goal": glimpse}
        )
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._desired = self.look(np.zeros(2))

    def look(self, gaze: np.ndarray) -> np.ndarray:
        """Mean darkness (40,) float32 of each field, for a gaze (x, y) relative to the target, pixels."""
        x, y = (round(offset) + self._corner for offset in gaze.tolist())
        if not (0 <= x <= 2 * self._corner and 0 <= y <= 2 * self._corner):  # nothing but white
            return np.zeros(len(self._counts), np.float32)
        pixels = self._image[y * SCENE + x :].take(self._offsets)
        share: np.ndarray = np.add.reduceat(pixels, self._starts) / self._counts
        return share

    def place(self, target: np.ndarray, gaze: np.ndarray) -> dict[str, np.ndarray]:
        """Begin an episode at given positions (x, y) in the scene; the observation."""
        self.target, self.gaze, self.moves = np.array(target, np.float64), np.array(gaze, np.float64), 0
        return self._observe()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed)
        x, y, distance, direction = self.np_random.random(4)
        target = START_RADIUS + (SCENE - 2.0 * START_RADIUS) * np.array([x, y])
        distance, direction = START_RADIUS * math.sqrt(distance), 2.0 * math.pi * direction
        gaze = target + distance * np.array([math.cos(direction), math.sin(direction)])
        return self.place(target, gaze), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        jump = JUMP * np.minimum(np.maximum(action, -1.0), 1.0)
        self.gaze = np.minimum(np.maximum(self.gaze + jump, 0.0), SCENE)
        self.moves += 1
        observation = self._observe()
        gap = observation["desired_goal"] - observation["achieved_goal"]
        return observation, -0.5 * float(gap @ gap), self.moves >= MOVES, False, self._info()

    def _observe(self) -> dict[str, np.ndarray]:
        glimpse = self.look(self.gaze - self.target)
        return {"observation": glimpse, "achieved_goal": glimpse.copy(), "desired_goal": self._desired.copy()}

    def _info(self) -> dict[str, Any]:
        distance = math.dist(self.gaze, self.target)
        return {"is_success": distance <= SUCCESS_RADIUS, "distance": distance}


class ImageYardstick(gym.Env[dict[str, np.ndarray], np.ndarray]):
    """``Foveal/ImageSearch-v0`` with ``target="glimpse"``, as a mean over each field's pixels of one picture.

    A glimpse is one gather and one ``np.add.reduceat``, as of Yardstick; the gaze is rounded to whole pixels.

    Args:
        retina: name or dict.
    """

    def __init__(self, retina: str | dict[str, Any] = "rings") -> None:
        source = make_retina(retina)
        self._margin = math.ceil(source.reach) + 1
        self._row = SCENE + 2 * self._margin
        offsets = [_pixels(*field, self._row) for field in source.table.tolist()]
        self._counts = np.array([len(field) for field in offsets], np.float32)
        self._starts = np.cumsum(self._counts, dtype=np.int64) - self._counts.astype(np.int64)
        self._offsets = np.concatenate(offsets)
        pictures = 1.0 - textures(8, SCENE).astype(np.float32) / 255.0
        self._pictures = np.pad(pictures, ((0, 0), *((self._margin,) * 2,) * 2), "mean").reshape(8, -1)
        box = gym.spaces.Box(0.0, 1.0, (len(source),), np.float32)
        names = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = gym.spaces.Dict(dict.fromkeys(names, box))
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def look(self, place: np.ndarray) -> np.ndarray:
        """Mean darkness (K,) of the fields with the gaze at a place (x, y)."""
        x, y = (math.floor(float(a)) + self._margin for a in place)
        pixels = self._picture.take(self._offsets + (y * self._row + x))
        share: np.ndarray = np.add.reduceat(pixels, self._starts) / self._counts
        return share

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed)
        self._picture = self._pictures[self.np_random.integers(8)]
        x, y, distance, direction = self.np_random.random(4)
        self.target = START_RADIUS + (SCENE - 2.0 * START_RADIUS) * np.array([x, y])
        away = START_RADIUS * math.sqrt(distance) * np.exp(2j * math.pi * direction)
        self.gaze = np.clip(self.target + np.array([away.real, away.imag]), 0.0, SCENE)
        self._desired, self.moves = self.look(self.target), 0
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        jump = 2.0 * JUMP * np.minimum(np.maximum(action, -1.0), 1.0)
        self.gaze = np.minimum(np.maximum(self.gaze + jump, 0.0), SCENE)
        self.moves += 1
        observation = self._observe()
        gap = observation["desired_goal"] - observation["achieved_goal"]
        return observation, -0.5 * float(gap @ gap), self.moves >= MOVES, False, self._info()

    def _observe(self) -> dict[str, np.ndarray]:
        glimpse = self.look(self.gaze)
        return {"observation": glimpse, "achieved_goal": glimpse.copy(), "desired_goal": self._desired.copy()}

    def _info(self) -> dict[str, Any]:
        distance = math.dist(self.gaze, self.target)
        return {"is_success": distance <= SUCCESS_RADIUS, "distance": distance}


def _pixels(u: float, v: float, size: float, row: int = SCENE) -> np.ndarray:
    """Offsets, in the flat image, of the pixels of a field from the pixel under the gaze."""
    near = np.arange(-math.ceil(size), math.ceil(size) + 1)
    x, y = np.meshgrid(round(u) + near, round(v) + near)
    inside = (x - u) ** 2 + (y - v) ** 2 <= (0.5 * size) ** 2
    offsets: np.ndarray = y[inside] * row + x[inside]
    return offsets


def _picture() -> np.ndarray:
    """Darkness (512 * 512,) float32 of the triangle in the middle of the image, with smooth edges."""
    triangle = shape_table(RADIUS)[0]["part"][0]
    fine = (np.arange(SCENE * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5 - SCENE // 2
    edges = zip(triangle["normal_x"][:3], triangle["normal_y"][:3], triangle["offset"][:3], strict=True)
    inside = np.logical_and.reduce([nx * fine + ny * fine[:, None] < offset for nx, ny, offset in edges])
    blocks = inside.reshape(SCENE, SUPERSAMPLING, SCENE, SUPERSAMPLING)
    return blocks.mean(axis=(1, 3), dtype=np.float32).reshape(-1)
