"""FlipFlop: say 1 the first time that B comes after an A (1990)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import is_list, one_of, real_number, require
from ...compiled import kernel, record
from ...task import Observation
from .shared import (
    FIRST,
    WANTED,
    Stream,
    answer,
    begin_stream,
    count,
    draw_tape,
    recall_limits,
    recall_record,
    show,
    shown,
    tape_size,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

A, B = 0, 1
EVENTS = ("A", "B", "C")
ANSWERS = ("choice", "real")
SETTINGS = np.dtype(  # length, probabilities, and the form of the answers
    [("moves", np.int64), ("a", np.float64), ("a_or_b", np.float64), ("real", np.bool_)]
)


class FlipFlop(Stream):
    """Watch a stream of events and say 1 the first time that B comes after an A, else 0.

    The flip-flop with unknown time lags of Schmidhuber (FKI-126-90, 1990; Neural Computation 4(1), 1992, there with
    fast weights). In every step one of the events A, B, C happens. After the 1 a new A is needed; any number of C's may
    lie between the two, and further A's change nothing. Nothing ever resets the memory inside the stream.

    ### Observation
    Box(0, 1, (3,)) float32: one-hot, the event of this step, A, B or C.

    ### Actions
    ``answers="choice"``: Discrete(2), the answer 0 or 1 to the event that was *just observed*; ``"real"``: Box(0, 1,
    (1,)), a number. Another event follows each answer; the one after the last answer needs none.

    ### Reward
    At each B 1 / n for the right answer and 0 for the wrong one, where n is the number of B's in the episode; at A and
    C, where 0 is right, -1 / n for a 1. A perfect episode returns 1. Half of the B's come after an A, so answering
    always 0 returns 0.5, and so does 1 at every B; no policy without memory does better. Counted over all events,
    always 0 would be right 5 times out of 6. With real answers the reward is minus the *pain* of 1990, in every step
    (answer - right one)^2, and nothing else; an answer counts as 1 above 0.5.

    ### Episode
    ``terminated`` after ``moves`` answers. Info: ``correct``, the share so far of right answers among the B's and the
    answers of 1 elsewhere (0 before the first), ``accuracy``, the share of right answers among all, and ``is_success``,
    True at the end if every answer was right. By ``correct`` the best memory scores 1, random answers 0.25, a policy
    without memory at most 0.5. Answers do not change what comes next, so every discount has the same best policy; 0.9
    will do.

    Args:
        probabilities: of A, B and C in every step. The papers draw one of the three at random.
        moves: length of the stream; in 1992 a network succeeded if it made no error in 100 steps in a row.
        answers: "choice", or "real" for the on-line form of 1990, whose only signal is a pain that has a gradient.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = tape_size(EVENTS)
    action_names = ("0", "1")

    def __init__(
        self, probabilities: Sequence[float] = (1 / 3, 1 / 3, 1 / 3), moves: int = 100, answers: str = "choice"
    ) -> None:
        rule = "three numbers that sum to 1, the first two above 0"
        require(is_list(probabilities) and len(probabilities) == 3, "probabilities", rule, probabilities)
        p = np.array([real_number("each of probabilities", one, 0.0, 1.0) for one in probabilities])
        require(bool(p[A] > 0 and p[B] > 0 and abs(p.sum() - 1.0) < 1e-6), "probabilities", rule, probabilities)
        super().__init__(moves)
        self._real = one_of("answers", answers, ANSWERS) == "real"
        self.world = recall_record(("armed", np.bool_))
        self.limits = recall_limits(2, 0, 1, 1, armed=(0, 1))
        self.observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32) if self._real else gym.spaces.Discrete(2)
        self._settings = record(SETTINGS, moves=self._moves, a=p[A], a_or_b=p[A] + p[B], real=self._real)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions.reshape(len(worlds)), self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        moves, wrong = worlds["moves"][rows], worlds["asked"][rows] - worlds["right"][rows]
        return {**super().info(worlds, rows), "accuracy": (moves - wrong) / np.maximum(moves, 1)}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """See `Stream.oracle`; real answers (N, 1) are 0 or 1."""
        wanted = super().oracle(worlds)
        return wanted.astype(np.float32)[:, None] if self._real else wanted

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        def tokens(event: int, _: int) -> list[str]:
            return ["." if event == i else "" for i in range(3)]

        draw_tape(canvas, worlds[row], EVENTS, tokens, self.action_names, reveal=self.reveal)


@kernel
def _event(key: np.uint64, move: int, a: float, a_or_b: float) -> int:
    """The event of a move, a pure function of the episode's key."""
    u = keys.uniform(key, move)
    return 0 if u < a else 1 if u < a_or_b else 2


@kernel
def _happen(w: np.void, a: float, a_or_b: float) -> None:
    """The event of the present move, and the answer that it wants."""
    event = _event(w["key"], w["moves"], a, a_or_b)
    show(w, event, 0, 1 if event == B and w["armed"] else 0)
    if event != 2:
        w["armed"] = event == A


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray) -> None:
    settings = all_settings[0]
    moves, a, a_or_b = settings["moves"], settings["a"], settings["a_or_b"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        questions = 0
        for move in range(moves):
            questions += _event(key, move, a, a_or_b) == B
        begin_stream(w, key, questions)
        w["armed"] = False
        _happen(w, a, a_or_b)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    moves, a, a_or_b = settings["moves"], settings["a"], settings["a_or_b"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            wanted, given = shown(w, WANTED), int(actions[i] > 0.5)
            right = given == wanted
            if shown(w, FIRST) == B:
                rewards[i] = count(w, right)
            elif not right:
                rewards[i] = count(w, False) - w["worth"]
            if settings["real"]:
                rewards[i] = -((min(1.0, max(0.0, float(actions[i]))) - wanted) ** 2)
            answer(w, given)
            _happen(w, a, a_or_b)
            terminated[i] = w["moves"] >= moves


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray) -> None:
    for row in rows:
        event = shown(worlds[row], FIRST)
        for k in range(3):
            observation[row, k] = event == k
