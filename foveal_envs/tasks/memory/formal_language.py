"""FormalLanguage: read a string symbol by symbol, and keep the state, count or stack that its language needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, one_of, require, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import CAPACITIES
from ...task import Observation
from .languages import GROUP, SETTINGS, STACK, begin, counted, cyclic, nested, read, symmetric
from .shared import (
    FIRST,
    NOTHING,
    WANTED,
    Stream,
    answer_question,
    draw_tape,
    recall_limits,
    recall_record,
    shown,
    tape_size,
)

if TYPE_CHECKING:
    from ...rendering import Canvas

LANGUAGES = ("parity", "modular_sum", "dyck", "anbn", "permutations")
SYMBOLS = ("all", "generators")
LARGEST, DEEPEST = 128, 1024  # alphabet; stack


class FormalLanguage(Stream):
    """Read a string of a formal language, one symbol a step, and say after each what its machine would know by now.

    Every language needs another kind of memory. Strings can be made longer and deeper than in training: an agent that
    has learned the rule still answers, one that has learned an approximation fails.

    | ``language`` | needs | symbols | question |
    |---|---|---|---|
    | ``"parity"`` | one bit | 0, 1 | is the number of ones so far odd? |
    | ``"modular_sum"`` | a cyclic group | digits below ``modulus`` | what is the sum so far, modulo ``modulus``? |
    | ``"permutations"`` | a group that does not commute | permutations | what are all so far, composed? |
    | ``"anbn"`` | a counter | a, b | may the string end here? |
    | ``"dyck"`` | a stack | brackets of several kinds | which bracket may be closed now, if any? |

    *Parity* is a regular task of Delétang et al., "Neural networks and the Chomsky hierarchy" (ICLR 2023), and *modular
    sum* their modular arithmetic with additions alone. *Permutations* is the word problem of S_3, S_4 or S_5, of which
    the last is not solvable: Merrill, Petty & Sabharwal, "The illusion of state in state-space models" (ICML 2024);
    Siems et al., "DeltaProduct" (2025). Symbols of these three are drawn uniformly. If all permutations are symbols,
    all answers are equally frequent.

    *anbn* is the stream of Gers & Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive
    languages" (IEEE Transactions on Neural Networks 12(6), 2001): one string of n a's and n b's after another, each n
    uniform in 1 ... ``depth``. They predict which symbols may follow. That is plain after an a, and after most b's it
    is another b, so only the hard cases are asked here: the last b, after which the string may end, and the b before
    it, after which it may not.

    *dyck* is Dyck-(k, m) of Hewitt et al., "RNNs can generate bounded hierarchical languages with optimal memory"
    (EMNLP 2020), k = ``brackets``, m = ``depth``: name the top of the stack. The kind of each bracket that opens is
    drawn uniformly. The string goes straight to a depth drawn uniformly from 0 ... ``depth``, then to another one, so
    that it is soon deep in the stack. (If every bracket opened or closed at random, depth m would take about m^2
    steps.) After an opening bracket the answer is on show, so only closing brackets are asked about.

    ### Observation
    Box(0, 1, (symbols,)) float32: one-hot, the symbol of this step. Opening brackets come before closing ones. After
    the last answer all is zero.

    ### Actions
    Discrete(answers): the answer to the string up to and including the symbol just observed. It does nothing else.
    parity: 0, 1. modular_sum: the sum. anbn: 0, it may not end; 1, it may. dyck: the kind of the bracket, or
    ``brackets`` if none is open. permutations: the index of the result in lexicographic order. The permutation 231
    brings the first thing to place 2, the second to 3 and the third to 1; a later symbol moves what lies at a place
    after the earlier ones. So 213 followed by 231 is 321, not 132.

    ### Reward
    1 / n for the right answer to a question, where n is the number of questions in the episode; otherwise 0. The return
    is the share of right answers.

    ### Episode
    ``terminated`` after ``length`` answers; beyond 1,000, raise ``max_episode_steps`` too. Info: ``correct``, the share
    of right answers so far (0 before the first), and ``is_success``, True at the end if all were right. The machine
    itself scores 1, random answers 1 / answers. Without memory, no policy does better in the groups, apart from the
    first steps. In anbn it reaches depth / (2 depth - 1), by default 0.53. In dyck it reaches the larger of p and
    (1 - p) / brackets, by default 0.47; p = 6 / ((depth + 1) (depth + 2)) is the share of empty stacks in a long
    string. Answers do not change what comes next, so every discount has the same best policy; 0 will do.

    Args:
        language: "parity", "modular_sum", "dyck", "anbn" or "permutations". Each keyword after ``length`` is for the
            languages that it names; the others ignore it.
        length: number of symbols; in anbn and dyck the string may stop in the middle.
        modulus: of modular_sum, 2 ... 128.
        brackets: of dyck, number of kinds, 1 ... 64.
        depth: 2 ... 1024; of dyck, the most brackets that are open at once; of anbn, the largest n. The length must be
            at least depth + 1 in dyck and 2 depth - 1 in anbn, so that every string asks something.
        elements: of permutations, 3, 4 or 5.
        symbols: of permutations, "all" of them; or "generators", the swap of the first two things and the cycle that
            moves each to the next place. With these two and 4 elements, the parity of the step tells half of the
            answers apart.

    Raises:
        ValueError: an impossible keyword; the message names the allowed values.
    """

    def __init__(
        self,
        language: str = "parity",
        length: int = 40,
        modulus: int = 5,
        brackets: int = 2,
        depth: int = 8,
        elements: int = 5,
        symbols: str = "all",
    ) -> None:
        super().__init__(whole_number("length", length, 1, LONGEST))
        name = one_of("language", language, LANGUAGES)
        modulus = whole_number("modulus", modulus, 2, LARGEST)
        brackets = whole_number("brackets", brackets, 1, LARGEST // 2, "a number of kinds")
        depth = whole_number("depth", depth, 2, DEEPEST)
        elements, symbols = one_of("elements", elements, (3, 4, 5)), one_of("symbols", symbols, SYMBOLS)
        needed = {"dyck": depth + 1, "anbn": 2 * depth - 1}.get(name, 1)
        if length < needed:
            raise ValueError(
                f"length must be at least {needed}, not {length}; raise length or lower depth: with depth={depth}, a "
                f"shorter string of {name} may ask nothing"
            )
        if name == "permutations":
            self._language = symmetric(elements, symbols)
        elif name in ("parity", "modular_sum"):
            self._language = cyclic(2 if name == "parity" else modulus)
        else:
            self._language = nested(brackets) if name == "dyck" else counted()
        need, tokens, answers, self._table = self._language
        capacity = 1 if need != STACK else next(size for size in CAPACITIES if size >= depth)
        self.world = recall_record(("state", np.int64), ("target", np.int64), ("stack", np.int16, (capacity,)))
        last = len(answers) - 1
        self.limits = recall_limits(
            len(tokens) - 1, depth, last, last,
            state=(0, (len(self._table) - 1, depth, 2 * depth)[need]), target=(0, depth), stack=(0, brackets - 1),
        )  # fmt: skip
        self.observation_space = gym.spaces.Box(0.0, 1.0, (len(tokens),), np.float32)
        self.action_space = gym.spaces.Discrete(len(answers))
        self.action_names = tuple(map(str, range(len(answers))))
        self._labels = ("symbol",) if need == GROUP else ("symbol", "open")
        self.render_size = tape_size(self._labels)
        self._settings = record(
            SETTINGS, need=need, length=self._moves, symbols=len(tokens), brackets=brackets, depth=depth
        )

    def strings(self, keys: Any) -> tuple[np.ndarray, np.ndarray]:
        """Whole strings at once, for supervised learning: those of the episodes with these keys.

        Args:
            keys: (B,) uint64, one a string.

        Returns:
            Symbols and right answers, each (T, B) int64, where T is ``length``; -1 where nothing is asked.

        Raises:
            ValueError: keys of another kind or shape.
        """
        good = isinstance(keys, np.ndarray) and keys.dtype == np.uint64 and keys.ndim == 1
        require(good, "keys", "an array (B,) of uint64", keys)
        symbols, answers = np.empty((2, self._moves, len(keys)), np.int64)
        _read_all(np.zeros(1, self.world), keys, self._settings, self._table, symbols, answers)
        return symbols, answers

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings, self._table)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, self._table, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, observation)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        def tokens(symbol: int, still_open: int) -> list[str]:
            if symbol == NOTHING:
                return [""] * len(self._labels)
            return [self._language.symbols[symbol], str(still_open) if self.reveal else ""][: len(self._labels)]

        draw_tape(canvas, worlds[row], self._labels, tokens, self._language.answers, reveal=self.reveal)


@kernel
def _read_all(
    worlds: np.ndarray,
    all_keys: np.ndarray,
    all_settings: np.ndarray,
    table: np.ndarray,
    symbols: np.ndarray,
    answers: np.ndarray,
) -> None:
    settings, w = all_settings[0], worlds[0]
    for column in range(all_keys.shape[0]):
        begin(w, all_keys[column], 0)
        for move in range(symbols.shape[0]):
            read(w, settings, table)
            symbols[move, column] = shown(w, FIRST)
            answers[move, column] = shown(w, WANTED)
            w["moves"] += 1


@kernel
def _reset(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray, table: np.ndarray
) -> None:
    settings = all_settings[0]
    for row in rows:
        w, key, questions = worlds[row], episode_keys[row], 0
        begin(w, key, 0)
        for _ in range(settings["length"]):
            read(w, settings, table)
            questions += shown(w, WANTED) != NOTHING
            w["moves"] += 1
        begin(w, key, questions)
        read(w, settings, table)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    table: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            rewards[i] = answer_question(w, actions[i])
            read(w, settings, table)
            terminated[i] = w["moves"] >= settings["length"]


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, observation: np.ndarray) -> None:
    for row in rows:
        for k in range(observation.shape[1]):
            observation[row, k] = 0.0
        symbol = shown(worlds[row], FIRST)
        if symbol != NOTHING:
            observation[row, symbol] = 1.0
