"""Small environments and a recurrent core for the tests of the agents."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor, nn

from agents import Core


class Switches(gym.Env):
    """Five moves; the reward is the number of switches that are on."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.action_space = gym.spaces.MultiBinary(3)
        self.observation_space = gym.spaces.Box(0, 5, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.moves = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> Any:
        assert self.action_space.contains(action)
        self.moves += 1
        return np.full(1, self.moves, np.float32), float(action.sum()), self.moves == 5, False, {}


SIDE = 20
SPOTS = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)


def picture(x: float) -> np.ndarray:
    """A red spot on grey, at (x, middle)."""
    image = np.full(SPOTS.shape, 200, np.uint8)
    image[8:12, int(x) - 2 : int(x) + 2] = (255, 0, 0)
    return image


class Spot(gym.Env):
    """A spot that the action moves; it pays to be in the middle. With a goal, the spot of another picture is sought."""

    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 (declared so by the parent)

    def __init__(self, goal: bool = False, render_mode: str | None = None) -> None:
        self.goal, self.observation_space, self.render_mode = goal, SPOTS, render_mode
        if goal:
            names = ("observation", "achieved_goal", "desired_goal")
            self.observation_space = gym.spaces.Dict(dict.fromkeys(names, SPOTS))

    def _obs(self) -> Any:
        seen = picture(self.x)
        wanted = picture(self.sought)
        return {"observation": seen, "achieved_goal": seen, "desired_goal": wanted} if self.goal else seen

    def render(self) -> np.ndarray:
        return picture(self.x)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x, self.sought = self.np_random.uniform(2, SIDE - 2, 2).tolist()
        return self._obs(), {}

    def step(self, action: np.ndarray) -> Any:
        self.x = float(np.clip(self.x + 2 * float(action[0]), 2, SIDE - 2))
        return self._obs(), -abs(self.x - SIDE / 2) / SIDE, False, False, {}


gym.register("Spot-v0", Spot, max_episode_steps=10)


class PointVectorEnv(VectorEnv):
    """N points in the unit square that move by up to 0.2 a step towards a place of their own; SAME_STEP, DISABLED."""

    def __init__(self, num_envs: int = 8, moves: int = 6, mode: str = "SAME_STEP", goal: bool = True) -> None:
        self.num_envs, self.moves, self.goal = num_envs, moves, goal
        self.autoreset_mode = AutoresetMode[mode]
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        unit = gym.spaces.Box(0, 1, (2,), np.float32)
        spaces = {"observation": unit, "achieved_goal": unit, "desired_goal": unit}
        self.single_observation_space = gym.spaces.Dict(spaces) if goal else unit
        self.single_action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.place = np.zeros((num_envs, 2), np.float32)
        self.target = np.full((num_envs, 2), 0.5, np.float32)
        self.time = np.zeros(num_envs, int)

    def obs(self) -> Any:
        if not self.goal:
            return self.place.copy()
        return {
            "observation": self.place.copy(),
            "achieved_goal": self.place.copy(),
            "desired_goal": self.target.copy(),
        }

    def fresh(self, mask: np.ndarray) -> None:
        self.place[mask] = self.np_random.random((int(mask.sum()), 2), dtype=np.float32)
        if self.goal:
            self.target[mask] = self.np_random.random((int(mask.sum()), 2), dtype=np.float32)
        self.time[mask] = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.fresh((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        return self.obs(), {}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return -np.linalg.norm(achieved - desired, axis=-1)

    def step(self, actions: np.ndarray) -> Any:
        self.place = np.clip(self.place + 0.2 * np.asarray(actions, np.float32), 0, 1)
        self.time += 1
        rewards = self.compute_reward(self.place, self.target, {})
        ends = self.time >= self.moves
        never = np.zeros(self.num_envs, bool)
        infos: dict[str, Any] = {}
        if ends.any():
            final = {"is_success": rewards > -0.1, "_is_success": ends}
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                infos = {"final_obs": self.obs(), "_final_obs": ends, "final_info": final, "_final_info": ends}
                self.fresh(ends)
            else:
                infos = final
        return self.obs(), rewards, ends, never, infos

    def get_state(self) -> Any:
        return [array.copy() for array in (self.place, self.target, self.time)], self.np_random.bit_generator.state

    def set_state(self, state: Any) -> None:
        (self.place, self.target, self.time), generator = [array.copy() for array in state[0]], state[1]
        self.np_random.bit_generator.state = generator


class Elman(Core):
    """h' = tanh(W x + U h + b)."""

    def __init__(self, input_size: int, size: int = 5) -> None:
        super().__init__(input_size, size)
        self.read, self.recall = nn.Linear(input_size, size), nn.Linear(size, size, bias=False)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return (torch.zeros(batch_size, self.output_size, dtype=self.read.weight.dtype),)

    def step(self, x: Tensor, state: tuple[Tensor, ...], episode_start: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        (h,) = self.restart(state, episode_start)
        h = torch.tanh(self.read(x) + self.recall(h))
        return h, (h,)
