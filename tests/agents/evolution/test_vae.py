"""V: published sizes, the loss against PyTorch's distributions, and what it learns."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from agents import ConvVAE
from agents.evolution.presets import PRESETS
from agents.evolution.vae import drawn

LARGE = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
SMALL = gym.spaces.Box(0, 255, (32, 32, 3), np.uint8)


@pytest.mark.parametrize(("preset", "count"), [("car_racing", 4_348_547), ("doom", 4_446_915), ("small", 279_427)])
def test_it_has_the_published_size(preset, count):
    vae = ConvVAE(LARGE, **PRESETS[preset]["vae"])
    codes = PRESETS[preset]["vae"]["codes"]
    assert sum(parameter.numel() for parameter in vae.parameters()) == count
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    mean, log_variance = vae.encode(images)
    assert mean.shape == log_variance.shape == (2, codes)
    assert vae.decode(mean).shape == (2, 64, 64, 3)


def test_the_loss_is_the_squared_error_and_the_divergence_above_its_tolerance():
    torch.manual_seed(0)
    vae = ConvVAE(SMALL, 4, width=4, tolerance=0.25)
    with torch.no_grad():
        vae.mean.weight.mul_(3)
        vae.log_variance.bias.fill_(-1.0)
    squares, noise = torch.rand(40, 3, 32, 32), torch.randn(40, 4)
    losses = vae.losses(squares, noise)
    mean, log_variance = vae.posterior(squares)
    deviation = (0.5 * log_variance).exp()
    made = vae.decoder(mean + deviation * noise)
    kl = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1)
    assert kl.min() < 1.0 < kl.max()
    torch.testing.assert_close(losses["kl"], kl.clamp(min=1.0).mean())
    error = sum((a - b).square().sum() for a, b in zip(made, squares, strict=True)) / 40
    torch.testing.assert_close(losses["reconstruction"], error)


def test_errors_of_pixels_count_as_much_as_they_are_told_to():
    torch.manual_seed(0)
    vae, squares, noise = ConvVAE(SMALL, 4, width=4), torch.rand(5, 3, 32, 32), torch.randn(5, 4)
    losses = vae.losses(squares, noise)
    vae.error_weight = 15.0
    heavier = vae.losses(squares, noise)
    torch.testing.assert_close(heavier["reconstruction"], 15 * losses["reconstruction"])
    assert heavier["kl"] == losses["kl"]
    with pytest.raises(ValueError, match="error_weight must be a number above 0, not 0"):
        ConvVAE(SMALL, error_weight=0.0)


def test_codes_are_drawn_from_the_posterior():
    mean, log_variance = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 2.0])
    codes = drawn(mean.expand(20_000, 2), log_variance.expand(20_000, 2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(codes.mean(0), mean, atol=0.06, rtol=0)
    torch.testing.assert_close(codes.std(0), (log_variance / 2).exp(), atol=0.06, rtol=0)
    torch.testing.assert_close(drawn(mean, log_variance, noise=torch.zeros(2)), mean)


def test_it_learns_to_see(learned):
    """The player and the ball are found again in the picture that is made from the code."""
    history = learned.vae_history
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert all(epoch["loss"] == pytest.approx(epoch["reconstruction"] + epoch["kl"]) for epoch in history)
    images = torch.from_numpy(learned.recording.frames[:300])
    mean, _ = learned.vae.encode(images)
    far = (images.float() - images.float().mean(0)).square().mean()
    assert (learned.vae.decode(mean) - images).square().mean() < 0.6 * far
    assert torch.allclose(learned.vae.encode(images.movedim(-1, 1), chunk=7)[0], mean, atol=1e-5)


def test_learning_is_repeated_to_the_bit():
    images = torch.randint(0, 256, (30, 40, 36, 3), dtype=torch.uint8)
    vae = ConvVAE(gym.spaces.Box(0, 255, (40, 36, 3), np.uint8), 3, width=2)
    other = copy.deepcopy(vae)
    settings = {"epochs": 2, "batch_size": 8}
    assert not vae.seen
    history = vae.learn(images, generator=torch.Generator().manual_seed(1), **settings)
    assert vae.seen
    assert other.learn(images.numpy(), generator=torch.Generator().manual_seed(1), **settings) == history
    assert all(map(torch.equal, vae.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("shape", [(3, 40, 50), (100, 80, 1), (20, 20, 3)])
@pytest.mark.parametrize("size", [None, 32, 64])
def test_images_of_any_size_and_layout(shape, size):
    vae = ConvVAE(gym.spaces.Box(0, 255, shape, np.uint8), 3, size=size, width=2)
    images = torch.randint(0, 256, (5, *shape), dtype=torch.uint8)
    vae.learn(images, epochs=1, batch_size=3)
    decoded = vae.decode(vae.encode(images)[0])
    assert decoded.shape == images.shape
    assert 0 <= decoded.min() <= decoded.max() <= 255


def test_losses_that_are_not_finite_change_nothing():
    vae = ConvVAE(SMALL, 3, width=2)
    with torch.no_grad():
        vae.log_variance.bias.fill_(1e4)
    before = copy.deepcopy(vae.log_variance.state_dict())
    with pytest.raises(FloatingPointError, match="before this update"):
        vae.learn(torch.zeros(4, 32, 32, 3, dtype=torch.uint8))
    assert all(map(torch.equal, vae.log_variance.state_dict().values(), before.values()))


def test_impossible_settings_are_named():
    for wrong, words in (({"codes": 0}, "codes"), ({"width": 0}, "width"), ({"tolerance": -1.0}, "tolerance"),
                         ({"size": 48}, "64, 32, not 48")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            ConvVAE(SMALL, **wrong)
    with pytest.raises(ValueError, match="epochs must be a whole number"):
        ConvVAE(SMALL, 3, width=2).learn(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), epochs=0)
