"""train, evaluate and their run folders; an interrupted training."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents import WorldModelController
from scripts.evaluate import evaluate
from scripts.shared.attendant import Attendant
from scripts.shared.command import Refusal, program
from scripts.shared.environments import make_lanes
from scripts.shared.policies import load_agent
from scripts.shared.rollouts import detection_scores, run_episodes
from scripts.shared.runs import Run
from scripts.shared.tables import numeric, read_rows
from scripts.shared.training import fit
from scripts.train import train, words_for
from tests.agents.test_contract import numbers

QUICK = ("model_steps=200", "updates=2", "batch_size=16")
FILES = {
    "model.zip",
    "best.zip",
    "config.json",
    "progress.csv",
    "curve.csv",
    "learning_curve.png",
    "model_error.csv",
    "model_error.png",
    "scanpaths.png",
    "episode.gif",
    "about.json",
    "checkpoints",
}


def test_training_leaves_a_run_folder_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    options = {"agent": QUICK, "steps": 600, "lanes": 8, "folder": folder, "progress_bar": False}
    train("Foveal/TargetDetection-v0", env=("shape=L", "moves=5"), **options)
    assert {path.name for path in folder.iterdir()} == FILES
    assert f"{program('watch')} {folder}" in capsys.readouterr().out
    assert json.loads((folder / "config.json").read_text())["env_kwargs"] == {"shape": "L", "moves": 5}
    env = make_lanes("Foveal/TargetDetection-v0", {"shape": "L"}, 3)
    assert load_agent(folder, env).predict(env.reset(seed=0)[0])[0].shape == (3, 2)
    evaluate(str(folder), episodes=20, json_output=True)
    table = json.loads(capsys.readouterr().out)
    assert list(table) == ["random", str(folder), "oracle"]
    assert table["oracle"]["within_5"] == 1.0


def test_stable_baselines_trains_too(tmp_path: Path) -> None:
    run = Run(
        "Foveal/TargetTracking-v0",
        {"moves": 12},
        "PPO",
        agent_kwargs={"n_steps": 12, "batch_size": 48},
        steps=96,
        lanes=4,
    )
    agent, curve = fit(run, tmp_path, progress_bar=False)
    assert agent.num_timesteps >= 96
    assert curve.points[-1]["error"] > 0


def test_a_signal_stops_a_run_which_resumes_to_the_same_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"env": ("moves=5",), "agent": QUICK, "steps": 1200, "lanes": 8}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train("Foveal/TargetDetection-v0", **options, folder=whole, progress_bar=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attendant, "score", signal_when(Attendant.score, 400))
        with pytest.raises(SystemExit) as stop:
            train("Foveal/TargetDetection-v0", **options, folder=stopped, progress_bar=False)
    assert stop.value.code == 128 + signal.SIGTERM
    assert f"{program('train')} --resume {stopped}" in capsys.readouterr().err
    assert json.loads((stopped / "about.json").read_text())["ended"] == "stopped by SIGTERM"
    train(resume=stopped, progress_bar=False)
    assert json.loads((stopped / "about.json").read_text())["ended"] == "finished"
    for name in ("model.zip", "best.zip"):
        one, other = (WorldModelController.load(folder / name).get_parameters() for folder in (whole, stopped))
        assert [part.tobytes() for part in numbers(one)] == [part.tobytes() for part in numbers(other)]
    kept = [json.loads((folder / "about.json").read_text())["best"] for folder in (whole, stopped)]
    assert kept[0] == kept[1]
    curves = [
        [{**row, "cpu_seconds": 0} for row in numeric(read_rows(folder / "curve.csv"))] for folder in (whole, stopped)
    ]
    assert curves[0] == curves[1]


SMALL: dict[str, Any] = {
    "env": ("n=5", "moves=8"), "agent": ("n_minibatches=2", "n_epochs=1"), "lessons": ("steps=0",), "steps": 600,
    "lanes": 8, "progress_bar": False,
}  # fmt: skip


def test_a_run_may_have_lessons_alone(tmp_path: Path) -> None:
    lessons = ("steps=600", "teacher=oracle")
    train("Foveal/FourRooms-v0", lessons=lessons, lanes=8, folder=tmp_path / "run", progress_bar=False)
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    assert about["ended"] == "finished"
    assert numeric(read_rows(tmp_path / "run" / "curve.csv"))[-1]["environment_steps"] >= 600


def test_what_cannot_be_written_is_not_called_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train("Foveal/GridSearch-v0", **SMALL, folder=tmp_path / "run")
    before = (tmp_path / "run" / "model.zip").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attendant, "_save", full)
        with pytest.raises(SystemExit) as stop:
            train(resume=tmp_path / "run", steps=1200, progress_bar=False)
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.count("cannot write to") == 1
    assert "is lost" in said
    assert (tmp_path / "run" / "model.zip").read_bytes() == before
    assert json.loads((tmp_path / "run" / "about.json").read_text())["ended"].startswith("failed")


def full(attendant: Attendant) -> None:
    raise OSError(28, "No space left on device")


def test_an_agent_without_a_checkpoint_is_not_trained_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    train("Foveal/GridSearch-v0", **SMALL, folder=folder)
    train(resume=folder, progress_bar=False)
    assert "has finished its 600 steps" in capsys.readouterr().out
    for name, words in (
        ("config.json", {"lessons": {"steps": "abc"}}),
        ("about.json", {"cpu_seconds": "abc"}),
        ("about.json", {"best": {"mean_return": "abc"}}),
    ):
        file = folder / name
        kept = file.read_text()
        file.write_text(json.dumps(json.loads(kept) | words))
        with pytest.raises(Refusal, match="abc"):
            train(resume=folder, steps=1200, progress_bar=False)
        file.write_text(kept)
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(Refusal, match="no checkpoint to go on from"):
        train(resume=folder, steps=1800, progress_bar=False)


def test_an_agent_that_has_the_keyword_is_named(tmp_path: Path) -> None:
    words = {"steps": 600, "lanes": 2, "folder": tmp_path / "run", "progress_bar": False}
    with pytest.raises(Refusal, match="RecurrentPPO has no signals, unlike WorldModelController: add --algorithm"):
        train("Foveal/Parking-v0", agent=('signals={"pain": 0}',), **words)
    assert not (tmp_path / "run").exists()


def test_a_signal_that_is_missing_ends_training_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"steps": 600, "lanes": 2, "folder": tmp_path / "run", "progress_bar": False}
    with pytest.raises(SystemExit) as stop:
        train("CartPole-v1", algorithm="WorldModelController", agent=('signals={"pain": 0}',), **words)
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("training failed: signals names 'pain'")


@pytest.mark.parametrize(
    "lessons", ["agent_kwargs=3", "teacher_kwargs=3", "fade=abc", "learning_rate=abc", 'agent_kwargs={"gamma":"z"}',
                "steps=true"],
)  # fmt: skip
def test_lessons_of_a_wrong_kind_are_refused_before_there_is_a_folder(lessons: str, tmp_path: Path) -> None:
    words = {**SMALL, "lessons": ("steps=600", "teacher=oracle", lessons)}
    with pytest.raises(Refusal):
        train("Foveal/GridSearch-v0", **words, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and then nothing", b"x" * 5000])
def test_a_damaged_agent_of_stable_baselines_is_refused_in_one_line(damage: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = {"agent": ("n_steps=12", "batch_size=48"), "steps": 96, "lanes": 4, "progress_bar": False}
    train("CartPole-v1", **settings, algorithm="PPO", folder=folder)
    (folder / "model.zip").write_bytes(damage)
    with pytest.raises(Refusal, match="cannot go on with") as refusal:
        train(resume=folder, steps=192, progress_bar=False)
    assert "\n" not in str(refusal.value)


def test_a_signal_stops_the_training_of_a_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attendant, "score", signal_when(Attendant.score, 0))
    with pytest.raises(SystemExit) as stop:
        train("SwampSubgoals", folder=tmp_path / "run", progress_bar=False)
    assert stop.value.code == 128 + signal.SIGTERM
    about = json.loads((tmp_path / "run" / "controller" / "about.json").read_text())
    assert about["ended"] == "stopped by SIGTERM"


def signal_when(score: Any, steps: int) -> Any:
    """The scoring of an attendant that once sends SIGTERM to its own process."""
    sent = []

    def scored(attendant: Attendant) -> None:
        score(attendant)
        if attendant.steps >= steps and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    return scored


def test_references_bracket_the_scores() -> None:
    random, oracle = (
        detection_scores(run_episodes(name, "Foveal/TargetDetection-v0", 200)) for name in ("random", "oracle")
    )
    assert oracle["within_5"] == 1.0
    assert oracle["fixations"] < random["fixations"]
    assert random["within_10"] < 0.1


def test_the_commands_that_a_run_prints_trust_a_users_module() -> None:
    folder = Path("runs/one")
    assert words_for(Run("my_tasks:My/Task-v0"), folder) == "runs/one --trust"
    assert words_for(Run("CartPole-v1", algorithm="my_agents:Mine"), folder) == "runs/one --trust"
    assert words_for(Run("foveal_envs:Foveal/Catch-v0"), folder) == "runs/one"


@pytest.mark.slow
def test_killed_runs_resume_to_the_bits_of_uninterrupted_ones() -> None:
    """A process of its own, as it forks: see there."""
    done = subprocess.run([sys.executable, "-m", "tests.scripts.kills_of_train", "5", "0"], check=False)
    assert done.returncode == 0


def test_processes_of_torchrun_are_for_scripts(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="workers=4 trains in four processes"):
        train("Foveal/Parking-v0", agent=("workers=torchrun",), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("trust", [False, True])
def test_an_agent_that_relabelled_goals_is_scored_without_its_environment(trust: bool, tmp_path: Path) -> None:
    settings = ("replay_buffer_class=HerReplayBuffer", "learning_starts=50", "buffer_size=500")
    words = {"steps": 120, "lanes": 2, "folder": tmp_path / "run", "progress_bar": False}
    train("Foveal/TargetDetection-v0", algorithm="SAC", agent=settings, **words)
    evaluate(str(tmp_path / "run"), episodes=4, trust=trust)
