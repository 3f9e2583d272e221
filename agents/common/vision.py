"""An autoencoder that turns images into codes, the vision of a world model (Ha & Schmidhuber 2018, without noise)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor, nn

from ..cores.ops.checks import whole
from .group import summed
from .images import Squares
from .losses import check_losses, descend

SMALLEST = 16  # side of an image, pixels
FINE, COARSE = 16, 4  # sides of the first features and of the last
CHUNK = 256  # images at a time


class Vision(nn.Module):
    """An autoencoder: image -> code (K,) -> image. It learns from images alone, once, and stays as it is.

    Images are resized to squares of 64 pixels, those below 64 to 32. What is read and given back is their difference
    from the mean image, each pixel in units of its own spread: else what is small and moves would be lost among all
    that stays. Codes are in units in which two images are about 1 apart.

    Args:
        space: Box of images (H, W, channels) or (channels, H, W), uint8.
        codes: K.
        width: channels of the first convolution; the two others have twice as many.
        updates: minibatches that it learns from.
        batch_size: images in a minibatch.
        learning_rate: Adam's at the beginning; it falls linearly to 0.

    Attributes:
        channels_last: whether the images of the space have their channels last.
        seen: whether it has learned.
    """

    mean: Tensor
    spread: Tensor
    centre: Tensor
    unit: Tensor
    seen: Tensor

    def __init__(
        self,
        space: spaces.Box,
        codes: int = 32,
        *,
        width: int = 16,
        updates: int = 300,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
    ) -> None:
        super().__init__()
        numbers = {"codes": codes, "width": width, "updates": updates, "batch_size": batch_size}
        for name, number in numbers.items():
            whole(name, number)
        self.squares = Squares(space)
        self.shape, self.codes, self.channels_last = space.shape, codes, self.squares.channels_last
        self.updates, self.batch_size, self.learning_rate = updates, batch_size, learning_rate
        channels, side = self.squares.channels, self.squares.side
        patch, wide = side // FINE, 2 * width
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 2 * patch, patch, patch // 2),
            nn.SiLU(),
            nn.Conv2d(width, wide, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(wide, wide, 4, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(wide * COARSE**2, codes),
        )
        self.decoder = nn.Sequential(
            nn.Linear(codes, wide * COARSE**2),
            nn.Unflatten(1, (wide, COARSE, COARSE)),
            nn.SiLU(),
            nn.ConvTranspose2d(wide, wide, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(wide, width, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(width, channels * patch**2, 3, 1, 1),
            nn.PixelShuffle(patch),
        )
        square = channels, side, side
        self.register_buffer("mean", torch.zeros(square))
        self.register_buffer("spread", torch.ones(square))
        self.register_buffer("centre", torch.zeros(codes))
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))
        self.requires_grad_(False)

    def _read(self, images: Tensor) -> Tensor:
        """What is read and given back: differences from the mean image, each pixel's in units of its own spread."""
        return (self.squares.read(images.to(self.mean.device)) - self.mean) / self.spread

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Codes (B, K) of images (B, ...) of the space."""
        parts = [self.encoder(self._read(part)) for part in torch.split(images, CHUNK)]
        return (torch.cat(parts) - self.centre) / self.unit

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, ...) of the space, floats from 0 to 255, from codes (B, K)."""
        return self.squares.write(self.mean + self.spread * self.decoder(codes * self.unit + self.centre))

    def learn(self, images: Tensor, generator: torch.Generator | None = None) -> float:
        """Learns from images.

        Args:
            images: (n, ...) of the space.
            generator: of the minibatches; None: PyTorch's own.

        Returns:
            The mean loss of the last tenth of the minibatches, as a share of that of the mean image.

        Raises:
            FloatingPointError: a loss is not finite; that update has not changed the parameters.
        """
        self._take_statistics(images)
        self.requires_grad_(True)
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate)
        losses = []
        for update in range(self.updates):
            optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - update / self.updates)
            batch = self._read(images[torch.randint(len(images), (self.batch_size,), generator=generator)])
            loss = F.mse_loss(self.decoder(self.encoder(batch)), batch)
            check_losses(update, vision_loss=loss)
            descend(optimizer, loss)
            losses.append(float(loss.detach()))
        self.requires_grad_(False)
        codes = self.encode(images)
        total, count = summed([codes.sum(0), torch.tensor([float(len(codes))], device=codes.device)])
        self.centre.copy_(total / count)
        (square,) = summed([(codes - self.centre).square().sum()])
        self.unit.copy_((2 * square / count).sqrt().clamp(min=1e-6).squeeze())
        self.seen.fill_(True)
        last = losses[-max(1, len(losses) // 10) :]
        return sum(last) / len(last)

    @torch.no_grad()
    def _take_statistics(self, images: Tensor) -> None:
        """The mean image and the units of its pixels, so that always predicting it has a loss of 1."""
        sums = torch.zeros(2, *self.mean.shape, dtype=torch.float64, device=self.mean.device)
        for part in torch.split(images, CHUNK):
            squares = self.squares.read(part.to(self.mean.device)).double()
            sums += torch.stack((squares.sum(0), squares.square().sum(0)))
        sums, count = summed([sums, torch.tensor([float(len(images))], dtype=sums.dtype, device=sums.device)])
        mean, square = sums / count
        variance = (square - mean.square()).clamp(min=0)
        square = variance + variance.mean().clamp(min=1e-8)
        self.mean.copy_(mean)
        self.spread.copy_((square * (variance / square).mean().clamp(min=1e-8)).sqrt())
