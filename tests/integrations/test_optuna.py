"""A sweep with Optuna: trials, pruning, going on, and settings that do not go together."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from scripts.shared.command import Refusal
from scripts.sweep import sweep

pytest.importorskip("optuna")

SETTINGS = {"environment": "Foveal/Parking-v0", "measure": "correct", "steps": 4096, "lanes": 16}


def states(folder: Path) -> list[str]:
    return [row["state"] for row in csv.DictReader(line for line in (folder / "trials.csv").open() if line[0] != "#")]


def test_a_sweep_goes_on_and_names_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    tuned = ("learning_rate=1e-4..1e-2:log", "core_kwargs.size=8|16")
    sweep(**SETTINGS, tune=tuned, trials=2, folder=folder)
    sweep(**SETTINGS, tune=tuned, trials=1, folder=folder)
    assert states(folder) == ["complete"] * 3
    assert (folder / "trial2" / "model.zip").is_file()
    assert "best correct" in capsys.readouterr().out
    with pytest.raises(Refusal, match="a sweep of other settings"):
        sweep(**SETTINGS, tune=tuned[:1], trials=1, folder=folder)
    (folder / "sweep.json").write_text("[]")
    with pytest.raises(Refusal, match="a sweep of other settings"):
        sweep(**SETTINGS, tune=tuned, trials=1, folder=folder)


def test_a_trial_that_lags_behind_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep(**{**SETTINGS, "measure": "cpu_seconds"}, tune=("n_epochs=1|40",), trials=9, folder=folder)
    assert "pruned" in states(folder)  # those that take less time than half of the others: a measure of no use but here


def test_settings_that_do_not_go_together_end_a_trial_alone(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep(**SETTINGS, tune=("n_minibatches=4|3",), trials=4, folder=folder)
    assert {"complete", "pruned"} == set(states(folder))
    with pytest.raises(Refusal, match="there is no measure 'corect'"):
        sweep(**{**SETTINGS, "measure": "corect"}, tune=("gamma=0.0..0.5",), trials=1, folder=tmp_path / "other")
