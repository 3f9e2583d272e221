"""Active Perception Gym: its tasks of classification, in the form that `Recogniser` and Stable-Baselines3 expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.spaces.utils import flatten_space
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from ..common.vec_env import autoreset_mode
from ..ppo.recogniser import SHARPNESS

try:
    from ap_gym import LogitSpace
except ImportError as error:
    raise ImportError(
        "agents.adapters.ap_gym needs ap_gym, and aiohttp, which ap_gym imports but does not ask for: "
        "pip install ap_gym aiohttp"
    ) from error


class ClassificationVectorEnv(VectorWrapper):  # not generic in Gymnasium 1.2
    """Recognition from glimpses in N lanes: flat observations, one Box of actions, a new episode at once.

    An observation (D,) is ap_gym's Dict, its parts in the order of the space, numbers of a Discrete as one-hot vectors.
    An action (J + C,) is a movement in ap_gym's bounds and a score in [-1, 1] for each class; five times the scores are
    the logits of ap_gym's prediction. Rewards are ap_gym's: its base reward less the cross-entropy of the prediction,
    as a share of that of a guess. The infos are ap_gym's, with ``is_success``, whether the class with the highest score
    is right; the final info has ``label``, the class.

    Args:
        env: a vector environment of ap_gym whose lanes all end together, as its own vector forms do.

    Raises:
        ValueError: another kind of prediction than a class, actions that are no vector, or another autoreset mode.
        RuntimeError: some lanes have ended and others have not.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        movement, classes = _parts(env)
        if autoreset_mode(env) is not AutoresetMode.NEXT_STEP:
            raise ValueError(f"make {env} in ap_gym's own mode, NEXT_STEP: this adapter begins new episodes itself")
        self.classes = classes
        self._moves = movement.shape[0]
        seen: Any = env.single_observation_space
        self._seen: dict[str, spaces.Space[Any]] = seen.spaces
        ones = np.ones(classes, np.float32)
        low, high = np.concatenate((movement.low, -ones)), np.concatenate((movement.high, ones))
        self.single_action_space = spaces.Box(low, high)
        self.single_observation_space = flatten_space(env.single_observation_space)
        self.action_space, self.observation_space = (
            gym.vector.utils.batch_space(space, env.num_envs)
            for space in (self.single_action_space, self.single_observation_space)
        )
        self.metadata = {**env.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode in every lane: observations (N, D), infos. ap_gym draws all lanes from the one seed."""
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._flat(obs), infos

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps every lane.

        Args:
            actions: (N, J + C).

        Returns:
            Observations (N, D), rewards (N,), terminated (N,), truncated (N,), infos; where the episodes have ended,
            the observations and infos are those of the next ones, beside ``final_obs`` (N, D) and ``final_info``.
        """
        obs, rewards, terminated, truncated, infos = self.env.step(self._to_ap_gym(actions))
        obs, ended = self._flat(obs), terminated | truncated
        target = infos["prediction"]["target"]
        label = np.asarray(target["target"] if isinstance(target, Mapping) else target)  # of a task with sparse rewards
        infos["is_success"] = actions[:, self._moves :].argmax(1) == label
        if ended.any():
            if not ended.all():
                raise RuntimeError(f"{self.env} ends lanes one by one, which ap_gym's own vector forms never do")
            final = {**infos, "label": label, "_label": ended, "_is_success": ended}
            last, (obs, *_, infos) = obs, self.env.step(self._to_ap_gym(np.zeros_like(actions)))  # it only resets
            obs = self._flat(obs)
            infos |= {"final_obs": last, "_final_obs": ended, "final_info": final, "_final_info": ended}
        return obs, rewards, terminated, truncated, infos

    def _to_ap_gym(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        return {"action": actions[:, : self._moves], "prediction": SHARPNESS * actions[:, self._moves :]}

    def _flat(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        parts: list[np.ndarray] = []
        for key, space in self._seen.items():
            part = obs[key]
            if isinstance(space, spaces.Discrete):
                part = np.eye(int(space.n))[part - space.start]
            parts.append(part.reshape(self.num_envs, -1))
        return np.concatenate(parts, 1, dtype=np.float32)


def _parts(env: VectorEnv[Any, Any, Any]) -> tuple[spaces.Box, int]:
    """The space of movements and the number of classes, or a refusal."""
    space = env.single_action_space
    movement, prediction = (
        (space.spaces.get("action"), space.spaces.get("prediction")) if isinstance(space, spaces.Dict) else (None, None)
    )
    if not isinstance(prediction, LogitSpace):
        raise ValueError(
            f"only tasks of classification are supported, where the agent predicts logits, as CircleSquare-v0 and "
            f"MNIST-v0; {env} predicts {prediction}: take such an id, or train on the movements alone"
        )
    if not isinstance(movement, spaces.Box) or len(movement.shape) != 1:
        raise ValueError(f"movements must be a one-dimensional Box, not {movement}: wrap the environment first")
    return movement, prediction.shape[0]
