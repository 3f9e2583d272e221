"""VizDoom: small pictures and few tics, as V, M and C learned Take Cover; registers `DoomTakeCover-v0`."""

from __future__ import annotations

from typing import Any, final

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit, TransformAction
from PIL import Image

try:
    import vizdoom.gymnasium_wrapper  # noqa: F401  registers the ids
except ImportError as error:
    raise ImportError("agents.adapters.vizdoom needs VizDoom: pip install vizdoom") from error

THIRD = 1.0 / 3.0  # the least force that moves the player
Step = tuple[np.ndarray, float, bool, bool, dict[str, Any]]


@final
class Screen(gym.Wrapper[Any, Any, Any, Any]):
    """The screen alone, of VizDoom's Dict, as a Box (size, size, 3) uint8.

    After the last tic the game shows nothing; then it is the last screen, once more.

    Args:
        env: of VizDoom, with a screen in colours.
        size: height and width in pixels.

    Raises:
        ValueError: an environment without such a screen.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int = 64) -> None:
        super().__init__(env)
        seen = env.observation_space
        screen = seen.spaces.get("screen") if isinstance(seen, spaces.Dict) else None
        if screen is None or screen.shape is None or screen.shape[-1] != 3:
            raise ValueError(f"there must be a 'screen' (height, width, 3) in the observations, not {seen}")
        self.size = size
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._last = np.zeros((size, size, 3), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode: the screen, infos."""
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._small(obs), infos

    def step(self, action: Any) -> Step:
        """The screen after an action, its reward, whether the game is over, whether time is up, infos."""
        obs, reward, terminated, truncated, infos = self.env.step(action)
        picture = self._last.copy() if terminated else self._small(obs)
        return picture, float(reward), terminated, truncated, infos

    def _small(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        small = Image.fromarray(obs["screen"]).resize((self.size, self.size), Image.Resampling.BOX)
        self._last = np.array(small)
        return self._last.copy()


def take_cover(
    size: int = 64, frame_skip: int = 4, tics: int = 2100, force: bool = False, render_mode: str | None = None
) -> gym.Env[np.ndarray, Any]:
    """`VizdoomTakeCover-v1` as Ha & Schmidhuber have it: 1 for each tic, at most so many of them.

    Args:
        size: of the picture, see `Screen`.
        frame_skip: tics that an action lasts.
        tics: longest episode, rounded up to whole actions.
        force: Box(-1, 1, (1,)), below -1/3 left, above 1/3 right, otherwise no push, as in the paper; instead of the
            game's Discrete(3), stay, right, left.
        render_mode: of VizDoom.
    """
    game = gym.make("VizdoomTakeCover-v1", frame_skip=frame_skip, render_mode=render_mode, disable_env_checker=True)
    if force:
        game = TransformAction(game, _button, spaces.Box(-1.0, 1.0, (1,), np.float32))
    return TimeLimit(Screen(game, size), -(-tics // frame_skip))


def _button(force: np.ndarray) -> np.int64:
    """The game's action: 0 stay, 1 right, 2 left."""
    push = float(force[0])
    return np.int64(1 if push > THIRD else 2 if push < -THIRD else 0)


gym.register("DoomTakeCover-v0", entry_point=f"{__name__}:take_cover")
