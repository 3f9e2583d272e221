"""A blind policy for TakeCover: what one survives without looking."""

from __future__ import annotations

from typing import Any

import numpy as np


class Strafing:
    """Goes right and left by turns without looking, from the middle of a turn on.

    Args:
        swing: tics each way; 0: it stands still.
        skip: tics that an action lasts.
        choices: whether actions are 0, 1 and 2, left, stay and right, instead of a force from -1 to 1.
    """

    def __init__(self, swing: int, skip: int, choices: bool) -> None:
        self.swing, self.skip, self.choices = swing, skip, choices

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions (N,) or (N, 1); the state is the tic (N,)."""
        tics = np.zeros(len(observation), np.int64) if state is None else np.where(episode_start, 0, state)
        way = 1 - 2 * ((tics + self.swing // 2) // self.swing % 2) if self.swing else np.zeros(len(tics), np.int64)
        return way + 1 if self.choices else way[:, None].astype(np.float32), tics + self.skip
