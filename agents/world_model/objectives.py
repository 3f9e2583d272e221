"""C's objectives, as functions of predicted percepts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..common.encoder import Encoder
from ..common.losses import goal_error, goal_match


def rewards_of(percepts: Tensor, desired: Tensor, encoder: Encoder, match_widths: Sequence[float] | None) -> Tensor:
    """The reward (T, B) of each step for the percept it arrives at; differentiable.

    With goal keys, the match of the achieved goal x with the desired goal d: the mean of exp(-|d - x| / w) over the
    widths w or, without widths, -E = -1/2 |d - x|^2 (Schmidhuber & Huber 1990). Without goal keys, M's reward unit.

    Args:
        percepts: (T, B, ...) after each step, the reward unit last.
        desired: (T, B, G).
        encoder: encoder of the observations.
        match_widths: w, in units of the goal vector; None: -E.
    """
    if not encoder.has_goal:
        return percepts[..., -1]
    achieved = percepts[..., encoder.goal_slice]
    return -goal_error(achieved, desired) if match_widths is None else goal_match(achieved, desired, match_widths)
