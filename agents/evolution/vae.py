"""V of Ha & Schmidhuber (2018): a variational autoencoder that turns an image into a short code."""

from __future__ import annotations

import itertools
from typing import final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..common.images import Squares
from ..common.losses import check_losses, descend
from ..cores.ops.checks import real, whole

CHUNK = 256  # images at a time
# Kernels of the transposed convolutions by side of the squares: with stride 2, from 1 x 1 to that side.
KERNELS = {64: (5, 5, 6, 6), 32: (5, 6, 6)}


@final
class ConvVAE(nn.Module):
    """Image -> mean mu and log variance of a code (K,) -> z = mu + exp(log variance / 2) e -> image, e ~ N(0, I).

    V of Ha & Schmidhuber, World Models, arXiv 1809.01999 (2018), appendix A.1: convolutions 4 x 4 with stride 2 and
    relu, and back through a dense layer and transposed convolutions, the last one logistic. With images of 64 x 64 x 3
    as published: 4,348,547 parameters for `codes=32`, 4,446,915 for `codes=64`. The loss of an image x is

    w |x - x'|^2 + max(KL, k K),  KL = -1/2 sum_j (1 + log variance_j - mu_j^2 - variance_j),

    with pixels from 0 to 1, w = 1 and the tolerance k = 0.5, below which the codes cost nothing. With a larger w the
    codes also hold what covers few pixels; w is 1 / (2 s^2) for pixels with noise of the standard deviation s. Kingma
    & Welling, arXiv 1312.6114 (2013).

    Args:
        space: Box of images (H, W, channels) or (channels, H, W), uint8. They are resized to squares.
        codes: K.
        size: side of the squares, 64 or 32 pixels; None: 64, or 32 where both sides of an image are below 64. Squares
            of 32 pixels pass through one layer less.
        width: channels of the first convolution; every further one has twice as many.
        tolerance: k.
        error_weight: w.

    Attributes:
        squares: how images become squares.
        codes: K.
        tolerance: k.
        error_weight: w.
        seen: whether it has learned.

    Raises:
        ValueError: a number that is not allowed.
    """

    seen: Tensor

    def __init__(
        self,
        space: spaces.Box,
        codes: int = 32,
        *,
        size: int | None = None,
        width: int = 32,
        tolerance: float = 0.5,
        error_weight: float = 1.0,
    ) -> None:
        super().__init__()
        whole("codes", codes)
        whole("width", width)
        real("tolerance", tolerance)
        real("error_weight", error_weight, above=True)
        if size not in (None, *KERNELS):
            raise ValueError(f"size must be None or one of {', '.join(map(str, KERNELS))}, not {size}")
        self.squares, self.codes = Squares(space, size), codes
        self.tolerance, self.error_weight = tolerance, error_weight
        kernels, channels = KERNELS[self.squares.side], self.squares.channels
        widths = [width * 2**layer for layer in range(len(kernels))]
        self.features = 4 * widths[-1]  # 2 x 2 pixels are left
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, 4, 2), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.mean, self.log_variance = nn.Linear(self.features, codes), nn.Linear(self.features, codes)
        layers = [nn.Linear(codes, self.features), nn.Unflatten(1, (self.features, 1, 1))]
        sizes = itertools.pairwise([self.features, *widths[-2::-1]])
        for (before, after), kernel in zip(sizes, kernels[:-1], strict=True):
            layers += [nn.ConvTranspose2d(before, after, kernel, 2), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(widths[0], channels, kernels[-1], 2), nn.Sigmoid())
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))
        for parameter in self.parameters():  # as TensorFlow does; with PyTorch's smaller numbers the codes stay empty
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def posterior(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (B, K), of the codes of squares (B, channels, side, side); differentiable."""
        features = self.encoder(squares)
        return self.mean(features), self.log_variance(features)

    def losses(self, squares: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """What `learn` adds up, each a mean over the images; differentiable.

        Args:
            squares: (B, channels, side, side), from 0 to 1.
            noise: e (B, K).

        Returns:
            "reconstruction", the squared error summed over pixels times `error_weight`, and "kl", at least the
            tolerance times K.
        """
        mean, log_variance = self.posterior(squares)
        made = self.decoder(drawn(mean, log_variance, noise=noise))
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
        error = (squares - made).square().flatten(1).sum(1)
        kl = kl.clamp(min=self.tolerance * self.codes)
        return {"reconstruction": self.error_weight * error.mean(), "kl": kl.mean()}

    @torch.no_grad()
    def encode(self, images: Tensor | np.ndarray, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (B, K), of the codes of images.

        Args:
            images: (B, ...) of the space.
            chunk: images at a time.
        """
        parts = [self.posterior(self._read(part)) for part in torch.split(torch.as_tensor(images), chunk)]
        mean, log_variance = (torch.cat(column) for column in zip(*parts, strict=True))
        return mean, log_variance

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, ...) of the space, floats from 0 to 255, from codes (B, K)."""
        return torch.cat([self.squares.write(self.decoder(part)) for part in torch.split(codes, CHUNK)])

    def learn(
        self,
        images: Tensor | np.ndarray,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        learning_rate: float = 1e-4,
        generator: torch.Generator | None = None,
    ) -> list[dict[str, float]]:
        """Learns from images by Adam; the defaults are as published.

        Args:
            images: (n, ...) of the space.
            epochs: times that every image is seen.
            batch_size: images in a minibatch, at most n.
            learning_rate: Adam's.
            generator: of the minibatches and of e; None: PyTorch's own.

        Returns:
            For every epoch the means of "reconstruction" and "kl", see `losses`, and their sum, "loss".

        Raises:
            ValueError: an impossible number.
            FloatingPointError: a loss is not finite; that update has not changed the parameters.
        """
        images = torch.as_tensor(images)
        whole("epochs", epochs)
        whole("batch_size", batch_size)
        if not len(images):
            raise ValueError("learn needs at least one image")
        if not self.seen:
            self._take_colour(images)
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        history = []
        for _ in range(epochs):
            sums = {"reconstruction": 0.0, "kl": 0.0}
            for rows in torch.split(torch.randperm(len(images), generator=generator), batch_size):
                noise = torch.randn(len(rows), self.codes, generator=generator)
                losses = self.losses(self._read(images[rows]), noise.to(self.mean.weight.device))
                check_losses(len(images), **losses)
                descend(optimizer, losses["reconstruction"] + losses["kl"])
                for name, loss in losses.items():
                    sums[name] += float(loss.detach()) * len(rows) / len(images)
            history.append({**sums, "loss": sum(sums.values())})
        self.seen.fill_(True)
        return history

    @torch.no_grad()
    def _take_colour(self, images: Tensor) -> None:
        """V begins by showing the mean colour: while it looked for that, it would learn to ignore the codes."""
        few, (*_, bias) = self._read(images[:: max(1, len(images) // CHUNK)]), self.decoder.parameters()
        bias.copy_(few.mean((0, 2, 3)).clamp(1e-3, 1 - 1e-3).logit())

    def _read(self, images: Tensor) -> Tensor:
        return self.squares.read(images.to(self.mean.weight.device))


def drawn(
    mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None, noise: Tensor | None = None
) -> Tensor:
    """Codes z = mu + exp(log variance / 2) e.

    Args:
        mean, log_variance: (..., K).
        generator: of e where it is not given; None: PyTorch's own.
        noise: e (..., K).
    """
    if noise is None:
        noise = torch.randn(mean.shape, generator=generator).to(mean)
    return torch.addcmul(mean, (log_variance / 2).exp(), noise)
