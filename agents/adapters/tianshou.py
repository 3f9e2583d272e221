"""Tianshou: any Gymnasium vector environment as one of its vector environments, with no worker per lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from ..common.vec_env import NO_INFO, autoreset_mode, spread

try:
    from tianshou.data import Batch
    from tianshou.env import BaseVectorEnv
except ImportError as error:
    raise ImportError("agents.adapters.tianshou needs Tianshou: pip install 'tianshou>=2,<3'") from error

OF_A_LANE = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


class TianshouVectorEnv(BaseVectorEnv):  # type: ignore[misc]
    """A vector environment of N lanes for Tianshou's collectors.

    Dict observations become a Batch of arrays. A vector environment cannot step some of its lanes alone, so a step of
    some moves the others too, by the first of its actions. Collectors do this at the end of ``collect(n_episode=...)``,
    and then reset every lane.

    Args:
        env: in DISABLED mode, which takes ``reset(options={"reset_mask": mask})``.

    Raises:
        ValueError: another autoreset mode.
    """

    # As in Tianshou's own wrappers, there is no super call: it would make a worker per lane.
    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = autoreset_mode(env)
        if mode is not AutoresetMode.DISABLED:
            raise ValueError(
                f"Tianshou resets the lanes itself: make {env} with autoreset_mode='disabled' (or "
                f"vectorization_mode='sync', vector_kwargs={{'autoreset_mode': AutoresetMode.DISABLED}}), not {mode}"
            )
        self.env = env
        self.env_num = env.num_envs
        self.is_async = self.is_closed = False
        self._seeds: list[int | None] | None = None
        self._begun = False  # whether every lane has been reset
        self._ended = np.zeros(self.env_num, bool)
        self._astray = np.zeros(self.env_num, bool)  # moved by a step that left them out

    def reset(self, env_id: int | Sequence[int] | np.ndarray | None = None, **keywords: Any) -> tuple[Any, np.ndarray]:
        """Begins an episode in K lanes.

        Args:
            env_id: indices of the lanes; None: all.
            keywords: ``seed`` of lane 0 or one per lane, ``options``, as of the vector environment.

        Returns:
            Observations (K, ...) or a Batch of these, and infos (K,), each a dict with ``env_id``.
        """
        lanes = self._indices(env_id)
        keywords.setdefault("seed", self._seeds)
        self._seeds = None
        if self._begun and len(lanes) < self.env_num:  # they differ from one another
            mask = np.isin(np.arange(self.env_num), lanes)
            keywords["options"] = {**(keywords.get("options") or {}), "reset_mask": mask}
        obs, infos = self.env.reset(**keywords)
        self._begun = True
        self._ended[lanes] = self._astray[lanes] = False
        return self._of(obs, lanes), self._rows(infos, lanes)

    def step(
        self, action: Any, id: int | Sequence[int] | np.ndarray | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Steps K lanes.

        Args:
            action: (K, ...).
            id: indices of the lanes; None: all.

        Returns:
            Observations (K, ...) or a Batch of these, rewards (K,), terminated (K,), truncated (K,), and infos (K,),
            each a dict with ``env_id``.

        Raises:
            ValueError: a number of actions other than K.
            RuntimeError: a lane has moved in a step that left it out, and was not reset since.
        """
        lanes = self._indices(id)
        if action is None or len(action) != len(lanes):
            raise ValueError(f"{len(lanes)} lanes need as many actions, got {0 if action is None else len(action)}")
        if self._astray[lanes].any():
            raise RuntimeError(f"reset lanes {lanes[self._astray[lanes]].tolist()} first: a step left them out")
        if not np.array_equal(lanes, np.arange(self.env_num)):
            action = self._complete(np.asarray(action), lanes)
        obs, rewards, terminated, truncated, infos = self.env.step(np.asarray(action))
        self._ended = terminated | truncated
        return self._of(obs, lanes), rewards[lanes], terminated[lanes], truncated[lanes], self._rows(infos, lanes)

    def seed(self, seed: int | Sequence[int | None] | None = None) -> list[int | None]:
        """Sets the seeds of the next reset, ``seed + i`` for lane i or one per lane, and returns them.

        Raises:
            ValueError: not as many seeds as lanes.
        """
        lanes = range(self.env_num)
        seeds: list[Any] = list(seed) if np.ndim(seed) else [None if seed is None else seed + lane for lane in lanes]  # type: ignore[arg-type, operator]
        if len(seeds) != self.env_num:
            raise ValueError(f"{self.env_num} lanes need as many seeds, got {len(seeds)}")
        self._seeds = seeds if any(one is not None for one in seeds) else None
        return seeds

    def get_env_attr(self, key: str, id: int | Sequence[int] | np.ndarray | None = None) -> list[Any]:
        """An attribute of the vector environment, once per lane; its spaces are those of one lane."""
        return [getattr(self.env, OF_A_LANE.get(key, key))] * len(self._indices(id))

    def set_env_attr(self, key: str, value: Any, id: int | Sequence[int] | np.ndarray | None = None) -> None:
        """Sets an attribute, of all lanes at once.

        Raises:
            ValueError: not all lanes.
        """
        if len(self._indices(id)) < self.env_num:
            raise ValueError(f"{key!r} is set for all lanes of a vector environment at once: leave id=None")
        setattr(self.env.unwrapped, key, value)

    def render(self, **keywords: Any) -> Any:
        """What the vector environment renders: a frame per lane, or None."""
        return self.env.render()

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()
        self.is_closed = True

    def _indices(self, lanes: int | Sequence[int] | np.ndarray | None) -> np.ndarray:
        """Indices (K,); raises ValueError unless they are different lanes."""
        if lanes is None:
            return np.arange(self.env_num)
        given = np.atleast_1d(np.asarray(lanes))
        known = given.dtype.kind in "iu" and len(given) > 0 and given.min() >= 0 and given.max() < self.env_num
        if not known or np.bincount(given).max() > 1:
            raise ValueError(f"lanes are whole numbers from 0 to {self.env_num - 1}, each named once, got {lanes}")
        return given

    def _complete(self, action: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Actions (N, ...) of all lanes, from those (K, ...) of some; resets the others where their episodes ended."""
        others = np.ones(self.env_num, bool)
        others[lanes] = False
        if (self._ended & others).any():
            self.env.reset(options={"reset_mask": self._ended & others})
        self._astray |= others
        actions = np.repeat(action[:1], self.env_num, 0)
        actions[lanes] = action
        return actions

    def _of(self, obs: Any, lanes: np.ndarray) -> Any:
        """The lanes' own copy of a batched observation."""
        return Batch({key: value[lanes] for key, value in obs.items()}) if isinstance(obs, Mapping) else obs[lanes]

    def _rows(self, infos: dict[str, Any], lanes: np.ndarray) -> np.ndarray:
        rows = spread(infos, [NO_INFO] * self.env_num)
        return np.array([{**rows[lane], "env_id": lane} for lane in lanes.tolist()], dtype=object)
