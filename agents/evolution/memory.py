"""What a controller sees of V and M: the code of the present, and M's memory of the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ..cores import LSTM
from .mixture import MixtureModel

Observes = Literal["z", "zh", "zhc"]
GROUP = 64  # lanes that M reads at once, always as many: the last bits depend on the size of a batch


class Memory:
    """M's state in N lanes, and what a controller sees there.

    Args:
        model: M.
        num_envs: N.
        observes: "z": the code; "zh": the code and the output of M's core before it reads that code, 0 at an episode's
            start; "zhc": the cells of an LSTM as well.

    Attributes:
        space: Box of what the controller sees.
        codes: (rows, K) z of every lane; rows beyond N fill up the last group.

    Raises:
        ValueError: another word, or cells of a core that has none.
    """

    def __init__(self, model: MixtureModel, num_envs: int, observes: Observes = "zh") -> None:
        if observes not in get_args(Observes):
            raise ValueError(f"observes must be one of {', '.join(map(repr, get_args(Observes)))}, not {observes!r}")
        if observes == "zhc" and not isinstance(model.core, LSTM):
            raise ValueError(f"only an LSTM has cells, not a {type(model.core).__name__}: use observes='zh'")
        self.model, self.num_envs, self.observes = model, num_envs, observes
        size = model.codes + (len(observes) - 1) * model.core.output_size
        self.space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.rows = -(-num_envs // GROUP) * GROUP
        with torch.inference_mode():
            weight = model.head.weight
            self.codes = weight.new_zeros(self.rows, model.codes)
            self._vectors = weight.new_zeros(self.rows, model.actions.size)
            self._output = weight.new_zeros(self.rows, model.core.output_size)
            self._state = tuple(part.clone() for part in model.initial_state(self.rows))
            self._fresh = torch.ones(self.rows, dtype=torch.bool, device=weight.device)
            self._units = weight.new_zeros(self.rows, model.head.out_features)

    @torch.inference_mode()
    def begin(self, lanes: np.ndarray, codes: Tensor) -> None:
        """Begins episodes in some lanes (n,) with codes (n, K): M forgets there."""
        rows = torch.from_numpy(lanes)
        self.codes[rows] = codes.to(self.codes)
        self._output[rows] = 0.0
        self._fresh[rows] = True
        for part, initial in zip(self._state, self.model.initial_state(len(rows)), strict=True):
            part[rows] = initial

    @torch.inference_mode()
    def put(self, lanes: np.ndarray, codes: Tensor) -> None:
        """The next codes of some lanes (n,), from those of all lanes (N or more, K)."""
        if len(lanes) == self.num_envs:
            self.codes[: self.num_envs] = codes[: self.num_envs]
        else:
            rows = torch.from_numpy(lanes)
            self.codes[rows] = codes[rows]

    @torch.inference_mode()
    def advance(self, vectors: Tensor, moving: np.ndarray) -> Tensor:
        """M reads code and action in the lanes that move; the codes stay as they are.

        Args:
            vectors: (N, A) actions as M reads them.
            moving: (N,) bool.

        Returns:
            Units (rows, U) of M's head, see `MixtureModel.named`; where a lane does not move, anything.
        """
        self._vectors[: self.num_envs] = vectors
        everywhere = bool(moving.all())
        padded = np.ones(self.rows, bool)
        padded[: self.num_envs] = moving
        moves = torch.from_numpy(padded)
        for first in range(0, self.rows, GROUP):
            rows = slice(first, first + GROUP)
            if not (everywhere or moving[rows].any()):
                continue
            state = tuple(part[rows] for part in self._state)
            read = self.model.inputs(self.codes[rows], self._vectors[rows], self._fresh[rows])
            output, after = self.model.core.step(read, state, self._fresh[rows])
            self._units[rows] = self.model.units(read, output)
            written = zip((self._output, *self._state), (output, *after), strict=True)
            for part, new in written:
                if everywhere:
                    part[rows] = new
                else:
                    part[rows][moves[rows]] = new[moves[rows]]
        if everywhere:
            self._fresh.zero_()
        else:
            self._fresh &= ~moves.to(self._fresh.device)
        return self._units

    @torch.inference_mode()
    def observe(self) -> np.ndarray:
        """What the controller sees (N, size) float32; the array belongs to the caller."""
        parts = [self.codes]
        if self.observes != "z":
            parts.append(self._output)
        if self.observes == "zhc":
            parts.append(self._state[1])
        seen: np.ndarray = torch.cat([part[: self.num_envs] for part in parts], 1).cpu().numpy()
        return seen.copy() if len(parts) == 1 else seen

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of the codes and of M's state, by names that begin with "memory"."""
        return {name: part.cpu().numpy().copy() for name, part in self._parts().items()}

    @torch.inference_mode()
    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes back to what `get_state` returned; arrays of the same names, dtypes and shapes."""
        for name, part in self._parts().items():
            part.copy_(torch.from_numpy(state[name]))

    def _parts(self) -> dict[str, Tensor]:
        state = {f"memory_state{number}": part for number, part in enumerate(self._state)}
        return {"memory_codes": self.codes, "memory_output": self._output, "memory_fresh": self._fresh, **state}
