"""KeepBest: which policy it keeps, and from what."""

from __future__ import annotations

import copy
import json

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import KeepBest, RecurrentPPO, WorldModelController, make_sb3

SMALL = {"core_kwargs": {"hidden": (8,)}, "model_core_kwargs": {"hidden": (8,)}, "updates": 1, "batch_size": 8}


class Script:
    """Stands for an agent whose policy has one number, and whose episodes return what a list says."""

    def __init__(self):
        self.policy, self.num_timesteps, self.exploring = torch.nn.Linear(1, 1, bias=False), 0, False


def look(kept, agent, returns):
    for number, value in enumerate(returns):
        agent.num_timesteps += 1
        with torch.no_grad():
            agent.policy.weight.fill_(agent.num_timesteps)
        kept.locals = {"dones": [True], "infos": [{"episode": {"r": value}}]}
        kept.num_timesteps = agent.num_timesteps
        assert kept._on_step(), number


def test_the_policy_with_the_best_mean_of_the_last_episodes_is_kept():
    kept, agent = KeepBest(3), Script()
    kept.model = agent
    assert not kept.restore()
    look(kept, agent, [1, 2, 3, 9, 9, 9, 0, 0, 0, 9, 9, 9, 1])
    assert (kept.mean_return, kept.steps, kept.episodes) == (9, 12, 13)
    assert kept.restore()
    assert agent.policy.weight.item() == 12  # of two equals the later


def test_episodes_of_random_exploration_do_not_count():
    kept, agent = KeepBest(2), Script()
    kept.model, agent.exploring = agent, True
    look(kept, agent, [5, 5, 5, 5])
    agent.exploring = False
    assert not kept.restore()
    look(kept, agent, [1, 1])
    assert kept.mean_return == 1
    agent = WorldModelController("MlpPolicy", make_sb3("CartPole-v1", 1, seed=0), model_steps=400, seed=0, **SMALL)
    kept = KeepBest()
    agent.learn(400, callback=kept, log_interval=None)
    assert kept.episodes > 5
    assert not kept.restore()


def test_it_keeps_a_copy_of_any_algorithm_s_policy():
    agent = RecurrentPPO("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), n_steps=32, seed=0)
    kept = KeepBest(1)
    agent.learn(512, callback=kept, log_interval=None)
    last = copy.deepcopy(agent.policy.state_dict())
    assert kept.restore()
    assert kept.steps < 512 or all(torch.equal(last[name], part) for name, part in agent.policy.state_dict().items())


def test_the_kept_policy_is_written_beside_the_present_one(tmp_path):
    agent = RecurrentPPO("MlpPolicy", make_sb3("CartPole-v1", 4, seed=0), n_steps=32, seed=0)
    kept = KeepBest(2)
    kept.init_callback(agent)
    assert not kept.save(tmp_path / "best.zip")
    agent.learn(512, callback=kept, log_interval=None)
    last = copy.deepcopy(agent.policy.state_dict())
    assert kept.save(tmp_path / "best.zip")
    assert all(torch.equal(last[name], part) for name, part in agent.policy.state_dict().items())
    best = RecurrentPPO.load(tmp_path / "best.zip").policy.state_dict()
    assert kept.restore()
    assert all(torch.equal(best[name], part) for name, part in agent.policy.state_dict().items())
    other = KeepBest(2)
    other.set_state(json.loads(json.dumps(kept.get_state())))
    assert other.get_state() == kept.get_state()


def test_what_it_cannot_use_is_refused():
    for wrong in (0, 2.5, "x"):
        with pytest.raises(ValueError, match="episodes must be a whole number"):
            KeepBest(wrong)
    lanes = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    with pytest.raises(ValueError, match="wrap the environment in a Monitor"):
        WorldModelController("MlpPolicy", lanes, seed=0, **SMALL).learn(400, callback=KeepBest(), log_interval=None)
