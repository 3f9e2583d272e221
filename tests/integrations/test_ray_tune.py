"""A sweep on Ray, in the environment of RLlib: trials, pruning, going on, two nodes, and what is refused."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # before Ray is imported: else it writes a token into the home
ray = pytest.importorskip("ray")
pytest.importorskip("ray.tune")

from ray.cluster_utils import Cluster  # noqa: E402

from scripts.shared import ray_trials  # noqa: E402
from scripts.shared.command import Refusal  # noqa: E402
from scripts.shared.ray_trials import RECORD  # noqa: E402
from scripts.sweep import sweep  # noqa: E402

SETTINGS = {
    "environment": "Foveal/Parking-v0",
    "measure": "correct",
    "steps": 2048,
    "lanes": 16,
    "address": "local",
}
TUNED = ("learning_rate=1e-4..1e-2:log", "core_kwargs.size=8|16", "n_epochs=1..3")


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").open()))


@pytest.mark.parametrize("engine", ["optuna", "random"])
def test_a_sweep_goes_on_and_names_the_best(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "optuna":
        pytest.importorskip("optuna")
    else:
        found = ray_trials.importlib.util.find_spec
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "optuna" else found(name))
    folder = tmp_path / "sweep"
    sweep(**SETTINGS, tune=TUNED, trials=2, folder=folder)
    held = json.loads((folder / RECORD).read_text())["trials"]
    (folder / RECORD).write_text(json.dumps({"trials": held[1:]}))  # as if trial 0 had been interrupted
    sweep(**SETTINGS, tune=TUNED, trials=2, folder=folder)
    assert [(row["trial"], row["state"]) for row in rows(folder)] == [(str(k), "complete") for k in range(3)]
    for row in rows(folder):
        config = json.loads((folder / f"trial{row['trial']}" / "config.json").read_text())["agent_kwargs"]
        assert config["core_kwargs"] == {"size": int(row["core_kwargs.size"])}
        assert config["learning_rate"] == pytest.approx(float(row["learning_rate"]), rel=1e-5)
        assert (folder / f"trial{row['trial']}" / "model.zip").is_file()
    assert f"--from {folder / 'trial'}" in capsys.readouterr().out
    with pytest.raises(Refusal, match="a sweep of other settings"):
        sweep(**SETTINGS, tune=TUNED[:1], trials=1, folder=folder)


def test_a_trial_that_lags_behind_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_trials, "FIRST", 1)
    folder = tmp_path / "sweep"
    settings = {
        **SETTINGS,
        "measure": "cpu_seconds",
        "tune": ("n_epochs=1|40",),
        "folder": folder,
    }  # of no use but here
    sweep(**settings, trials=5)
    states = [row["state"] for row in rows(folder)]
    assert "pruned" in states
    assert "complete" in states
    sweep(**settings, trials=1, prune=False)
    assert rows(folder)[5]["state"] == "complete"


def test_settings_that_do_not_go_together_end_a_trial_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    sweep(**SETTINGS, tune=("n_minibatches=4|3",), trials=4, folder=folder)
    assert {row["state"] for row in rows(folder)} == {"complete", "pruned"}
    assert "n_minibatches" in capsys.readouterr().err


def test_trials_run_on_two_nodes(tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        settings = {**SETTINGS, "environment": "Foveal/FlipFlop-v0", "measure": "return", "address": cluster.address}
        sweep(**settings, tune=("gamma=0.0..0.5",), trials=3, folder=tmp_path / "sweep")
        assert [row["state"] for row in rows(tmp_path / "sweep")] == ["complete"] * 3
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    settings = {**SETTINGS, "tune": TUNED, "folder": tmp_path / "sweep"}
    with pytest.raises(Refusal, match=r"no Ray cluster answers at 127.0.0.1:9"):
        sweep(**{**settings, "address": "127.0.0.1:9"})
    assert not (tmp_path / "sweep").exists()
    with pytest.raises(Refusal, match="there is no measure 'corect'"):
        sweep(**{**settings, "measure": "corect", "folder": tmp_path / "other"})
    assert not (tmp_path / "other").exists()
