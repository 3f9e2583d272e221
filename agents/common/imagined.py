"""What vector environments inside a model share: seeds, episode keys, clock, autoreset and infos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from ..cores.ops.checks import whole

MODES = {mode.name.lower(): mode for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)}
SHARED = ("episode_key", "reset_mask")  # options that every reset takes
LARGEST_KEY = (1 << 64) - 1


class ImaginedVectorEnv(gym.vector.VectorEnv[Any, Any, np.ndarray], ABC):
    """N imagined episodes as Gymnasium's vector environment.

    Lane i is seeded `seed + i` and draws the keys of its episodes from that seed. An episode is a pure function of its
    key and the actions; `info["episode_key"]` says which it was, and `reset` begins it again. Episodes do not depend on
    the number of lanes.

    A subclass implements `_begin`, `_imagine` and `_observe`. It may name reset options of its own in `OPTIONS` and
    override `_take` to read them.

    Args:
        observation_space: of one lane.
        action_space: of one lane.
        num_envs: N.
        horizon: an episode is truncated after so many steps.
        seed: of the first reset, unless that has one.
        autoreset_mode: "same_step", "next_step" or "disabled", or Gymnasium's AutoresetMode.

    Raises:
        ValueError: an impossible number, or another mode.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        num_envs: int,
        horizon: int,
        *,
        seed: int | None,
        autoreset_mode: str | AutoresetMode,
    ) -> None:
        whole("num_envs", num_envs)
        whole("horizon", horizon)
        mode = MODES.get(autoreset_mode, autoreset_mode) if isinstance(autoreset_mode, str) else autoreset_mode
        if mode not in MODES.values():
            raise ValueError(f"autoreset_mode must be one of {', '.join(map(repr, MODES))}, not {autoreset_mode!r}")
        self.num_envs, self.horizon, self.autoreset_mode = num_envs, horizon, mode
        self.metadata = {"autoreset_mode": mode, "render_modes": [], "episode_keys": True}
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._all = np.ones(num_envs, bool)
        self._unbegun = np.ones(num_envs, bool)  # never reset yet
        self._pending = np.zeros(num_envs, bool)  # episode over, reset still to come
        self._seed = seed
        self._generators: list[np.random.Generator] = []  # of each lane's episode keys

    @abstractmethod
    def _begin(self, lanes: np.ndarray, generators: Sequence[np.random.Generator]) -> None:
        """Begins episodes in some lanes (n,), each with all its chance from its own generator."""

    @abstractmethod
    def _imagine(self, actions: Any, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of the lanes that move (N,) bool; the observations of all others stay as they are.

        Args:
            actions: (N, ...) of the space; they must be checked.
            moving: (N,) bool.

        Returns:
            Rewards (N,) float64 and whether the episode ends (N,) bool; where a lane does not move, anything.
        """

    @abstractmethod
    def _observe(self) -> Any:
        """Observations (N, ...), which belong to the caller."""

    def _take(self, options: Mapping[str, Any]) -> None:
        """Reads the options of a reset that are named in `OPTIONS`, and raises ValueError for those that do not fit."""

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode in every lane, or in some.

        Args:
            seed: of lane 0, lane i takes `seed + i`; or one a lane, None for those that go on with theirs.
            options: `reset_mask` (N,) bool: the lanes to reset, all without it. `episode_key` (N,) whole numbers from 0
                to 2^64 - 1: the episodes to begin, instead of the lane's next.

        Raises:
            ValueError: an unknown option, or one that does not fit.
        """
        options, known = options or {}, (*SHARED, *self.OPTIONS)
        if unknown := options.keys() - set(known):
            raise ValueError(f"the options of this reset are {', '.join(map(repr, known))}, not {sorted(unknown)}")
        mask = options.get("reset_mask")
        rows = np.flatnonzero(self._all if mask is None else self._lanes("options['reset_mask']", mask))
        keys = self._keys(options["episode_key"]) if options.get("episode_key") is not None else None
        self._take(options)
        if seed is None and not self._generators:
            seed = self._seed if self._seed is not None else int(np.random.default_rng().integers(1 << 32))
        if seed is not None:
            self._seed_lanes(seed)
        infos = self._start(rows, keys)
        return self._observe(), infos

    def step(
        self, actions: Any, active: np.ndarray | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One imagined step in every lane, or in some.

        A lane that is not active rests: its observation stays as it is, its reward is 0, and its episode does not end.

        Args:
            actions: (N, ...) of the real action space, all of them; lanes that rest or are about to be reset
                ("next_step") ignore theirs.
            active: (N,) bool; None: all lanes.

        Returns:
            Observations, rewards (N,) float64, terminated (N,) bool, truncated (N,) bool, and infos, in "same_step"
            mode with `final_obs` where an episode ended.

        Raises:
            gymnasium.error.ResetNeeded: an active lane was never reset; or autoreset is disabled and its episode is
                over.
            ValueError: actions of a wrong shape, or that the space does not have.
            FloatingPointError: the model predicts what is not finite.
        """
        awake = self._all if active is None else self._lanes("active", active)
        over, disabled = self._pending & awake, self.autoreset_mode is AutoresetMode.DISABLED
        needed = self._unbegun & awake | (over if disabled else False)
        if needed.any():
            raise gym.error.ResetNeeded(f"reset lanes {np.flatnonzero(needed).tolist()} before they step")
        moving = awake & ~over
        rewards, terminated = self._imagine(actions, moving)
        rewards[~moving] = 0.0
        terminated = terminated & moving
        self._elapsed += moving
        truncated = (self._elapsed >= self.horizon) & moving
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            if ended.any():
                infos = {"final_obs": self._last(ended), "_final_obs": ended, "final_info": {}, "_final_info": ended}
                infos |= self._start(np.flatnonzero(ended))
        else:
            if over.any():
                infos = self._start(np.flatnonzero(over))
            self._pending |= ended
        return self._observe(), rewards, terminated, truncated, infos

    def _start(self, lanes: np.ndarray, keys: np.ndarray | None = None) -> dict[str, Any]:
        """Begins the next episodes of some lanes (n,), or those of the keys (N,); infos with the keys."""
        begun = np.zeros(self.num_envs, bool)
        begun[lanes] = True
        if keys is None:
            keys = np.zeros(self.num_envs, np.uint64)
            draws = [self._generators[lane].integers(LARGEST_KEY, dtype=np.uint64, endpoint=True) for lane in lanes]
            keys[lanes] = draws
        self._begin(lanes, [np.random.default_rng(int(keys[lane])) for lane in lanes])
        self._elapsed[lanes] = 0
        self._pending[lanes] = self._unbegun[lanes] = False
        return {"episode_key": keys, "_episode_key": begun}

    def _seed_lanes(self, seed: int | Sequence[int | None]) -> None:
        seeds = [seed + lane for lane in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"a list of seeds must have one for each of the {self.num_envs} lanes, not {len(seeds)}")
        old = self._generators or [np.random.default_rng() for _ in seeds]
        pairs = zip(seeds, old, strict=True)
        self._generators = [own if given is None else np.random.default_rng(given) for given, own in pairs]

    def _lanes(self, name: str, mask: Any) -> np.ndarray:
        """A choice of lanes, (N,) bool."""
        array = np.asarray(mask)
        if array.shape != (self.num_envs,) or array.dtype != np.bool_:
            raise ValueError(
                f"{name} must be a bool array of shape ({self.num_envs},), not {array.dtype} {array.shape}"
            )
        return array

    def _keys(self, given: Any) -> np.ndarray:
        """Episode keys (N,) uint64."""
        array = np.asarray(given)
        whole = array.dtype.kind == "u" or (array.dtype.kind == "i" and (array >= 0).all())
        if array.shape != (self.num_envs,) or not whole:
            raise ValueError(
                f"options['episode_key'] must be {self.num_envs} whole numbers from 0 to 2^64 - 1, not {array.dtype} "
                f"{array.shape}"
            )
        return array.astype(np.uint64)

    def _last(self, ended: np.ndarray) -> np.ndarray:
        """(N,) object array: the last observation of each lane that ended, else None."""
        final, whole = np.full(self.num_envs, None, object), self._observe()
        for lane in np.flatnonzero(ended).tolist():
            final[lane] = {key: part[lane] for key, part in whole.items()} if isinstance(whole, dict) else whole[lane]
        return final
