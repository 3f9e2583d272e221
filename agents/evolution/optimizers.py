"""Evolution strategies: each proposes candidates around a mean, and moves the mean to where the fit ones are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch

from ..common.keywords import check_keywords

MOST_FULL = 1000  # parameters up to which a full covariance matrix is affordable


class Optimizer(ABC):
    """Maximises a fitness. `ask`, evaluate, `tell`, and again.

    Its draws depend on `seed` and on the number of the generation alone, so it has no random state.

    Args:
        mean: (n,) where the search begins.
        sigma: standard deviation of the first candidates.
        population: P, candidates of a generation.
        seed: numbers that seed its draws.

    Attributes:
        mean: (n,) of the distribution.
        sigma: its step size.
        generation: how often it was told.
    """

    def __init__(self, mean: np.ndarray, sigma: float, population: int, seed: tuple[int, ...] = (0,)) -> None:
        self.mean = np.array(mean, np.float64)
        self.sigma = float(sigma)
        self.population, self.seed, self.generation = population, seed, 0

    @property
    def _generator(self) -> np.random.Generator:
        """Of this generation's draws."""
        return np.random.default_rng((*self.seed, self.generation))

    @abstractmethod
    def ask(self) -> np.ndarray:
        """Candidates (P, n), the same until it is told."""

    @abstractmethod
    def tell(self, fitness: np.ndarray) -> None:
        """Learns the fitness (P,) of the candidates that `ask` returns, larger is better, all finite."""

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """What it has learned, as plain data."""

    @abstractmethod
    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned, in an optimizer with the same arguments."""


@final
class CMA(Optimizer):
    """CMA-ES with a full covariance matrix (Hansen, arXiv 1604.00772), by the package `cma`.

    Its state is the fitness of all generations: it is restored by telling them again.
    """

    def __init__(self, mean: np.ndarray, sigma: float, population: int, seed: tuple[int, ...] = (0,)) -> None:
        import cma

        super().__init__(mean, sigma, population, seed)
        # Without `randn` and with a seed, the package would draw from NumPy's global generator, and seed it.
        options = {"popsize": population, "randn": self._draw, "seed": np.nan, "verbose": -9, "CMA_eigenmethod": _axes}
        self._strategy = cma.CMAEvolutionStrategy(self.mean, self.sigma, options)
        self._drawing = self._generator
        self._asked: list[np.ndarray] = []
        self._told: list[np.ndarray] = []

    def _draw(self, *size: int) -> np.ndarray:
        return self._drawing.standard_normal(size)

    def ask(self) -> np.ndarray:
        if not self._asked:
            self._drawing = self._generator
            self._asked = self._strategy.ask()
        return np.array(self._asked)

    def tell(self, fitness: np.ndarray) -> None:
        self.ask()
        self._strategy.tell(self._asked, (-fitness).tolist())  # which it minimises
        self._told.append(np.array(fitness))
        self._asked = []
        self.mean, self.sigma = np.array(self._strategy.mean), float(self._strategy.sigma)
        self.generation += 1

    def get_state(self) -> dict[str, Any]:
        return {"told": np.reshape(self._told, (-1, self.population))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for fitness in np.reshape(state["told"], (-1, self.population)):
            self.tell(fitness)


def _axes(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and -vectors, in as many threads as PyTorch has: NumPy starts one a core for the smallest matrix."""
    values, vectors = torch.linalg.eigh(torch.from_numpy(matrix))
    return values.numpy(), vectors.numpy()


