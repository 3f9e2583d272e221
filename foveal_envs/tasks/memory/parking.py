"""Parking: remember in which slot the car was parked, among distractors (1991)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import real_number
from ...compiled import kernel, record
from ...task import Observation
from .shared import (
    FIRST,
    NOTHING,
    Stream,
    answer_question,
    begin_stream,
    draw_tape,
    recall_limits,
    recall_record,
    show,
    shown,
    tape_size,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

SLOTS, UNITS = 3, 7
QUERY = 64  # the bit of the last unit
DRIVING = -1
SETTINGS = np.dtype([("moves", np.int64), *((name, np.float64) for name in ("stop", "finish", "query"))])
LABELS = ("slot 1", "slot 2", "slot 3", "noise", "noise", "noise", "where?")
STREET = 120.0  # height of the picture of car and slots, pixels


class Parking(Stream):
    """Remember where the car is parked: a variable that is bound for a while, then bound anew.

    An experiment of Schmidhuber, "Learning to control fast-weight memories" (Neural Computation 4(1), 1992;
    FKI-147-91): temporary variable binding. While driving, the car is parked with probability 0.25 in every step, in
    one of three slots; only in that step does the slot's detector fire. While it is parked, business is finished with
    probability 0.25 in every step; the car then drives on, unseen. Now and then somebody asks where it is.

    ### Observation
    Box(0, 1, (7,)) float32, each 0 or 1: three slot detectors, three random distractor bits, new in every step, and the
    query "where is my car?". A query comes only while the car stands there, at the earliest one step after the
    detector fired.

    ### Actions
    Discrete(3): the slot. It counts when the observation just seen is a query, and does nothing else.

    ### Reward
    1 / n for the right answer to a query, where n is the number of queries in the episode; otherwise 0. The return is
    the share of queries answered rightly (0 in an episode without a query).

    ### Episode
    ``terminated`` after ``moves`` steps, with about 18 queries by default. Info: ``correct``, the share of right
    answers so far (0 before the first query), and ``is_success``, True at the end if all were right. Perfect memory
    scores 1; random answers and every policy without memory score 1/3. Use a discount of 0.9: a binding lasts 4 steps
    on average.

    Args:
        moves: length of an episode.
        stop: probability that the driving car is parked, a step.
        finish: probability that the parked car drives on, a step.
        query: probability of a query in a step in which the car stays parked; the paper says "at random times".

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    render_size = tape_size(LABELS, STREET)
    action_names = ("1", "2", "3")

    def __init__(self, moves: int = 100, stop: float = 0.25, finish: float = 0.25, query: float = 0.5) -> None:
        super().__init__(moves)
        given = {"stop": stop, "finish": finish, "query": query}
        chances = {name: real_number(name, p, 0.0, 1.0, "a probability", above=True) for name, p in given.items()}
        self.world = recall_record(("slot", np.int64))
        last = SLOTS - 1
        self.limits = recall_limits((1 << UNITS) - 1, 0, last, last, slot=(DRIVING, last))
        self.observation_space = gym.spaces.Box(0.0, 1.0, (UNITS,), np.float32)
        self.action_space = gym.spaces.Discrete(SLOTS)
        self._settings = record(SETTINGS, moves=self._moves, **chances)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, observation)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        _draw_street(canvas, int(w["slot"]) if self.reveal else DRIVING)
        draw_tape(canvas, w, LABELS, _tokens, self.action_names, STREET, self.reveal)


def _tokens(units: int, _: int) -> list[str]:
    """A disc for every unit that is on."""
    return ["." if units >> k & 1 else "" for k in range(UNITS)]


def _draw_street(canvas: Canvas, slot: int) -> None:
    """Three slots along a street, and the car in its slot or on the street."""
    canvas.polygon([(0, 74), (512, 74), (512, STREET), (0, STREET)], "#eceff1")
    for i in range(SLOTS):
        left = 136.0 + 80.0 * i
        canvas.line([(left, 74), (left, 12), (left + 80, 12), (left + 80, 74)], "#90a4ae", 2.0)
        canvas.text(str(i + 1), left + 14, 26, "#90a4ae", 16.0)
    x, y = (176.0 + 80.0 * slot, 46.0) if slot != DRIVING else (48.0, 97.0)
    half, tall = (15.0, 21.0) if slot != DRIVING else (24.0, 14.0)
    body = [(x - half, y - tall), (x + half, y - tall), (x + half, y + tall), (x - half, y + tall)]
    roof = [(x + 0.6 * (a - x), y + 0.6 * (b - y)) for a, b in body]
    canvas.polygon(body, "#1e88e5")
    canvas.polygon(roof, "#bbdefb")


@kernel
def _happen(w: np.void, settings: np.void) -> bool:
    """One step of car, distractors and query, drawn from key and move; whether there is a query."""
    key, draw = w["key"], 4 * w["moves"]
    units = keys.below(key, draw, 8) << SLOTS
    chance = keys.uniform(key, draw + 1)
    wanted = NOTHING
    if w["slot"] == DRIVING:
        if chance < settings["stop"]:
            w["slot"] = keys.below(key, draw + 2, SLOTS)
            units |= 1 << w["slot"]
    elif chance < settings["finish"]:
        w["slot"] = DRIVING
    elif keys.uniform(key, draw + 2) < settings["query"]:
        units |= QUERY
        wanted = w["slot"]
    show(w, units, 0, wanted)
    return wanted != NOTHING


@kernel
def _begin(w: np.void, key: np.uint64, questions: int, settings: np.void) -> bool:
    begin_stream(w, key, questions)
    w["slot"] = DRIVING
    return _happen(w, settings)


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray) -> None:
    """Begin twice, because the worth of an answer depends on how many queries the stream holds."""
    settings = all_settings[0]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        questions = int(_begin(w, key, 0, settings))
        for _ in range(settings["moves"] - 1):
            w["moves"] += 1
            questions += _happen(w, settings)
        _begin(w, key, questions, settings)


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
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            rewards[i] = answer_question(w, actions[i])
            _happen(w, settings)
            terminated[i] = w["moves"] >= settings["moves"]


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray) -> None:
    for row in rows:
        units = shown(worlds[row], FIRST)
        for k in range(UNITS):
            observation[row, k] = units >> k & 1
