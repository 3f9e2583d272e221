"""Curiosity for agents without a world model of their own: a wrapper that rewards what a small M can still learn."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch import Tensor

from ..common.encoder import Encoder
from ..common.keywords import check_keywords
from ..common.losses import check_losses, descend
from ..common.sequences import true_next
from .actions import make_actions

Kind = Literal["count", "disagreement", "error", "improvement"]
FORGET = 0.99  # of the running moments, a step


class CuriosityReward(VecEnvWrapper):
    """Adds to the reward of every step what M says about it: r + weight * interest, for any algorithm.

    M are several small nets that predict the next observation from observation and action; they learn from a replay of
    what this environment did. Observations are read in units of their running spread, and the interest is divided by
    its own running mean, so that `weight` means the same throughout.

    - "error": M's squared error (Schmidhuber, FKI-126-90, 1990). It stays high where the world is random.
    - "improvement": by how much M's error is below that of a slow copy of M, which follows it (Schmidhuber, IJCNN
      Singapore 2:1458-1463, 1991).
    - "disagreement": the variance of the members' predictions (Pathak, Gandhi & Gupta, arXiv 1906.04161).
    - "count": 1 / sqrt(n) of the n-th visit to a state, its numbers rounded; the reference, for few states.

    Infos of every step have `curiosity`, the interest before it is divided, and `task_reward`.

    Args:
        venv: with Box observations, or a Dict of Boxes.
        kind: see above.
        weight: of the interest.
        reward_weight: of the environment's reward.
        members: nets.
        hidden: units of each of their two hidden layers.
        learning_rate: Adam's.
        batch_size: steps of a minibatch; there is one after every step of all lanes.
        buffer_size: steps of the replay, all lanes together.
        follows: share by which the slow copy follows at every minibatch.
        seed: of the nets and the minibatches.

    Raises:
        ValueError: another kind, or a keyword of a wrong kind or out of range.
        FloatingPointError: M's loss is not finite.
    """

    STATE: ClassVar[tuple[str, ...]] = ("learned",)

    def __init__(
        self,
        venv: VecEnv,
        kind: Kind = "disagreement",
        *,
        weight: float = 1.0,
        reward_weight: float = 1.0,
        members: int = 5,
        hidden: int = 64,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        buffer_size: int = 50_000,
        follows: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__(venv)
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(map(repr, get_args(Kind)))}, not {kind!r}")
        given = {
            "weight": weight,
            "reward_weight": reward_weight,
            "members": members,
            "hidden": hidden,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "buffer_size": buffer_size,
            "follows": follows,
            "seed": seed,
        }
        check_keywords(type(self), given)
        self.kind: Kind = kind
        self.weight, self.reward_weight, self.batch_size, self.follows = weight, reward_weight, batch_size, follows
        self._encoder, self._kinds = Encoder(venv.observation_space), make_actions(venv.action_space)
        size, inputs = self._encoder.observation_size, self._encoder.observation_size + self._kinds.size
        self._generator = torch.Generator().manual_seed(seed)
        shapes = (inputs, hidden), (hidden, hidden), (hidden, size)
        self._weights = [
            (torch.randn(members, *shape, generator=self._generator) * (2 / shape[0]) ** 0.5).requires_grad_()
            for shape in shapes
        ]
        self._slow = [part.detach().clone() for part in self._weights]
        self._optimizer = torch.optim.Adam(self._weights, learning_rate)
        self._replay = torch.zeros(max(buffer_size, venv.num_envs), inputs + size)
        self._count = 0
        self._mean, self._square = torch.zeros(size), torch.ones(size)  # running moments of the observation
        self._typical = 0.0  # running mean of the interest
        self._visits: Counter[bytes] = Counter()
        self._seen: Tensor | None = None
        self._acted: Tensor | None = None

    def reset(self) -> Any:
        """Starts an episode in every lane."""
        obs = self.venv.reset()
        self._seen = self._encoder.observation(obs)
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Passes the actions on."""
        self._acted = self._kinds.from_env(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One step; see the class for the rewards."""
        obs, rewards, ends, infos = self.venv.step_wait()
        if self._seen is None or self._acted is None:
            raise RuntimeError("reset the environment before its first step")
        last, _ = true_next(obs, ends, infos)
        after = self._encoder.observation(last)
        interest = self._interest(self._seen, self._acted, after)
        self._remember(torch.cat((self._seen, self._acted, after), 1))
        self._learn()
        mean = float(interest.mean())
        self._typical = mean if not self._typical else FORGET * self._typical + (1 - FORGET) * mean
        extra = (self.weight / max(self._typical, 1e-8)) * interest.numpy()
        infos = [
            {**info, "curiosity": float(own), "task_reward": float(reward)}
            for info, own, reward in zip(infos, interest, rewards, strict=True)
        ]
        self._seen = self._encoder.observation(obs)
        return obs, (self.reward_weight * rewards + extra).astype(np.float32), ends, infos

    @torch.no_grad()
    def _interest(self, seen: Tensor, acted: Tensor, after: Tensor) -> Tensor:
        """(N,) what a step is worth to a curious agent."""
        if self.kind == "count":
            keys = [row.tobytes() for row in np.round(after.numpy(), 3)]
            self._visits.update(keys)
            return torch.tensor([self._visits[key] ** -0.5 for key in keys])
        inputs, target = self._scaled(seen, acted, after)
        predicted = _predict(self._weights, inputs)
        if self.kind == "disagreement":
            return predicted.var(0, correction=0).mean(-1)
        error = (predicted - target).square().mean((0, -1))
        if self.kind == "error":
            return error
        slow = (_predict(self._slow, inputs) - target).square().mean((0, -1))
        return (slow - error).clamp(min=0)

    def _scaled(self, seen: Tensor, acted: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """M's input (N, D + A), and the change of the observation (N, D) in units of its spread."""
        spread = (self._square - self._mean.square()).clamp(min=1e-4).sqrt()
        return torch.cat(((seen - self._mean) / spread, acted), 1), (after - seen) / spread

    def _remember(self, steps: Tensor) -> None:
        places = (self._count + torch.arange(len(steps))) % len(self._replay)
        self._replay[places] = steps
        self._count += len(steps)
        seen = steps[:, : len(self._mean)]
        share = max(1 - FORGET, len(steps) / self._count)  # the true moments at first
        self._mean = torch.lerp(self._mean, seen.mean(0), share)
        self._square = torch.lerp(self._square, seen.square().mean(0), share)

    @torch.enable_grad()
    def _learn(self) -> None:
        if self.kind == "count":
            return
        members, known = len(self._weights[0]), min(self._count, len(self._replay))
        rows = torch.randint(known, (members, self.batch_size), generator=self._generator)
        size = len(self._mean)
        steps = self._replay[rows].flatten(0, 1)
        inputs, target = self._scaled(steps[:, :size], steps[:, size:-size], steps[:, -size:])
        shaped = (members, self.batch_size, -1)
        loss = (_predict(self._weights, inputs.view(shaped)) - target.view(shaped)).square().mean((1, 2)).sum()
        check_losses(self._count, curiosity=loss)
        descend(self._optimizer, loss)
        for slow, fast in zip(self._slow, self._weights, strict=True):
            slow.lerp_(fast.detach(), self.follows)

    @property
    def learned(self) -> dict[str, Any]:
        """All that it keeps from step to step, as data."""
        names = ("_replay", "_count", "_mean", "_square", "_typical", "_seen", "_slow")
        return {
            **{name: getattr(self, name) for name in names},
            "weights": [part.detach() for part in self._weights],
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "visits": [[key.hex(), count] for key, count in self._visits.items()],
        }

    @learned.setter
    def learned(self, state: dict[str, Any]) -> None:
        for name in ("_replay", "_count", "_mean", "_square", "_typical", "_seen", "_slow"):
            setattr(self, name, state[name])
        with torch.no_grad():
            for own, given in zip(self._weights, state["weights"], strict=True):
                own.copy_(given)
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._visits = Counter({bytes.fromhex(key): int(count) for key, count in state["visits"]})


def _predict(weights: list[Tensor], inputs: Tensor) -> Tensor:
    """(members, N, D) from inputs (N, I), or (members, N, I), one for each."""
    first, second, third = weights
    return torch.relu(torch.relu(inputs @ first) @ second) @ third
