"""The adapter to Stable-Baselines3, under its public import path."""

from .common.vec_env import GymnasiumVecEnv, make_sb3

__all__ = ["GymnasiumVecEnv", "make_sb3"]
