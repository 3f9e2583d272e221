"""scripts.plots: learning curves and scanpaths are drawn from rows and episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.shared import plots, suite, tables
from scripts.shared.environments import make_lanes
from scripts.shared.policies import load_agent

ID = "Foveal/TargetDetection-v0"


def test_interquartile_mean_and_interval() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])
    assert plots.interquartile_mean(values) == 3.5
    low, high = plots.bootstrap_interval(values)
    assert low < 3.5 < high
    assert plots.bootstrap_interval(np.full(5, 2.0)) == (2.0, 2.0)


def test_learning_curve_from_csv(tmp_path: Path) -> None:
    rows = [f"{agent},{seed},{step},{step / 4 + seed}" for agent in "AB" for seed in range(3) for step in range(4)]
    (tmp_path / "rows.csv").write_text("\n".join(["agent,seed,steps,share", *rows, "A,0,9,", ""]))
    figure = plots.learning_curve(
        tables.numeric(tables.read_rows(tmp_path / "rows.csv")),
        "steps",
        "share",
        by="agent",
        references={"oracle": 1.0},
        title="Task",
    )
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(curves) == 2
    np.testing.assert_allclose(curves[0].get_ydata(), np.arange(4) / 4 + 1.0)
    assert len(axes.collections) == 2  # the intervals
    plots.save(figure, tmp_path / "new" / "curve.png")
    assert (tmp_path / "new" / "curve.png").stat().st_size > 5000


def test_a_lone_run_has_no_interval() -> None:
    rows = [{"steps": step, "share": 0.1 * step} for step in range(5)]
    assert not plots.learning_curve(rows, "steps", "share").axes[0].collections


def test_the_axis_goes_from_random_to_best_and_as_far_as_the_curve() -> None:
    references = {"random": 0.1, "oracle": 1.0}
    for values, (low, high) in (([0.11, 0.12], (0.1, 1.0)), ([0.05, 1.2], (0.05, 1.2))):
        rows = [{"steps": step, "share": value} for step, value in enumerate(values)]
        (axes,) = plots.learning_curve(rows, "steps", "share", references=references).axes
        margin = 0.06 * (high - low)
        assert axes.get_ylim() == pytest.approx((low - margin, high + margin))
        dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
        assert dashed == [0.1, 1.0]
    even = plots.learning_curve(rows, "steps", "share", references={"random": 2.0, "oracle": 2.0}).axes[0]
    assert even.get_ylim()[1] > 2.0


def test_heights_of_random_and_best_for_a_learning_curve() -> None:
    heights = suite.reference_heights(ID, {"moves": 25}, "within_10", starts=50)
    assert heights["random"] < 0.2
    assert heights["oracle"] == 1.0
    assert list(suite.reference_heights("Foveal/GridSearch-v0", {}, "fixations", starts=20)) == ["random", "elm"]


@pytest.mark.parametrize("count", [1, 3])
def test_scanpaths(count: int, tmp_path: Path) -> None:
    lanes = make_lanes(ID, {"moves": 5, "rotate": True}, count, info="step")
    episodes = plots.record_scanpaths(lanes, load_agent("oracle", lanes), seed=3)
    assert len(episodes) == count
    assert all(episode.path.shape == (6, 2) and episode.success for episode in episodes)
    np.testing.assert_allclose(episodes[0].path[-1], episodes[0].wanted, atol=1e-3)
    plots.save(plots.scanpaths(episodes, columns=2, title="oracle"), tmp_path / "scanpaths.png", dpi=50)
    assert (tmp_path / "scanpaths.png").is_file()
    lanes.close()


@pytest.mark.parametrize("task", ["SameDifferent", "VisualSearch"])
def test_scanpaths_without_a_wanted_place_and_of_different_lengths(task: str, tmp_path: Path) -> None:
    lanes = make_lanes(f"Foveal/{task}-v0", {}, 12, info="step")
    episodes = plots.record_scanpaths(lanes, load_agent("oracle", lanes), seed=3)
    assert all(episode.success for episode in episodes)
    lengths = {len(episode.path) for episode in episodes}
    assert (len(lengths) == 1) == (task == "SameDifferent")
    assert all((episode.wanted is None) == (task == "SameDifferent") for episode in episodes)
    plots.save(plots.scanpaths(episodes), tmp_path / "scanpaths.png", dpi=50)
    lanes.close()
