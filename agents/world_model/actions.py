"""What C's outputs mean: pushes within bounds, or choices, which gradients pass straight through."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor, nn


class Actions(nn.Module):
    """How net inputs (B, U) become actions as M reads them, vectors (B, A), and actions of the environment.

    Attributes:
        size: A.
        units: U; those after the first A, if there are any, say how far a unit's output varies.
        probabilistic: whether actions are drawn, so that they have a log-probability.
        space: of the environment's actions.
    """

    size: int
    units: int
    probabilistic: bool
    space: spaces.Space[Any]

    @abstractmethod
    def likely(self, net: Tensor) -> Tensor:
        """The vectors (B, A) that C means, differentiable in its net inputs."""

    def sample(self, net: Tensor) -> Tensor:
        """Vectors (B, A) as drawn in imagination; differentiable."""
        return self.likely(net)

    def passing(self, net: Tensor, real: Tensor) -> Tensor:
        """Vectors (B, A) that were really taken, with the gradient of those that C means."""
        likely = self.likely(net)
        return likely + (real - likely).detach()

    def log_probability(self, net: Tensor, vectors: Tensor) -> Tensor:
        """Log-probability (B,), or density, with which `sample` draws vectors (B, A); differentiable in `net`."""
        raise NotImplementedError

    def entropy(self, net: Tensor) -> Tensor:
        """Entropy (B,) of what `sample` draws, before it is clipped; differentiable."""
        raise NotImplementedError

    @abstractmethod
    def noise(self, net: Tensor) -> Tensor:
        """What `explore` adds, (B, ...), drawn anew."""

    @abstractmethod
    def explore(self, net: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """Vectors (B, A) with `noise` of `scale` (B, 1)."""

    @abstractmethod
    def near(self, vectors: Tensor, spread: float) -> Tensor:
        """Other vectors (B, A) around some, to be tried instead."""

    @abstractmethod
    def uniform(self, count: int) -> Tensor:
        """Uniformly random vectors (count, A)."""

    @abstractmethod
    def to_env(self, vectors: Tensor) -> np.ndarray:
        """Actions of the environment for vectors (B, A)."""

    @abstractmethod
    def from_env(self, actions: Any) -> Tensor:
        """Vectors (B, A) for actions of the environment (B, ...), the inverse of `to_env`.

        Raises:
            ValueError: a wrong shape, or an action that the space does not have.
        """


class Pushes(Actions):
    """Box: low + (high - low) * logistic(net); without bounds the net input itself, in units of 1.

    Args:
        space: a Box.
    """

    probabilistic = False
    space: spaces.Box
    low: Tensor
    span: Tensor
    free: Tensor

    def __init__(self, space: spaces.Box) -> None:
        super().__init__()
        self.space = space
        self.size = self.units = int(np.prod(space.shape))
        low, high = (torch.as_tensor(bound).double().flatten() for bound in (space.low, space.high))
        free = ~(torch.isfinite(low) & torch.isfinite(high))
        low, high = torch.where(free, -1.0, low), torch.where(free, 1.0, high)
        self.register_buffer("free", free, persistent=False)
        self.register_buffer("low", low.float(), persistent=False)
        self.register_buffer("span", high.float() - low.float(), persistent=False)
        self.bounded = not free.any()

    def likely(self, net: Tensor) -> Tensor:
        """See `Actions.likely`."""
        pushes = torch.addcmul(self.low, self.span, torch.sigmoid(net))
        return pushes if self.bounded else torch.where(self.free, net, pushes)

    def noise(self, net: Tensor) -> Tensor:
        """Normal deviates (B, A)."""
        return torch.randn_like(net[:, : self.size])

    def explore(self, net: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """Gaussian noise of `scale` half-ranges, clipped to the bounds."""
        return self._within(self.sample(net) + 0.5 * self.span * scale * noise)

    def near(self, vectors: Tensor, spread: float) -> Tensor:
        """Gaussian noise of `spread` half-ranges, clipped to the bounds."""
        return self._within(vectors + 0.5 * self.span * spread * torch.randn_like(vectors))

    def _within(self, vectors: Tensor) -> Tensor:
        clipped = vectors.clamp(self.low, self.low + self.span)
        return clipped if self.bounded else torch.where(self.free, vectors, clipped)

    def uniform(self, count: int) -> Tensor:
        """See `Actions.uniform`; without bounds within 1 of 0."""
        return self.low + self.span * torch.rand(count, self.size, device=self.low.device)

    def to_env(self, vectors: Tensor) -> np.ndarray:
        """Vectors in the space's shape (B, ...), within the bounds to the last bit, and rounded for whole numbers."""
        array: np.ndarray = vectors.cpu().numpy().reshape(-1, *self.space.shape)
        clipped: np.ndarray = np.clip(array, self.space.low, self.space.high)
        whole = np.issubdtype(self.space.dtype, np.integer)
        return np.rint(clipped).astype(self.space.dtype) if whole else clipped

    def from_env(self, actions: Any) -> Tensor:
        """See `Actions.from_env`; pushes beyond the bounds are left as they are."""
        array = _batch(actions, self.space.shape)
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError("an action is not finite")
        return torch.as_tensor(array.reshape(len(array), self.size), dtype=torch.float32, device=self.low.device)


