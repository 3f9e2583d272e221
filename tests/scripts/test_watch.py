"""scripts.watch and run folders: pictures of references and of a saved agent, messages for wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pygame
import pytest
from stable_baselines3 import PPO

from agents import make_sb3
from scripts import check_agents
from scripts.shared import environments, policies, runs
from scripts.watch import run, watch

ID = "Foveal/TargetDetection-v0"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    keywords = {"moves": 3, "shape": "L"}
    envs = make_sb3(ID, 2, seed=0, **keywords)
    PPO("MultiInputPolicy", envs, n_steps=4, batch_size=4, device="cpu").save(folder / "model.zip")
    envs.close()
    (folder / "config.json").write_text(json.dumps({"algorithm": "PPO", "env_id": ID, "env_kwargs": keywords}))
    return folder


def test_files_of_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gif, mp4, png = (tmp_path / "new" / f"episode.{end}" for end in ("gif", "mp4", "png"))
    watch(ID, "random", episodes=2, fps=4, gif=gif, mp4=mp4, png=png, env=("moves=3", "rotate=true"))
    assert capsys.readouterr().out.count("moves 3") == 2
    still = iio.imread(png)
    assert still.shape[:2] == (512, 704)
    assert len(iio.imread(gif, index=None)) == 2 * 4
    assert iio.imread(mp4, plugin="FFMPEG", index=0).shape == (512, 704, 3)


def test_a_run_folder_shows_its_own_model(run_folder: Path, tmp_path: Path) -> None:
    watch(str(run_folder), episodes=1, png=tmp_path / "still.png")
    watch(ID, str(run_folder / "model.zip"), episodes=1, png=tmp_path / "other.png", env=("moves=3", 'shape="L"'))
    np.testing.assert_array_equal(iio.imread(tmp_path / "still.png"), iio.imread(tmp_path / "other.png"))


def test_frames_of_whole_episodes() -> None:
    lane = environments.make_lanes(ID, {"moves": 4}, 1, render_mode="rgb_array")
    frames = list(run(lane, policies.load_agent("oracle", lane), episodes=2, seed=5))
    assert [frame.move for frame in frames] == [0, 1, 2, 3, 4] * 2
    assert [frame.last for frame in frames] == [False, False, False, False, True] * 2
    assert frames[4].measures["is_success"] == 1.0
    lane.close()


def test_other_environments_too(tmp_path: Path) -> None:
    watch("CartPole-v1", "random", episodes=1, png=tmp_path / "pole.png")
    assert (tmp_path / "pole.png").is_file()


def test_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, mod=0))
    watch(ID, "random", episodes=50, fps=1000)  # ends at once
    assert not pygame.display.get_init()


def test_no_display_names_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pygame.error("No available video device")

    monkeypatch.setattr(pygame.display, "init", fail)
    with pytest.raises(SystemExit, match=r"no display.*--gif"):
        watch(ID)


@pytest.mark.parametrize(
    ("environment", "agent", "env", "message"),
    [
        ("Foveal/Nothing-v0", None, (), "cannot make Foveal/Nothing-v0"),
        (ID, None, ("shape=Q",), "'triangle', 'L'"),
        (ID, None, ("rotation=1",), "unexpected keyword argument 'rotation'"),
        (ID, None, ("rotate",), "KEY=VALUE"),
        (ID, "nobody", (), "no agent 'nobody': give random, oracle"),
        (".", None, (), "no run folder"),
    ],
)
def test_wrong_input(
    environment: str, agent: str | None, env: tuple[str, ...], message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        watch(environment, agent, env=env, png=tmp_path / "x.png")


def test_values_of_keywords() -> None:
    words = ["a=1", "b=true", "c=L", 'd={"name": "rings"}', "e=(1, 2)", "f=None", "g=x=y"]
    values = {"a": 1, "b": True, "c": "L", "d": {"name": "rings"}, "e": (1, 2), "f": None, "g": "x=y"}
    assert environments.parse_keywords(words) == values


def test_another_package_named_agents_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name == "agents" or name.startswith("agents.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match="another project's"):
        check_agents()


def test_unknown_algorithm_and_broken_config(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="WorldModelController"):
        policies.algorithm_class("Nobody")
    (tmp_path / "config.json").write_text('{"algorithm": "PPO"}')
    with pytest.raises(SystemExit, match="lacks env_id, env_kwargs"):
        runs.read_config(tmp_path)
