"""Sprites: small pictures over a scene, against the scene with the picture drawn into it."""

from __future__ import annotations

import numpy as np

from foveal_envs.compiled import record
from foveal_envs.fovea.fovea import EYE, Fovea
from foveal_envs.retinas import Retina, make_retina
from foveal_envs.scenes.bank import ImageBank, look_at_picture
from foveal_envs.scenes.pictures import glyphs, load_pictures, textures
from foveal_envs.scenes.sprites import SPRITE, add_sprite, place_sprite


def eye(retina: Retina, channels: int = 1) -> np.void:
    """What kernels know of a fovea with a retina."""
    settings = Fovea(retina, "saccade", 20.0, 1.0, False, channels, 0.0).settings
    return record(np.dtype(EYE), **settings)[0]


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
