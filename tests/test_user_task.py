"""A user adds a task in one file outside the package, written only against the public contract."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from foveal_envs import check_vector_env
from foveal_envs.reference import make_reference

ID = "point_navigation:My/PointNavigation-v0"
FILE = Path(__file__).parent / "user" / "point_navigation.py"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FILE.parent))
    yield
    sys.modules.pop("point_navigation", None)
    gym.registry.pop("My/PointNavigation-v0", None)


def test_it_is_short() -> None:
    assert len(FILE.read_text().splitlines()) < 100


def test_checkers_accept_it() -> None:
    check_env(gym.make(ID).unwrapped, skip_render_check=True)
    sb3_check_env(gym.make(ID).unwrapped)


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_lanes_equal_single_envs(mode: str) -> None:
    check_vector_env(
        lambda n: gym.make_vec(ID, n, vectorization_mode="vector_entry_point", autoreset_mode=mode),
        single=lambda: gym.make(ID),
    )


def test_it_renders() -> None:
    env = gym.make(ID, render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert frame.std() > 0


def test_the_oracle_solves_it_and_goals_relabel() -> None:
    env = gym.make_vec(ID, 50, vectorization_mode="vector_entry_point", info="step")
    oracle = make_reference("oracle", env)
    observation, _ = env.reset(seed=0)
    arrived = np.zeros(50, bool)
    for _ in range(40):
        observation, rewards, terminated, _, _ = env.step(oracle.predict(observation)[0])
        same = env.compute_reward(observation["achieved_goal"], observation["desired_goal"], {})
        moved = rewards != 0.0
        np.testing.assert_allclose(rewards[moved], same[moved], rtol=1e-6)
        arrived |= terminated
    assert arrived.all()


def test_a_record_without_room_for_its_objects_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task of docs/own_task.md says that it has three discs, and its record has room for two."""
    page = (Path(__file__).parents[1] / "docs" / "own_task.md").read_text()
    code = page.partition('```python title="my_tasks.py"\n')[2].partition("```")[0]
    (tmp_path / "crowded.py").write_text(code.replace('w["count"] = 2', 'w["count"] = 3').replace("My/", "Crowded/"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for made in (gym.make("crowded:Crowded/Between-v0"), gym.make_vec("crowded:Crowded/Between-v0", 3)):
        with pytest.raises(IndexError, match="has 3 objects, but its record has room for 2"):
            made.reset(seed=0)
    gym.registry.pop("Crowded/Between-v0")
    sys.modules.pop("crowded")