class Explicit(Optimizer):
    """An optimizer whose state is a few arrays. Subclasses name them in `kept`, and implement `ask` and `tell`."""

    kept: tuple[str, ...] = ()

    def get_state(self) -> dict[str, Any]:
        return {name: np.array(getattr(self, name)) for name in ("mean", "sigma", "generation", *self.kept)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name in self.kept:
            setattr(self, name, np.array(state[name]))
        self.mean, self.sigma = np.array(state["mean"]), float(state["sigma"])
        self.generation = int(state["generation"])


@final
class SepCMA(Explicit):
    """CMA-ES with a diagonal covariance matrix (Ros & Hansen, PPSN 2008): time and memory are linear in n."""

    kept = ("_variance", "_path", "_step_path")

    def __init__(self, mean: np.ndarray, sigma: float, population: int, seed: tuple[int, ...] = (0,)) -> None:
        super().__init__(mean, sigma, population, seed)
        n, parents = len(self.mean), population // 2
        weights = np.log((population + 1) / 2) - np.log(np.arange(1, parents + 1))
        self._weights = weights / weights.sum()
        self._mass = mass = 1 / np.square(self._weights).sum()
        self._step_rate = (mass + 2) / (n + mass + 5)
        self._damping = 1 + 2 * max(0.0, np.sqrt((mass - 1) / (n + 1)) - 1) + self._step_rate
        self._path_rate = (4 + mass / n) / (n + 4 + 2 * mass / n)
        rank_one = 2 / ((n + 1.3) ** 2 + mass)
        rank_mu = min(1 - rank_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        faster = (n + 2) / 3  # a diagonal has so many times fewer degrees of freedom
        self._rank_one = min(0.5, rank_one * faster)
        self._rank_mu = min(1 - self._rank_one, rank_mu * faster)
        self._length = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))  # of a normal vector, on average
        self._variance, self._path, self._step_path = np.ones(n), np.zeros(n), np.zeros(n)

    def _steps(self) -> np.ndarray:
        return self._generator.standard_normal((self.population, len(self.mean))) * np.sqrt(self._variance)

    def ask(self) -> np.ndarray:
        return self.mean + self.sigma * self._steps()

    def tell(self, fitness: np.ndarray) -> None:
        steps = self._steps()[np.argsort(-fitness, kind="stable")[: len(self._weights)]]
        step, mass = self._weights @ steps, self._mass
        self.mean = self.mean + self.sigma * step
        rate = self._step_rate
        self._step_path = (1 - rate) * self._step_path + np.sqrt(rate * (2 - rate) * mass) * step / np.sqrt(
            self._variance
        )
        length = float(np.linalg.norm(self._step_path))
        straight = length / np.sqrt(1 - (1 - rate) ** (2 * (self.generation + 1)))
        stalled = straight >= (1.4 + 2 / (len(step) + 1)) * self._length
        rate = self._path_rate
        self._path = (1 - rate) * self._path + (not stalled) * np.sqrt(rate * (2 - rate) * mass) * step
        missing = stalled * rate * (2 - rate)
        one, mu = self._rank_one, self._rank_mu
        self._variance = (
            (1 - one - mu + one * missing) * self._variance
            + one * np.square(self._path)
            + mu * (self._weights @ np.square(steps))
        )
        self.sigma *= float(np.exp(min(1.0, self._step_rate / self._damping * (length / self._length - 1))))
        self.generation += 1


