"""M without reality: it is fed its own predictions and given actions."""

from __future__ import annotations

import torch
from torch import Tensor

from ..common.sequences import Sequence
from ..cores import State
from .model import WorldModel


@torch.no_grad()
def state_before(model: WorldModel, window: Sequence, burn_in: int) -> State:
    """M's state before the last step of a window.

    Args:
        model: M.
        window: T steps, scaled; where `burn_in` is not 0, M's core reads all but the last.
        burn_in: 0: the state that was recorded with the last step.
    """
    fresh = model.initial_state(window.data.shape[1])
    if burn_in:
        return model.warm(window[:-1], fresh)
    return window[-1:].state("model_state", fresh)


@torch.no_grad()
def open_loop(
    model: WorldModel, observation: Tensor, actions: Tensor, state: State, episode_start: Tensor
) -> tuple[Tensor, State]:
    """What M says follows a start and actions: x(t+1) = M(x(t), a(t)).

    Args:
        model: M.
        observation: (B, D) at the start, scaled.
        actions: (T, B, A) vectors.
        state: M's before the start.
        episode_start: (B,) bool, whether an episode begins there.

    Returns:
        Outputs (T, B, ...) of M's heads, and the state after them.
    """
    outputs = []
    for action in actions:
        out, state = model.step(observation, action, state, episode_start)
        outputs.append(out)
        observation, episode_start = out[:, : model.encoder.observation_size], torch.zeros_like(episode_start)
    return torch.stack(outputs), state
