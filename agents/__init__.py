"""Learning agents in PyTorch for Stable-Baselines3; they know no task."""

from .cores import CORES, Core, FeedForward
from .vec_env import GymnasiumVecEnv, make_sb3
from .world_model_controller import PRESETS, WorldModelController

AGENTS = {"WorldModelController": WorldModelController}

__all__ = ["AGENTS", "CORES", "PRESETS", "Core", "FeedForward", "GymnasiumVecEnv", "WorldModelController", "make_sb3"]
