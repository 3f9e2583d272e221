"""The cache key of compiled functions covers what they call, in any file, and the constants they use."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents.cores.ops.compiled import compiled, digest, fast
from agents.cores.ops.norms import _divide

ROOT = Path(__file__).parents[4]
CALLEE = """
from agents.cores.ops.compiled import {door}
from numba.extending import overload
STEP = {step}
SCALES = (1, ({scale}, 3))
@{door}
def helper(x):
    return replaced(x {sign} STEP) * SCALES[1][0]
def replaced(x):
    pass
@overload(replaced)
def _(x):
    return lambda x: x + {shift}
"""
CALLER = """
import callee
from callee import helper
from agents.cores.ops.compiled import {door}
@{door}
def direct(x):
    return later(x)
@{door}
def later(x):
    return {call}(x)
"""
BEFORE = {"step": 1, "sign": "+", "scale": 1, "shift": 0}


@pytest.mark.parametrize(("door", "call"), [("fast", "helper"), ("compiled", "callee.helper")])
def test_an_edited_callee_or_constant_is_never_stale(
    door: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(**changed: object) -> list[int]:
        """What the two modules give for 10 when they are imported anew, with their cache hits and misses."""
        for name, text in (("callee", CALLEE), ("caller", CALLER)):
            file = tmp_path / f"{name}.py"
            file.write_text(text.format(door=door, call=call, **{**BEFORE, **changed}))
            os.utime(file, (1e9, 1e9))  # the same size and time stamp: only the content can tell
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        direct = importlib.import_module("caller").direct
        return [direct(10), len(direct.stats.cache_hits), len(direct.stats.cache_misses)]

    assert run() == [11, 0, 1]
    assert run() == [11, 1, 0], "an unchanged program comes from the cache"
    assert run(sign="-") == [9, 0, 1], "a changed callee two calls away is recompiled"
    assert run(step=7) == [17, 0, 1], "a changed constant is recompiled"
    assert run(scale=2) == [22, 0, 1], "a changed constant inside a tuple is recompiled"
    assert run(shift=5) == [16, 0, 1], "a changed overload is recompiled"


def test_digests_do_not_depend_on_the_order_of_sets() -> None:
    code = "from agents.cores.ops import compiled, norms; print(compiled.digest(norms._divide))"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert out.stdout.strip() == digest(_divide), out.stderr


def test_nothing_is_compiled_past_the_doors() -> None:
    assert [path.name for path in (ROOT / "agents").rglob("*.py") if "njit" in path.read_text()] == ["compiled.py"]


def test_doors_keep_their_flags() -> None:
    def divide(x: float) -> float:
        return 1.0 / x

    with pytest.raises(ZeroDivisionError):
        compiled(divide)(0.0)
    assert fast(divide)(0.0) == float("inf")


def test_digest_ignores_unrelated_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(x: int) -> int:
        return x + 1

    before = digest(first)
    monkeypatch.setitem(first.__globals__, "unrelated", 3)
    assert digest(first) == before
