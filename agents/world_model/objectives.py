"""What C wants, as functions of what M predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.losses import goal_error, goal_match

Objective = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""The reward (T, B) of arriving at what M predicts, differentiable: a function of (predicted, desired).

`predicted` has observation (T, B, D) in the environment's units, achieved_goal (T, B, G) where there are goals, reward
(T, B) where there are none, and whatever else M predicts, see `WorldModel.named`; `desired` is (T, B, G).
"""
OBJECTIVES = ("goal_match", "goal_error", "reward", "signals")


def make_objective(
    name: str | Objective | None,
    has_goal: bool,
    match_widths: Sequence[float] | None = None,
    signals: Mapping[str, float] | None = None,
    size: int = 0,
) -> Objective:
    """An objective by name.

    - "goal_match": the match of the achieved goal x with the desired goal d, the mean of exp(-|d - x| / w) over
      `match_widths`;
    - "goal_error": -E = -1/2 |d - x|^2 (Schmidhuber & Huber 1990);
    - "reward": M's reward unit;
    - "signals": pain and pleasure units (Schmidhuber, FKI-126-90, 1990): minus the sum of |c - y| over the numbers y,
      observed or in the info, that have a desired value c. A square would let the gradient of a pain that is itself an
      error fade.

    Args:
        name: one of these, or a function; None: with goals "goal_match", or "goal_error" without `match_widths`;
            else "signals" where there are any, or "reward".
        has_goal: whether observations have goals.
        match_widths: w, in units of the goal vector.
        signals: column of the observation, a whole number, or key of the info -> desired value c.
        size: D, numbers of the observation.

    Raises:
        ValueError: an unknown name, or one that the environment or the other settings do not allow.
    """
    if callable(name):
        return name
    if name is None:
        if has_goal:
            name = "goal_error" if match_widths is None else "goal_match"
        else:
            name = "signals" if signals else "reward"
    if name not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, or a function, not {name!r}")
    if name.startswith("goal") != has_goal:
        raise ValueError(
            f"the objective {name!r} is not one for observations {'with' if has_goal else 'without'} goals"
        )
    if name == "goal_match":
        if match_widths is None:
            raise ValueError('the objective "goal_match" needs match_widths')
        return partial(_matches, widths=tuple(match_widths))
    if name == "signals":
        if not signals:
            raise ValueError('the objective "signals" needs signals={column: desired value, ...}')
        told = signal_keys(signals)
        columns = [int(name) for name in signals if name not in told]
        if max(columns, default=0) >= size:
            raise ValueError(
                f"signals must be {{column or key of the info: desired value}} with columns from 0 to {size - 1}, not "
                f"{dict(signals)}"
            )
        names = (*(name for name in signals if name not in told), *told)
        wrong = [name for name in names if not _is_number(signals[name])]
        if wrong or len(set(columns)) < len(columns):
            said = f"the desired value of {wrong[0]!r} is no finite number" if wrong else "a column comes twice"
            raise ValueError(f"signals must be {{column or key of the info: desired value}}: {said}")
        return partial(_pleases, columns=columns, desired_values=[float(signals[name]) for name in names])
    return _errs if name == "goal_error" else pays


def with_curiosity(objective: Objective, weight: float, unit: str) -> Objective:
    """The objective, and the weight times what M says is still to be learned: its `unit` "disagreement" or "error"."""
    return partial(_curious, objective=objective, weight=weight, unit=unit)


def _curious(
    predicted: Mapping[str, Tensor], desired: Tensor, objective: Objective, weight: float, unit: str
) -> Tensor:
    return objective(predicted, desired) + weight * predicted[unit]


def signal_keys(signals: Mapping[str, float] | None) -> list[str]:
    """The names of signals that are keys of the info, not columns of the observation."""
    return [name for name in signals or () if not str(name).isdecimal()]


class MissingSignal(ValueError):
    """The info of a step lacks a signal that an agent was told to expect, or has no number there."""


def signals_in(infos: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray:
    """What the infos of N lanes say (N, len(names)) float32.

    Raises:
        MissingSignal: a name that is not there, or no finite number.
    """
    for name in names:
        for info in infos:
            if name not in info:
                raise MissingSignal(f"signals names {name!r}, but the info of a step {_said(info)}")
            if not _is_number(info[name]):
                raise MissingSignal(
                    f"signals names {name!r}, which must be a finite number in the info, not {info[name]!r}"
                )
    return np.array([[info[name] for name in names] for info in infos], np.float32)


def _said(info: Mapping[str, Any]) -> str:
    return f"has only {sorted(info)}" if info else "is empty"


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "biuf" and bool(abs(array) <= np.finfo(np.float32).max)


def _matches(predicted: Mapping[str, Tensor], desired: Tensor, widths: Sequence[float]) -> Tensor:
    return goal_match(predicted["achieved_goal"], desired, widths)


def _errs(predicted: Mapping[str, Tensor], desired: Tensor) -> Tensor:
    return -goal_error(predicted["achieved_goal"], desired)


def pays(predicted: Mapping[str, Tensor], desired: Tensor) -> Tensor:
    """The objective "reward"."""
    return predicted["reward"]


def _pleases(
    predicted: Mapping[str, Tensor], desired: Tensor, columns: list[int], desired_values: list[float]
) -> Tensor:
    units = predicted["observation"][..., columns]
    if "signals" in predicted:
        units = torch.cat((units, predicted["signals"]), -1)
    return -(units - torch.tensor(desired_values, device=units.device)).abs().sum(-1)
