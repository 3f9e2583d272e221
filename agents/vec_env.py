"""The adapter to Stable-Baselines3 under the name by which users import it."""

from .common.vec_env import GymnasiumVecEnv, make_sb3

__all__ = ["GymnasiumVecEnv", "make_sb3"]
