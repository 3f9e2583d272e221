"""The returns that C ascends and V predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..common.losses import lambda_returns
from .evaluator import Evaluator
from .model import WorldModel
from .objectives import Objective, pays
from .unrolling import Unrolled


@dataclass(frozen=True)
class Returns:
    """TD(lambda) returns of trajectories, and V's values, by what an agent's settings say.

    Attributes:
        model: M.
        evaluator: V; None: nothing follows a trajectory.
        objective: what C wants.
        gamma: discount.
        td_lambda: lambda.
        terminal: whether only an episode's last step counts.
        follows: whether V also stands for what would follow the end of an episode.
        imagined: whether the trajectories are M's, so that their ends are likely rather than known.
    """

    model: WorldModel
    evaluator: Evaluator | None
    objective: Objective
    gamma: float
    td_lambda: float = 1.0
    terminal: bool = False
    follows: bool = False
    imagined: bool = True

    def of(self, unrolled: Unrolled) -> tuple[Tensor, Tensor | None]:
        """Returns (T, B) of what each step arrives at, which carry the gradient; and the steps' weights.

        An imagined step counts by the probability that the episode has not ended before it.
        """
        outputs, trajectory = unrolled.outputs, unrolled.trajectory
        desired, ended = trajectory["desired_goal"], trajectory["ended"].squeeze(-1) > 0.5
        rewards = self.rewards(outputs, desired)
        weights = None
        if self.terminal:
            rewards = rewards * ended
        discounts = torch.full_like(rewards, self.gamma)
        if not self.follows:
            discounts = discounts * (1 - trajectory["terminated"].squeeze(-1))
            goes_on = self.model.continues(outputs) if self.imagined else None
            if goes_on is not None:
                discounts = discounts * goes_on
                weights = torch.cat((torch.ones_like(goes_on[:1]), goes_on[:-1].cumprod(0))).detach()
        if self.evaluator is None:
            return lambda_returns(rewards, torch.zeros_like(rewards), discounts, ended, 1.0), weights
        observation = outputs[..., : self.model.encoder.observation_size]
        next_values = self.values(observation, unrolled.next_memory, desired)
        return lambda_returns(rewards, next_values, discounts, ended, self.td_lambda), weights

    def rewards(self, outputs: Tensor, desired: Tensor) -> Tensor:
        """What C gets (T, B) for arriving at what M says, for goals (T, B, G).

        Raises:
            ValueError: the objective returned anything else.
        """
        rewards: Any = self.objective(self.model.named(outputs), desired)
        shape = outputs.shape[:-1]
        if not isinstance(rewards, Tensor) or rewards.shape != shape:
            got = f"shape {tuple(rewards.shape)}" if isinstance(rewards, Tensor) else type(rewards).__name__
            raise ValueError(f"the objective must return a tensor (T, B) = {tuple(shape)}, not {got}")
        return rewards

    def values(self, observation: Tensor, memory: Tensor, desired: Tensor) -> Tensor:
        """V (...) by its slow copy, of observations (..., D), M's output (..., S) and goals; 0 without V.

        Where C wants reward, V stays within what the rewards so far allow.
        """
        if self.evaluator is None:
            return torch.zeros_like(observation[..., 0])
        values = self.evaluator.target(observation, memory, desired)
        return values.clamp(*self.model.scale.worth(self.gamma)) if self.objective is pays else values

    def advantages(self, unrolled: Unrolled, returns: Tensor) -> Tensor:
        """G - V (T, B) before each step, without gradients, in units of their spread where that is above 1."""
        trajectory = unrolled.trajectory
        values = self.values(trajectory["observation"], unrolled.memory, trajectory["desired_goal"])
        advantages = (returns - values).detach()
        return advantages / advantages.std(unbiased=False).clamp(min=1.0)
