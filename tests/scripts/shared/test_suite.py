"""Scanpath measures, and the suite's scores and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

import foveal_envs
from agents import make_sb3
from scripts.evaluate import evaluate
from scripts.shared import measures, score_tables, tables
from scripts.shared.suite import TASKS, Line, Outcome, run, score_suite

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
    assert set(TASKS) <= {id.split("/")[1].removesuffix("-v0") for id in foveal_envs.IDS}
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


def test_aggregate_is_stratified_and_one_seed_has_no_interval() -> None:
    mean, low, high = score_tables.aggregate([np.zeros(5), np.ones(5), np.ones(5), np.ones(5)])
    assert (mean, low, high) == (1.0, 1.0, 1.0)
    assert score_tables.aggregate([np.zeros(1), np.ones(5)]) == (1.0, None, None)


def a_line(policy: str, *scores: float) -> Line:
    outcome, values = Outcome(np.zeros(1), np.zeros(1), {}, 0.0), np.array(scores)
    count = list(range(len(scores)))
    return Line("Foveal/Catch-v0", {"drift": True}, policy, "50 % & more", values, values, count, count, outcome)


def test_the_interval_of_one_seed_is_empty_and_undefined_scores_are() -> None:
    lines = [a_line("alone", 0.5), a_line("two_of {them}", 0.25, 0.75), a_line("none", np.nan)]
    rows = score_tables.summary(lines)
    assert [row["low"] for row in rows[:3]] == [None, 0.25, None]
    assert rows[2]["score"] is None
    json.dumps(rows, allow_nan=False)
    assert score_tables.format_suite(lines).splitlines()[1].endswith("0.500  0.500")
    table = score_tables.latex(lines, "a command").splitlines()
    assert table[0] == "% a command"
    assert r"Catch-v0 drift=True & two\_of \{them\} & 50 \% \& more & 0.500 & 0.500 & [0.250, 0.750] \\" in table
    assert [table.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


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


def saved(folder: Path, seed: int, **keywords: Any) -> str:
    """A run folder with an agent that has learned nothing."""
    folder.mkdir()
    own = {"n_steps": 16, "batch_size": 16, **keywords}
    PPO("MlpPolicy", make_sb3("Foveal/GridSearch-v0", 1, seed=0, moves=9), seed=seed, **own).save(folder / "model.zip")
    config = {"algorithm": "PPO", "env_id": "Foveal/GridSearch-v0", "env_kwargs": {"moves": 9}, "preset": "default"}
    config |= {"agent_kwargs": own, "steps": 512, "lanes": 8, "seed": seed, "finished": f"at {seed}"}
    (folder / "config.json").write_text(json.dumps(config))
    log = [{"time/total_timesteps": steps, "rollout/ep_rew_mean": -5.0 + seed} for steps in (128, 256)]
    tables.write_rows(folder / "progress.csv", log)
    return str(folder)


def test_agents_are_seeds_of_their_configuration_between_their_own_references(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, id = tmp_path / "report.html", "Foveal/GridSearch-v0"
    runs = [saved(tmp_path / f"run{seed}", seed) for seed in range(2)]
    runs.append(saved(tmp_path / "other", 0, gamma=0.5))
    options = {"suite": True, "episodes": 10, "seeds": 2}
    evaluate(id, tuple(runs), json_output=True, report=page, csv=tmp_path / "scores.csv", **options)
    rows = json.loads(capsys.readouterr().out)
    assert {row["task"] for row in rows} == {"GridSearch-v0 moves=9", "all 1"}
    assert [(row["policy"], row["seeds"]) for row in rows[5:7]] == [("PPO gamma=default", 2), ("PPO gamma=0.5", 1)]
    assert rows[5]["low"] is not None
    assert rows[6]["low"] is None
    assert page.read_text().count("data:image/png;base64") == 3
    expected = run("random", id, {"moves": 9}, 10, 1_000_000_000).fixations.mean()
    read = tables.numeric(tables.read_rows(tmp_path / "scores.csv"))
    assert read[0]["value"] == pytest.approx(expected)
    assert read[0]["env_kwargs"] == '{"moves": 9}'
    assert [(row["policy"], row["seed"]) for row in read[-3:]] == [
        ("PPO gamma=default", 0), ("PPO gamma=default", 1), ("PPO gamma=0.5", 0)
    ]  # fmt: skip
    assert json.loads(read[-1]["agent_kwargs"]) == {"n_steps": 16, "batch_size": 16, "gamma": 0.5}
    assert (read[-1]["algorithm"], read[-1]["steps"], read[-1]["lanes"]) == ("PPO", 512, 8)
    evaluate(id, (runs[0],), env=("moves=4",), seed=5, json_output=True, **options)
    assert json.loads(capsys.readouterr().out)[0]["task"] == "GridSearch-v0 moves=4"
    (line,) = (line for line in score_suite([id], runs[:2], 10, 1) if line.policy == "PPO")
    assert len(line.progress) == 2 * 2
    with pytest.raises(SystemExit, match=r"run0 was trained on Foveal/GridSearch-v0; scored are Foveal/Catch-v0"):
        evaluate("Foveal/Catch-v0", (runs[0],), **options)


@pytest.mark.parametrize(("options", "said"), [
    ({"environment": "Foveal/Catch-v0", "report": Path("page.html")}, "add --suite"),
    ({"environment": "Foveal/Catch-v0", "latex": Path("table.tex")}, "add --suite"),
    ({"suite": True, "env": ("moves=4",)}, "--env goes with one environment"),
    ({"environment": "CartPole-v1", "suite": True}, "CartPole-v1 has no references"),
    ({"suite": True, "episodes": 0}, "must be at least 1, got 0 and 5"),
])  # fmt: skip
def test_what_the_suite_cannot_do_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SystemExit, match=said) as caught:
        evaluate(**options)
    assert "\n" not in str(caught.value)
