"""Every registered retina, and the ways to name one."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

import foveal_envs  # noqa: F401  registers the ids
from foveal_envs.retinas import RETINAS, Retina, make_retina


@pytest.mark.parametrize("name", RETINAS)
def test_tables_are_valid_and_centred(name: str) -> None:
    retina = make_retina(name)
    assert retina.table.shape == (len(retina), 3)
    assert (retina.table[:, 2] > 0).all()
    np.testing.assert_allclose(retina.table[:, :2].mean(0), 0.0, atol=1e-4)
    assert retina == make_retina({"name": name})
    assert not retina.table.flags.writeable


def test_rings_have_forty_fields_small_in_the_centre() -> None:
    retina = make_retina("rings")
    eccentricity = np.hypot(*retina.table[:, :2].T)
    assert len(retina) == 40
    assert retina.reach == pytest.approx(60.0)
    assert (np.diff(retina.table[np.argsort(eccentricity, kind="stable"), 2]) >= -1e-4).all()


def test_the_earlier_name_of_the_rings_is_still_accepted() -> None:
    """Specifications and data sets recorded before the name changed say "att1"."""
    assert make_retina("att1") == make_retina("rings")
    assert make_retina({"name": "att1", "spokes": 6}) == make_retina({"name": "rings", "spokes": 6})
    env = gym.make("Foveal/TargetDetection-v0", retina="att1")
    default = gym.make("Foveal/TargetDetection-v0")
    assert data_equivalence(env.reset(seed=0), default.reset(seed=0), exact=True)


@pytest.mark.parametrize(
    ("retina", "message"),
    [
        ("fish-eye", "one of 'rings', 'multiscale'"),
        ({"name": "rings", "colour": 3}, "diameter"),
        ({"name": "uniform", "size": 0}, r"size .* from 1 to 64; got 0"),
        ({"name": "logpolar", "wedges": 2}, r"wedges .* from 3"),
        ({"name": "multiscale", "pixel": -1.0}, r"pixel .* in \[0.001, 100000\]"),
        ({"name": "logpolar", "inner": 200.0}, "inner must be below .*, as diameter is 240"),
        ({"size": 3}, "name"),
        (["rings"], "a name, a dict"),
        ({"name": "rings", "growth": 1.0}, r"growth .* in \(1, 10\]"),
    ],
)
def test_impossible_retinas_name_what_is_allowed(retina: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_retina(retina)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", [np.zeros((3, 2)), np.array([[0, 0, -1.0]]), np.array([[np.nan, 0, 1.0]])])
def test_impossible_tables(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="retina"):
        Retina(table)