@final
class OpenAIES(Explicit):
    """Natural gradient with a fixed step size (Salimans et al., arXiv 1703.03864): pairs of opposite candidates, ranks
    instead of fitness, and Adam.

    Args:
        mean, sigma, population, seed: see `Optimizer`; an odd candidate is the mean itself.
        learning_rate: of Adam, in units of sigma; None: 0.5.
        weight_decay: a share of the mean subtracted from the gradient.
    """

    kept = ("_first", "_second")

    def __init__(
        self,
        mean: np.ndarray,
        sigma: float,
        population: int,
        seed: tuple[int, ...] = (0,),
        learning_rate: float = 0.5,
        weight_decay: float = 0.005,
    ) -> None:
        super().__init__(mean, sigma, population, seed)
        check_keywords(type(self), {"learning_rate": learning_rate, "weight_decay": weight_decay})
        self._rate, self._decay = learning_rate * sigma, weight_decay
        self._first, self._second = np.zeros_like(self.mean), np.zeros_like(self.mean)

    def _steps(self) -> np.ndarray:
        half = self._generator.standard_normal((self.population // 2, len(self.mean)))
        return np.concatenate((half, -half, np.zeros((self.population % 2, len(self.mean)))))

    def ask(self) -> np.ndarray:
        return self.mean + self.sigma * self._steps()

    def tell(self, fitness: np.ndarray) -> None:
        # Equal fitness has an equal rank: else a flat landscape would push somewhere.
        _, places, counts = np.unique(fitness, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts + 1) / 2)[places] / max(1, len(fitness) - 1) - 0.5
        gradient = ranks @ self._steps() / (len(fitness) * self.sigma) - self._decay * self.mean
        self.generation += 1
        self._first = 0.9 * self._first + 0.1 * gradient
        self._second = 0.999 * self._second + 0.001 * np.square(gradient)
        first, second = self._first / (1 - 0.9**self.generation), self._second / (1 - 0.999**self.generation)
        self.mean = self.mean + self._rate * first / (np.sqrt(second) + 1e-8)


OPTIMIZERS: dict[str, type[Optimizer]] = {"cma": CMA, "openai-es": OpenAIES, "sep-cma": SepCMA}


@final
class Search:
    """An optimizer, and another in its place where it was stuck.

    Args:
        kind: name in `OPTIMIZERS`.
        scale: (n,) what a step of sigma 1 means for each parameter.
        sigma, population, seed: see `Optimizer`.
        options: other keywords of the optimizer.

    Attributes:
        started: whether it has begun.
        seed: from which all its draws follow.
        restarts: how often it began anew.
    """

    def __init__(
        self, kind: str, scale: np.ndarray, sigma: float, population: int, seed: int, options: Mapping[str, Any]
    ) -> None:
        if kind == "cma" and len(scale) > MOST_FULL:
            raise ValueError(
                f"a full covariance matrix of {len(scale):,} parameters is too large, {MOST_FULL:,} is the most: use "
                "optimizer='sep-cma' or 'openai-es'"
            )
        self._make = OPTIMIZERS[kind]
        self._scale, self._sigma, self._population = scale, sigma, population
        self.seed, self._options = seed, dict(options)
        try:
            self._make(np.zeros(len(scale)), sigma, population, (0,), **self._options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"optimizer_kwargs do not fit {kind}: {error}") from error
        self._start = np.zeros(len(scale))
        self._optimizer: Optimizer | None = None
        self.restarts = 0

    @property
    def started(self) -> bool:
        return self._optimizer is not None

    @property
    def optimizer(self) -> Optimizer:
        """The present one."""
        if self._optimizer is None:
            raise RuntimeError("the search has not begun")
        return self._optimizer

    def start(self, weights: np.ndarray) -> None:
        """Begins at parameters (n,)."""
        self._start = weights / self._scale
        self._begin()

    def restart(self) -> None:
        """Begins anew, one step of sigma away from where it first began."""
        self.restarts += 1
        self._begin()

    def _begin(self) -> None:
        seed = (self.seed, self.restarts)
        away = np.random.default_rng(seed).standard_normal(len(self._start)) if self.restarts else 0.0
        mean = self._start + self._sigma * away
        self._optimizer = self._make(mean, self._sigma, self._population, seed, **self._options)

    @property
    def mean(self) -> np.ndarray:
        """(n,) parameters in the middle of the candidates."""
        scaled: np.ndarray = self.optimizer.mean * self._scale
        return scaled

    def ask(self) -> np.ndarray:
        """Parameters (P, n) of the candidates."""
        scaled: np.ndarray = self.optimizer.ask() * self._scale
        return scaled

    def get_state(self) -> dict[str, Any]:
        """Its settings, where it began, how often, and what its optimizer has learned."""
        learned = None if self._optimizer is None else self._optimizer.get_state()
        return {
            "settings": self._settings,
            "seed": self.seed,
            "start": self._start,
            "restarts": self.restarts,
            "optimizer": learned,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned; a search with other settings has not begun.

        Raises:
            ValueError: it is of another number of parameters.
        """
        if np.shape(state["start"]) != self._start.shape:
            raise ValueError(f"the search is over {len(self._start)} parameters, not {np.shape(state['start'])}")
        self._start, self.restarts, self._optimizer = np.array(state["start"]), int(state["restarts"]), None
        self.seed = int(state["seed"])
        if state["optimizer"] is not None and state["settings"] == self._settings:
            self._begin()
            self.optimizer.set_state(state["optimizer"])

    @property
    def _settings(self) -> dict[str, Any]:
        own = {"kind": self._make.__name__, "sigma": self._sigma, "population": self._population}
        return {**own, "scale": self._scale.tolist(), **self._options}
