"""The looking tasks: impossible keywords, oracle and random, motions, goals, and compiled against uncompiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.fovea.fovea import Fovea
from foveal_envs.reference import make_reference
from foveal_envs.scenes.objects import SHAPES

from ...conftest import CASES, case_name

ROOT = Path(__file__).parents[3]


def lanes(id: str, n: int, /, **keywords: Any) -> Any:
    return gym.make_vec(id, n, vectorization_mode="vector_entry_point", info="step", **keywords)


def play(env: Any, reference: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Distances (moves, N) of one episode under a reference, and the last infos."""
    policy = make_reference(reference, env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    distances, over = [], False
    while not over:
        observation, _, terminated, _, infos = env.step(policy.predict(observation)[0])
        distances.append(infos["distance"])
        over = terminated.all()
    return np.array(distances), infos


@pytest.mark.parametrize(
    ("id", "keywords", "message"),
    [
        ("TargetDetection", {"shape": "star"}, "'triangle', 'L'"),
        ("TargetDetection", {"shape": []}, "'triangle'"),
        ("TargetDetection", {"start": "far"}, "'near', 'anywhere'"),
        ("TargetDetection", {"moves": 0}, "from 1 to"),
        ("TargetDetection", {"actuators": "legs"}, "'saccade', 'muscles', 'directions', 'fields'"),
        ("TargetDetection", {"reward": "huge"}, "'dense', 'sparse', 'terminal'"),
        ("TargetDetection", {"goal": "name"}, "'appearance', 'pose', None"),
        ("TargetDetection", {"goal_format": "list"}, "'dict', 'concat'"),
        ("TargetDetection", {"channels": 2}, "1, 3"),
        ("TargetDetection", {"noise": -1.0}, "standard deviation"),
        ("TargetDetection", {"largest_jump": 0.0}, "pixels"),
        ("TargetDetection", {"randomise": {"hue": [0, 1]}}, "'size', 'contrast', 'background'"),
        ("TargetDetection", {"randomise": {"size": [2, 1]}}, r"each end of randomise\['size'\] .* \[0.5, 1.2\]; got 2"),
        ("GoalDetection", {"shapes": ["L"]}, "2 to 9"),
        ("GoalDetection", {"shapes": ["L", "L"]}, "different"),
        ("GoalDetection", {"arrangement": "random"}, "'fixed', 'shuffled'"),
        ("TargetTracking", {"motion": "teleport"}, "'line', 'bounce'"),
        ("TargetTracking", {"speed": [5, 1]}, r"speed must be a range \(least, largest\)"),
    ],
)
def test_impossible_keywords_name_the_allowed_values(id: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(f"Foveal/{id}-v0", **keywords)


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("actuators", ["saccade", "muscles", "directions", "fields"])
def test_the_oracle_arrives_and_random_does_not(actuators: str, rotate: bool) -> None:
    env = lanes("Foveal/TargetDetection-v0", 200, actuators=actuators, rotate=rotate, shape=list(SHAPES))
    assert play(env, "oracle")[1]["is_success"].all()
    assert play(env, "random")[1]["is_success"].mean() < 0.1


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_an_action_for_a_field_brings_the_gaze_to_where_that_field_is(angle: float) -> None:
    env = lanes("Foveal/TargetDetection-v0", 45, actuators="fields", rotate=True, shape="L")
    env.reset(seed=0)
    state = env.get_state()
    state["worlds"]["gaze"] = before = np.array([256.0, 256.0, angle])
    env.set_state(state)
    env.step(np.arange(45))
    table, moved = env.unwrapped.task.fovea.retina.table, env.get_state()["worlds"]["gaze"] - before
    c, s = np.cos(angle), np.sin(angle)
    expected = np.stack([c * table[:, 0] - s * table[:, 1], s * table[:, 0] + c * table[:, 1]], 1)
    np.testing.assert_allclose(moved[:40, :2], expected, atol=1e-4)
    assert not moved[:40, 2].any()
    assert not moved[40:, :2].any()
    assert (moved[40:44, 2] != 0).all()
    assert not moved[44].any()


@pytest.mark.parametrize("arrangement", ["fixed", "shuffled"])
def test_goals_name_their_targets(arrangement: str) -> None:
    env = lanes("Foveal/GoalDetection-v0", 300, arrangement=arrangement, start="other")
    _, infos = play(env, "oracle")
    assert (infos["fixated"] == infos["target"]).all()
    assert (infos["origin"] != infos["target"]).all()
    assert set(infos["target"].tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("speed", [5.0, 15.0])
@pytest.mark.parametrize("motion", ["line", "bounce", "circle", "random_walk"])
def test_targets_move_at_their_speed_and_the_oracle_keeps_up(motion: str, speed: float) -> None:
    env = lanes("Foveal/TargetTracking-v0", 100, motion=motion, speed=speed)
    env.reset(seed=0)
    before = env.get_state()["worlds"]["wanted"].copy()
    env.step(env.action_space.sample())
    step = (env.get_state()["worlds"]["wanted"] - before + 256.0) % 512.0 - 256.0
    moved = np.hypot(step[:, 0], step[:, 1])
    assert (moved <= speed + 1e-9).all()
    assert np.median(moved) == pytest.approx(speed)
    error = play(env, "oracle")[0][10:].mean()
    assert error == pytest.approx(speed if motion == "random_walk" else 0.0, abs=0.05 * speed)


def test_tracking_observes_both_glimpses_and_the_jump() -> None:
    env = lanes("Foveal/TargetTracking-v0", 5)
    first = env.reset(seed=0)[0]["observation"]
    np.testing.assert_array_equal(first[:, :40], first[:, 40:80])
    action = env.action_space.sample()
    second = env.step(action)[0]["observation"]
    np.testing.assert_array_equal(second[:, 40:80], first[:, :40])
    np.testing.assert_allclose(second[:, 80:], action, atol=1e-6)


def test_a_turned_fovea_moves_along_its_own_axes() -> None:
    env = lanes("Foveal/TargetDetection-v0", 50, rotate=True)
    env.reset(seed=0)
    before = env.get_state()["worlds"]["gaze"]
    env.step(np.tile(np.array([1.0, 0.0, 0.0], np.float32), (50, 1)))
    step = env.get_state()["worlds"]["gaze"] - before
    np.testing.assert_allclose(step[:, 0], 20.0 * np.cos(before[:, 2]), atol=1e-6)
    np.testing.assert_allclose(step[:, 1], 20.0 * np.sin(before[:, 2]), atol=1e-6)


def test_aim_inverts_the_moves() -> None:
    rng = np.random.default_rng(0)
    wanted, angles = rng.uniform(-14, 14, (40, 3)) * [1, 1, 0.05], rng.uniform(-3, 3, 40)
    for actuators in ("saccade", "muscles"):
        fovea = Fovea("rings", actuators, 20.0, 0.9, True, 1, 0.0)
        moves = fovea.strengths(fovea.aim(wanted, angles)) @ fovea.moves
        turned = np.exp(1j * angles) * (moves[:, 0] + 1j * moves[:, 1])
        np.testing.assert_allclose(turned, wanted[:, 0] + 1j * wanted[:, 1], atol=1e-4)
        np.testing.assert_allclose(moves[:, 2], wanted[:, 2], atol=1e-5)


def test_sparse_appearance_reward_mostly_agrees_with_success() -> None:
    env = lanes("Foveal/TargetDetection-v0", 4000, reward="sparse", start="near")
    env.reset(seed=0)
    agree = []
    for _ in range(3):
        _, rewards, _, _, infos = env.step(env.action_space.sample())
        agree.append((rewards == 0.0) == infos["is_success"])
    assert np.mean(agree) > 0.97


def test_pose_goals_agree_with_success() -> None:
    env = lanes("Foveal/TargetDetection-v0", 4000, reward="sparse", goal="pose", rotate=True)
    env.reset(seed=0)
    for _ in range(3):
        _, rewards, _, _, infos = env.step(env.action_space.sample())
        assert np.mean((rewards == 0.0) == infos["is_success"]) > 0.999


def test_noise_is_averaged_over_a_field() -> None:
    clean = lanes("Foveal/TargetDetection-v0", 2000).reset(seed=0)[0]["observation"]
    noisy = lanes("Foveal/TargetDetection-v0", 2000, noise=0.5).reset(seed=0)[0]["observation"]
    inner, outer = (np.where((clean > 0.2) & (clean < 0.8), noisy - clean, np.nan)[:, k] for k in (0, 39))
    radius = 0.5 * Fovea("rings", "saccade", 20.0, 1.0, False, 1, 0.0).retina.table[[0, 39], 2]
    for error, r in ((inner, radius[0]), (outer, radius[1])):
        assert np.nanstd(error) == pytest.approx(0.5 / np.sqrt(np.pi * r**2), rel=0.25)


TRACE = """
import sys, json, numpy as np, gymnasium as gym, foveal_envs
total = []
for id, keywords in json.loads(sys.argv[1]):
    env = gym.make_vec(id, 2, vectorization_mode="vector_entry_point", max_episode_steps=4, **keywords)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=1)
    for _ in range(7):
        observation, rewards, *_ = env.step(env.action_space.sample())
        values = observation.values() if isinstance(observation, dict) else [observation]
        total.append([float(v.sum()) for v in values] + rewards.tolist())
print(json.dumps(total))
"""


def test_compiled_and_uncompiled_agree() -> None:
    cases = [(id, {**keywords, "size": 24} if "TakeCover" in id else keywords) for id, keywords in CASES]

    def trace(**environment: str) -> list[Any]:
        command = [sys.executable, "-c", TRACE, json.dumps(cases)]
        out = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert out.returncode == 0, out.stderr
        return list(json.loads(out.stdout))

    for a, b in zip(trace(NUMBA_DISABLE_JIT="1"), trace(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("id", "keywords"), CASES, ids=case_name)
def test_goals_are_never_blank(id: str, keywords: dict[str, Any]) -> None:
    env = lanes(id, 200, **keywords)
    observation, _ = env.reset(seed=0)
    if isinstance(observation, dict) and env.single_observation_space["desired_goal"].low.min() >= 0:  # a glimpse
        assert (observation["desired_goal"].max(axis=1) > 0.1).all()
