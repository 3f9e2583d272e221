"""train, evaluate and their run folders; an interrupted training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.callbacks import BaseCallback

from scripts.evaluate import evaluate
from scripts.shared.rollouts import detection_scores, run_episodes
from scripts.shared.runs import load_agent, make_lanes
from scripts.train import Run, fit, train

QUICK = ("model_steps=200", "updates=2", "batch_size=16")
FILES = {"model.zip", "config.json", "progress.csv", "curve.csv", "learning_curve.png", "scanpaths.png", "episode.gif"}


def test_training_leaves_a_run_folder_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    options = {"agent": QUICK, "steps": 600, "lanes": 8, "folder": folder, "progress_bar": False}
    train("Foveal/TargetDetection-v0", env=("shape=L", "moves=5"), **options)
    assert {path.name for path in folder.iterdir()} == FILES
    assert f"python -m scripts.watch {folder}" in capsys.readouterr().out
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


def test_an_interrupted_training_leaves_a_loadable_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("Foveal/TargetDetection-v0", {"moves": 5}, agent_kwargs={"model_steps": 50}, steps=2_000, lanes=8)

    class Interrupt(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps >= 300:
                raise KeyboardInterrupt
            return True

    original = run.make_agent

    def interrupted(env: Any) -> Any:
        agent = original(env)
        learn = agent.learn
        agent.learn = lambda steps, callback, **more: learn(steps, callback=[callback, Interrupt()], **more)
        return agent

    monkeypatch.setattr(run, "make_agent", interrupted)
    fit(run, tmp_path, progress_bar=False)
    env = make_lanes(run.env_id, run.env_kwargs, 2)
    load_agent(tmp_path, env).predict(env.reset(seed=0)[0])


def test_references_bracket_the_scores() -> None:
    random, oracle = (
        detection_scores(run_episodes(name, "Foveal/TargetDetection-v0", 200)) for name in ("random", "oracle")
    )
    assert oracle["within_5"] == 1.0
    assert oracle["fixations"] < random["fixations"]
    assert random["within_10"] < 0.1
