"""Scales are those of the data, and saved with the policy."""

from __future__ import annotations

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import ControllerPolicy, WorldModelController, make_sb3
from agents.world_model.scale import Scale

from .test_controller import SMALL


def test_scales_are_those_of_all_steps_so_far():
    torch.manual_seed(0)
    before = torch.randn(50, 4, 3) * torch.tensor([1.0, 100.0, 0.0]) + torch.tensor([5.0, 0.0, 7.0])
    after, reward = before + 0.1 * torch.randn(50, 4, 3), 3 * torch.randn(50, 4, 1) * (torch.rand(50, 4, 1) < 0.3)
    ends = (torch.rand(50, 4, 1) < 0.1).float()
    scale = Scale(3)
    for half in (slice(0, 20), slice(20, 50)):
        scale.update(before[half], after[half], reward[half], ends[half])
    flat = before.flatten(0, 1)
    torch.testing.assert_close(scale.mean, flat.mean(0))
    spread = flat.std(0, unbiased=False)
    torch.testing.assert_close(scale.spread, torch.where(flat.std(0) > 0, spread, 1.0), rtol=1e-4, atol=1e-5)
    change = (after - before).flatten(0, 1).square().mean(0).sqrt() / scale.spread
    torch.testing.assert_close(scale.change, change.clamp(min=1e-4), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(scale.reward, reward[reward != 0].square().mean().sqrt(), rtol=1e-4, atol=1e-5)
    for at_end in (False, True):
        paid = reward[ends == at_end] / scale.reward
        asked = torch.linspace(-20, 20, 9)
        torch.testing.assert_close(scale.payable(asked, at_end), asked.clamp(paid.min(), paid.max()))
    live, last = (reward[ends == at_end] / scale.reward for at_end in (0, 1))
    low, high = scale.worth(0.9)
    assert low == pytest.approx(10 * live.min().item() + last.min().item(), rel=1e-5)
    assert high == pytest.approx(10 * live.max().item() + last.max().item(), rel=1e-5)
    assert scale.worth(1.0) == (-math.inf, math.inf)
    scaled = scale(flat)
    torch.testing.assert_close(scaled[:, :2].std(0, unbiased=False), torch.ones(2), rtol=1e-4, atol=1e-4)
    assert torch.equal(scaled[:, 2], torch.zeros(200))


def test_fixed_scales_change_nothing_and_are_not_saved():
    scale, x = Scale(2, observations=False, rewards=False), torch.randn(5, 2)
    scale.update(torch.randn(5, 3, 2), torch.randn(5, 3, 2), torch.randn(5, 3, 1), torch.zeros(5, 3, 1))
    assert scale(x) is x
    assert scale.payable(x) is x
    assert not scale.state_dict()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_policy_alone_acts_as_its_agent_does(env_id, tmp_path):
    env = make_sb3(env_id, 2, seed=0)
    agent = WorldModelController("MlpPolicy", env, **SMALL).learn(128)
    assert agent.policy.scale.count > 100
    obs = np.stack([env.observation_space.sample().clip(-3, 3) for _ in range(6)])
    agent.policy.save(tmp_path / "policy")
    agent.save(tmp_path / "agent")
    wanted = agent.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(
        ControllerPolicy.load(tmp_path / "policy").predict(obs, deterministic=True)[0], wanted
    )
    loaded = WorldModelController.load(tmp_path / "agent", env=env)
    np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], wanted)
    loaded.learn(32, reset_num_timesteps=False)
    assert loaded.policy.scale is loaded.world_model.scale
    assert loaded.policy.scale.count > agent.policy.scale.count


def test_goals_and_retinas_keep_their_units():
    env = make_sb3("foveal_envs:Foveal/TargetDetection-v0", 2)
    agent = WorldModelController("MultiInputPolicy", env, **SMALL)
    assert agent.policy.scale.fixed
    assert not agent.scaled
    pixels = gym.spaces.Box(0, 1, (4,), np.float32)
    assert not ControllerPolicy(pixels, gym.spaces.Discrete(2)).scale.observations


def test_numbers_far_from_all_that_was_seen_are_warned_of_once():
    scale, x = Scale(2), torch.randn(20, 4, 2)
    scale.check(1e6 * x[0])  # nothing has been seen yet
    assert torch.equal(scale.payable(x, at_end=True), x)
    scale.update(x, x + 1, x[..., :1], torch.zeros(20, 4, 1))
    assert torch.equal(scale.payable(x, at_end=True), x)  # no episode has ended
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale.check(50 * torch.ones(3, 2))
    with pytest.warns(UserWarning, match="column 1 of the observation is"):
        scale.check(torch.tensor([[0.0, 500.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale.check(torch.tensor([[0.0, 500.0]]))


def test_a_window_of_one_step_warns_where_there_is_something_to_remember():
    keywords = {**SMALL, "window": 1, "model_core": "lstm", "model_core_kwargs": {"size": 4}}
    with pytest.warns(UserWarning, match="longer window"):
        WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 2), **keywords)


def test_small_numbers_have_a_scale_too():
    torch.manual_seed(0)
    x = 1e-4 * torch.randn(500, 2, 1) + torch.tensor([1e-3])
    scale = Scale(1)
    scale.update(x, x, torch.zeros(500, 2, 1), torch.zeros(500, 2, 1))
    assert scale(x).std().item() == pytest.approx(1.0, abs=0.02)


def test_goals_have_no_scale():
    with pytest.raises(ValueError, match="scaled=True needs"):
        WorldModelController("MultiInputPolicy", make_sb3("foveal_envs:Foveal/SwampNavigation-v0", 2), scaled=True)


def test_an_observation_may_be_one_number():
    class Number(gym.Env):
        observation_space, action_space = gym.spaces.Box(-1, 1, (), np.float32), gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.moves = 0
            return np.float32(0.5), {}

        def step(self, action):
            self.moves += 1
            return np.float32(action - 0.5), float(action), False, self.moves == 5, {}

    agent = WorldModelController("MlpPolicy", Number(), **SMALL).learn(200)
    assert agent.replay.newest(3)["observation"].shape == (3, 1, 1)
