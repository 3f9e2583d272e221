"""The retina in torch: equal to the image bank, with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.common.retina import Retina
from foveal_envs.retinas import RETINAS, make_retina
from foveal_envs.scenes.bank import ImageBank, look_at_picture
from foveal_envs.scenes.pictures import textures


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(RETINAS))
def test_it_sees_what_the_bank_sees(name: str, channels: int, exact: bool) -> None:
    side, rng = 96, np.random.default_rng(0)
    pictures = np.stack([np.stack([textures(6, side)[i + c] for c in range(channels)], 2) for i in range(2)])
    source = make_retina(name)
    bank, layer = ImageBank(pictures, source, exact=exact), Retina(source.table, 0.25 if exact else 0.5)
    gaze = np.column_stack([rng.uniform(-10, side + 10, (2, 2)), rng.uniform(-3, 3, 2)])
    tensor = torch.as_tensor(np.moveaxis(pictures, 3, 1) / 255.0, dtype=torch.float32)
    seen = layer(tensor, torch.as_tensor(gaze, dtype=torch.float32)).numpy()
    wanted = np.zeros((2, len(source) * channels), np.float32)
    for i in range(2):
        look_at_picture(bank.arrays, i, *gaze[i], wanted[i])
    assert 255.0 * np.abs(seen - wanted).max() <= 1.0


def test_gradients_with_respect_to_gaze_and_picture() -> None:
    layer = Retina(make_retina("rings").table).double()
    picture = torch.rand(1, 1, 40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gaze = torch.tensor([[19.3, 21.7, 0.4]], dtype=torch.float64, requires_grad=True)
    layer(picture, gaze).square().sum().backward()
    slopes = []
    for axis in range(3):
        values = []
        for sign in (1, -1):
            moved = gaze.detach().clone()
            moved[0, axis] += sign * 1e-6
            values.append(layer(picture, moved).square().sum().item())
        slopes.append((values[0] - values[1]) / 2e-6)
    np.testing.assert_allclose(gaze.grad[0].numpy(), slopes, rtol=1e-4, atol=1e-6)
    picture.requires_grad_()
    layer(picture, gaze.detach()).sum().backward()
    assert float(picture.grad.sum()) < -20.0  # 40 fields; a lighter picture is less dark


def test_following_the_gradient_finds_a_spot() -> None:
    ys, xs = np.mgrid[:64, :64] + 0.5
    spot = 1.0 - np.exp(-((xs - 40) ** 2 + (ys - 25) ** 2) / 200.0)
    picture, layer = torch.as_tensor(spot, dtype=torch.float32)[None, None], Retina([[0.0, 0.0, 10.0]])
    gaze = torch.tensor([[30.0, 32.0]], requires_grad=True)
    for _ in range(100):
        (slope,) = torch.autograd.grad(layer(picture, gaze).sum(), gaze)
        gaze = (gaze + 40.0 * slope).detach().requires_grad_()
    np.testing.assert_allclose(gaze.detach().numpy(), [[40.0, 25.0]], atol=0.7)


def test_impossible_tables() -> None:
    for table in (np.zeros((2, 3)), np.ones((3, 2)), np.ones((0, 3))):
        with pytest.raises(ValueError, match="table"):
            Retina(table)
