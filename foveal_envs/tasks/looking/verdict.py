"""What the tasks of recognition share: a saccade and class scores in one action, and what the scores earn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, flag, one_of, whole_number
from ...compiled import kernel
from ...fovea.fovea import FOVEA_LIMITS, Fovea, fovea_fields
from ...limits import NUMBER, Limits
from ...task import Observation
from .shared import Looking

if TYPE_CHECKING:
    from ...rendering import Canvas

REWARDS = ("dense", "final")
SHARPNESS = 5.0  # logit of a score of 1
RULES: list[tuple[Any, ...]] = [  # what kernels know of a verdict: part of a task's settings
    ("moves", np.int64),
    ("classes", np.int64),
    ("jumps", np.int64),  # components of the saccade, which stand before the scores
    ("dense", np.bool_),
    ("proprioception", np.int64),  # 0 or 2 numbers
]
VERDICT: list[tuple[Any, ...]] = [
    ("label", np.int64),
    ("answer", np.int64),  # class of the last scores, -1 before the first
    ("log_score", np.float64),
]


class Recognition(Looking):
    """Abstract: every action is a saccade and a score for each class; records have the fields of ``verdict_fields``.

    A subclass sets ``world``, ``limits`` and ``_settings``, and writes ``reset``, ``step`` and ``oracle``.

    Args:
        fovea: the fovea that looks.
        names: of the classes.
        reward: "dense": log softmax(5 scores)[label] / moves after every move; "final": 1 for the right class, once, at
            the last move.
        moves: length of an episode.
        proprioception: whether the gaze (x, y) stands behind the glimpse.

    Attributes:
        observed: numbers of an observation.
        rules: values of the fields of RULES, for ``record``.

    Raises:
        ValueError: an unknown name or impossible number.
    """

    def __init__(self, fovea: Fovea, names: tuple[str, ...], reward: str, moves: int, proprioception: bool) -> None:
        reward = one_of("reward", reward, REWARDS)
        moves = whole_number("moves", moves, 1, LONGEST)
        self.fovea, self.names, own = fovea, names, 2 if flag("proprioception", proprioception) else 0
        self.observed = fovea.values + own
        low = np.zeros(self.observed, np.float32)
        low[fovea.values :] = -1.0
        self.observation_space = gym.spaces.Box(low, np.ones_like(low), dtype=np.float32)
        self._jumps, self._moves = len(fovea.moves), moves
        self.action_space = gym.spaces.Box(-1.0, 1.0, (self._jumps + len(names),), np.float32)
        self.rules = {
            "moves": moves,
            "classes": len(names),
            "jumps": self._jumps,
            "dense": reward == "dense",
            "proprioception": own,
        }

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _show(worlds, rows, observation)

    def stored(self, worlds: np.ndarray) -> Observation | None:
        return worlds["glimpse"][:, : self.observed]

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """``is_success``: the last scores name the label; ``label``, ``answer`` and ``log_score``, each (R,)."""
        label, answer = worlds["label"][rows], worlds["answer"][rows]
        return {
            "is_success": label == answer,
            "label": label,
            "answer": answer,
            "log_score": worlds["log_score"][rows],
        }

    def targets(self, worlds: np.ndarray) -> np.ndarray | None:
        return None

    def aim(self, worlds: np.ndarray, places: np.ndarray, turns: float | np.ndarray = 0.0) -> np.ndarray:
        """Actions (N, ...) that look at places (N, 2) and score all classes alike; see `Task.aim`."""
        jumps = super().aim(worlds, places, turns)
        return np.concatenate([jumps, np.zeros((len(jumps), len(self.names)), np.float32)], axis=1)

    def say(self, actions: np.ndarray, labels: np.ndarray) -> np.ndarray:
        actions = actions.copy()
        actions[:, self._jumps :] = -1.0
        actions[np.arange(len(actions)), self._jumps + labels] = 1.0
        return actions

    def mark(self, w: np.void, canvas: Canvas) -> None:
        canvas.status("label", self.names[int(w["label"])])

    def tell(self, w: np.void, canvas: Canvas) -> None:
        canvas.status("glimpse", f"{w['moves'] + 1} / {self._moves}" if w["moves"] < self._moves else "over")
        if self.reveal:  # a person who plays has said nothing as long as all scores are the same
            canvas.status("answer", "–" if w["answer"] < 0 else self.names[int(w["answer"])])


def verdict_fields(observed: int) -> list[tuple[Any, ...]]:
    """Fields of a task of recognition's record: those of a fovea, and of a verdict."""
    return fovea_fields(observed) + VERDICT


def verdict_limits(classes: int) -> Limits:
    """Limits of ``verdict_fields``."""
    return {**FOVEA_LIMITS, "label": (0, classes - 1), "answer": (-1, classes - 1), "log_score": NUMBER}


@kernel
def begin_verdict(w: np.void, label: int) -> None:
    """Start an episode with its label and no answer."""
    w["label"] = label
    w["answer"] = -1
    w["log_score"] = 0.0


@kernel
def judge(w: np.void, actions: np.ndarray, i: int, settings: np.void) -> float:
    """What the scores of lane ``i`` earn at move ``w["moves"]``."""
    moves, classes, jumps = settings["moves"], settings["classes"], settings["jumps"]
    best = 0
    for c in range(classes):
        if _score(actions, i, jumps + c) > _score(actions, i, jumps + best):
            best = c
    most = _score(actions, i, jumps + best)
    total = 0.0
    for c in range(classes):
        total += math.exp(SHARPNESS * (_score(actions, i, jumps + c) - most))
    w["answer"] = best
    w["log_score"] = SHARPNESS * (_score(actions, i, jumps + w["label"]) - most) - math.log(total)
    if settings["dense"]:
        return float(w["log_score"] / moves)
    return 1.0 if w["moves"] == moves and best == w["label"] else 0.0


@kernel
def _score(actions: np.ndarray, i: int, c: int) -> float:
    return min(1.0, max(-1.0, float(actions[i, c])))


@kernel
def _show(worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray) -> None:
    """Copy the stored observations of the worlds of ``rows``."""
    for row in rows:
        glimpse = worlds[row]["glimpse"]
        for k in range(observation.shape[1]):
            observation[row, k] = glimpse[k]
