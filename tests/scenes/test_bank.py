"""Image bank: errors against exact area averages, colours, borders, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foveal_envs.retinas import RETINAS, Retina, make_retina
from foveal_envs.scenes.bank import ImageBank, bank_bytes, look_at_picture
from foveal_envs.scenes.pictures import textures

FINE = 6


def photograph() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.camera())


def exact_mean(dark: np.ndarray, x: float, y: float, radius: float, outside: float) -> float:
    """Mean of a disc over pixels that are squares, by 36 points a pixel."""
    left, top = int(np.floor(x - radius)), int(np.floor(y - radius))
    wide, tall = (int(np.ceil(a + radius)) - b for a, b in ((x, left), (y, top)))
    xs, ys = (np.arange(wide * FINE) + 0.5) / FINE + left, (np.arange(tall * FINE) + 0.5) / FINE + top
    inside = (xs - x) ** 2 + (ys[:, None] - y) ** 2 <= radius**2
    columns, rows = np.floor(xs).astype(int), np.floor(ys).astype(int)
    side = len(dark)
    values = dark[np.clip(rows, 0, side - 1)[:, None], np.clip(columns, 0, side - 1)]
    there = ((rows >= 0) & (rows < side))[:, None] & (columns >= 0) & (columns < side)
    return float(np.where(there, values, outside)[inside].mean())


def errors(picture: np.ndarray, retina: Retina, low: float, high: float, **keywords: Any) -> np.ndarray:
    """Errors in grey levels, of small fields and a fourth of the others, at 10 poses within [low, high]."""
    bank = ImageBank(picture[None], retina, outside=0.0, **keywords)
    rng, glimpse, wrong = np.random.default_rng(0), np.zeros(len(retina), np.float32), []
    for _ in range(10):
        x, y, angle = *rng.uniform(low, high, 2), rng.uniform(-3, 3)
        look_at_picture(bank.arrays, 0, x, y, angle, glimpse)
        cos, sin = np.cos(angle), np.sin(angle)
        for k, (u, v, size) in enumerate(retina.table.tolist()):
            if size > 20.0 and k % 4:
                continue
            place = x + cos * u - sin * v, y + sin * u + cos * v
            wrong.append(255.0 * glimpse[k] - exact_mean(255.0 - picture, *place, 0.5 * size, 0.0))
    return np.array(wrong)


@pytest.mark.parametrize(("exact", "bar"), [(False, 3.5), (True, 1.5)])
@pytest.mark.parametrize("name", list(RETINAS))
def test_bank_against_exact_area_averages(name: str, exact: bool, bar: float) -> None:
    wrong = errors(photograph(), make_retina(name), 130.0, 380.0, exact=exact)
    assert np.sqrt(np.mean(wrong**2)) <= bar
    assert abs(wrong.mean()) < 0.4


@pytest.mark.parametrize(("exact", "bar"), [(False, 3.5), (True, 1.5)])
def test_bank_of_textures_and_beyond_the_border(exact: bool, bar: float) -> None:
    picture, retina = textures(1, 256)[0], make_retina("rings")
    for low, high in ((80.0, 180.0), (-20.0, 276.0)):
        wrong = errors(picture, retina, low, high, exact=exact)
        steep = 2.0 if low < 0 else 1.0  # the border of a grey picture on white is a sharp edge
        assert np.sqrt(np.mean(wrong**2)) <= steep * bar


def test_colour_is_three_grey_banks() -> None:
    retina, rng = make_retina("rings"), np.random.default_rng(0)
    colour = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    bank, glimpse, grey = ImageBank(colour, retina), np.zeros(120, np.float32), np.zeros(40, np.float32)
    for channel in range(3):
        single = ImageBank(colour[..., channel], retina)
        look_at_picture(bank.arrays, 1, 30.2, 28.9, 0.4, glimpse)
        look_at_picture(single.arrays, 1, 30.2, 28.9, 0.4, grey)
        np.testing.assert_array_equal(glimpse[channel::3], grey)


def test_a_flat_picture_is_flat_everywhere() -> None:
    bank, glimpse = ImageBank(np.full((1, 40, 40), 100, np.uint8), make_retina("uniform")), np.zeros(144, np.float32)
    for x, y in ((20.0, 20.0), (-1000.0, 1e6), (0.0, 40.0)):
        look_at_picture(bank.arrays, 0, x, y, 0.3, glimpse)
        np.testing.assert_allclose(glimpse, 155 / 255, atol=1e-6)


def test_memory_is_stated_and_bounded() -> None:
    retina, pictures = make_retina("rings"), np.zeros((3, 128, 128, 3), np.uint8)
    bank = ImageBank(pictures, retina)
    _, texels, *_ = bank.arrays
    assert bank.bytes == texels.nbytes == bank_bytes(9, 128, retina)
    with pytest.raises(ValueError, match=r"would take \d+ MiB, more than memory=0.01"):
        ImageBank(pictures, retina, memory=0.01)
    assert bank_bytes(1, 512, retina, exact=True) < 4.2 * bank_bytes(1, 512, retina)
    for wrong in (np.zeros((2, 8, 9), np.uint8), np.zeros((2, 8, 8)), np.zeros((0, 8, 8), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            ImageBank(wrong, retina)
