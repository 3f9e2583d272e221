"""Imitation: a teacher shows what to do, and its pupil acts alone more and more often."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Teacher(Protocol):
    """Anything with Stable-Baselines3's `predict`: agents, and the references in `foveal_envs.reference`."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, ...) for observations (N, ...), and the next state."""


class Lessons:
    """Dataset aggregation: the pupil visits states that its own actions lead to, and the teacher labels them.

    At every step each lane takes the teacher's action with probability beta, else the pupil's most likely one; beta
    falls linearly from 1 to 0. Whoever acts, the pupil learns the teacher's action. (Ross, Gordon & Bagnell, "A
    reduction of imitation learning and structured prediction to no-regret online learning", AISTATS 2011.) A teacher
    with a probability for every action teaches more per step: the pupil learns these (Rusu et al., "Policy
    distillation", arXiv 1511.06295), and the teacher's most likely action is taken.

    Args:
        teacher: the lanes' teacher.
        fade: share of the lessons after which beta is 0.
        discrete: whether actions are Discrete; then the teacher's ``probabilities(obs, state, episode_start)``, which
            returns (N, actions) and the next state, is used if it exists.

    Raises:
        ValueError: `fade` outside (0, 1].
    """

    def __init__(self, teacher: Teacher, fade: float = 0.5, discrete: bool = False) -> None:
        if not 0 < fade <= 1:
            raise ValueError(f"fade must be a number in (0, 1], not {fade}")
        self.teacher, self.fade = teacher, fade
        self._probabilities = getattr(teacher, "probabilities", None) if discrete else None

    def shown(self, obs: Any, state: Any, episode_start: Tensor) -> tuple[np.ndarray, np.ndarray | None, Any]:
        """What the teacher would do.

        Args:
            obs: (N, ...) observations.
            state: the teacher's, None before the first step.
            episode_start: (N,) bool.

        Returns:
            Its actions (N, ...) in the environment's form, its probabilities (N, actions) if it has them, and its next
            state.
        """
        starts = episode_start.cpu().numpy()
        if self._probabilities is None:
            actions, state = self.teacher.predict(obs, state, starts, deterministic=True)
            return actions, None, state
        probabilities, state = self._probabilities(obs, state, starts)
        return probabilities.argmax(1), probabilities, state

    def mix(self, shown: Tensor, chosen: Tensor, remaining: float) -> Tensor:
        """Picks each lane's action (N, ...) from the two; `remaining` is the share of lessons left."""
        beta = max(0.0, 1 - (1 - remaining) / self.fade)
        taught = torch.rand(len(shown), device=shown.device) < beta
        return torch.where(taught.reshape(-1, *(1,) * (shown.dim() - 1)), shown, chosen)
