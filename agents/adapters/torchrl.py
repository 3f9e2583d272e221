"""TorchRL: any core as one of its recurrent modules."""

from __future__ import annotations

import torch
from torch import Tensor

from ..cores import Core, State

try:
    from tensordict import TensorDictBase
    from tensordict.nn import TensorDictModuleBase
    from tensordict.utils import NestedKey
    from torchrl.data import Unbounded
    from torchrl.envs import TensorDictPrimer
    from torchrl.modules import recurrent_mode
except ImportError as error:
    raise ImportError("agents.adapters.torchrl needs TorchRL: pip install 'torchrl>=0.14'") from error


class CoreModule(TensorDictModuleBase):  # type: ignore[misc]
    """A core in the place of TorchRL's `LSTMModule`, with the same two modes.

    In the default mode each entry of the TensorDict, of any batch shape, is a step: the module reads the state from
    ``state_keys`` and writes the next one under ``("next", key)``. In recurrent mode, which TorchRL's losses set, the
    last batch axis is time: the module reads the state of the first step and writes outputs, but no states.

    The environment needs an `InitTracker` and the module's primer: ``get_env_transforms_from_module`` makes both. At an
    episode's first step the core takes its own initial state, learned or not. In recurrent mode it does so only where
    the recorded state is zero, as the primer makes it. TorchRL's value estimators mark the next observation of a first
    step as a first one, and its state is the one to read.

    Args:
        core: with any number of state tensors, or none.
        in_key: key of the input (..., D).
        out_key: key of the output (..., H).
        state_key: the state tensors (..., *) have the keys ``{state_key}_0``, ``{state_key}_1``, ...; modules of one
            policy need different ones.
        is_init_key: key of the mark (..., 1) bool of an episode's first step.
        default_recurrent_mode: the mode outside of ``set_recurrent_mode``.
    """

    def __init__(
        self,
        core: Core,
        *,
        in_key: NestedKey,
        out_key: NestedKey,
        state_key: str = "recurrent_state",
        is_init_key: NestedKey = "is_init",
        default_recurrent_mode: bool = False,
    ) -> None:
        super().__init__()
        self.core = core
        self.in_key, self.out_key, self.is_init_key = in_key, out_key, is_init_key
        self.state_keys = [f"{state_key}_{number}" for number in range(len(core.initial_state(1)))]
        self.in_keys = [in_key, *self.state_keys, is_init_key]
        self.out_keys = [out_key, *(("next", key) for key in self.state_keys)]
        self.default_recurrent_mode = default_recurrent_mode

    @property
    def recurrent_mode(self) -> bool:
        """Whether the last batch axis is time; ``set_recurrent_mode`` sets it."""
        mode: bool | None = recurrent_mode()
        return self.default_recurrent_mode if mode is None else mode

    def make_tensordict_primer(self) -> TensorDictPrimer:
        """The transform that gives an environment the specs of the state, which is zero at a reset."""
        parts = zip(self.state_keys, self.core.initial_state(1), strict=True)
        specs = {key: Unbounded(shape=part.shape[1:], dtype=part.dtype, device=part.device) for key, part in parts}
        return TensorDictPrimer(specs, expand_specs=True)

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Adds the outputs, and in the default mode the next states.

        Raises:
            ValueError: recurrent mode without an axis of time; or steps that begin no episode and have no state.
        """
        recurrent, shape = self.recurrent_mode, tensordict.shape
        if recurrent and not shape:
            raise ValueError("in recurrent mode the last batch axis is time, but the TensorDict has no batch axis")
        rows = tensordict.select(*self.in_keys, strict=False).reshape(-1, shape[-1] if recurrent else 1)
        x, start = rows[self.in_key], rows[self.is_init_key].reshape(rows.shape)
        states = self._states(rows, start)
        if recurrent:
            y = self._sequences(x, states, start)
        else:
            y, after = self.core.step(x[:, 0], tuple(part[:, 0] for part in states), start[:, 0])
            for key, part in zip(self.state_keys, after, strict=True):
                tensordict.set(("next", key), part.reshape(*shape, *part.shape[1:]))
        return tensordict.set(self.out_key, y.reshape(*shape, -1))

    def _states(self, rows: TensorDictBase, start: Tensor) -> State:
        """The recorded states (B, T, ...), or zeros if there are none and every row begins with an episode."""
        parts = tuple(rows.get(key, None) for key in self.state_keys)
        if all(part is not None for part in parts):
            return parts
        if not start[:, 0].all():
            raise ValueError(
                f"steps that begin no episode need the state under {self.state_keys}: give the environment the "
                "transforms of torchrl.modules.get_env_transforms_from_module(policy)"
            )
        return tuple(
            torch.zeros_like(part).unsqueeze(1).expand(*rows.shape, *part.shape[1:])
            for part in self.core.initial_state(1)
        )

    def _sequences(self, x: Tensor, states: State, start: Tensor) -> Tensor:
        """The outputs of whole sequences.

        They are cut at first steps with a recorded state, into S segments of up to L steps each.

        Args:
            x: (B, T, D).
            states: tuple of (B, T, ...), read at the first step of a sequence and where an episode begins.
            start: (B, T) bool.

        Returns:
            y (B, T, H).
        """
        carried = torch.zeros_like(start)
        for part in states:
            carried[start] |= part[start].unsqueeze(-1).flatten(1).any(1)
        first = carried.clone()
        first[:, 0] = True
        segment = first.flatten().cumsum(0).view_as(first) - 1
        time = torch.arange(x.shape[1], device=x.device).expand_as(first)
        place = time - torch.where(first, time, 0).cummax(1).values
        size = int(place.max()) + 1, int(segment.max()) + 1  # (L, S)
        padded = x.new_zeros(*size, x.shape[-1]).index_put((place, segment), x)
        reset = start.new_zeros(size).index_put((place, segment), start & ~carried)
        y: Tensor = self.core(padded, tuple(part[first] for part in states), reset)[0]
        return y[place, segment]
