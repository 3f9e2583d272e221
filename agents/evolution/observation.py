"""The real environment seen through V and M."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, final

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..common.data import check_alike
from ..common.vec_env import autoreset_mode
from .memory import Memory, Observes
from .mixture import MixtureModel
from .vae import ConvVAE

AT_ONCE = 16  # images that V encodes at once, always as many: the last bits depend on the size of a batch


@final
class MemoryObservation(gym.vector.VectorWrapper):  # not generic in Gymnasium 1.2
    """A vector environment of images, whose observations are V's code and M's memory, as in `MixtureDream`.

    The code is the mean of V's. M's state takes in every code with the action that follows; it begins anew with every
    episode, in all autoreset modes. Reset options pass through, and so does `step`'s `active` where the environment has
    it: lanes that rest keep code and state. `get_state` adds M's state to the environment's snapshot.

    Args:
        env: vector environment of images.
        vae: V, made for its observation space.
        model: M, made for its action space.
        observes: see `Memory`.

    Attributes:
        can_rest: whether `step` takes `active`.

    Raises:
        ValueError: V or M was made for another space.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv[np.ndarray, Any, np.ndarray],
        vae: ConvVAE,
        model: MixtureModel,
        observes: Observes = "zh",
    ) -> None:
        super().__init__(env)
        space, actions = env.single_observation_space, env.single_action_space
        if not isinstance(space, spaces.Box) or space.shape != vae.squares.shape:
            raise ValueError(f"V sees images of the shape {vae.squares.shape}, not {space}")
        if model.codes != vae.codes or actions != model.actions.space:
            raise ValueError(
                f"M reads {model.codes} codes and actions of {model.actions.space}, not {vae.codes} and {actions}"
            )
        self.vae, self.model = vae, model
        self.can_rest = "active" in inspect.signature(env.step).parameters
        self._memory = Memory(model, env.num_envs, observes)
        self._mode, self._over = autoreset_mode(env), np.zeros(env.num_envs, bool)  # who waits for a reset
        self._all = np.ones(env.num_envs, bool)
        self.single_observation_space = self._memory.space
        self.observation_space = batch_space(self._memory.space, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Resets the environment, or the lanes of the option `reset_mask`, with the seed and all options given."""
        images, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        mask = options.get("reset_mask") if isinstance(options, Mapping) else None
        self._begin(self._all if mask is None else mask, self._encoded(images))
        return self._memory.observe(), infos

    def step(
        self, actions: Any, active: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every lane, or of those that are active.

        Args:
            actions: (N, ...) of the environment.
            active: (N,) bool, where `can_rest`; None: all lanes.

        Raises:
            ValueError: `active` for an environment whose lanes cannot rest.
        """
        if active is not None and not self.can_rest:
            raise ValueError(f"the lanes of {self.env} cannot rest: leave active=None")
        keywords = {} if active is None else {"active": active}
        images, rewards, terminated, truncated, infos = self.env.step(actions, **keywords)
        awake = self._all if active is None else active
        begun, ended = self._over & awake, terminated | truncated
        moving = awake & ~begun
        self._memory.advance(self.model.actions.from_env(actions), moving)
        codes = self._encoded(images)
        if self._mode is AutoresetMode.SAME_STEP and ended.any():
            infos = {**infos, "final_obs": self._last(infos["final_obs"], ended)}
            begun = ended
        self._memory.put(np.flatnonzero(moving & ~begun), codes)
        self._begin(begun, codes)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._over |= ended
        return self._memory.observe(), rewards, terminated, truncated, infos

    def get_state(self) -> dict[str, Any]:
        """The snapshot of the environment, which must have one, with the codes and M's state."""
        return {**self.env.get_state(), **self._own_state()}  # type: ignore[attr-defined]

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes back to a snapshot of `get_state`.

        Raises:
            ValueError: anything is missing or does not fit; nothing has changed.
        """
        for name, own in self._own_state().items():
            if state.get(name) is None:
                raise ValueError(f"a state needs {name!r}, which is missing")
            check_alike(f"state {name!r}", own, state[name])
        self.env.set_state(state)  # type: ignore[attr-defined]
        self._memory.set_state(state)
        self._over[:] = state["memory_over"]

    def _own_state(self) -> dict[str, np.ndarray]:
        return {"memory_over": self._over.copy(), **self._memory.get_state()}

    def _begin(self, mask: np.ndarray, codes: Tensor) -> None:
        lanes = np.flatnonzero(mask)
        if len(lanes):
            self._over[lanes] = False
            self._memory.begin(lanes, codes[torch.from_numpy(lanes)])

    def _last(self, images: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """(N,) object array: the last observation of each lane that ended, else None."""
        whole = np.zeros((self.num_envs, *self.vae.squares.shape), np.uint8)
        whole[ended] = np.stack(list(images[ended]))
        self._memory.put(np.flatnonzero(ended), self._encoded(whole))
        final, seen = np.full(self.num_envs, None, object), self._memory.observe()
        for lane in np.flatnonzero(ended).tolist():
            final[lane] = seen[lane]
        return final

    def _encoded(self, images: np.ndarray) -> Tensor:
        """Codes (N, K)."""
        padded = np.zeros((-(-self.num_envs // AT_ONCE) * AT_ONCE, *images.shape[1:]), np.uint8)
        padded[: self.num_envs] = images
        return self.vae.encode(padded, AT_ONCE)[0][: self.num_envs]
