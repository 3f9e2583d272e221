"""Ctrl-C and SIGTERM: the first ends a command in order, a second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # a training


class Stopped(BaseException):
    """Raised in the main thread by the first signal.

    Attributes:
        number: of the signal.
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, as a shell has it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number, self.exit_code = number, 128 + number


@contextlib.contextmanager
def handling(handle: Callable[[int, FrameType | None], Any], numbers: Sequence[int] = SIGNALS) -> Iterator[None]:
    """Inside, these signals call ``handle``; outside the main thread, where Python delivers none, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, the first Ctrl-C or SIGTERM raises `Stopped`; a second one ends the process without another word."""
    stopping = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        raise Stopped(number)

    with handling(handle):
        yield


def announce_stop() -> None:
    """After the first signal to a training: says what follows, and lets another one end the process at once."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    print("\nstops after this update and saves; the same again stops at once", file=sys.stderr)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Inside, both signals wait. Processes started here never get them: what started them decides when they end."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
