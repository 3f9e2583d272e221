"""Environments for active vision and goal-conditioned reinforcement learning; importing it registers every id."""

from __future__ import annotations

import importlib
from typing import Any

from .registration import register

__version__ = "0.1.0"
LIMIT = 1000  # max_episode_steps: far beyond every task's own length

register("Foveal/TargetDetection-v0", "foveal_envs.tasks.looking.target_detection:TargetDetection", LIMIT)
register("Foveal/GoalDetection-v0", "foveal_envs.tasks.looking.goal_detection:GoalDetection", LIMIT)
register("Foveal/TargetTracking-v0", "foveal_envs.tasks.looking.target_tracking:TargetTracking", LIMIT)
register("Foveal/GridSearch-v0", "foveal_envs.tasks.looking.grid_search:GridSearch", LIMIT, 0.52)
register("Foveal/VisualSearch-v0", "foveal_envs.tasks.looking.visual_search:VisualSearch", LIMIT, -11.0)
register("Foveal/ImageSearch-v0", "foveal_envs.tasks.looking.image_search:ImageSearch", LIMIT, -20.0)
register(
    "Foveal/GlimpseClassification-v0",
    "foveal_envs.tasks.looking.glimpse_classification:GlimpseClassification",
    LIMIT,
    -0.5,
)
register("Foveal/SameDifferent-v0", "foveal_envs.tasks.looking.same_different:SameDifferent", LIMIT, -0.2)
register("Foveal/FlipFlop-v0", "foveal_envs.tasks.memory.flip_flop:FlipFlop", LIMIT, 0.95)
register("Foveal/Parking-v0", "foveal_envs.tasks.memory.parking:Parking", LIMIT, 0.95)
register("Foveal/AssociativeRecall-v0", "foveal_envs.tasks.memory.associative_recall:AssociativeRecall", LIMIT, 0.95)
register("Foveal/Catch-v0", "foveal_envs.tasks.memory.catch:Catch", LIMIT, 0.95)
register("Foveal/FourRooms-v0", "foveal_envs.tasks.navigation.four_rooms:FourRooms", LIMIT, -9.0)
register("Foveal/HQMaze-v0", "foveal_envs.tasks.navigation.hq_maze:HQMaze", LIMIT, 95.0)
register("Foveal/KeyDoorMaze-v0", "foveal_envs.tasks.navigation.key_door_maze:KeyDoorMaze", LIMIT, 450.0)
register("Foveal/SwampNavigation-v0", "foveal_envs.tasks.navigation.swamp_navigation:SwampNavigation", LIMIT, -5.0)
register("Foveal/MazeNavigation-v0", "foveal_envs.tasks.navigation.maze_navigation:MazeNavigation", LIMIT, -100.0)

_HOMES = {  # public names and their modules, imported on first use
    "Foveate": "wrappers",
    "FoveateVector": "wrappers",
    "FovealEnv": "env",
    "FovealVectorEnv": "env",
    "Retina": "retinas",
    "Task": "task",
    "check_vector_env": "checking",
}
__all__ = ["register", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
