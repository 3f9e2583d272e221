"""A single-file PPO in the way of CleanRL learns on a flat twin that resets itself in NEXT_STEP mode."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from .learning import FLAT, LEARNED, mean_return

LANES, STEPS, UPDATES, EPOCHS, MINIBATCHES = 64, 32, 5, 5, 8
GAMMA, GAE_LAMBDA, CLIP, LEARNING_RATE = 0.9, 0.95, 0.2, 1e-3


def net(size: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


@pytest.mark.slow
def test_ppo_learns():
    torch.manual_seed(0)
    envs = gym.make_vec(FLAT, LANES)
    size, moves = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
    actor, critic, log_std = net(size, moves), net(size, 1), nn.Parameter(torch.zeros(moves))
    parameters = [*actor.parameters(), *critic.parameters(), log_std]
    adam = torch.optim.Adam(parameters, LEARNING_RATE, eps=1e-5)
    obs, actions = torch.zeros(STEPS, LANES, size), torch.zeros(STEPS, LANES, moves)
    log_probs, rewards, dones, values = torch.zeros(4, STEPS, LANES)
    next_obs, next_done = torch.as_tensor(envs.reset(seed=0)[0]), torch.zeros(LANES)
    for _ in range(UPDATES):
        for t in range(STEPS):
            obs[t], dones[t] = next_obs, next_done
            with torch.no_grad():
                policy, values[t] = Normal(actor(next_obs), log_std.exp()), critic(next_obs)[:, 0]
                actions[t] = policy.sample()
                log_probs[t] = policy.log_prob(actions[t]).sum(-1)
            seen, reward, terminated, truncated, _ = envs.step(actions[t].numpy())
            next_obs, rewards[t] = torch.as_tensor(seen), torch.as_tensor(reward)
            next_done = torch.as_tensor(terminated | truncated).float()
        advantages, last = torch.zeros(STEPS, LANES), torch.zeros(LANES)
        with torch.no_grad():
            value, done = critic(next_obs)[:, 0], next_done
        for t in reversed(range(STEPS)):
            last = rewards[t] - values[t] + GAMMA * (1 - done) * (value + GAE_LAMBDA * last)
            advantages[t], value, done = last, values[t], dones[t]
        returns = advantages + values
        moved = (dones == 0).flatten().nonzero()[:, 0]  # the step after an end resets, and ignores its action
        for _ in range(EPOCHS):
            for rows in moved[torch.randperm(len(moved))].chunk(MINIBATCHES):
                x, advantage = obs.flatten(0, 1)[rows], advantages.flatten()[rows]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                log_prob = Normal(actor(x), log_std.exp()).log_prob(actions.flatten(0, 1)[rows]).sum(-1)
                ratio = (log_prob - log_probs.flatten()[rows]).exp()
                gain = torch.min(advantage * ratio, advantage * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                error = (critic(x)[:, 0] - returns.flatten()[rows]).square().mean()
                adam.zero_grad()
                (0.5 * error - gain).backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                adam.step()

    def act(seen):
        with torch.no_grad():
            return actor(torch.as_tensor(seen)).numpy()

    assert mean_return(act, FLAT) > LEARNED
