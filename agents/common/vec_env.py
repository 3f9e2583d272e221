"""Any Gymnasium vector environment as a Stable-Baselines3 VecEnv."""

from __future__ import annotations

import functools
import importlib
import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv


class NoInfo(dict[str, Any]):
    """An empty info, shared by all lanes and steps and therefore immutable; `copy()` returns an ordinary dict."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this empty info is shared by all lanes: write to info.copy() instead")

    __setitem__ = __ior__ = setdefault = update = _refuse

    def __reduce__(self) -> str:
        return "NO_INFO"  # the same object in every process


NO_INFO = NoInfo()


class GymnasiumVecEnv(VecEnv):
    """Adapter from Gymnasium's vector API to Stable-Baselines3's, with no copy and no dict per lane and step.

    In mid-episode all lanes share one immutable empty info, unless the environment reports something. A lane that
    finishes gets a fresh dict with `terminal_observation`, `TimeLimit.truncated`, `episode` (return, length, seconds;
    as Monitor writes it) and the environment's final info.

    SAME_STEP environments reset themselves; DISABLED ones are reset here with `reset_mask`. NEXT_STEP environments
    ignore an episode's first action, which a VecEnv cannot express. They are refused, unless `accept_reset_steps`
    allows one false transition (from the last observation to the first, reward 0) at the start of each later episode.

    Args:
        env: vector environment of N lanes.
        copy: True: every returned array belongs to the caller. False: two sets of arrays alternate, each valid until
            the step after the next.
        monitor: whether to fill in `episode`; pass False under VecMonitor.
        accept_reset_steps: see above.

    Raises:
        ValueError: NEXT_STEP without `accept_reset_steps`.
    """

    def __init__(
        self, env: VectorEnv, *, copy: bool = True, monitor: bool = True, accept_reset_steps: bool = False
    ) -> None:
        self.env = env
        self.autoreset_mode = autoreset_mode(env)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and not accept_reset_steps:
            raise ValueError(
                f"{env} resets in NEXT_STEP mode, where the first action of an episode is ignored; make it with "
                "autoreset_mode='same_step' (or vectorization_mode='sync', "
                "vector_kwargs={'autoreset_mode': AutoresetMode.SAME_STEP}), or use make_sb3, which does so; "
                "accept_reset_steps=True accepts it as it is"
            )
        self.monitor = monitor
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._fresh = getattr(env.unwrapped, "copy", None) is True  # its arrays already belong to the caller
        self._buffers: list[Any] | None = None if copy else [None, None]
        self._switches = isinstance(self.action_space, gym.spaces.MultiBinary)
        self._turn = 0
        self._actions: Any = None
        self._no_infos = [NO_INFO] * self.num_envs
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        self._started = time.time()

    def reset(self) -> Any:
        """Starts an episode in every lane, with the seed and options set before; returns the observations (N, ...)."""
        options = next((option for option in self._options if option), None)
        if any(option != self._options[0] for option in self._options):
            raise ValueError("a vector environment takes the same options for all lanes: pass one dict to set_options")
        # Lane i of a Gymnasium vector environment takes seed + i, as VecEnv.seed means it.
        obs, infos = self.env.reset(seed=self._seeds[0], options=options)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._lengths[:] = 0
        self.reset_infos = spread(infos, self._no_infos.copy())
        return self._own(obs)

    def step_async(self, actions: np.ndarray) -> None:
        """Stores actions (N, ...) for `step_wait`."""
        # Stable-Baselines3 samples switches as floats.
        self._actions = actions.astype(self.action_space.dtype) if self._switches else actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps all lanes: observations (N, ...), rewards (N,) float32, ends (N,) bool, infos."""
        obs, rewards, terminated, truncated, infos = self.env.step(self._actions)
        rewards = rewards.astype(np.float32)
        ends = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        rows = spread(infos, self._no_infos.copy())
        if ends.any():
            obs = self._finish(obs, infos, rows, np.flatnonzero(ends), truncated & ~terminated)
        return self._own(obs), rewards, ends, rows

    def _finish(self, obs: Any, infos: dict[str, Any], rows: list[Any], lanes: np.ndarray, timeouts: np.ndarray) -> Any:
        """Writes the finished lanes' infos into `rows` and returns the observations to continue from."""
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            last, final, first = infos["final_obs"], infos.get("final_info", {}), rows.copy()
        else:
            last, final, first = obs, infos, self._no_infos
        finals = spread(final, self._no_infos.copy())
        ended = [take(last, lane) for lane in lanes]
        if self.autoreset_mode is AutoresetMode.DISABLED:
            mask = np.zeros(self.num_envs, dtype=bool)
            mask[lanes] = True
            obs, reset_infos = self.env.reset(options={"reset_mask": mask})
            first = spread(reset_infos, self._no_infos.copy())
        seconds = round(time.time() - self._started, 6)
        for lane, terminal_observation in zip(lanes.tolist(), ended, strict=True):
            info = dict(finals[lane])
            if self.monitor:
                length = int(self._lengths[lane])
                info.setdefault("episode", {"r": float(self._returns[lane]), "l": length, "t": seconds})
            info["terminal_observation"] = terminal_observation
            info["TimeLimit.truncated"] = bool(timeouts[lane])
            rows[lane] = info
            self.reset_infos[lane] = first[lane]
        self._returns[lanes] = 0
        self._lengths[lanes] = 0
        return obs

    def _own(self, obs: Any) -> Any:
        if self._fresh:
            return obs
        if self._buffers is None:
            return copy_obs(obs)
        self._turn = 1 - self._turn
        if self._buffers[self._turn] is None:
            self._buffers[self._turn] = copy_obs(obs)
        elif isinstance(obs, Mapping):
            for key, buffer in self._buffers[self._turn].items():
                np.copyto(buffer, obs[key])
        else:
            np.copyto(self._buffers[self._turn], obs)
        return self._buffers[self._turn]

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One frame per lane, if the environment renders rgb_array."""
        frames: Any = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of the vector environment, or of its lanes if only they have it, once for each index."""
        found, value = self._find(attr_name)
        values = [value] * self.num_envs if found else [*self._call(attr_name)]
        return [values[lane] for lane in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the vector environment, or of all its lanes if only they have it."""
        if indices is not None and len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(f"{attr_name!r} is set for all lanes of a vector environment at once: leave indices=None")
        if self._find(attr_name)[0] or not hasattr(self.env.unwrapped, "set_attr"):
            setattr(self.env.unwrapped, attr_name, value)
        else:
            self.env.unwrapped.set_attr(attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Calls the vector environment's method once, and returns its result for each index.

        So `env_method("compute_reward", achieved, desired, infos, indices=[0])[0]` is the batched reward, an array.
        Methods that only the lanes have are called in each of them.
        """
        lanes = list(self._get_indices(indices))
        found, method = self._find(method_name)
        if found:
            return [method(*method_args, **method_kwargs)] * len(lanes)
        envs = getattr(self.env.unwrapped, "envs", None)
        if envs is not None:
            return [envs[lane].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for lane in lanes]
        values = self._call(method_name, *method_args, **method_kwargs)
        return [values[lane] for lane in lanes]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        """Whether the vector environment has a wrapper of this class; this adapter itself does the work of Monitor."""
        env, wrapped = self.env, wrapper_class is Monitor and self.monitor
        while not wrapped and isinstance(env, gym.vector.VectorWrapper):
            wrapped = isinstance(env, wrapper_class)
            env = env.env
        return [wrapped for _ in self._get_indices(indices)]

    def get_state(self) -> dict[str, Any]:
        """A snapshot of every lane, if the environment has `get_state`; see `save_checkpoint`."""
        return {
            "env": self.innermost.get_state(),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores a snapshot from `get_state`."""
        self.innermost.set_state(state["env"])
        self._returns[:] = state["returns"]
        self._lengths[:] = state["lengths"]

    @property
    def innermost(self) -> Any:
        """The vector environment without its wrappers."""
        return self.env.unwrapped

    def _find(self, name: str) -> tuple[bool, Any]:
        """Whether the vector environment or a wrapper around it has the attribute, and its value."""
        env: Any = self.env
        while True:
            if name in vars(env) or hasattr(type(env), name) or env is env.unwrapped:
                return hasattr(env, name), getattr(env, name, None)
            env = env.env

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        if not hasattr(self.innermost, "call"):
            raise AttributeError(f"neither {self.env} nor its lanes have {name!r}")
        values: Sequence[Any] = self.innermost.call(name, *args, **kwargs)
        return values


def make_sb3(
    env_id: str, num_envs: int = 256, seed: int | None = None, *, copy: bool = True, **kwargs: Any
) -> GymnasiumVecEnv:
    """Makes a Stable-Baselines3 VecEnv of a registered environment, in the fastest form that resets correctly.

    That is the environment's own vector form if it supports SAME_STEP, else Gymnasium's SyncVectorEnv. An environment
    whose metadata say `reward_needs_info` is made with `info="reward"`, so that goals can be relabelled.

    Args:
        env_id: registered id, "module:id" included.
        num_envs: N.
        seed: lane i is seeded `seed + i` at the first reset.
        copy: see `GymnasiumVecEnv`.
        kwargs: keywords of the environment.
    """
    if ":" in env_id:
        module, env_id = env_id.split(":", 1)
        importlib.import_module(module)
    entry = gym.spec(env_id).vector_entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    known = inspect.signature(creator).parameters if creator is not None else {}
    if "autoreset_mode" in known:
        named = isinstance(known["autoreset_mode"].default, str)
        mode = "same_step" if named else AutoresetMode.SAME_STEP
        make = functools.partial(
            gym.make_vec, env_id, num_envs, vectorization_mode="vector_entry_point", autoreset_mode=mode, **kwargs
        )
        env = make()
        if env.metadata.get("reward_needs_info") and "info" not in kwargs:
            env.close()
            env = make(info="reward")
    else:
        modes = {"autoreset_mode": AutoresetMode.SAME_STEP}
        env = gym.make_vec(env_id, num_envs, vectorization_mode="sync", vector_kwargs=modes, **kwargs)
    vec_env = GymnasiumVecEnv(env, copy=copy)
    if seed is not None:
        vec_env.seed(seed)
    return vec_env


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """Who resets a lane whose episode has ended; an environment that does not say so is in NEXT_STEP mode."""
    return AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))


def spread(infos: Mapping[str, Any], rows: list[Any]) -> list[Any]:
    """Writes a vector info, arrays with `_key` masks, into one dict for each lane with an entry."""
    for key, value in infos.items():
        mask = infos.get(f"_{key}")
        if key in ("final_obs", "final_info") or key.startswith("_") or mask is None:
            continue
        values = spread(value, [NO_INFO] * len(rows)) if isinstance(value, Mapping) else value
        for lane in np.flatnonzero(mask).tolist():
            if rows[lane] is NO_INFO:
                rows[lane] = {}
            rows[lane][key] = values[lane]
    return rows


def take(obs: Any, lane: int) -> Any:
    """A lane's own copy of a batched observation: arrays, a dict of arrays, or an object array of lanes' own."""
    if isinstance(obs, Mapping):
        return {key: value[lane].copy() for key, value in obs.items()}
    return obs[lane].copy() if hasattr(obs[lane], "copy") else obs[lane]  # a number needs no copy


def copy_obs(obs: Any) -> Any:
    """A copy of an observation batch."""
    return {key: value.copy() for key, value in obs.items()} if isinstance(obs, Mapping) else obs.copy()
