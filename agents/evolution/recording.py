"""Episodes of random play, as images and as codes: what V and M learn from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from torch import Tensor

from ..common.vec_env import autoreset_mode
from ..cores.ops.checks import whole
from ..world_model.actions import make_actions
from .vae import ConvVAE, drawn


@dataclass(frozen=True, eq=False)
class Recording:
    """F frames, one episode after the other. A frame's action, reward and end are those of the step that follows it.

    The last frame of an episode is followed by no step: its action is arbitrary, its reward 0.

    Attributes:
        frames: (F, ...) uint8, images as they came.
        actions: (F, ...) of the environment.
        rewards: (F,) float32.
        terminated: (F,) bool.
        episode_start: (F,) bool, True at the first frame of every episode.
        action_space: of one lane.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    episode_start: np.ndarray
    action_space: spaces.Space[Any]

    def __len__(self) -> int:
        return len(self.frames)

    def encoded(self, vae: ConvVAE) -> CodedRecording:
        """The same episodes as V's codes."""
        mean, log_variance = vae.encode(self.frames)
        others = (self.rewards, self.terminated, self.episode_start)
        vectors = make_actions(self.action_space).from_env(self.actions)
        rewards, terminated, episode_start = (torch.from_numpy(part).to(mean.device) for part in others)
        return CodedRecording(mean, log_variance, vectors.to(mean.device), rewards, terminated, episode_start)


@dataclass(frozen=True, eq=False)
class CodedRecording:
    """A `Recording` whose frames are codes.

    Attributes:
        mean, log_variance: (F, K) of the codes.
        vectors: (F, A) actions as M reads them.
        rewards: (F,).
        terminated: (F,) bool.
        episode_start: (F,) bool.
    """

    mean: Tensor
    log_variance: Tensor
    vectors: Tensor
    rewards: Tensor
    terminated: Tensor
    episode_start: Tensor

    def __len__(self) -> int:
        return len(self.mean)

    def starts(self) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (n, K), of the first codes of all episodes."""
        return self.mean[self.episode_start], self.log_variance[self.episode_start]

    def drawn(self, rows: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Codes (T, B, K) of frames (T, B), and of the frames that follow each."""
        whole = torch.cat([rows, rows[-1:] + 1]).clamp(max=len(self) - 1)
        codes = drawn(self.mean[whole], self.log_variance[whole], generator)
        return codes[:-1], codes[1:]

    def streams(self, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """All steps as `count` streams of equal length, the episodes in a random order.

        A stream may begin or end within an episode, so that a few steps are left out.

        Returns:
            Numbers of frames (T, count), and whether a frame is followed by a step (T, count) bool.
        """
        firsts = self.episode_start.nonzero().squeeze(1).cpu()
        lengths = torch.diff(firsts, append=torch.tensor([len(self)]))
        order = torch.randperm(len(firsts), generator=generator)
        rows = torch.cat([torch.arange(first, first + length) for first, length in
                          zip(firsts[order].tolist(), lengths[order].tolist(), strict=True)])  # fmt: skip
        steps = len(rows) // count
        rows = rows[: steps * count].view(count, steps).T.contiguous().to(self.mean.device)
        last = torch.roll(self.episode_start, -1)
        last[-1] = True
        return rows, ~last[rows]


def random_play(
    env: gym.vector.VectorEnv[Any, Any, Any], frames: int, *, longest_repeat: int = 10, seed: int | None = None
) -> Recording:
    """Plays at random and records what is seen.

    Every action is drawn uniformly from the space and repeated for 1 to `longest_repeat` steps: noise that is new in
    every step goes nowhere.

    Args:
        env: vector environment of images, in any autoreset mode.
        frames: F, rounded up to a multiple of the number of lanes; each lane's last episode is cut there.
        longest_repeat: steps.
        seed: of the environment and of the actions.

    Raises:
        ValueError: an impossible number, or an environment of other observations.
    """
    space = env.single_observation_space
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        raise ValueError(f"random_play records images, a Box (H, W, channels) of uint8, not {space}")
    whole("frames", frames)
    whole("longest_repeat", longest_repeat)
    player = _actions(env.action_space, longest_repeat, seed)
    chosen, notes = next(player), _Notes(env, -(-frames // env.num_envs))
    mode, over = autoreset_mode(env), np.zeros(env.num_envs, bool)
    obs, _ = env.reset(seed=seed)
    notes.begin(~over, obs)
    while not notes.full:
        obs, rewards, terminated, truncated, infos = env.step(chosen)
        ended, begun, last = terminated | truncated, over, obs
        if mode is AutoresetMode.SAME_STEP and ended.any():
            begun, last = ended, obs.copy()
            last[ended] = np.stack(list(infos["final_obs"][ended]))
        notes.step(~over, chosen, rewards, terminated, last)
        if mode is AutoresetMode.DISABLED and ended.any():
            obs, _ = env.reset(options={"reset_mask": ended})
            begun = ended
        if mode is AutoresetMode.NEXT_STEP:
            over = ended
        notes.begin(begun, obs)
        chosen = next(player)
    return notes.recording()


class _Notes:
    """What is recorded of each lane, up to `steps` frames."""

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], steps: int) -> None:
        shape = env.num_envs, steps
        self.space, self.count = env.single_action_space, np.zeros(env.num_envs, np.int64)
        self.frames = np.zeros((*shape, *(env.single_observation_space.shape or ())), np.uint8)
        self.actions = np.zeros((*shape, *(self.space.shape or ())), self.space.dtype)
        if isinstance(self.space, spaces.Discrete | spaces.MultiDiscrete):
            self.actions += self.space.start  # where no action was taken, one that the space has
        self.rewards = np.zeros(shape, np.float32)
        self.terminated, self.starts = np.zeros((2, *shape), bool)

    @property
    def full(self) -> bool:
        return bool((self.count == self.frames.shape[1]).all())

    def begin(self, lanes: np.ndarray, obs: np.ndarray) -> None:
        """First frames of some lanes (N,) bool."""
        rows = np.flatnonzero(lanes & (self.count < self.frames.shape[1]))
        self.starts[rows, self.count[rows]] = True
        self._add(rows, obs)

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray, obs: np.ndarray
    ) -> None:
        """A step of some lanes (N,) bool, and the frames that follow it."""
        rows = np.flatnonzero(lanes & (self.count < self.frames.shape[1]))
        for kept, given in ((self.actions, actions), (self.rewards, rewards), (self.terminated, terminated)):
            kept[rows, self.count[rows] - 1] = given[rows]
        self._add(rows, obs)

    def _add(self, rows: np.ndarray, obs: np.ndarray) -> None:
        self.frames[rows, self.count[rows]] = obs[rows]
        self.count[rows] += 1

    def recording(self) -> Recording:
        frames, actions = (array.reshape(-1, *array.shape[2:]) for array in (self.frames, self.actions))
        rewards, terminated, starts = (array.reshape(-1) for array in (self.rewards, self.terminated, self.starts))
        return Recording(frames, actions, rewards, terminated, starts, self.space)


def _actions(space: spaces.Space[Any], longest: int, seed: int | None) -> Iterator[np.ndarray]:
    """Actions (N, ...), each repeated for 1 to `longest` steps."""
    space, rng = copy.deepcopy(space), np.random.default_rng(seed)
    space.seed(seed)
    actions = space.sample()
    left = rng.integers(1, longest + 1, len(actions))
    while True:
        yield actions.copy()
        left -= 1
        over = left == 0
        actions[over] = space.sample()[over]
        left[over] = rng.integers(1, longest + 1, int(over.sum()))
