"""CuriosityGrid: what is certain and what is not, what a pair pays, and what the oracle finds."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import foveal_envs  # noqa: F401
from foveal_envs.tasks.navigation.curiosity_grid import LAYOUTS, CuriosityGrid


def lanes(n: int = 8, **keywords: Any) -> Any:
    env = gym.make_vec("Foveal/CuriosityGrid-v0", n, vectorization_mode="vector_entry_point", info="step", **keywords)
    return env.unwrapped


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_hundred_cells_of_which_a_quarter_is_noise(layout: str) -> None:
    task = CuriosityGrid(layout)
    assert len(task.cells) == 100
    assert task.noisy.sum() == 25
    assert task.pairs == 300
    back = task.moves_to[task.moves_to, [2, 3, 0, 1]]  # there and back again, unless a wall stopped the move
    stopped = task.moves_to == np.arange(100)[:, None]
    assert ((back == np.arange(100)[:, None]) | stopped).all()
    assert stopped.any() == (layout != "open")


def test_moves_do_what_they_say_but_in_the_noise() -> None:
    env = lanes(200, moves=400, autoreset_mode="same_step")
    task, generator = env.task, np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    directions: list[bool] = []
    for _ in range(399):
        actions = generator.integers(0, 4, 200)
        after, *_ = env.step(actions)
        agrees, noisy = after == task.moves_to[obs, actions], task.noisy[obs]
        assert agrees[~noisy].all()
        inner = noisy & (task.moves_to[obs] != obs[:, None]).all(1)
        directions += agrees[inner].tolist()
        obs = after
    assert len(directions) > 1000
    assert 0.2 < np.mean(directions) < 0.3  # one of four, whatever the action


def test_a_pair_pays_once_and_the_return_is_what_is_known() -> None:
    env = lanes(6, moves=120, layout="open", autoreset_mode="same_step")
    generator, returns = np.random.default_rng(1), np.zeros(6)
    env.reset(seed=3)
    for _ in range(120):
        _, rewards, terminated, _, infos = env.step(generator.integers(0, 4, 6))
        assert set(np.round(300 * rewards, 6)) <= {0.0, 1.0}
        returns += rewards
    assert terminated.all()
    np.testing.assert_allclose(infos["final_info"]["known"], returns)
    assert not infos["final_info"]["is_success"].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_oracle_finds_everything_out(layout: str) -> None:
    env = lanes(3, layout=layout, moves=1000, autoreset_mode="same_step")
    env.reset(seed=0)
    for _ in range(1000):
        *_, infos = env.step(env.oracle_actions())
    assert infos["final_info"]["is_success"].all()


def test_one_hot_says_the_same() -> None:
    plain, one_hot = lanes(4), lanes(4, one_hot=True)
    a, b = plain.reset(seed=1)[0], one_hot.reset(seed=1)[0]
    generator = np.random.default_rng(2)
    for _ in range(30):
        np.testing.assert_array_equal(np.eye(100, dtype=np.float32)[a], b)
        actions = generator.integers(0, 4, 4)
        a, b = plain.step(actions)[0], one_hot.step(actions)[0]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("zigzag", "'open', 'four_rooms', 'corridor'"),
        (["..", "~."], "exactly one 'S'"),
        (["S#~", "..#"], r"reachable from the start(.|\n)*<--"),
        (["S"], "2 to 1024 free squares"),
    ],
)
def test_layouts_that_do_not_go_are_refused(layout: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CuriosityGrid(layout)
