"""Environments for active vision and goal-conditioned reinforcement learning; importing it registers every id."""

from __future__ import annotations

import importlib
from typing import Any

import gymnasium

from .registration import register

__version__ = "0.1.0"
LIMIT = 1000  # max_episode_steps: far beyond every task's own length

register("Foveal/TargetDetection-v0", "TargetDetection", LIMIT)
register("Foveal/GoalDetection-v0", "GoalDetection", LIMIT)
register("Foveal/TargetTracking-v0", "TargetTracking", LIMIT)
register("Foveal/GridSearch-v0", "GridSearch", LIMIT, 0.52)
register("Foveal/VisualSearch-v0", "VisualSearch", LIMIT, -11.0)
register("Foveal/ImageSearch-v0", "ImageSearch", LIMIT, -20.0)
register("Foveal/GlimpseClassification-v0", "GlimpseClassification", LIMIT, -0.5)
register("Foveal/SameDifferent-v0", "SameDifferent", LIMIT, -0.32)
register("Foveal/FlipFlop-v0", "FlipFlop", LIMIT, 0.95)
register("Foveal/Parking-v0", "Parking", LIMIT, 0.95)
register("Foveal/AssociativeRecall-v0", "AssociativeRecall", LIMIT, 0.95)
register("Foveal/Catch-v0", "Catch", LIMIT, 0.95)
register("Foveal/FormalLanguage-v0", "FormalLanguage", LIMIT, 0.95)
register("Foveal/Pole-v0", "Pole", LIMIT, -0.05)
register("Foveal/DoublePole-v0", "DoublePole", LIMIT, -0.05)
register("Foveal/TakeCover-v0", "TakeCover", 10 * LIMIT, 750.0)
register("Foveal/FourRooms-v0", "FourRooms", LIMIT, -9.0)
register("Foveal/CuriosityGrid-v0", "CuriosityGrid", 10 * LIMIT, 0.9)
register("Foveal/HQMaze-v0", "HQMaze", LIMIT, 95.0)
register("Foveal/KeyDoorMaze-v0", "KeyDoorMaze", LIMIT, 450.0)
register("Foveal/SwampNavigation-v0", "SwampNavigation", LIMIT, -5.0)
register("Foveal/MazeNavigation-v0", "MazeNavigation", LIMIT, -100.0)

IDS = tuple(id for id in gymnasium.registry if id.startswith("Foveal/"))
# Twins whose observation is one Box, for libraries that take no Dict or Discrete: the same worlds, the same numbers.
_CONCATENATED = (
    "TargetDetection", "GoalDetection", "TargetTracking", "VisualSearch", "ImageSearch", "FourRooms",
    "SwampNavigation", "MazeNavigation",
)  # fmt: skip
_FLAT: dict[str, dict[str, Any]] = {
    **{name: {"goal_format": "concat"} for name in _CONCATENATED},
    **{name: {"one_hot": True} for name in ("CuriosityGrid", "HQMaze", "KeyDoorMaze")},
}
for _name, _keywords in _FLAT.items():
    _spec = gymnasium.spec(f"Foveal/{_name}-v0")
    register(f"Foveal/{_name}-flat-v0", _name, _spec.max_episode_steps, _spec.reward_threshold, **_keywords)

_HOMES = {  # public names and their modules, imported on first use
    "Foveate": "wrappers",
    "FoveateVector": "wrappers",
    "FovealEnv": "env",
    "FovealVectorEnv": "vector_env",
    "Retina": "retinas",
    "Task": "task",
    "check_vector_env": "checking",
}
__all__ = ["IDS", "register", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
