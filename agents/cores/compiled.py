"""What the compiled loops of the cores share."""

from __future__ import annotations

import numba
import numpy as np
from torch import Tensor

# Sums may be reordered and products fused, which vector code needs; nan and inf keep their meaning.
fast = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def as_array(tensor: Tensor) -> np.ndarray:
    """The memory of a tensor on the CPU, without its gradient."""
    return tensor.detach().numpy()  # type: ignore[no-any-return]
