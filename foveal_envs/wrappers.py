"""Foveate: a steerable fovea in front of any environment whose observations are pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .checks import flag, real_number, require
from .compiled import kernel
from .fovea.fovea import SCENE, Fovea
from .lanes import Actions
from .resets import check_autoreset_mode
from .retinas import Retina
from .scenes.frames import look_at_frame

GazePolicy = Callable[[np.ndarray, np.ndarray], np.ndarray]
Gaze = str | GazePolicy


class _Eye:
    """Retina, gaze actions and spaces that the single and the vector wrapper share; the arguments are theirs.

    ``num_envs`` is None for the single one.
    """

    def __init__(
        self,
        num_envs: int | None,
        frames: gym.Space[Any],
        actions: gym.Space[Any],
        retina: str | Mapping[str, Any] | Retina,
        gaze: Gaze,
        largest_jump: float | None,
        proprioception: bool,
        outside: float,
    ) -> None:
        _require_picture(frames)
        named = isinstance(gaze, str) and gaze in ("action", "centre")
        require(callable(gaze) or named, "gaze", "'action', 'centre' or a function", gaze)
        self.proprioception = proprioception = flag("proprioception", proprioception)
        self.outside = real_number("outside", outside, 0.0, 1.0, "a darkness")
        assert frames.shape is not None
        height, width = frames.shape[:2]
        self.channels = frames.shape[2] if len(frames.shape) == 3 else 1
        self.size, self.gaze = np.array([width, height], np.float64), gaze
        discrete = isinstance(actions, gym.spaces.Discrete)
        jump = min(SCENE, 0.25 * max(height, width)) if largest_jump is None else largest_jump
        self.fovea = Fovea(retina, "directions" if discrete else "saccade", jump, 1.0, False, 1, 0.0)
        self.table = self.fovea.retina.table.astype(np.float64)
        self.values = len(self.table) * self.channels
        low = np.zeros(self.values + (2 if proprioception else 0), np.float32)
        low[self.values :] = -1.0
        self.observation_space = gym.spaces.Box(low, np.ones_like(low), dtype=np.float32)
        self.action_space = actions
        if gaze == "action":
            self.action_space = self._action_space(actions)
            self._check = Actions(self.action_space, num_envs or 1, single=num_envs is None).check
        self._sums = np.zeros((height, width + 1, self.channels), np.float32)

    def _action_space(self, actions: gym.Space[Any]) -> gym.Space[Any]:
        if isinstance(actions, gym.spaces.Discrete) and actions.start == 0:
            return gym.spaces.MultiDiscrete([actions.n, len(self.fovea.moves)])
        flat = isinstance(actions, gym.spaces.Box) and actions.dtype == np.float32 and len(actions.shape) == 1
        require(flat, "the action space", "Discrete from 0 or a flat Box of float32, or else gaze='centre'", actions)
        assert isinstance(actions, gym.spaces.Box)
        low, high = np.append(actions.low, [-1.0, -1.0]), np.append(actions.high, [1.0, 1.0])
        return gym.spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def begin(self, count: int) -> np.ndarray:
        """Gazes (count, 2) in the middle, pixels."""
        return np.tile(0.5 * self.size, (count, 1))

    def move(self, gaze: np.ndarray, actions: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, Any]:
        """Gazes (N, 2) after actions (N, ...), and the actions that are left for the environment.

        Raises:
            ValueError: actions that are not in the space; or a function that gives no gazes.
        """
        if callable(self.gaze):
            looks = np.asarray(self.gaze(gaze.copy(), steps.copy()), np.float64)
            good = looks.shape == gaze.shape and bool(np.isfinite(looks).all())
            require(good, "what the function gaze returns", f"finite numbers of shape {gaze.shape}", looks)
            return np.clip(looks, 0.0, self.size), actions
        if self.gaze == "centre":
            return gaze, actions
        actions = self._check(actions)
        if isinstance(self.action_space, gym.spaces.MultiDiscrete):
            moves, rest = self.fovea.moves[actions[:, 1]], actions[:, 0]
        else:
            moves = np.clip(actions[:, -2:], -1.0, 1.0) @ self.fovea.moves
            rest = np.ascontiguousarray(actions[:, :-2])
        return np.clip(gaze + moves[:, :2], 0.0, self.size), rest

    def look(self, frames: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        """Observations (N, D) float32 of frames (N, H, W, ...) at gazes (N, 2)."""
        frames = frames.reshape(len(frames), int(self.size[1]), int(self.size[0]), self.channels)
        out = np.empty((len(frames), *self.observation_space.shape), np.float32)
        _look(frames, self.table, gaze, self.outside, self._sums, out)
        if self.proprioception:
            out[:, self.values :] = 2.0 * gaze / self.size - 1.0
        return out


@kernel
def _look(
    frames: np.ndarray, table: np.ndarray, gaze: np.ndarray, outside: float, sums: np.ndarray, out: np.ndarray
) -> None:
    for i in range(frames.shape[0]):
        look_at_frame(frames[i], table, gaze[i, 0], gaze[i, 1], 0.0, outside, sums, out[i])


def _require_picture(frames: gym.Space[Any]) -> None:
    """Each channel of a picture is seen on its own, so that four can be RGBA, or four frames of a stack."""
    picture = isinstance(frames, gym.spaces.Box) and frames.dtype == np.uint8 and len(frames.shape) in (2, 3)
    rule = "a picture: Box (H, W) or (H, W, 1 to 4) of uint8, channels last"
    if picture and len(frames.shape or ()) == 3 and frames.shape[2] > 4:  # type: ignore[index]
        picture, rule = False, f"{rule}; move the channels to the end, or stack what the fovea sees"
    require(picture, "the observation", rule, frames)


class Foveate(gym.Wrapper[np.ndarray, Any, np.ndarray, Any], gym.utils.RecordConstructorArgs):
    """See any pixel environment through a steerable fovea.

    The observation becomes a float32 vector: the mean darkness in [0, 1] (black 1) of each receptive field, then the
    gaze (x, y) in [-1, 1]. An episode begins with the gaze in the middle. Every step the gaze moves, then the fovea
    sees the frame that the action brought. ``info["gaze"]`` is (x, y) in pixels.

    Args:
        env: its observations are Box (H, W) or (H, W, C) of uint8, with at most 4 channels, each seen on its own.
        retina: name, dict or Retina, in pixels of the frame.
        gaze: "action": the gaze is steered by the action, for Discrete(n) now MultiDiscrete([n, 17]) with the
            ``directions`` of TargetDetection, for a Box two numbers more, times ``largest_jump`` right and down;
            "centre": it rests; or a function of gazes (N, 2) and numbers of steps (N,) that returns gazes (N, 2).
        largest_jump: pixels along each axis; None: a quarter of the frame's longer side, at most 512.
        proprioception: whether the gaze is observed.
        outside: darkness around the frame.

    Raises:
        ValueError: the environment's observations are no pictures, or its actions cannot be joined with a gaze.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        retina: str | Mapping[str, Any] | Retina = "rings",
        gaze: Gaze = "action",
        largest_jump: float | None = None,
        proprioception: bool = True,
        outside: float = 0.0,
    ) -> None:
        require(isinstance(env, gym.Env), "env", "an environment of Gymnasium", env)
        gym.utils.RecordConstructorArgs.__init__(
            self, retina=retina, gaze=gaze, largest_jump=largest_jump, proprioception=proprioception, outside=outside
        )
        gym.Wrapper.__init__(self, env)
        frames, actions = env.observation_space, env.action_space
        self.eye = _Eye(None, frames, actions, retina, gaze, largest_jump, proprioception, outside)
        self.observation_space, self.action_space = self.eye.observation_space, self.eye.action_space
        self._gaze, self._steps = self.eye.begin(1), np.zeros(1, np.int64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options)
        self._gaze, self._steps = self.eye.begin(1), np.zeros(1, np.int64)
        return self._seen(frame), {**info, "gaze": self._gaze[0].copy()}

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        steps = self._steps + 1
        gaze, rest = self.eye.move(self._gaze, np.asarray(action)[None], steps)
        frame, reward, terminated, truncated, info = self.env.step(rest[0])
        self._gaze, self._steps = gaze, steps
        return self._seen(frame), reward, terminated, truncated, {**info, "gaze": self._gaze[0].copy()}

    def _seen(self, frame: np.ndarray) -> np.ndarray:
        return self.eye.look(np.asarray(frame)[None], self._gaze)[0]  # type: ignore[no-any-return]


