"""The policy that evolution finds: a small net, compiled and in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..common.actor import Actor
from ..cores.ops.checks import refuse_unknown
from .attention import Attention
from .nets import LSTM, FastWeights, Linear, Net, Recurrent

NETS: dict[str, type[Net]] = {
    "attention": Attention,
    "fast_weights": FastWeights,
    "linear": Linear,
    "lstm": LSTM,
    "recurrent": Recurrent,
}


class EvolvedPolicy(Actor):
    """A net of `NETS` between observations and actions; the same net acts for a whole population.

    Observations are one vector: Boxes flattened, images divided by 255, the parts of a Dict in the order of their
    names, a Discrete one as one of K. In a Box the action is its middle + half its width * tanh(y), rounded in one of
    whole numbers; of a Discrete axis it is the largest of K outputs, of a binary one whether its output is positive.

    Args:
        observation_space: Box, Discrete, or a Dict of these.
        action_space: a bounded Box, Discrete, MultiDiscrete or MultiBinary.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        net: name in `NETS`.
        net_kwargs: the net's own keywords.

    Attributes:
        weights: (n,) float64, all that is learned.

    Raises:
        ValueError: another space, an unknown net, or impossible keywords of it.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        net: str = "linear",
        net_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(observation_space, action_space)
        if net not in NETS:
            raise ValueError(f"net must be one of {', '.join(NETS)}, not {net!r}")
        self._heads = _heads(action_space)
        if isinstance(action_space, spaces.Box):
            low, high = (bound.astype(np.float64).ravel() for bound in (action_space.low, action_space.high))
            self._middle, self._reach = 0.5 * (low + high), 0.5 * (high - low)
        outputs, kind = sum(self._heads), NETS[net]
        inputs: Any = _image(observation_space) if kind.sees_images else _width(observation_space)
        if not inputs:
            raise ValueError(f"observations must have at least one number, and {observation_space} has none")
        try:
            refuse_unknown(kind, net_kwargs or {})
            self.net = kind(inputs, outputs, **(net_kwargs or {}))
        except TypeError as error:
            raise ValueError(f"net_kwargs do not fit {net}: {error}") from error
        self.weights = nn.Parameter(torch.zeros(self.net.size, dtype=torch.float64))

    def inputs(self, obs: Any) -> np.ndarray:
        """The net's inputs from observations (N, ...), arrays or tensors: (N, D) float64, or images as they are."""
        if self.net.sees_images:
            return np.ascontiguousarray(obs)
        return _vectors(self.observation_space, obs)

    def actions(self, outputs: np.ndarray) -> np.ndarray:
        """Actions (N, ...) for the environment from the net's outputs (N, A)."""
        space = self.action_space
        if isinstance(space, spaces.Box):
            pushes = self._middle + self._reach * np.tanh(outputs)
            whole = np.rint(pushes) if space.dtype.kind in "iu" else pushes  # else the last whole number is never met
            return np.asarray(whole, space.dtype).reshape(len(outputs), *space.shape)
        if isinstance(space, spaces.Discrete):
            return np.asarray(outputs.argmax(1) + space.start)
        if isinstance(space, spaces.MultiBinary):
            return np.asarray(outputs > 0, np.int8).reshape(len(outputs), *space.shape)
        parts = np.split(outputs, np.cumsum(self._heads)[:-1], 1)
        chosen: np.ndarray = np.stack([part.argmax(1) for part in parts], 1) + space.start  # type: ignore[attr-defined]
        return chosen

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, A) and the next state (B, S), with gradients, from inputs (B, D) and state; None: of a start."""
        if state is None:
            state = x.new_zeros(len(x), self.net.state_size)
        return self.net.forward(self.weights, x.to(self.weights.dtype), state.to(self.weights.dtype))

    def act(
        self, obs: Any, state: Any, episode_start: np.ndarray, deterministic: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Actor.act`. Nothing is drawn; the state is an array (N, S). It acts as in training, to the bit."""
        count = len(episode_start)
        state = np.zeros((count, self.net.state_size)) if state is None else np.array(state)
        state[episode_start] = 0.0
        outputs, everyone = np.zeros((count, self.net.outputs)), np.ones(count, bool)
        weights = self.weights.detach().cpu().numpy()[None]
        self.net.kernel(weights, np.zeros(count, np.int64), everyone, self.inputs(obs), state, outputs)
        return self.actions(outputs), state


def _image(space: spaces.Space[Any]) -> tuple[int, ...]:
    """(H, W, C) of the observations."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        raise ValueError(f"this net sees images, a Box (H, W, C) of uint8, not {space}")
    return space.shape


def _width(space: spaces.Space[Any]) -> int:
    """Numbers in the vector of an observation."""
    if isinstance(space, spaces.Dict):
        return sum(_width(part) for part in space.values())
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.Box):
        return int(np.prod(space.shape))
    raise ValueError(f"observations must be Box, Discrete, or a Dict of these, not {space}")


def _vectors(space: spaces.Space[Any], obs: Any) -> np.ndarray:
    if isinstance(space, spaces.Dict):
        return np.concatenate([_vectors(part, obs[name]) for name, part in sorted(space.items())], 1)
    values = np.asarray(obs)
    if isinstance(space, spaces.Discrete):
        return np.eye(int(space.n))[values.astype(np.int64).reshape(-1) - int(space.start)]
    vectors = values.reshape(len(values), -1).astype(np.float64)
    return vectors / 255 if space.dtype == np.uint8 else vectors


def _heads(space: spaces.Space[Any]) -> list[int]:
    """Outputs of each axis of the action."""
    if isinstance(space, spaces.Box):
        if not space.is_bounded():
            raise ValueError(f"actions must have bounds, and {space} has none")
        return [1] * int(np.prod(space.shape))
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiBinary):
        return [1] * int(np.prod(space.shape))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return [int(n) for n in space.nvec]
    raise ValueError(f"actions must be a bounded Box, Discrete, MultiDiscrete of one axis or MultiBinary, not {space}")
