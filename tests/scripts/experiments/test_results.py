"""What the recorded results must say: a gaze matters in the tasks of recognition, and memory in those of search."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from scripts.experiments.shared.claims import Claim
from scripts.shared.tables import read_rows

RESULTS = Path(__file__).parents[3] / "docs" / "results"


def recorded(name: str, word: str) -> list[Claim]:
    """Claims of a result that have a bar and speak of something, from its raw files."""
    folder = RESULTS / name
    rows = [{"table": path.stem, **row} for path in sorted(folder.glob("*.csv")) for row in read_rows(path)]
    claims = importlib.import_module(f"scripts.experiments.{name.replace('-', '_')}").claims(rows)
    return [claim for claim in claims if word in claim.claim and claim.bar != "reported"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word", "count"), [
    ("ram", "gaze, trained for it", 3), ("same-different", "gaze, trained for it", 3), ("search", "without memory", 3),
])  # fmt: skip
def test_gaze_and_memory_matter(name: str, word: str, count: int) -> None:
    claims = recorded(name, word)
    assert len(claims) == count
    assert [claim.claim for claim in claims if not claim.passed] == []
