"""Feature maps phi of keys and queries."""

from __future__ import annotations

from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .norms import EPSILON, unit


@final
class FeatureMap(nn.Module):
    """phi: (..., K) -> (..., size) maps keys and queries to the space in which a memory is addressed.

    - elu: (elu(x) + 1) / sum, size K. Katharopoulos et al. 2020; the sum as in Schlag, Irie & Schmidhuber 2021.
    - dpfp1, dpfp2, dpfp3: r_j r_(j-i) / sum for i = 1..nu, r = [relu(x), relu(-x)], size 2 K nu. Schlag et al. 2021.
    - softmax: exp(x) / sum, size K. Irie et al. 2021.
    - silu: silu(x) / length, size K. Yang et al. 2024.
    - favor: exp(-z^2 / 2) [exp(O z), exp(-O z)] / sqrt(2 K), z = x / K^(1/4), size 2 K; the K rows of O are orthogonal
      and as long as normal vectors, so phi(q).phi(k) is exp(q.k / sqrt(K)) on average. FAVOR+, Choromanski et al.
      2021.

    Args:
        name: one of the above.
        key_size: K.

    Raises:
        ValueError: the name is unknown.
    """

    directions: Tensor
    SIZES: ClassVar = {"elu": 1, "dpfp1": 2, "dpfp2": 4, "dpfp3": 6, "softmax": 1, "silu": 1, "favor": 2}

    def __init__(self, name: str, key_size: int) -> None:
        super().__init__()
        if name not in self.SIZES:
            raise ValueError(f"features must be one of {sorted(self.SIZES)}, not {name!r}")
        self.name = name
        self.size = self.SIZES[name] * key_size
        if name == "favor":
            directions = nn.init.orthogonal_(torch.empty(key_size, key_size))
            lengths = torch.randn(key_size, key_size).norm(dim=-1, keepdim=True)
            self.register_buffer("directions", directions * lengths)

    def forward(self, x: Tensor, compiled: bool = False) -> Tensor:
        """Maps (..., K) to (..., size); compiled: with CPU loops, if there are any."""
        x = x.contiguous()  # a key is a slice of the slow net's output, and functions of slices take twice as long
        if self.name == "softmax":
            return x.softmax(-1)
        if self.name == "silu":
            return unit(F.silu(x), compiled)
        if self.name == "favor":
            return self._favor(x)
        phi = F.elu(x) + 1 if self.name == "elu" else self._dpfp(x, int(self.name[-1]))
        return phi / (phi.sum(-1, keepdim=True) + EPSILON)

    def _dpfp(self, x: Tensor, order: int) -> Tensor:
        r = F.relu(torch.cat((x, -x), -1))
        return torch.cat([r * r.roll(i, -1) for i in range(1, order + 1)], -1)

    def _favor(self, x: Tensor) -> Tensor:
        x = x * x.shape[-1] ** -0.25
        along = x @ self.directions.T
        shift = x.square().sum(-1, keepdim=True) / 2
        scale: float = self.size**-0.5
        return torch.cat((along - shift, -along - shift), -1).exp() * scale
