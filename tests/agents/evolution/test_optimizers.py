"""The evolution strategies: they climb, draw from nothing global, and go on from their state to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from agents.evolution.optimizers import OPTIMIZERS, Search

NAMES = sorted(OPTIMIZERS)
SCALES = 10 ** np.linspace(0, 1, 8)


def stretched(candidates: np.ndarray) -> np.ndarray:
    """Highest, 0, at 1; axes of different steepness."""
    return -np.square(SCALES * (candidates - 1)).sum(1)


@pytest.mark.parametrize("name", NAMES)
def test_it_climbs(name: str) -> None:
    optimizer = OPTIMIZERS[name](np.zeros(8), 0.3, 24, (1,))
    before = stretched(optimizer.mean[None])[0]
    for _ in range(150):
        optimizer.tell(stretched(optimizer.ask()))
    after = stretched(optimizer.mean[None])[0]
    assert after > (before / 10 if name == "openai-es" else -1e-6)  # whose step is fixed


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_to_the_bit_and_leaves_numpy_s_generator_alone(name: str) -> None:
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = OPTIMIZERS[name](np.ones(8), 0.3, 7, (3, 1))
    for _ in range(6):
        first.tell(stretched(first.ask()))
    second = OPTIMIZERS[name](np.ones(8), 0.3, 7, (3, 1))
    second.set_state(first.get_state())
    for _ in range(3):
        np.testing.assert_array_equal(first.ask(), second.ask())
        np.testing.assert_array_equal(first.ask(), first.ask())
        for one in (first, second):
            one.tell(stretched(one.ask()))
    np.testing.assert_array_equal(first.mean, second.mean)
    assert first.sigma == second.sigma
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_draws_others_and_fitness_is_only_compared(name: str) -> None:
    one, other = (OPTIMIZERS[name](np.zeros(4), 1.0, 8, (seed,)) for seed in (1, 2))
    assert not np.allclose(one.ask(), other.ask())
    plain, bent = (OPTIMIZERS[name](np.zeros(4), 1.0, 8, (1,)) for _ in range(2))
    fitness = stretched(np.tile(plain.ask(), 2))
    plain.tell(fitness)
    bent.tell(np.cbrt(fitness) - 7)
    np.testing.assert_array_equal(plain.mean, bent.mean)


def test_a_flat_landscape_moves_the_openai_mean_only_by_its_decay() -> None:
    optimizer = OPTIMIZERS["openai-es"](np.zeros(4), 1.0, 8, (1,))
    optimizer.tell(np.ones(8))
    np.testing.assert_array_equal(optimizer.mean, np.zeros(4))


def test_a_search_scales_restarts_and_is_restored() -> None:
    scale = np.array([1.0, 100.0])
    search = Search("cma", scale, 0.5, 400, 3, {})
    search.start(np.array([2.0, 300.0]))
    spread = (search.ask() - [2.0, 300.0]).std(0)
    np.testing.assert_allclose(spread, [0.5, 50.0], rtol=0.15)
    first = search.ask()
    search.restart()
    assert search.restarts == 1
    assert not np.allclose(search.ask(), first)
    again = Search("cma", scale, 0.5, 400, 3, {})
    again.set_state(search.get_state())
    np.testing.assert_array_equal(again.ask(), search.ask())
    other = Search("cma", scale, 0.5, 32, 3, {})
    other.set_state(search.get_state())
    assert not other.started  # it has other settings, and begins where the policy is


def test_a_full_matrix_of_many_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2,000 parameters is too large.*sep-cma"):
        Search("cma", np.ones(2000), 0.5, 8, 0, {})
