"""What the streams of memory share: the record, questions and answers, the measures, and the tape that shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checks import LONGEST, whole_number
from ...compiled import kernel
from ...limits import COUNT, KEY, Limits
from ...task import Task

if TYPE_CHECKING:
    from ...rendering import Canvas

TRAIL = 16  # moves remembered for drawing
FIRST, SECOND, WANTED, ANSWER = range(4)  # columns of the trail
NOTHING = -1
WIDTH, ROW, LABEL = 512.0, 34.0, 84.0  # of the tape, pixels
INK, SOFT, EDGE, NOW, RIGHT, WRONG = "#263238", "#78909c", "#dde3e7", "#e3f2fd", "#00a676", "#e53935"
Tokens = Callable[[int, int], Sequence[str]]


def recall_record(*more: tuple[Any, ...]) -> np.dtype[Any]:
    """The record of a stream of cues and answers, and further fields of its task.

    ``trail`` holds the last moves, move m at m % TRAIL: two numbers that say what is shown, the wanted answer (NOTHING:
    no question) and the given one. ``worth`` is what one right answer pays, ``asked`` and ``right`` count questions.
    """
    fields: list[tuple[Any, ...]] = [
        ("key", np.uint64),
        ("moves", np.int64),
        ("asked", np.int64),
        ("right", np.int64),
        ("worth", np.float64),
        ("trail", np.int16, (TRAIL, 4)),
    ]
    return np.dtype(fields + list(more))


def recall_limits(*largest: int, **more: Any) -> Limits:
    """Limits of a ``recall_record`` with the largest number of each column of its trail, and of further fields."""
    counts = dict.fromkeys(("moves", "asked", "right"), COUNT)
    return {"key": KEY, **counts, "worth": (0.0, 1.0), "trail": (NOTHING, largest), **more}


class Stream(Task):
    """Abstract: a stream of cues and questions, in records of ``recall_record``. A subclass writes ``reset``, ``step``,
    ``observe`` and ``draw``; it may add to ``info``.

    Args:
        moves: length of an episode.
    """

    def __init__(self, moves: int) -> None:
        self._moves = whole_number("moves", moves, 1, LONGEST)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """``is_success`` (R,) bool: the episode is over and all answers were right; ``correct`` (R,): share so far."""
        is_success, correct = np.empty(len(rows), np.bool_), np.empty(len(rows))
        _measure(worlds, rows, self._moves, is_success, correct)
        return {"is_success": is_success, "correct": correct}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """The right answers (N,) int64 to what is on show, 0 where nothing is asked."""
        wanted: np.ndarray = worlds["trail"][np.arange(len(worlds)), worlds["moves"] % TRAIL, WANTED]
        return wanted.clip(0).astype(np.int64)


@kernel
def begin_stream(w: np.void, key: np.uint64, questions: int) -> None:
    """Start an episode in which ``questions`` right answers pay 1 in all."""
    w["key"] = key
    w["moves"] = 0
    w["asked"] = 0
    w["right"] = 0
    w["worth"] = 1.0 / max(1, questions)


@kernel
def show(w: np.void, first: int, second: int, wanted: int) -> None:
    """Put on show what two numbers say; ``wanted`` is the answer that the action after it should give."""
    trail, slot = w["trail"], w["moves"] % TRAIL
    trail[slot, FIRST] = first
    trail[slot, SECOND] = second
    trail[slot, WANTED] = wanted
    trail[slot, ANSWER] = NOTHING


@kernel
def shown(w: np.void, column: int) -> int:
    """A column of the trail for what is on show now."""
    return int(w["trail"][w["moves"] % TRAIL, column])


@kernel
def count(w: np.void, right: bool) -> float:
    """Count one question, and whether it was answered rightly; what that pays."""
    w["asked"] += 1
    w["right"] += right
    return float(w["worth"]) if right else 0.0


@kernel
def answer(w: np.void, action: int) -> None:
    """Remember the answer to what is on show, and go on to the next move."""
    w["trail"][w["moves"] % TRAIL, ANSWER] = action
    w["moves"] += 1


@kernel
def answer_question(w: np.void, action: int) -> float:
    """Answer what is on show, count it if it was a question, and go on to the next move; the reward."""
    wanted = shown(w, WANTED)
    reward = count(w, action == wanted) if wanted != NOTHING else 0.0
    answer(w, action)
    return reward


@kernel
def _measure(worlds: np.ndarray, rows: np.ndarray, moves: int, is_success: np.ndarray, correct: np.ndarray) -> None:
    for i in range(rows.shape[0]):
        w = worlds[rows[i]]
        asked, right = w["asked"], w["right"]
        is_success[i] = w["moves"] >= moves and asked > 0 and right == asked
        correct[i] = right / max(asked, 1)


def tape_size(labels: Sequence[str], above: float = 0.0) -> tuple[float, float]:
    """Size of a picture that holds the tape and, over it, room of a height in pixels."""
    return WIDTH, above + ROW * (len(labels) + 3)


def draw_tape(
    canvas: Canvas,
    w: np.void,
    labels: Sequence[str],
    tokens: Tokens,
    answers: Sequence[str],
    above: float = 0.0,
    reveal: bool = True,
) -> None:
    """The last moves from left to right, the present one on blue; the answers below, green if right and red if wrong.

    Args:
        canvas: to draw on.
        w: record of a stream.
        labels: of the rows, one for each kind of thing shown.
        tokens: from the two numbers of a move, a text for each row; "." is drawn as a disc.
        answers: names of the actions.
        above: free room over the tape, pixels.
        reveal: False leaves out what was shown before, and what answer is wanted.
    """
    moves, rows = int(w["moves"]), [*labels, "wanted", "answer"]
    numbers = range(max(0, moves - TRAIL + 1), moves + 1)
    column = (WIDTH - LABEL - 8.0) / TRAIL
    top = above + 0.5 * ROW
    present = LABEL + column * (len(numbers) - 1)
    bottom = top + ROW * len(rows)
    corners = [(present, top), (present + column, top), (present + column, bottom), (present, bottom)]
    canvas.polygon(corners, NOW)
    for i, label in enumerate(rows):
        y = top + ROW * (i + 0.5)
        canvas.text(label, LABEL - 12.0, y, INK if i < len(labels) else SOFT, 14.0, "right")
        canvas.line([(LABEL, y + 0.5 * ROW), (WIDTH - 8.0, y + 0.5 * ROW)], EDGE, 1.0)
    canvas.line([(LABEL, bottom - 2 * ROW), (WIDTH - 8.0, bottom - 2 * ROW)], SOFT, 2.0)
    for n, move in enumerate(numbers):
        first, second, wanted, given = w["trail"][move % TRAIL].tolist()
        x = LABEL + column * (n + 0.5)
        asked = wanted != NOTHING
        on_show = [*tokens(first, second)] if reveal or move == moves else []
        for i, token in enumerate([*on_show, answers[wanted] if asked and reveal else ""]):
            y = top + ROW * (i + 0.5)
            if token == ".":
                canvas.circle(x, y, 6.5, INK)
            else:
                canvas.text(token, x, y, INK if i < len(labels) else SOFT, _size(token))
        if asked and move < moves:
            canvas.circle(x, bottom - 0.5 * ROW, 0.36 * ROW, RIGHT if given == wanted else WRONG)
            canvas.text(answers[given], x, bottom - 0.5 * ROW, "white", _size(answers[given]) - 1.0)
    canvas.status("move", str(moves))
    canvas.status("questions", str(int(w["asked"])))
    canvas.status("right", str(int(w["right"])))


def _size(text: str) -> float:
    """Of letters, pixels, so that a text fits into a column of the tape."""
    return 17.0 if len(text) < 3 else 11.0 if len(text) < 5 else 8.5
