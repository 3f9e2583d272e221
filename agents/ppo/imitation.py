"""What a teacher would do, shown to a pupil that acts more and more often by itself."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Teacher(Protocol):
    """Whatever predicts as Stable-Baselines3 does: agents, and the references of `foveal_envs.reference`."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions (N, ...) for observations (N, ...), and the next state."""


class Lessons:
    """Dataset aggregation: the pupil meets the states to which its own actions lead, and is told what to do there.

    At every step each lane does what the teacher shows with probability beta, else what the pupil would most likely do;
    beta falls from 1 to 0 in a straight line. Whoever acts, the teacher's action is what the pupil shall learn. (Ross,
    Gordon & Bagnell, "A reduction of imitation learning and structured prediction to no-regret online learning",
    AISTATS 2011.) A teacher that gives a probability to every action teaches more at each step: these are learned
    (Rusu et al., "Policy distillation", arXiv 1511.06295), and its most likely action is done.

    Args:
        teacher: the lanes' teacher; it keeps a state of its own through each episode.
        fade: share of the lessons after which beta is 0.
        discrete: actions are Discrete, and a teacher's ``probabilities(obs, state, episode_start)``, (N, actions) and
            the next state, are asked for if it has them.

    Raises:
        ValueError: `fade` outside (0, 1].
    """

    def __init__(self, teacher: Teacher, fade: float = 0.5, discrete: bool = False) -> None:
        if not 0 < fade <= 1:
            raise ValueError(f"fade must be a number in (0, 1], not {fade}")
        self.teacher, self.fade = teacher, fade
        self._probabilities = getattr(teacher, "probabilities", None) if discrete else None
        self._state: Any = None

    def shown(self, obs: Any, episode_start: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """The teacher's actions (N, ...) for observations (N, ...), as the environment takes them, and, of a teacher
        that has them, its probabilities (N, actions)."""
        starts = episode_start.cpu().numpy()
        if self._probabilities is None:
            actions, self._state = self.teacher.predict(obs, self._state, starts, deterministic=True)
            return actions, None
        probabilities, self._state = self._probabilities(obs, self._state, starts)
        return probabilities.argmax(1), probabilities

    def mix(self, shown: Tensor, chosen: Tensor, remaining: float) -> Tensor:
        """Each lane's (N, ...) action of the two, when a share of the lessons remains."""
        beta = max(0.0, 1 - (1 - remaining) / self.fade)
        taught = torch.rand(len(shown), device=shown.device) < beta
        return torch.where(taught.reshape(-1, *(1,) * (shown.dim() - 1)), shown, chosen)
