"""Recurrent PPO written the usual way, an LSTM in a loop over steps: what ``benchmark training`` holds ours against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn
from torch.distributions import Categorical


class LoopPPO:
    """PPO for one ``nn.LSTM`` whose state is multiplied by 0 where an episode starts, step after step.

    Minibatches are whole columns. The environment has a flat observation and Discrete actions.

    Args:
        env: the lanes.
        steps: T of a rollout.
        epochs: passes over a rollout.
        minibatches: of a pass.
        hidden: cells of the LSTM.
        learning_rate: Adam's.
        gamma, gae_lambda: discount and trace of the advantages.
        ent_coef, vf_coef: weights of the entropy and of the critic's squared error.
        forget_bias: initial bias of the forget gate; None: as PyTorch draws it, about 0.
    """

    def __init__(
        self,
        env: VecEnv,
        steps: int,
        epochs: int,
        minibatches: int,
        hidden: int,
        learning_rate: float,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        forget_bias: float | None = None,
    ) -> None:
        self.env, self.steps, self.epochs, self.minibatches = env, steps, epochs, minibatches
        self.gamma, self.gae_lambda, self.ent_coef, self.vf_coef = gamma, gae_lambda, ent_coef, vf_coef
        self.num_timesteps = 0
        self.lstm = nn.LSTM(env.observation_space.shape[0], hidden)  # type: ignore[index]
        if forget_bias is not None:
            set_forget_bias(self.lstm, forget_bias)
        self.actor = nn.Linear(hidden, env.action_space.n)  # type: ignore[attr-defined]
        self.critic = nn.Linear(hidden, 1)
        self.parameters = [part for net in (self.lstm, self.actor, self.critic) for part in net.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, learning_rate, eps=1e-5)
        self.obs, self.start = torch.as_tensor(env.reset()), torch.ones(env.num_envs)
        self.state = (torch.zeros(1, env.num_envs, hidden), torch.zeros(1, env.num_envs, hidden))

    def hidden(self, obs: Tensor, start: Tensor, state: Any) -> tuple[Tensor, Any]:
        """h (T, B, H) of obs (T, B, D) and start (T, B)."""
        rows = []
        for row, begins in zip(obs, start, strict=True):
            goes_on = (1.0 - begins).view(1, -1, 1)
            h, state = self.lstm(row[None], (goes_on * state[0], goes_on * state[1]))
            rows.append(h)
        return torch.cat(rows), state

    def learn(self, total_timesteps: int, goes_on: Callable[[], bool] = lambda: True, **ignored: Any) -> None:
        """One rollout after the other, with its updates, for so many environment steps, or as long as ``goes_on``."""
        for _ in range(0, total_timesteps, self.steps * self.env.num_envs):
            self.update(*self.collect())
            self.num_timesteps += self.steps * self.env.num_envs
            if not goes_on():
                break

    @torch.no_grad()
    def predict(
        self, obs: np.ndarray, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions (N,), the likeliest or random ones, and the next state."""
        start = np.zeros(len(obs), bool) if episode_start is None else episode_start
        if state is None:
            state = tuple(torch.zeros(1, len(obs), self.lstm.hidden_size) for _ in range(2))
        h, state = self.hidden(torch.as_tensor(obs)[None], torch.as_tensor(start).float()[None], state)
        logits = self.actor(h[0])
        return (logits.argmax(-1) if deterministic else Categorical(logits=logits).sample()).numpy(), state

    @torch.no_grad()
    def collect(self) -> tuple[dict[str, Tensor], Any]:
        """A rollout (T, N, ...) with advantages, and the LSTM's state before it."""
        first, rows = self.state, []
        for _ in range(self.steps):
            h, self.state = self.hidden(self.obs[None], self.start[None], self.state)
            distribution = Categorical(logits=self.actor(h[0]))
            action = distribution.sample()
            obs, reward, ends, _ = self.env.step(action.numpy())
            row = {"obs": self.obs, "start": self.start, "action": action, "log_prob": distribution.log_prob(action)}
            rows.append({**row, "value": self.critic(h[0]).squeeze(-1), "reward": torch.as_tensor(reward)})
            self.obs, self.start = torch.as_tensor(obs), torch.as_tensor(ends.astype(np.float32))
        rollout = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        value = self.critic(self.hidden(self.obs[None], self.start[None], self.state)[0][0]).squeeze(-1)
        goes_on, advantage, advantages = 1.0 - self.start, torch.zeros_like(value), []
        for t in reversed(range(self.steps)):
            delta = rollout["reward"][t] + self.gamma * goes_on * value - rollout["value"][t]
            advantage = delta + self.gamma * self.gae_lambda * goes_on * advantage
            advantages.append(advantage)
            goes_on, value = 1.0 - rollout["start"][t], rollout["value"][t]
        rollout["advantage"] = torch.stack(advantages[::-1])
        return rollout, first

    def update(self, rollout: dict[str, Tensor], first: Any) -> None:
        """All epochs on one rollout."""
        for _ in range(self.epochs):
            for columns in torch.randperm(self.env.num_envs).chunk(self.minibatches):
                batch = {name: field[:, columns] for name, field in rollout.items()}
                h, _ = self.hidden(batch["obs"], batch["start"], tuple(part[:, columns] for part in first))
                distribution = Categorical(logits=self.actor(h))
                ratio = (distribution.log_prob(batch["action"]) - batch["log_prob"]).exp()
                advantage = batch["advantage"]
                scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                policy_loss = torch.max(-scaled * ratio, -scaled * ratio.clamp(0.8, 1.2)).mean()
                value_loss = (self.critic(h).squeeze(-1) - advantage - batch["value"]).square().mean()
                self.optimizer.zero_grad()
                loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * distribution.entropy().mean()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, 0.5)
                self.optimizer.step()


def set_forget_bias(lstm: nn.LSTM, value: float) -> None:
    """Make ``value`` the bias of every forget gate of a one-layer LSTM, and 0 that of the other gates."""
    size = lstm.hidden_size
    with torch.no_grad():
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
        lstm.bias_ih_l0[size : 2 * size] = value
