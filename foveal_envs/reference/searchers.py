"""MAP, ELM and the one-step ideal searcher of GridSearch, on one belief model (Najemnik & Geisler 2005, 2009)."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from ..compiled import compiled
from ..tasks.looking.grid_search import GridSearch
from .gaze import certain, native

State = Any
POINTS = 9  # of the quadrature over the response of the target
NOTHING = 1e-5  # probability not worth following
LEAST = 1e-3  # probability of a cell from which on the ideal searcher counts it


class Belief:
    """What an observer of GridSearch knows: log p_i += d'_ik^2 W_ik (2005, eq. 1), which is the sum of the evidence.

    Args:
        task: a GridSearch.

    Attributes:
        log: (N, K) log posterior up to a constant; None before the first observation.
    """

    def __init__(self, task: GridSearch) -> None:
        self._cells = task.n * task.n
        self._sums = task.view == "evidence"
        self.log: np.ndarray | None = None

    def update(self, obs: np.ndarray, log: np.ndarray | None, episode_start: np.ndarray | None) -> np.ndarray:
        """Take in observations (N, K + 2).

        Args:
            obs: of GridSearch.
            log: (N, K) belief before it; None: nothing is known yet.
            episode_start: (N,) bool, where what was known is forgotten.

        Returns:
            (N, K) posterior.
        """
        told = np.asarray(obs[:, : self._cells], np.float64)
        if self._sums and log is not None:
            told += log if episode_start is None else np.where(episode_start[:, None], 0.0, log)
        self.log = told - told.max(1, keepdims=True)
        p = np.exp(self.log)
        posterior: np.ndarray = p / p.sum(1, keepdims=True)
        return posterior


class _Searcher:
    """A policy that fixates as its rule says, and answers at the task's threshold where answers are allowed.

    Args:
        env: a native vector environment of GridSearch.

    Raises:
        ValueError: it is another task.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        task = native(env).task
        if not isinstance(task, GridSearch):
            raise ValueError(f"this reference searches a GridSearch, got {type(task).__name__}")
        self.task, self.belief = task, Belief(task)
        self._squares = task.visibility.astype(np.float64) ** 2

    def fixate(self, p: np.ndarray) -> np.ndarray:
        """Cells (N,) to fixate next, given posteriors (N, K)."""
        raise NotImplementedError

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N,), and the log posterior (N, K)."""
        p = self.belief.update(obs, state, episode_start)
        return self._or_answer(p, self.fixate(p)), self.belief.log

    def _or_answer(self, p: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Actions (N,): cells (N,) to fixate, or answers where posteriors (N, K) allow them."""
        if not self.task.answers:
            return cells
        return np.where(p.max(1) >= self.task.threshold, p.shape[1] + p.argmax(1), cells)


class MAPPolicy(_Searcher):
    """Fixate the most probable cell: k = argmax_i p_i."""

    def fixate(self, p: np.ndarray) -> np.ndarray:
        return np.asarray(p.argmax(1))


class ELMPolicy(_Searcher):
    """Fixate where the expected gain of information is largest: k = argmax_k sum_i p_i d'_ik^2 (2009, eq. 7).

    With a noise-free window this is the place whose window has most cells not seen yet: it tiles, and reaches the
    tiling bound of GridSearch where windows tile the grid.

    Args:
        env: a native vector environment of GridSearch.
        temperature: of `probabilities`, in units of the gain, d'^2.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], temperature: float = 0.0) -> None:
        super().__init__(env)
        self._temperature = temperature

    def fixate(self, p: np.ndarray) -> np.ndarray:
        return np.asarray(self._gain(p).argmax(1))

    def probabilities(self, obs: Any, state: State = None, episode_start: Any = None) -> tuple[np.ndarray, State]:
        """Probabilities (N, actions), and the log posterior: see `predict`. Cells are fixated in proportion to
        exp(gain / temperature), so that a pupil is told how good all are; answers are certain, and so is everything
        without a temperature."""
        p = self.belief.update(obs, state, episode_start)
        gain = self._gain(p)
        actions = self._or_answer(p, gain.argmax(1))
        wanted = certain(actions, self.task.action_space)
        if self._temperature > 0:
            weights = np.exp((gain - gain.max(1, keepdims=True)) / self._temperature)
            looks = actions < p.shape[1]
            wanted[looks, : p.shape[1]] = (weights / weights.sum(1, keepdims=True))[looks]
        return wanted, self.belief.log

    def _gain(self, p: np.ndarray) -> np.ndarray:
        """Expected gain (N, K) of a fixation of each cell, given posteriors (N, K)."""
        gain: np.ndarray = p @ self._squares.T
        return gain


class IdealPolicy(_Searcher):
    """Fixate where the target will be named rightly with the largest probability after the next fixation (2005, eq. 2).

    P(right | k) = sum_i p_i E_w prod_{j != i} Phi((2 log(p_i / p_j) + d'_jk^2 + d'_ik^2 + 2 d'_ik w) / (2 d'_jk)), w
    standard normal, by Gauss-Hermite quadrature with 9 points, over the cells with p above 0.001.
    """

    def fixate(self, p: np.ndarray) -> np.ndarray:
        points, weights = np.polynomial.hermite_e.hermegauss(POINTS)
        out = np.empty(len(p), np.int64)
        _most_right(p, self.task.visibility.astype(np.float64), points, weights / weights.sum(), out)
        return out


@compiled
def _most_right(p: np.ndarray, d: np.ndarray, points: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for row in range(p.shape[0]):
        cells = np.flatnonzero(p[row] >= LEAST)
        log = np.log(p[row][cells])
        best = -1.0
        for k in range(p.shape[1]):
            right = 0.0
            for a in range(cells.shape[0]):
                right += math.exp(log[a]) * _right(a, cells, log, d[k], points, weights)
            if right > best + 1e-12:
                best = right
                out[row] = k


@compiled
def _right(a: int, cells: np.ndarray, log: np.ndarray, d: np.ndarray, points: np.ndarray, weights: np.ndarray) -> float:
    """Probability that cell number ``a`` is the most probable one after the fixation, if it holds the target."""
    own = d[cells[a]]
    total = 0.0
    for q in range(points.shape[0]):
        product = weights[q]
        for b in range(cells.shape[0]):
            if b != a:
                other = d[cells[b]]
                lead = 2.0 * (log[a] - log[b]) + other * other + own * own + 2.0 * own * points[q]
                if other > 0.0:
                    product *= 0.5 * math.erfc(-lead / (2.0 * math.sqrt(2.0) * other))
                elif lead < 0.0:
                    product = 0.0
                if product < NOTHING:
                    break
        total += product
    return total
