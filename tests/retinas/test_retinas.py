"""Every registered retina, and the ways to name one."""

from __future__ import annotations

import numpy as np
import pytest

from foveal_envs.retinas import RETINAS, Retina, make_retina


@pytest.mark.parametrize("name", RETINAS)
def test_tables_are_valid_and_centred(name: str) -> None:
    retina = make_retina(name)
    assert retina.table.shape == (len(retina), 3)
    assert (retina.table[:, 2] > 0).all()
    np.testing.assert_allclose(retina.table[:, :2].mean(0), 0.0, atol=1e-4)
    assert retina == make_retina({"name": name})
    assert not retina.table.flags.writeable


def test_att1_has_forty_fields_small_in_the_centre() -> None:
    retina = make_retina("att1")
    eccentricity = np.hypot(*retina.table[:, :2].T)
    assert len(retina) == 40
    assert retina.reach == pytest.approx(60.0)
    assert (np.diff(retina.table[np.argsort(eccentricity, kind="stable"), 2]) >= -1e-4).all()


@pytest.mark.parametrize(
    ("retina", "message"),
    [
        ("fish-eye", "allowed: 'att1', 'multiscale'"),
        ({"name": "att1", "colour": 3}, "diameter"),
        ({"name": "uniform", "size": 0}, "size >= 1"),
        ({"name": "logpolar", "wedges": 2}, "wedges >= 3"),
        ({"name": "multiscale", "pixel": -1.0}, "pixel > 0"),
        ({"name": "att1", "growth": 1.0}, "growth > 1"),
    ],
)
def test_impossible_retinas_name_what_is_allowed(retina: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_retina(retina)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", [np.zeros((3, 2)), np.array([[0, 0, -1.0]]), np.array([[np.nan, 0, 1.0]])])
def test_impossible_tables(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="retina"):
        Retina(table)
