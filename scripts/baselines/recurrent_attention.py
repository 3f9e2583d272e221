"""The recurrent attention model as it was published, a yardstick for agents that recognise by glimpses."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.ppo.recogniser import SHARPNESS


class RAM(nn.Module):
    """h(t) = relu(U h(t-1) + W g(t)), g = relu(A relu(B glimpse) + C relu(D place)).

    Mnih, Heess, Graves & Kavukcuoglu (2014): the next place is l ~ N(tanh(L h), sigma^2), the class softmax(K h) at the
    last glimpse. Loss: cross-entropy, minus log N(l) (R - b) for every place (REINFORCE; R is 1 if the class is right),
    plus (b - R)^2. One gradient step for each batch of episodes, one in each lane.

    Args:
        env: a native vector environment of recognition whose observation is (glimpse, gaze), in SAME_STEP mode.
        classes: C.
        size: of h and g; their parts have half of it.
        sigma: of places, in half scenes.
        learning_rate: at the start; it falls to 0 over the training.
        seed: of weights and places.
    """

    def __init__(
        self, env: Any, classes: int, size: int = 256, sigma: float = 0.4, learning_rate: float = 3e-3, seed: int = 0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.env, self.sigma, values = env, sigma, env.single_observation_space.shape[0] - 2
        self.what, self.where = nn.Linear(values, size // 2), nn.Linear(2, size // 2)
        self.from_what, self.from_where = nn.Linear(size // 2, size), nn.Linear(size // 2, size)
        self.read, self.recall = nn.Linear(size, size), nn.Linear(size, size)
        self.place, self.name, self.baseline = nn.Linear(size, 2), nn.Linear(size, classes), nn.Linear(size, 1)
        self.size, self.rate = size, learning_rate
        self.optimizer = torch.optim.Adam(self.parameters(), learning_rate)
        self.num_timesteps, self.cpu_seconds = 0, 0.0

    def forward(self, obs: Tensor, h: Tensor) -> Tensor:
        """The next h (N, size) from observations (N, values + 2)."""
        what, where = F.relu(self.what(obs[:, :-2])), F.relu(self.where(obs[:, -2:]))
        glimpse = F.relu(self.from_what(what) + self.from_where(where))
        return F.relu(self.read(glimpse) + self.recall(h))

    def learn(self, steps: int, cpu_seconds: float = float("inf")) -> RAM:
        """Train for so many environment steps or CPU seconds, whichever comes first."""
        obs, _ = self.env.reset(seed=10_000)
        since = time.process_time()
        left = 1.0
        while left > 0:
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * left
            obs = self._episode(obs)
            self.cpu_seconds = time.process_time() - since
            left = 1 - max(self.num_timesteps / steps, self.cpu_seconds / cpu_seconds)
        return self

    def _episode(self, obs: np.ndarray) -> np.ndarray:
        """One episode in every lane and one gradient step; the first observations of the next."""
        h, log_probs, baselines, ends = torch.zeros(len(obs), self.size), [], [], np.zeros(len(obs), bool)
        while not ends.all():
            seen = torch.from_numpy(obs)
            h = self(seen, h)
            policy = torch.distributions.Normal(torch.tanh(self.place(h.detach())), self.sigma)
            place, logits = policy.sample(), self.name(h)
            log_probs.append(policy.log_prob(place).sum(-1))
            baselines.append(self.baseline(h.detach()).squeeze(-1))
            obs, _, ends, _, infos = self.env.step(self._actions(place, seen, logits))
            self.num_timesteps += len(obs)
        label = torch.as_tensor(infos["final_info"]["label"])
        reward = (logits.argmax(-1) == label).float()
        baseline, log_prob = torch.stack(baselines), torch.stack(log_probs)
        advantage = reward - baseline.detach()
        loss = F.cross_entropy(logits, label) - (log_prob * advantage).mean() + (baseline - reward).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return obs

    def predict(
        self, obs: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Tensor]:
        """Actions for observations (N, ...) and the next h; see Stable-Baselines3."""
        with torch.no_grad():
            seen = torch.from_numpy(obs)
            h = torch.zeros(len(obs), self.size) if state is None else state
            if episode_start is not None:
                h = torch.where(torch.from_numpy(episode_start)[:, None], 0.0, h)
            h = self(seen, h)
            place = torch.tanh(self.place(h))
            if not deterministic:
                place = place + self.sigma * torch.randn_like(place)
            return self._actions(place, seen, self.name(h)), h

    def _actions(self, place: Tensor, seen: Tensor, logits: Tensor) -> np.ndarray:
        """A saccade to the place, as far as one goes, and the scores."""
        scores = (logits.detach() - logits.detach().amax(-1, keepdim=True)) / SHARPNESS + 1
        return torch.cat(((place - seen[:, -2:]).clamp(-1, 1), scores.clamp(min=-1)), -1).numpy()
