"""Rendering: frames of every task, agreement with what is sensed, the canvas's own marks, windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium.wrappers.vector import RecordVideo

from foveal_envs.rendering import Canvas, Screen, Window, pixels
from foveal_envs.scenes.objects import FIXED_SHAPES, OBJECT, shape_table

from ..conftest import CASES, case_name

every_case = pytest.mark.parametrize(("id", "keywords"), CASES, ids=case_name)
WHITE = np.zeros(3, np.float32)


def one_object(shape: str, x: float, y: float, angle: float = 0.0) -> np.ndarray:
    things = np.zeros(1, OBJECT)
    things[0] = shape_table(60.0)[FIXED_SHAPES.index(shape)]
    things[0]["x"], things[0]["y"], things[0]["angle"], things[0]["value"] = x, y, angle, 1.0
    return things


@pytest.fixture
def dummy_display(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


@every_case
def test_frames_are_of_one_shape_and_change(id: str, keywords: dict[str, Any]) -> None:
    env = gym.make(id, render_mode="rgb_array", **keywords)
    env.reset(seed=1)
    frames = [env.render()]
    env.action_space.seed(1)
    for _ in range(3):
        env.step(env.action_space.sample())
        frames.append(env.render())
    assert all(frame.dtype == np.uint8 and frame.shape == frames[0].shape for frame in frames)
    assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0
    assert (frames[0] != frames[3]).any()
    np.testing.assert_array_equal(env.render(), frames[3])
    env.close()


SEEN = [
    (id, keywords)
    for id, keywords in CASES
    if gym.make(id, **keywords).unwrapped.task.fovea is not None and not keywords.get("noise")
]


@pytest.mark.parametrize(("id", "keywords"), SEEN, ids=case_name)
def test_scene_shows_what_the_retina_senses(id: str, keywords: dict[str, Any]) -> None:
    env = gym.make(id, **keywords).unwrapped
    fovea = env.task.fovea
    ys, xs = np.mgrid[:512, :512] + 0.5
    wrong: list[float] = []
    for seed in range(3):
        env.reset(seed=seed)
        w = env.get_state()["worlds"][0]
        canvas = Canvas((512.0, 512.0))
        env.task.paint(env.get_state()["worlds"], 0, canvas)
        dark = 1.0 - pixels(canvas.finish()) / 255.0
        x, y, angle = w["gaze"]
        for k in np.flatnonzero(fovea.retina.table[:, 2] > 10.0):
            u, v, size = fovea.retina.table[k]
            cx, cy = x + np.cos(angle) * u - np.sin(angle) * v, y + np.sin(angle) * u + np.cos(angle) * v
            if not (20 + size / 2 < cx < 492 - size / 2 and 20 + size / 2 < cy < 492 - size / 2):
                continue
            seen = dark[np.hypot(xs - cx, ys - cy) <= 0.5 * size].mean(0)
            sensed = w["glimpse"][k * fovea.channels : (k + 1) * fovea.channels]
            wrong += (seen[: fovea.channels] - sensed).tolist()
    if hasattr(env.task, "bank"):  # it errs at the sharp edges of a digit
        assert np.sqrt(np.mean(np.square(wrong))) < 0.03
    else:
        assert np.abs(wrong).max() < 0.04


@pytest.mark.parametrize("shape", FIXED_SHAPES)
def test_area_of_shapes_and_no_seams(shape: str) -> None:
    areas = []
    for angle in (0.0, 0.3, 1.0):
        canvas = Canvas((512.0, 512.0))
        canvas.scene(one_object(shape, 256.3, 255.6, angle), WHITE)
        areas.append((1.0 - pixels(canvas.finish())[..., 0] / 255.0).sum())
    np.testing.assert_allclose(areas, areas[0], rtol=0.02)
    if shape == "ring":
        np.testing.assert_allclose(areas[0], np.pi * 60**2 * (1 - 0.6**2), rtol=0.02)


def test_a_torus_shows_an_object_on_both_sides() -> None:
    plain, torus = Canvas((512.0, 512.0)), Canvas((512.0, 512.0))
    plain.scene(one_object("disc", 5.0, 508.0), WHITE)
    torus.scene(one_object("disc", 5.0, 508.0), WHITE, wrap=True)
    plain_dark, torus_dark = (pixels(canvas.finish())[..., 0] < 5 for canvas in (plain, torus))
    corners = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    assert [plain_dark[corner] for corner in corners] == [False, False, True, False]
    assert all(torus_dark[corner] for corner in corners)


def test_marks_of_a_task_with_units_of_its_own() -> None:
    canvas = Canvas((2.0, 1.0))
    canvas.fill("#ffffff")
    canvas.circle(np.float32(0.5), 0.5, np.float32(0.25), (255, 0, 0))
    canvas.polygon(np.array([[1.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0]]), (0, 0, 255, 128))
    canvas.line([(0.0, 0.02), (1.0, 0.02)], "black", 4)
    canvas.image(np.zeros((4, 4), np.uint8), 1.5, 0.5, 0.25, 0.25)
    canvas.text("goal", 0.5, 0.9)
    frame = pixels(canvas.finish())
    assert frame.shape == (256, 512, 3)
    assert tuple(frame[128, 128]) == (255, 0, 0)
    assert frame[40, 300, 2] == 255
    assert 120 < frame[40, 300, 0] < 135  # half of the white shows through
    assert tuple(frame[140, 400]) == (0, 0, 0)
    with pytest.raises(ValueError, match="'left', 'center', 'right'"):
        canvas.text("goal", 0.5, 0.5, align="top")


def test_panel_grows_with_what_it_holds() -> None:
    table = np.array([[0.0, 0.0, 4.0], [6.0, 0.0, 8.0]])
    canvas = Canvas((4.0, 1.0))
    for title in ("one", "two", "three"):
        canvas.retina_inset(title, table, np.array([0.0, 1.0]))
    canvas.status("moves", "3")
    height, width, _ = pixels(canvas.finish()).shape
    assert width > 512
    assert height > 3 * 150


def test_vector_frames_and_video(tmp_path: Path) -> None:
    envs = gym.make_vec(
        "Foveal/TargetDetection-v0", 3, vectorization_mode="vector_entry_point", render_mode="rgb_array", moves=2
    )
    envs.reset(seed=0)
    frames = envs.render()
    assert isinstance(frames, tuple)
    assert len(frames) == 3
    single = gym.make("Foveal/TargetDetection-v0", render_mode="rgb_array", moves=2)
    single.reset(seed=2)
    np.testing.assert_array_equal(single.render(), frames[2])
    video = RecordVideo(envs, str(tmp_path / "video"), episode_trigger=lambda episode: True)
    video.reset(seed=0)
    for _ in range(4):
        video.step(envs.action_space.sample())
    video.close()
    assert sorted(path.name for path in (tmp_path / "video").iterdir()) == [
        "rl-video-episode-0.mp4",
        "rl-video-episode-1.mp4",
    ]


def test_window_shows_and_survives_being_closed(dummy_display: None) -> None:
    env = gym.make("Foveal/TargetDetection-v0", render_mode="human")
    env.reset(seed=0)
    assert env.render() is None
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    for _ in range(3):
        env.step(env.action_space.sample())
    assert not env.unwrapped._screen.window.is_open
    env.close()
    env.close()


def test_a_place_in_a_resized_window(dummy_display: None) -> None:
    window = Window("test")
    window.show(np.zeros((100, 200, 3), np.uint8), 1000)
    pygame.display.set_mode((400, 300), pygame.RESIZABLE)
    window.show(np.zeros((100, 200, 3), np.uint8), 1000)
    assert window.locate((200, 150)) == (100.0, 50.0)  # centre to centre
    window.close()


def test_no_display_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pygame.error("No available video device")

    monkeypatch.setattr(pygame.display, "init", fail)
    with pytest.raises(gym.error.Error, match=r"no display.*rgb_array"):
        Window("test")
    env = gym.make("Foveal/TargetDetection-v0", render_mode="human")
    with pytest.warns(RuntimeWarning, match=r"no display.*rgb_array.*nothing is shown"):
        env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is None
    envs = gym.make_vec("Foveal/TargetDetection-v0", 2, render_mode="human")
    with pytest.warns(RuntimeWarning, match=r"no display.*nothing is shown"):
        envs.reset(seed=0)
    assert envs.render() is None
    envs.close()
    task = env.unwrapped.task
    env.close()
    worlds = np.zeros(1, task.world)
    frame = Screen(task.draw, task.render_size, "test", "rgb_array", 8).show(worlds, 0)
    assert frame is not None


def test_frames_need_no_display_and_importing_the_package_no_pygame() -> None:
    code = """
import sys, gymnasium as gym, foveal_envs
env = gym.make("Foveal/TargetDetection-v0", render_mode="rgb_array")
env.reset(seed=0)
assert "pygame" not in sys.modules
env.render()
import pygame
assert not pygame.display.get_init()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
