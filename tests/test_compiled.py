"""The cache key of compiled functions covers what they call and the constants they use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from foveal_envs.compiled import compiled, digest, kernel, record

CALLEE = (
    "from foveal_envs.compiled import compiled\nSTEP = {step}\n@compiled\ndef helper(x):\n    return x {sign} STEP\n"
)
CALLER = (
    "import callee\nfrom callee import helper\nfrom foveal_envs.compiled import compiled\n"
    "@compiled\ndef direct(x):\n    return later(x)\n"
    "@compiled\ndef later(x):\n    return {call}(x)\n"
    "print(direct(10), len(direct.stats.cache_hits), len(direct.stats.cache_misses))\n"
)


def run(folder: Path, **versions: str) -> list[int]:
    """Result of the caller in a new process, with its cache hits and misses."""
    (folder / "callee.py").write_text(CALLEE.format(step=versions["step"], sign=versions["sign"]))
    (folder / "caller.py").write_text(CALLER.format(call=versions["call"]))
    for name in ("callee.py", "caller.py"):  # the same size and time stamp: only the content can tell
        os.utime(folder / name, (1e9, 1e9))
    root = str(Path(__file__).parent.parent)
    environment = {
        **os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": root
    }  # fmt: skip
    out = subprocess.run([sys.executable, "caller.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return [int(word) for word in out.stdout.split()]


@pytest.mark.parametrize("call", ["helper", "callee.helper"])
def test_an_edited_callee_or_constant_is_never_stale(tmp_path: Path, call: str) -> None:
    assert run(tmp_path, step="1", sign="+", call=call) == [11, 0, 1]
    assert run(tmp_path, step="1", sign="+", call=call) == [11, 1, 0], "an unchanged program comes from the cache"
    assert run(tmp_path, step="1", sign="-", call=call) == [9, 0, 1], "a changed callee two calls away is recompiled"
    assert run(tmp_path, step="7", sign="-", call=call) == [3, 0, 1], "a changed constant is recompiled"


def test_digest_ignores_unrelated_globals() -> None:
    def first(x: int) -> int:
        return x + 1

    before = digest(first)
    first.__globals__["unrelated"] = 3
    try:
        assert digest(first) == before
    finally:
        del first.__globals__["unrelated"]


SETTINGS = np.dtype([("moves", np.int64), ("cost", np.float64), ("span", np.float64, (2,)), ("noisy", np.bool_)])


@compiled
def total(settings: np.ndarray) -> float:
    return settings[0]["moves"] * settings[0]["cost"] + settings[0]["span"][1] + settings[0]["noisy"]


def test_a_record_is_read_by_name() -> None:
    settings = record(SETTINGS, noisy=True, cost=0.5, moves=np.int64(6), span=(1, 2))
    assert settings.dtype is SETTINGS
    assert total(settings) == 6.0


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"moves": 1.5}, ValueError, "moves must be a number that int64 holds; got 1.5"),
        ({"noisy": "no"}, ValueError, "noisy must be a number that bool holds; got 'no'"),
        ({"span": (0.0, float("nan"))}, ValueError, "span must be"),
        ({"speed": 1.0}, TypeError, "the fields are moves, cost, span, noisy; got .*speed"),
    ],
)
def test_a_record_holds_what_it_was_given(values: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        record(SETTINGS, **{"moves": 1, "cost": 0.0, "span": (0.0, 1.0), "noisy": False, **values})


@kernel
def _beyond(record: np.void, number: int) -> None:
    record["places"][number] = 1.0


@compiled
def _through(records: np.ndarray, number: int) -> None:
    _beyond(records[0], number)


def test_an_index_outside_its_array_is_an_error_in_other_packages() -> None:
    """A user's kernel would otherwise write to whatever lies behind its record."""
    records = np.zeros(1, np.dtype([("places", np.float64, (2,))]))
    _through(records, 1)
    assert records["places"].tolist() == [[0.0, 1.0]]
    with pytest.raises(IndexError, match="out of bounds"):
        _through(records, 2)
