"""A world small enough for V and M to learn in seconds: step aside from what falls."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from foveal_envs import FovealVectorEnv, Task
from foveal_envs.keys import between

SIDE = 32


class Dodge(Task):
    """Balls fall, one after the other, each from above where the player has just been; the third way out is to stay."""

    world = np.dtype([("player", np.float64), ("x", np.float64), ("y", np.float64), ("key", np.uint64), ("balls", int)])

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(3)

    def _drop(self, world: np.ndarray) -> None:
        world["x"] = np.clip(world["player"] + between(world["key"], 1 + int(world["balls"]), -6.0, 6.0), 2, SIDE - 3)
        world["y"], world["balls"] = 0.0, world["balls"] + 1

    def reset(self, worlds, rows, keys):
        for row in rows:
            worlds[row]["key"], worlds[row]["balls"] = keys[row], 0
            worlds[row]["player"] = between(keys[row], 0, 4.0, SIDE - 4.0)
            self._drop(worlds[row])

    def step(self, worlds, active, actions, rewards, terminated):
        rewards[active] = 1.0
        worlds["player"][active] = np.clip(worlds["player"] + 1.5 * (actions - 1.0), 3, SIDE - 4)[active]
        worlds["y"][active] += 2.0
        low = active & (worlds["y"] >= SIDE - 4)
        terminated |= low & (np.abs(worlds["x"] - worlds["player"]) < 5)
        for row in np.flatnonzero(low & ~terminated):
            self._drop(worlds[row])

    def observe(self, worlds, rows, observation):
        place = np.arange(SIDE)
        for row in rows:
            w, picture = worlds[row], np.full((SIDE, SIDE, 3), (90, 110, 130), np.uint8)
            picture[np.ix_(np.abs(place - w["y"]) < 3, np.abs(place - w["x"]) < 3)] = (255, 60, 20)
            picture[np.ix_(place > SIDE - 5, np.abs(place - w["player"]) < 3)] = (30, 220, 60)
            observation[row] = picture


def dodge(num_envs: int = 16, mode: str = "same_step", steps: int | None = 60) -> FovealVectorEnv:
    return FovealVectorEnv(Dodge(), num_envs, autoreset_mode=mode, max_episode_steps=steps)
