"""Scanpath measures, and the suite's scores and report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.evaluate import evaluate
from scripts.shared import measures
from scripts.shared.suite import TASKS, aggregate, run, score_suite, suite_ids
from scripts.train import train

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


def test_successes_are_counted_after_every_move() -> None:
    detection = run("oracle", "Foveal/TargetDetection-v0", {}, 30, 0)
    assert len(detection.success) == 25
    assert detection.success[0] < detection.success[-1] == 1.0
    grid = run("elm", "Foveal/GridSearch-v0", {}, 100, 0)
    assert len(grid.success) == grid.fixations.max() - 1
    assert (np.diff(grid.success) >= 0.0).all()


def test_aggregate_is_stratified() -> None:
    mean, low, high = aggregate([np.zeros(5), np.ones(5), np.ones(5), np.ones(5)])
    assert (mean, low, high) == (1.0, 1.0, 1.0)


def test_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, id = tmp_path / "report.html", "Foveal/GridSearch-v0"
    evaluate(id, suite=True, episodes=20, seeds=2, report=page)
    printed = capsys.readouterr().out
    assert "IQM of scores" in printed
    text = page.read_text()
    assert text.count("data:image/png;base64") == 2
    assert "scanpath ratio" in text
    with pytest.raises(SystemExit, match="--suite"):
        evaluate()


def test_a_report_shows_how_agents_learned(tmp_path: Path) -> None:
    page, id, runs = tmp_path / "report.html", "Foveal/GridSearch-v0", []
    for seed in range(2):
        runs.append(str(tmp_path / f"run{seed}"))
        train(id, ("moves=9",), "PPO", agent=("n_steps=16", "batch_size=64"), steps=512, lanes=8, seed=seed,
              folder=Path(runs[-1]), progress_bar=False)  # fmt: skip
    (line,) = (line for line in score_suite([id], runs, 10, 1) if line.policy == "PPO")
    assert len(line.values) == 2
    assert len(line.progress) == 2 * 512 // (16 * 8)
    evaluate(id, agents=tuple(runs), suite=True, episodes=10, seeds=1, report=page)
    assert page.read_text().count("data:image/png;base64") == 3
