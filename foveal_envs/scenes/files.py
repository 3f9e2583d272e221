"""Pictures in files: read with Pillow, SVG drawings with pygame, and refused when too large or damaged."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

LARGEST = 25_000_000  # pixels of a file; reading one takes 10 to 18 bytes each, as much as a large bank
TOO_LARGE = f"it has more than {LARGEST:,} pixels: make it smaller"
LARGEST_DRAWING = 2**20  # bytes of an SVG file, for drawing one may take seconds
KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".tga", ".ppm", ".pgm", ".svg")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "TGA", "PPM")  # their names in Pillow
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # Pillow's, of at most 8 bits a channel


def read_picture(file: Path, side: int) -> np.ndarray:
    """Pixels (H, W, 3 or 4) uint8 of a file; the fourth channel is opacity.

    The head of a file tells its size, so that one that is too large is never decoded.

    Args:
        file: a picture, of a format in KINDS.
        side: width or height, whichever is longer, at which an SVG file is drawn, pixels.

    Raises:
        ValueError: no regular file or no picture, damaged, cut short, or of more than 8 bits a channel, LARGEST pixels
            or, as SVG, LARGEST_DRAWING bytes; the message says which, without the file's name.
    """
    if file.suffix.lower() not in KINDS:
        raise ValueError(f"it is no picture; known are {' '.join(KINDS)}")
    if not file.is_file():
        raise ValueError("there is no such file")
    size = file.stat().st_size
    if size == 0:
        raise ValueError("the file is empty")
    if file.suffix.lower() != ".svg":
        return _read_photograph(file)
    if size > LARGEST_DRAWING:
        raise ValueError(f"its {size:,} bytes are more than the {LARGEST_DRAWING:,} allowed of an SVG file")
    return _read_drawing(file, side)


def _read_photograph(file: Path) -> np.ndarray:
    """Pixels (H, W, 3 or 4) of a file that is no drawing."""
    with _opened(file) as image:
        if image.width * image.height > LARGEST:
            raise ValueError(TOO_LARGE)
        if image.mode not in MODES:
            raise ValueError(f"its pixels are of Pillow's mode {image.mode}; at most 8 bits a channel are allowed")
        mode = "RGBA" if image.has_transparency_data else "RGB"
        try:
            return np.asarray(image if image.mode == mode else image.convert(mode))
        except Exception as error:  # a damaged file may raise anything
            raise ValueError(f"it cannot be read ({error})") from error


def _opened(file: Path) -> Image.Image:
    """The file, of which only the head has been read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise ValueError("it cannot be read: it is damaged, or of another kind than its name says") from error
    except OSError as error:
        raise ValueError(f"it cannot be read ({error})") from error


def _read_drawing(file: Path, side: int) -> np.ndarray:
    """Pixels (H, W, 4) of an SVG file, ``side`` pixels wide or high."""
    import pygame

    try:
        surface = pygame.image.load_sized_svg(str(file), (side, side))
    except (pygame.error, OSError) as error:
        raise ValueError(f"it cannot be read ({error})") from error
    width, height = surface.get_size()
    pixels = np.frombuffer(pygame.image.tobytes(surface, "RGBA"), np.uint8).reshape(height, width, 4)
    if not pixels[..., 3].any():
        raise ValueError("nothing of it is drawn: SVG files may hold shapes and paths, but text must be made a path")
    return pixels
