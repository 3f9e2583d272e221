"""check_vector_env accepts sound vector environments of any package, and names what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from foveal_envs import check_vector_env

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"
ID = "CartPole-v1"


def sync(n: int) -> Any:
    return gym.make_vec(ID, n, vectorization_mode="sync")


class Spoiled(gym.vector.VectorWrapper):
    """A vector environment whose steps give what ``spoil`` makes of them."""

    def __init__(self, n: int, spoil: Callable[[list[Any]], None]) -> None:
        super().__init__(sync(n))
        self._spoil = spoil

    def step(self, actions: Any) -> Any:
        results = list(self.env.step(actions))
        self._spoil(results)
        return tuple(results)


def never_ends(results: list[Any]) -> None:
    results[2] = np.zeros_like(results[2])


def rewards_nothing_finite(results: list[Any]) -> None:
    results[1] = np.full_like(results[1], np.nan)


def leaves_its_space(results: list[Any]) -> None:
    results[0] = results[0] + 100.0


def gives_no_mask(results: list[Any]) -> None:
    results[4] = {"distance": np.zeros(len(results[1]))}


def numbers_for_flags(results: list[Any]) -> None:
    results[3] = results[3].astype(np.float32)


def test_gymnasiums_sync_vector_env_is_sound() -> None:
    check_vector_env(sync, single=lambda: gym.make(ID))


@pytest.mark.parametrize("id", ["FrozenLake-v1", "Blackjack-v1"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_single_numbers_may_be_those_of_python_or_numpy(id: str, mode: AutoresetMode) -> None:
    def make(n: int) -> Any:
        return gym.make_vec(id, n, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})

    check_vector_env(make, single=lambda: gym.make(id), steps=60)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (never_ends, "single environments"),
        (rewards_nothing_finite, "step 0, lane 0: the reward is not finite"),
        (leaves_its_space, "step 0: the observation is not in Box"),
        (gives_no_mask, r"step 0: infos\['_distance'\] must be a bool array"),
        (numbers_for_flags, "step 0: truncated must be an array"),
    ],
)
def test_what_is_wrong_is_named(spoil: Callable[[list[Any]], None], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_vector_env(lambda n: Spoiled(n, spoil), single=lambda: gym.make(ID))


def test_the_page_shows_what_the_checker_says() -> None:
    with pytest.raises(AssertionError) as caught:
        check_vector_env(lambda n: gym.make_vec(ID, n, vectorization_mode="vector_entry_point"))
    assert f"AssertionError: {caught.value}\n" in PAGE.read_text()


def test_one_lane_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2 lanes, got 1"):
        check_vector_env(sync, num_envs=1)
