"""model_error.csv and model_error.png: written by world-model runs alone, and never worth a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from agents import HorizonErrors, WorldModelController, horizon_errors, make_sb3
from scripts.shared import plots
from scripts.shared.model_error import HORIZON, write_model_error
from scripts.shared.tables import numeric, read_rows
from tests.agents.makers import SMALL_CORES, SMALL_WORLD


@pytest.fixture(scope="module")
def agent() -> WorldModelController:
    env = make_sb3("Pendulum-v1", 4, seed=0)
    return WorldModelController("MlpPolicy", env, seed=0, **SMALL_WORLD, **SMALL_CORES).learn(200, log_interval=None)


def test_table_and_picture(agent: WorldModelController, tmp_path: Path) -> None:
    write_model_error(agent, tmp_path)
    rows, errors = numeric(read_rows(tmp_path / "model_error.csv")), horizon_errors(agent, HORIZON)
    assert [row["distance"] for row in rows] == [*range(1, HORIZON + 1)]
    assert [row["rmse"] for row in rows] == pytest.approx(errors.rmse.tolist(), rel=1e-4)
    assert {row["mean_rmse"] for row in rows} == {1.0}
    assert (tmp_path / "model_error.png").is_file()


def test_other_agents_and_short_runs_have_none(agent: WorldModelController, tmp_path: Path) -> None:
    env = make_sb3("Pendulum-v1", 4, seed=0)
    write_model_error(PPO("MlpPolicy", env, device="cpu"), tmp_path)
    write_model_error(WorldModelController("MlpPolicy", env, **SMALL_WORLD), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_files_that_cannot_be_written_are_a_warning(
    agent: WorldModelController, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    write_model_error(agent, tmp_path / "file" / "run")
    assert "world model could not be written" in capsys.readouterr().err


@pytest.mark.parametrize("natural", [True, False])
def test_the_picture_names_where_the_model_is_no_better(natural: bool) -> None:
    errors = HorizonErrors(np.arange(1, 4), np.array([0.2, 0.9, 1.4]), np.full(3, 0.8))
    (axes,) = plots.model_error(errors, natural, "Pole").axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["mean", "no better than the mean from 2 on"]
    assert axes.get_ylabel() == ("rms error, in natural units" if natural else "rms error, in spreads")
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 1.4
    better = HorizonErrors(np.arange(1, 4), np.array([0.2, 0.3, 0.4]), np.full(3, 0.8))
    assert [text.get_text() for text in plots.model_error(better, natural).axes[0].texts] == ["mean"]
