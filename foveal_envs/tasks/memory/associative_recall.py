"""AssociativeRecall: read key-value pairs, then give the value of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import LONGEST, flag, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import CAPACITIES
from ...task import Observation
from .shared import (
    FIRST,
    INK,
    LABEL,
    NOTHING,
    SECOND,
    WIDTH,
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

LABELS = ("key", "value")
LINE, PER_LINE, MOST_LINES = 24.0, 8, 16  # of the list of pairs in a picture: height, pixels; pairs; lines
LARGEST = 1024  # alphabet
KEY_STREAM, VALUE_STREAM, QUERY_STREAM = 1, 2, 3
SETTINGS = np.dtype(
    [
        ("pairs", np.int64),
        ("queries", np.int64),
        ("keys", np.int64),  # size of the alphabet
        ("values", np.int64),
        ("pool", np.int64),  # number of keys to draw from again and again; 0: each is drawn once
    ]
)


class AssociativeRecall(Stream):
    """Read pairs of a key and a value, one a step; then answer queries, keys without their values.

    Associative retrieval as in Ba, Hinton, Mnih, Leibo & Ionescu, "Using fast weights to attend to the recent past"
    (NIPS 2016; letters are keys, digits are values), and, with ``reused=True``, the update of bindings as in
    Schlag, Irie & Schmidhuber, "Linear transformers are secretly fast weight programmers" (ICML 2021): a
    later pair overwrites an earlier one of the same key. The number of pairs is the load of the memory.

    ### Observation
    Box(0, 1, (keys + values,)) float32: the key, one-hot, then the value, one-hot. The value is all zeros in a query.
    After the last answer all is zero.

    ### Actions
    Discrete(values): the value of the key. It counts when the observation just seen is a query, and does nothing else.

    ### Reward
    1 / queries for the right answer to a query, otherwise 0: the return is the share of right answers.

    ### Episode
    ``terminated`` after pairs + queries steps. Info: ``correct``, the share of right answers so far (0 before the
    first), and ``is_success``, True at the end if all were right. Perfect memory scores 1; random answers and every
    policy without memory score 1 / values; remembering the values but not their keys scores about 0.30 by default. Use
    a discount of 0.95.

    Args:
        pairs: shown in an episode.
        keys: size of the alphabet of keys. The keys of an episode are drawn without replacement.
        values: size of the alphabet of values, each drawn uniformly and independently.
        queries: asked in an episode, each for the key of a pair drawn uniformly; None: as many as pairs, so that one
            reading brings that much reinforcement and the share of right answers measures the whole memory.
        reused: draw each pair's key from only (pairs + 1) // 2 keys of the episode, with replacement; the last
            binding counts.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self, pairs: int = 8, keys: int = 26, values: int = 10, queries: int | None = None, reused: bool = False
    ) -> None:
        keys = whole_number("keys", keys, 1, LARGEST, "an alphabet")
        values = whole_number("values", values, 2, LARGEST, "an alphabet")
        reused = flag("reused", reused)
        pairs = whole_number("pairs", pairs, 1, 2 * keys if reused else keys, f"a number, as there are {keys} keys,")
        queries = pairs if queries is None else whole_number("queries", queries, 1, LONGEST // 2, "None or a number")
        super().__init__(pairs + queries)
        capacity = next(size for size in CAPACITIES if size >= keys)
        self.world = recall_record(("deck", np.int16, (capacity,)), ("bound", np.int16, (capacity,)))
        key, value = keys - 1, values - 1
        self.limits = recall_limits(key, value, value, value, deck=(0, key), bound=(0, value))
        self.observation_space = gym.spaces.Box(0.0, 1.0, (keys + values,), np.float32)
        self.action_space = gym.spaces.Discrete(values)
        self._keys, self._values, self._pairs = keys, values, pairs
        self._letters = [chr(ord("A") + i) if keys <= 26 else str(i) for i in range(keys)]
        self.action_names = tuple(map(str, range(values)))
        self.render_size = tape_size(LABELS, LINE * len(self._lines(pairs)))
        pool = (pairs + 1) // 2 if reused else 0
        self._settings = record(SETTINGS, pairs=pairs, queries=queries, keys=keys, values=values, pool=pool)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self._keys, observation)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w, digits = worlds[row], self.action_names

        def tokens(key: int, value: int) -> tuple[str, str]:
            return ("", "") if key == NOTHING else (self._letters[key], "?" if value == NOTHING else digits[value])

        lines = self._lines(min(int(w["moves"]) + 1, self._pairs))
        if self.reveal:
            canvas.text("pairs", LABEL - 12.0, 0.5 * LINE, INK, 14.0, "right")
            for i, line in enumerate(lines):
                for j, pair in enumerate(line):
                    key = _key_of(w, pair, int(self._settings["pool"][0]))
                    text = f"{self._letters[key]} {digits[w['bound'][key]]}"
                    canvas.text(text, LABEL + (j + 0.5) * (WIDTH - LABEL) / PER_LINE, (i + 0.5) * LINE, INK, 15.0)
        draw_tape(canvas, w, LABELS, tokens, digits, LINE * len(self._lines(self._pairs)), self.reveal)

    def _lines(self, shown: int) -> list[range]:
        """Numbers of the last pairs shown, line by line."""
        first = max(0, shown - PER_LINE * MOST_LINES)
        return [range(start, min(start + PER_LINE, shown)) for start in range(first, shown, PER_LINE)]


@kernel
def _key_of(w: np.void, pair: int, pool: int) -> int:
    """The key of a pair of the episode."""
    card = keys.below(keys.split(w["key"], KEY_STREAM), LARGEST + pair, pool) if pool else pair
    return int(w["deck"][card])


@kernel
def _next(w: np.void, settings: np.void) -> None:
    """Show the next pair or query, or nothing after the last."""
    pairs, queries, pool, move = settings["pairs"], settings["queries"], settings["pool"], w["moves"]
    if move < pairs:
        key = _key_of(w, move, pool)
        value = keys.below(keys.split(w["key"], VALUE_STREAM), move, settings["values"])
        w["bound"][key] = value
        show(w, key, value, NOTHING)
    elif move < pairs + queries:
        key = _key_of(w, keys.below(keys.split(w["key"], QUERY_STREAM), move, pairs), pool)
        show(w, key, NOTHING, w["bound"][key])
    else:
        show(w, NOTHING, NOTHING, NOTHING)


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray) -> None:
    settings = all_settings[0]
    alphabet, pool = settings["keys"], settings["pool"]
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        begin_stream(w, key, settings["queries"])
        deck, shuffle = w["deck"], keys.split(key, KEY_STREAM)
        for n in range(alphabet):
            deck[n] = n
        for n in range(pool if pool else settings["pairs"]):
            other = n + keys.below(shuffle, n, alphabet - n)
            card = deck[n]
            deck[n] = deck[other]
            deck[other] = card
        _next(w, settings)


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
            _next(w, settings)
            terminated[i] = w["moves"] >= settings["pairs"] + settings["queries"]


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, alphabet: int, observation: np.ndarray) -> None:
    for row in rows:
        w = worlds[row]
        for k in range(observation.shape[1]):
            observation[row, k] = 0.0
        key, value = shown(w, FIRST), shown(w, SECOND)
        if key != NOTHING:
            observation[row, key] = 1.0
        if value != NOTHING:
            observation[row, alphabet + value] = 1.0
