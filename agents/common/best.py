"""The policy that did best in training, kept without tests."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ..cores.ops.checks import whole


class KeepBest(BaseCallback):
    """Keeps the policy whose last training episodes had the highest mean return.

    Policies come and go: the last one is often not the best. This one is chosen by episodes that training plays anyway,
    exploration and all, so it costs no step. It is looked for whenever as many episodes have ended since the last look;
    among equals the latest is kept. Episodes of random exploration, before the policy learns, do not count.

    Args:
        episodes: number of training episodes that a policy is judged by.

    Attributes:
        mean_return: of those that the kept policy was judged by; -inf before there are enough.
        steps: environment steps at that time.
        episodes: number of training episodes that have ended.
    """

    def __init__(self, episodes: int = 5) -> None:
        super().__init__()
        whole("episodes", episodes)
        self.mean_return, self.steps, self.episodes = -math.inf, 0, 0
        self._returns: deque[float] = deque(maxlen=episodes)
        self._next_look = episodes
        self._kept: dict[str, Any] | None = None

    def _on_step(self) -> bool:
        for lane in np.flatnonzero(self.locals["dones"]):
            if "episode" not in self.locals["infos"][lane]:
                raise ValueError("KeepBest reads the returns of episodes: wrap the environment in a Monitor")
            self._returns.append(float(self.locals["infos"][lane]["episode"]["r"]))
            self.episodes += 1
        if getattr(self.model, "exploring", False):
            self._returns.clear()
        if len(self._returns) == self._returns.maxlen and self.episodes >= self._next_look:
            self._next_look = self.episodes + len(self._returns)
            mean = sum(self._returns) / len(self._returns)
            if mean >= self.mean_return:
                self.mean_return, self.steps = mean, self.num_timesteps
                self._kept = copy.deepcopy(self.model.policy.state_dict())
        return True

    def restore(self) -> bool:
        """Gives the agent the kept policy; False: no policy has been judged, and nothing has changed."""
        if self._kept is None:
            return False
        self.model.policy.load_state_dict(self._kept)
        return True

    def save(self, path: str | Path) -> bool:
        """Writes the agent with the kept policy, as `save` does; False: no policy has been judged, nothing is written.

        The agent itself goes on with the policy that it has.
        """
        if self._kept is None:
            return False
        present = copy.deepcopy(self.model.policy.state_dict())
        try:
            self.restore()
            self.model.save(path)
        finally:
            self.model.policy.load_state_dict(present)
        return True

    def get_state(self) -> dict[str, Any]:
        """What a resumed training goes on with, as JSON; the kept policy itself is not in it."""
        mean = self.mean_return if math.isfinite(self.mean_return) else None
        counts = {"steps": self.steps, "episodes": self.episodes, "next_look": self._next_look}
        return {"mean_return": mean, **counts, "returns": list(self._returns)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned: only a policy that does as well or better is kept from now on."""
        mean = state["mean_return"]
        self.mean_return = -math.inf if mean is None else float(mean)
        self.steps, self.episodes, self._next_look = (int(state[name]) for name in ("steps", "episodes", "next_look"))
        self._returns.clear()
        self._returns.extend(map(float, state["returns"]))