class FoveateVector(gym.vector.VectorWrapper):
    """The same for a vector environment of any autoreset mode; lane i equals Foveate around environment i.

    Args:
        env: vector environment whose single observations are pictures.
        retina, gaze, largest_jump, proprioception, outside: as of Foveate.

    Raises:
        ValueError: as Foveate.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv[Any, Any, Any],
        retina: str | Mapping[str, Any] | Retina = "rings",
        gaze: Gaze = "action",
        largest_jump: float | None = None,
        proprioception: bool = True,
        outside: float = 0.0,
    ) -> None:
        require(isinstance(env, gym.vector.VectorEnv), "env", "a vector environment of Gymnasium", env)
        super().__init__(env)
        frames, actions = env.single_observation_space, env.single_action_space
        self.eye = _Eye(env.num_envs, frames, actions, retina, gaze, largest_jump, proprioception, outside)
        if "autoreset_mode" not in env.metadata:
            warnings.warn("the metadata say no autoreset_mode; NEXT_STEP is assumed, as Gymnasium does", stacklevel=2)
        self._mode = check_autoreset_mode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.single_observation_space, self.single_action_space = self.eye.observation_space, self.eye.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._gaze, self._steps = self.eye.begin(self.num_envs), np.zeros(self.num_envs, np.int64)
        self._ended = np.zeros(self.num_envs, bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        mask = (options or {}).get("reset_mask")
        mask = np.ones(self.num_envs, bool) if mask is None else np.array(mask, bool)
        frames, infos = self.env.reset(seed=seed, options=options)
        self._begin(mask)
        self._ended[mask] = False
        return self.eye.look(frames, self._gaze), self._told(infos)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        steps = self._steps + 1
        gaze, rest = self.eye.move(self._gaze, np.asarray(actions), steps)
        frames, rewards, terminated, truncated, infos = self.env.step(rest)
        self._gaze, self._steps = gaze, steps
        self._begin(self._ended)  # lanes that NEXT_STEP has reset in this step
        self._ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP:
            if self._ended.any():
                final = np.full(self.num_envs, None, object)
                for i in np.flatnonzero(self._ended):
                    final[i] = self.eye.look(np.asarray(infos["final_obs"][i])[None], self._gaze[i : i + 1])[0]
                infos = {**infos, "final_obs": final}
            self._begin(self._ended)
            self._ended = np.zeros_like(self._ended)
        return self.eye.look(frames, self._gaze), rewards, terminated, truncated, self._told(infos)

    def _begin(self, mask: np.ndarray) -> None:
        self._gaze[mask], self._steps[mask] = 0.5 * self.eye.size, 0

    def _told(self, infos: dict[str, Any]) -> dict[str, Any]:
        return {**infos, "gaze": self._gaze.copy(), "_gaze": np.ones(self.num_envs, bool)}
