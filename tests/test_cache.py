"""The cache of machine code: damaged files, no place for it, and a full disk."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
DOORS = ("foveal_envs.compiled", "agents.cores.ops.compiled")
MODULE = """
from {door} import compiled
@compiled
def add(x):
    return x + 1
"""
BOTH = """
import importlib.util, resource, sys
import numba
full, *paths = sys.argv[1:]
if full == "True":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # files end early, as on a full disk
for path in paths:
    spec = importlib.util.spec_from_file_location("cache", path)
    cache = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cache)
    for f in (lambda x: x + 1, lambda x: x + 2):
        print(cache.cached(numba.njit(f), b"")(1))
"""
COPIES = ("foveal_envs/cache.py", "agents/cores/ops/cache.py")


@pytest.mark.parametrize("door", DOORS)
def test_damaged_files_are_replaced(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "damaged.py").write_text(MODULE.format(door=door))

    def run(argument: Any = 10) -> list[int]:
        """Hits and misses of the cache when the module is imported anew."""
        sys.modules.pop("damaged", None)
        add = importlib.import_module("damaged").add
        assert add(argument) == argument + 1
        return [len(add.stats.cache_hits), len(add.stats.cache_misses)]

    def files(kind: str) -> list[Path]:
        return sorted((tmp_path / "cache").rglob(f"*.{kind}"))

    assert run() == [0, 1]
    (index,), (data,) = files("nbi"), files("nbc")
    rng = np.random.default_rng(0)
    for file in (index, data):
        whole = file.read_bytes()
        flipped = [bytearray(whole) for _ in range(4)]
        for content in flipped:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        for content in (b"", whole[: len(whole) // 2], whole[:-1], bytes(len(whole)), *flipped):
            file.write_bytes(content)
            run()  # a flip that changes nothing, such as one in a memo, is a hit
            assert run() == [1, 0]
    assert run(1.5) == [0, 1]
    first, second = files("nbc")
    second.write_bytes(first.read_bytes())  # as two processes may leave it that save at once
    assert run(1.5) == [0, 1]
    assert run(1.5) == [1, 0]


@pytest.mark.parametrize(("full", "reason"), [(False, "no folder can be written"), (True, "File too large")])
def test_without_a_place_one_warning_is_all(full: bool, reason: str, tmp_path: Path) -> None:
    """Of both packages together."""
    script, file = tmp_path / "both.py", tmp_path / "file"
    script.write_text(BOTH)
    file.touch()
    if not full:
        (tmp_path / "__pycache__").touch()
    nowhere = str((tmp_path if full else file) / "cache")
    places = {"NUMBA_CACHE_DIR": nowhere, "HOME": str(file), "XDG_CACHE_HOME": str(file)}
    command = [sys.executable, str(script), str(full), *(str(ROOT / path) for path in COPIES)]
    out = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True)
    assert out.stdout.strip().split() == ["2", "3"] * 2, out.stderr
    assert out.stderr.count("Warning") == 1, out.stderr
    assert f"machine code cannot be cached ({reason})" in out.stderr


def test_code_without_a_file_is_compiled_and_not_cached() -> None:
    code = "from foveal_envs.compiled import compiled\n@compiled\ndef f(x): return x + 1\nprint(f(1))"
    for command, text in (([sys.executable, "-c", code], None), ([sys.executable], code)):
        out = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True)
        assert (out.stdout.strip(), out.stderr) == ("2", "")


def test_both_packages_have_one_text() -> None:
    texts = [(ROOT / path).read_text().splitlines() for path in COPIES]
    for line, (one, other) in enumerate(itertools.zip_longest(*texts), 1):
        assert one == other, f"{' and '.join(COPIES)} differ in line {line}"
