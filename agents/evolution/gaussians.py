"""Mixtures of Gaussians: their likelihood, and draws at a temperature (Bishop 1994)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Prediction(NamedTuple):
    """What M says of a step; `...` is (B,) or (T, B).

    Attributes:
        logits: (..., K, mixtures) log-odds of the Gaussians.
        means: (..., K, mixtures).
        log_deviations: (..., K, mixtures) logarithms of their standard deviations.
        end: (...) log-odds that the episode ends with this step; None: M has no such unit.
        reward: (...); None: M has no such unit.
    """

    logits: Tensor
    means: Tensor
    log_deviations: Tensor
    end: Tensor | None
    reward: Tensor | None


def log_likelihood(said: Prediction, codes: Tensor) -> Tensor:
    """log p of each number of codes: log sum_i pi_i N(z; mu_i, sigma_i).

    Args:
        said: the prediction.
        codes: (..., K) z.

    Returns:
        (..., K).
    """
    deviates = (codes.unsqueeze(-1) - said.means) * (-said.log_deviations).exp()
    normal = -0.5 * deviates.square() - said.log_deviations - LOG_ROOT
    return torch.logsumexp(said.logits.log_softmax(-1) + normal, -1)


def sample(
    said: Prediction,
    temperature: float = 1.0,
    noise: tuple[Tensor, Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws the next codes: a Gaussian by softmax(logits / tau), then z' = mu + sigma sqrt(tau) e (appendix A.2).

    Args:
        said: the prediction.
        temperature: tau > 0; below 1 the dream is more certain than M, above 1 less.
        noise: u (..., K), uniform in [0, 1), that chooses the Gaussian, and e (..., K), normal; None: drawn.
        generator: of the noise that is drawn; None: PyTorch's own.

    Returns:
        z' (..., K).

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    if noise is None:
        shape = said.means.shape[:-1]
        noise = torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)
    uniform, normal = (part.to(said.means) for part in noise)
    # The sum up to each Gaussian; softmax itself is slow along so short an axis.
    sums = ((said.logits - said.logits.amax(-1, keepdim=True)) / temperature).exp().cumsum(-1)
    chosen = (sums[..., :-1] <= uniform.unsqueeze(-1) * sums[..., -1:]).sum(-1, keepdim=True)
    mean, log_deviation = (part.gather(-1, chosen).squeeze(-1) for part in (said.means, said.log_deviations))
    return torch.addcmul(mean, log_deviation.exp() * math.sqrt(temperature), normal)
