"""GridSearch: a hidden target, noisy responses, sharp only where one looks; the ideal searcher is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import LONGEST, one_of, real_number, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import CAPACITIES, TRAIL
from ...limits import COUNT, KEY, NUMBER
from ...task import Observation, Task

if TYPE_CHECKING:
    from ...rendering import Canvas

LARGEST = 32  # cells along a side
FALLOFFS = ("gaussian", "lorentzian", "hyperbolic", "window")
STOPS = ("posterior", "answer")
VIEWS = ("evidence", "posterior")
REWARDS = ("sparse", "dense")
FAINTEST = 0.02  # d' below which a cell tells nothing
FLOOR = -50.0  # of a log posterior shown
RESPONSE_STREAM = 1
SETTINGS = np.dtype(
    [
        ("n", np.int64),
        ("threshold", np.float64),
        ("cost", np.float64),
        ("moves", np.int64),
        ("answers", np.bool_),  # whether an answer ends the search
        ("dense", np.bool_),  # whether what a fixation tells is paid
    ]
)
GRID, TARGET, BELIEF = "#dde3e7", "#00a676", "#1e88e5"


class GridSearch(Task):
    """Find the target in noise by looking where it pays: a search task whose ideal searcher is known.

    Najemnik & Geisler, "Optimal eye movement strategies in visual search" (Nature 434, 2005) and "Simple summation rule
    for optimal fixation selection in visual search" (Vision Research 49, 2009), on a square grid. The target is in one
    of n x n cells, all equally likely. A fixation of cell k draws W_ik ~ N(1/2 or -1/2, 1 / d'_ik^2) for each cell i,
    with +1/2 for the target. Visibility falls with the distance e in cells: d'_ik = d_prime exp(-e^2 / (2 e2^2)). The
    posterior follows from log p_i += d'_ik^2 W_ik. The search begins in the middle cell.

    ### Observation
    Box float32 (n * n + 2,): the *evidence* d'_ik^2 W_ik of every cell, row by row, then the gaze (x, y) in [-1, 1].
    The evidence summed over the fixations is the log posterior, so a policy with memory can know all that the ideal
    searcher knows. Evidence is clipped at 6 standard deviations, and a cell with d' below 0.02 gives none.
    ``view="posterior"`` shows the log posterior (at least -50) instead of the evidence: no memory is needed.

    ### Actions
    Discrete(n * n): the cell to fixate next. With ``stop="answer"`` Discrete(2 n * n): action n * n + i answers that
    the target is in cell i, and ends the episode.

    ### Reward
    ``sparse``: -``cost`` for every fixation after the first, and 1 at the end if the target was named: by the answer,
    or as the most probable cell where the posterior stops the search. ``dense`` adds the change of log_K p(target),
    where K is the number of cells. Over an episode these changes sum to less than 1 whatever the policy, so the best
    policy stays the same (Ng, Harada & Russell, ICML 1999), but each fixation is paid for what it revealed.

    ### Episode
    ``terminated`` when the posterior of a cell has reached ``threshold`` (``stop="posterior"``; the observer that adds
    up the evidence is part of the task, and only the gaze is learned), at an answer, or after ``moves`` moves. Where
    the first fixation is enough, the first step ends the episode without another one. Info: ``is_success``,
    ``fixations``, the first included, ``posterior`` of the most probable cell, and ``distance``, cells between gaze and
    target. Fixations to a posterior of 0.95 by raster, random, MAP and ELM: 35.6, 23.2, 10.1, 9.3 (reference figures:
    35.8, 23.0, 9.9, 9.0); with ``e2=3`` 17.2, 7.2, 4.6, 4.5 (17.2, 7.2, 4.5, 4.4); with ``n=16, e2=2`` 107.7, 45.1,
    19.2, 16.7 (109, 47, 18.9, 16.5). The mean return is -0.13 for random fixations and 0.57 for ELM; the threshold 0.52
    corresponds to 1.1 times ELM's fixations. Use a discount of 1; the horizon is about 10 fixations.

    ### Tiling bound
    With ``falloff="window"`` and ``d_prime=10`` a fixation shows without noise whether the target is among the w cells
    of its window. After j fixations at most j w of the K = n * n cells are known, and so is a single remaining cell.
    Hence no searcher needs fewer fixations on average than sum_{j >= 0, j w < K - 1} (1 - j w / K): (m + 1) / 2 for m =
    K / w windows of more than one cell, (K - 1) (K + 2) / (2 K) for single cells. Where windows tile the grid around
    the middle one, ELM reaches the bound: ``e2=1.5``, windows of 3 x 3, 5 fixations; ``e2=0.5``, 41.0.

    Args:
        n: cells along a side, 2 to 32.
        d_prime: visibility at the centre of the gaze.
        e2: width of the falloff, cells.
        falloff: "gaussian"; "lorentzian" 1 / (1 + (e / e2)^2); "hyperbolic" e2 / (e2 + e);
            "window" 1 up to e2, and 0 beyond.
        stop: "posterior" or "answer".
        threshold: posterior at which the search stops, and the references answer.
        cost: of a fixation.
        reward: "sparse" or "dense".
        moves: longest search.
        view: "evidence" or "posterior".

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    steers_gaze = True

    def __init__(
        self,
        n: int = 9,
        d_prime: float = 3.0,
        e2: float = 1.5,
        falloff: str = "gaussian",
        stop: str = "posterior",
        threshold: float = 0.95,
        cost: float = 0.05,
        reward: str = "sparse",
        moves: int = 200,
        view: str = "evidence",
    ) -> None:
        n = whole_number("n", n, 2, LARGEST, "a number of cells")
        d_prime = real_number("d_prime", d_prime, 0.0, 10.0, above=True)
        e2 = real_number("e2", e2, 0.01, 1000.0, "a number of cells")
        falloff = one_of("falloff", falloff, FALLOFFS)
        stop = one_of("stop", stop, STOPS)
        threshold = real_number("threshold", threshold, 0.0, 1.0, "a probability", above=True, below=True)
        cost = real_number("cost", cost, 0.0, 1000.0)
        reward = one_of("reward", reward, REWARDS)
        moves = whole_number("moves", moves, 1, LONGEST)
        view = one_of("view", view, VIEWS)
        cells = n * n
        self.n, self.threshold, self.view = n, threshold, view
        self.answers = stop == "answer"
        self.columns = n
        self.visibility = visibility(n, d_prime, e2, falloff)
        capacity = next(size for size in CAPACITIES if size >= cells)
        self.world = np.dtype(
            [
                ("key", np.uint64),
                ("moves", np.int64),
                ("target", np.int64),
                ("answer", np.int64),
                ("over", np.bool_),
                ("posterior", np.float64),  # of the most probable cell
                ("gaze", np.float64, (3,)),  # middle of the fixated cell, in cells
                ("trail", np.float32, (TRAIL, 3)),
                ("evidence", np.float32, (capacity,)),
                ("belief", np.float64, (capacity,)),  # log posterior, largest 0
            ]
        )
        cell, place = (0, cells - 1), (0.0, float(n))
        self.limits = {
            "key": KEY, "moves": COUNT, "target": cell, "answer": cell, "over": (0, 1), "posterior": (0.0, 1.0),
            "gaze": place, "trail": place, "evidence": NUMBER, "belief": (NUMBER[0], 0.0),
        }  # fmt: skip
        most = 0.5 * d_prime**2 + 6.0 * d_prime
        low, high = (-most, most) if view == "evidence" else (FLOOR, 0.0)
        lows, highs = np.full(cells + 2, low, np.float32), np.full(cells + 2, high, np.float32)
        lows[cells:], highs[cells:] = -1.0, 1.0
        self.observation_space = gym.spaces.Box(lows, highs, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2 * cells if self.answers else cells)
        self.render_size = (float(n), float(n))
        self._settings = record(
            SETTINGS, n=n, threshold=threshold, cost=cost, moves=moves, answers=self.answers, dense=reward == "dense"
        )

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings, self.visibility)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, self.visibility, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self.n, self.view == "evidence", observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        some = worlds[rows]
        column, line = some["target"] % self.n + 0.5, some["target"] // self.n + 0.5
        return {
            "is_success": some["over"] & (some["answer"] == some["target"]),
            "fixations": some["moves"] + 1,
            "posterior": some["posterior"].copy(),
            "distance": np.hypot(some["gaze"][:, 0] - column, some["gaze"][:, 1] - line),
        }

    def targets(self, worlds: np.ndarray) -> np.ndarray | None:
        return np.stack([worlds["target"] % self.n + 0.5, worlds["target"] // self.n + 0.5], axis=1)

    def aim(self, worlds: np.ndarray, places: np.ndarray, turns: float | np.ndarray = 0.0) -> np.ndarray:
        """Actions (N,) that fixate the cells at ``places`` (N, 2), in cells."""
        cell = np.clip(np.floor(places), 0, self.n - 1).astype(np.int64)
        actions: np.ndarray = cell[:, 1] * self.n + cell[:, 0]
        return actions

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Fixate the target, or name it at once where answers are allowed."""
        oracle: np.ndarray = worlds["target"] + (self.n * self.n if self.answers else 0)
        return oracle

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        n, w = self.n, worlds[row]
        canvas.fill("white")
        belief = np.exp(w["belief"][: n * n])
        belief /= belief.sum()
        for i in range(n * n):
            x, y = i % n, i // n
            grey = round(255 * (1.0 - min(1.0, max(0.0, float(w["evidence"][i]) / 8.0))))
            canvas.polygon([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)], (grey, grey, grey))
        for i in range(1, n):
            canvas.line([(i, 0), (i, n)], GRID, 1.0)
            canvas.line([(0, i), (n, i)], GRID, 1.0)
        for i in np.flatnonzero(belief > 0.002).tolist():
            canvas.circle(i % n + 0.5, i // n + 0.5, 0.46 * math.sqrt(belief[i]), BELIEF + "b0")
        x, y = int(w["target"]) % n, int(w["target"]) // n
        if self.reveal:
            canvas.polygon([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)], TARGET, 3.0)
        canvas.scanpath(w["trail"], int(w["moves"]))
        canvas.status("fixations", str(int(w["moves"]) + 1))
        canvas.status("posterior", f"{w['posterior']:.3f}")
        if w["over"]:
            canvas.status("found", "yes" if w["answer"] == w["target"] else "no")


def visibility(n: int, d_prime: float, e2: float, falloff: str) -> np.ndarray:
    """d' (K, K) float32 of every cell, second axis, from every fixation, first axis; 0 where it is below 0.02."""
    line, column = np.divmod(np.arange(n * n), n)
    e = np.hypot(line[:, None] - line, column[:, None] - column)
    shape = {
        "gaussian": np.exp(-0.5 * (e / e2) ** 2),
        "lorentzian": 1.0 / (1.0 + (e / e2) ** 2),
        "hyperbolic": e2 / (e2 + e),
        "window": e <= e2,
    }[falloff]
    d = d_prime * shape
    return np.where(d < FAINTEST, 0.0, d).astype(np.float32)


@kernel
def _fixate(w: np.void, cell: int, n: int, visibility: np.ndarray) -> None:
    """Look at a cell: its evidence, and the posterior."""
    gaze, trail, evidence, belief = w["gaze"], w["trail"], w["evidence"], w["belief"]
    gaze[0] = cell % n + 0.5
    gaze[1] = cell // n + 0.5
    for axis in range(3):
        trail[w["moves"] % TRAIL, axis] = gaze[axis]
    stream, cells, d_prime, target = keys.split(w["key"], RESPONSE_STREAM), n * n, visibility[cell], w["target"]
    most = -np.inf
    for i in range(cells):
        d = float(d_prime[i])
        told = 0.0
        if d > 0.0:
            noise = min(6.0, max(-6.0, keys.normal(stream, w["moves"] * cells + i)))
            told = (0.5 if i == target else -0.5) * d * d + d * noise
        evidence[i] = told
        belief[i] += evidence[i]
        if belief[i] > most:
            most = belief[i]
            w["answer"] = i
    total = 0.0
    for i in range(cells):
        belief[i] -= most
        if belief[i] > FLOOR:
            total += math.exp(belief[i])
    w["posterior"] = 1.0 / total


@kernel
def _log_share(w: np.void) -> float:
    """Log posterior of the target."""
    return float(w["belief"][w["target"]] + math.log(w["posterior"]))


@kernel
def _reset(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray, visibility: np.ndarray
) -> None:
    n = all_settings[0]["n"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        w["key"] = key
        w["moves"] = 0
        w["over"] = False
        w["target"] = keys.below(key, 0, n * n)
        w["gaze"][2] = 0.0
        belief, evidence = w["belief"], w["evidence"]
        for i in range(belief.shape[0]):
            belief[i] = 0.0
            evidence[i] = 0.0
        _fixate(w, n // 2 * n + n // 2, n, visibility)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    visibility: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    n, threshold, answers = settings["n"], settings["threshold"], settings["answers"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            if actions[i] >= n * n:
                w["answer"] = actions[i] - n * n
                w["over"] = True
            elif answers or w["posterior"] < threshold:
                w["moves"] += 1
                before = _log_share(w)
                _fixate(w, actions[i], n, visibility)
                told = (_log_share(w) - before) / math.log(n * n) if settings["dense"] else 0.0
                rewards[i] = told - settings["cost"]
                w["over"] = w["moves"] >= settings["moves"]
            if not answers and w["posterior"] >= threshold:
                w["over"] = True
            if w["over"]:
                terminated[i] = True
                rewards[i] += w["answer"] == w["target"] and (not answers or actions[i] >= n * n)


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, n: int, evidence: bool, observation: np.ndarray) -> None:
    for row in rows:
        w, out = worlds[row], observation[row]
        for i in range(n * n):
            out[i] = w["evidence"][i] if evidence else max(FLOOR, w["belief"][i])
        out[n * n] = 2.0 * w["gaze"][0] / n - 1.0
        out[n * n + 1] = 2.0 * w["gaze"][1] / n - 1.0