class Units(Pushes):
    """Box, by probabilistic units with adaptive mean and variance (Schmidhuber, FKI-126-90, 1990).

    Each action is drawn around the push of its first unit, with a standard deviation of `logistic(second unit)`
    half-ranges, and clipped to the bounds. The deviates are held fixed in gradients, which so reach means and variances
    alike.

    Args:
        space: a Box.
    """

    probabilistic = True

    def __init__(self, space: spaces.Box) -> None:
        super().__init__(space)
        self.units = 2 * self.size

    def likely(self, net: Tensor) -> Tensor:
        """See `Actions.likely`: the means."""
        return super().likely(net[..., : self.size])

    def deviation(self, net: Tensor) -> Tensor:
        """Standard deviations (B, A) in units of the action."""
        return 0.5 * self.span * torch.sigmoid(net[..., self.size :])

    def sample(self, net: Tensor) -> Tensor:
        """See `Actions.sample`."""
        means = self.likely(net)
        return self._within(means + self.deviation(net) * torch.randn_like(means))

    def passing(self, net: Tensor, real: Tensor) -> Tensor:
        """See `Actions.passing`."""
        means, deviation = self.likely(net), self.deviation(net)
        return means + deviation * ((real - means) / deviation).detach()

    def log_probability(self, net: Tensor, vectors: Tensor) -> Tensor:
        """See `Actions.log_probability`; of actions at the bounds, that of the bound itself."""
        deviation = self.deviation(net)
        deviates = (vectors.detach() - self.likely(net)) / deviation
        return -(0.5 * deviates.square() + deviation.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, net: Tensor) -> Tensor:
        """See `Actions.entropy`."""
        return (self.deviation(net).log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


class Choices(Actions):
    """Discrete and MultiDiscrete: one-hot blocks, drawn with the probabilities softmax(net).

    The gradient passes straight through: a choice counts as its probabilities (Bengio, Leonard & Courville, arXiv
    1308.3432).

    Args:
        space: Discrete or MultiDiscrete of one axis.
    """

    probabilistic = True
    space: spaces.Discrete | spaces.MultiDiscrete
    _even: Tensor

    def __init__(self, space: spaces.Discrete | spaces.MultiDiscrete) -> None:
        super().__init__()
        self.space = space
        self.sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else space.nvec.tolist()
        self.starts = np.ravel(space.start)
        self.size = self.units = sum(self.sizes)
        self._offsets = np.cumsum(self.sizes) - self.sizes  # of the blocks
        self.register_buffer("_even", torch.zeros(self.size), persistent=False)

    def likely(self, net: Tensor) -> Tensor:
        """See `Actions.likely`."""
        return self._chosen(net, net)

    def sample(self, net: Tensor) -> Tensor:
        """See `Actions.sample`."""
        return self._chosen(net, net + _gumbel(net))

    def near(self, vectors: Tensor, spread: float) -> Tensor:
        """Uniformly random vectors: choices have no neighbours."""
        return self.uniform(len(vectors))

    def log_probability(self, net: Tensor, vectors: Tensor) -> Tensor:
        """See `Actions.log_probability`."""
        return (self._log_odds(net) * vectors.detach()).sum(-1)

    def entropy(self, net: Tensor) -> Tensor:
        """See `Actions.entropy`."""
        log_odds = self._log_odds(net)
        return -(log_odds.exp() * log_odds).sum(-1)

    def _log_odds(self, net: Tensor) -> Tensor:
        return torch.cat([part.log_softmax(-1) for part in net.split_with_sizes(self.sizes, -1)], -1)

    def noise(self, net: Tensor) -> Tensor:
        """Uniformly random vectors, and uniform numbers that say whether they replace C's: (B, A + 1)."""
        return torch.cat((self.uniform(len(net)), torch.rand_like(net[:, :1])), 1)

    def explore(self, net: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """Drawn with C's probabilities, and uniformly with the probability `scale`."""
        return torch.where(noise[:, -1:] < scale, noise[:, :-1], self.sample(net))

    def uniform(self, count: int) -> Tensor:
        """See `Actions.uniform`."""
        net = self._even.expand(count, self.size)
        return self._chosen(net, _gumbel(net))

    def to_env(self, vectors: Tensor) -> np.ndarray:
        """Numbers of the choices, (B,) or (B, blocks)."""
        chosen = [block.argmax(-1).cpu().numpy() for block in vectors.split_with_sizes(self.sizes, -1)]
        numbers = np.stack(chosen, -1).astype(np.int64) + self.starts
        return numbers[:, 0] if isinstance(self.space, spaces.Discrete) else numbers

    def from_env(self, actions: Any) -> Tensor:
        """See `Actions.from_env`."""
        array = _batch(actions, self.space.shape or ())
        numbers = array.reshape(len(array), len(self.sizes)) - self.starts
        with np.errstate(invalid="ignore"):
            chosen = numbers.astype(np.int64)
        if ((chosen != numbers) | (chosen < 0) | (chosen >= self.sizes)).any():
            raise ValueError(f"an action is not one of {self.space}")
        vectors = np.zeros((len(chosen), self.size), np.float32)
        vectors[np.arange(len(chosen))[:, None], chosen + self._offsets] = 1.0
        return torch.from_numpy(vectors).to(self._even)

    def _chosen(self, net: Tensor, scores: Tensor) -> Tensor:
        """One-hot at the largest of `scores` in each block, with the gradient of softmax(net)."""
        parts = []
        for own, score in zip(
            net.split_with_sizes(self.sizes, -1), scores.split_with_sizes(self.sizes, -1), strict=True
        ):
            soft = own.softmax(-1)
            hard = F.one_hot(score.argmax(-1), own.shape[-1]).to(soft.dtype)
            parts.append(hard + soft - soft.detach())
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def make_actions(space: spaces.Space[Any], probabilistic: bool = False) -> Actions:
    """What C's outputs mean in an action space.

    Args:
        space: of actions.
        probabilistic: whether a Box's are drawn by `Units`; choices always are.

    Raises:
        ValueError: a space other than Box, Discrete and MultiDiscrete.
    """
    if isinstance(space, spaces.Box):
        return Units(space) if probabilistic else Pushes(space)
    if isinstance(space, spaces.Discrete) or (isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1):
        return Choices(space)
    raise ValueError(f"actions must be a Box, Discrete, or MultiDiscrete of one axis, not {space}")


def _batch(actions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Actions (B, ...) as an array, whose shape after B must be that of the space."""
    array = np.asarray(actions)
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape or array.dtype.kind not in "iuf":
        raise ValueError(f"actions must be numbers of the shape {('B', *shape)}, not {array.dtype} {array.shape}")
    return array


def _gumbel(net: Tensor) -> Tensor:
    return -torch.empty_like(net).exponential_().log()
