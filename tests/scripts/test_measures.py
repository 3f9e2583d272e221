"""Scanpath measures, and the suite's scores and report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts import measures
from scripts.evaluate import evaluate
from scripts.suite import TASKS, aggregate, run, score_suite, suite_ids

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0]])


def test_the_way_to_the_target() -> None:
    target = np.array([0.0, 10.0])
    assert measures.fixations_to_target(SQUARE, target, 1.0) == 4
    assert measures.scanpath_ratio(SQUARE, target, 1.0) == 3.0
    assert measures.search_efficiency(SQUARE, target, 1.0) == pytest.approx(1 / 3)
    assert measures.scanpath_ratio(SQUARE, SQUARE[0], 1.0) == 1.0
    far = np.array([50.0, 50.0])
    assert measures.fixations_to_target(SQUARE, far, 1.0) == np.inf
    assert measures.search_efficiency(SQUARE, far, 1.0) == 0.0


def test_revisits_and_amplitudes() -> None:
    assert measures.revisit_rate(SQUARE, 1.0) == 1 / 5
    assert measures.revisit_rate(SQUARE[:4], 1.0) == 0.0
    rest = np.repeat(SQUARE[:2], 3, axis=0)
    assert measures.revisit_rate(rest, 1.0) == 0.0
    assert measures.saccade_amplitudes(SQUARE).tolist() == [10.0] * 4


def test_multimatch() -> None:
    same = measures.multimatch(SQUARE, SQUARE, (10.0, 10.0))
    assert all(value == pytest.approx(1.0) for value in same.values())
    mirrored = measures.multimatch(SQUARE, SQUARE[:, ::-1], (10.0, 10.0))
    assert mirrored["length"] == pytest.approx(1.0)
    assert mirrored["direction"] < 0.8
    longer = measures.multimatch(SQUARE, np.vstack([SQUARE, [[9.0, 1.0]]]), (10.0, 10.0))
    assert longer["shape"] > 0.9
    with pytest.raises(ValueError, match="two fixations"):
        measures.multimatch(SQUARE[:1], SQUARE, (1.0, 1.0))


def test_suite_scores_references() -> None:
    assert set(TASKS) <= {id.split("/")[1].removesuffix("-v0") for id in suite_ids()}
    lines = score_suite(["Foveal/GridSearch-v0", "Foveal/Catch-v0"], (), 60, 2)
    scores = {(line.env_id, line.policy): line.scores.mean() for line in lines}
    assert scores["Foveal/GridSearch-v0", "random"] == pytest.approx(0.0, abs=1e-9)
    assert scores["Foveal/GridSearch-v0", "elm"] == pytest.approx(1.0)
    assert scores["Foveal/GridSearch-v0", "raster"] < 0.0
    assert scores["Foveal/Catch-v0", "oracle"] == pytest.approx(1.0)


def test_paths_end_with_their_episode() -> None:
    outcome = run("scan", "Foveal/VisualSearch-v0", {}, 20, 0)
    for path, target, count in zip(outcome.paths, outcome.targets, outcome.fixations, strict=False):
        assert len(path) == count
        if count < 25:
            assert np.hypot(*(path[-1] - target)) <= 16.0


def test_aggregate_is_stratified() -> None:
    mean, low, high = aggregate([np.zeros(5), np.ones(5), np.ones(5), np.ones(5)])
    assert (mean, low, high) == (1.0, 1.0, 1.0)


def test_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    evaluate("Foveal/GridSearch-v0", suite=True, episodes=20, seeds=2, report=page)
    printed = capsys.readouterr().out
    assert "IQM of scores" in printed
    text = page.read_text()
    assert text.count("data:image/png;base64") == 2
    assert "scanpath ratio" in text
    with pytest.raises(SystemExit, match="--suite"):
        evaluate()
