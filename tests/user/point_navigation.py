"""A task in one file, written against the public contract alone: steer a point to a goal on the unit square."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np

from foveal_envs import Task, keys, register
from foveal_envs.compiled import compiled

RADIUS = 0.05


class PointNavigation(Task):
    """Move a point to the goal.

    Observation: position and velocity (4,), achieved_goal and desired_goal positions (2,). Action: acceleration, Box
    (-1, 1, (2,)). Reward -distance; the episode ends within ``RADIUS`` of the goal.

    Args:
        speed: largest speed a step.
    """

    render_size = (1.0, 1.0)
    world = np.dtype([("position", np.float64, (2,)), ("velocity", np.float64, (2,)), ("goal", np.float64, (2,))])

    def __init__(self, speed: float = 0.1) -> None:
        if not 0 < speed <= 1:
            raise ValueError(f"speed must lie in (0, 1], got {speed}")
        self.speed = speed
        place = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        low = np.array([0, 0, -1, -1], np.float32)
        state = gym.spaces.Box(low, np.ones(4, np.float32))
        self.observation_space = gym.spaces.Dict(observation=state, achieved_goal=place, desired_goal=place)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, worlds, rows, keys):
        _reset(worlds, rows, keys)

    def step(self, worlds, active, actions, rewards, terminated):
        _step(worlds, active, actions, self.speed, rewards, terminated)

    def observe(self, worlds, rows, observation):
        w = worlds[rows]
        observation["observation"][rows] = np.concatenate([w["position"], w["velocity"]], axis=1)
        observation["achieved_goal"][rows] = w["position"]
        observation["desired_goal"][rows] = w["goal"]

    def info(self, worlds, rows):
        distance = np.linalg.norm(worlds["goal"][rows] - worlds["position"][rows], axis=1)
        return {"is_success": distance <= RADIUS, "distance": distance}

    def compute_reward(self, achieved_goal, desired_goal, info):
        gap = desired_goal.astype(np.float32) - achieved_goal.astype(np.float32)
        return -np.hypot(gap[..., 0], gap[..., 1]).astype(np.float64)

    def oracle(self, worlds):
        return np.clip((worlds["goal"] - worlds["position"]) / self.speed, -1, 1).astype(np.float32)

    def draw(self, worlds, row, canvas):
        canvas.circle(*worlds[row]["goal"], RADIUS, (40, 160, 80))
        canvas.circle(*worlds[row]["position"], 0.02, (30, 30, 30))


@compiled
def _reset(worlds, rows, episode_keys):
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        for axis in range(2):
            w["position"][axis] = keys.uniform(key, axis)
            w["velocity"][axis] = 0.0
            w["goal"][axis] = keys.uniform(key, 2 + axis)


@compiled
def _step(worlds, active, actions, speed, rewards, terminated):
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            for axis in range(2):
                w["velocity"][axis] = speed * min(1.0, max(-1.0, actions[i, axis]))
                w["position"][axis] = min(1.0, max(0.0, w["position"][axis] + w["velocity"][axis]))
            # from the float32 goals that compute_reward will see
            dx = np.float32(w["goal"][0]) - np.float32(w["position"][0])
            dy = np.float32(w["goal"][1]) - np.float32(w["position"][1])
            rewards[i] = -np.hypot(dx, dy)
            terminated[i] = math.hypot(w["goal"][0] - w["position"][0], w["goal"][1] - w["position"][1]) <= RADIUS


register("My/PointNavigation-v0", "point_navigation:PointNavigation", max_episode_steps=50)
