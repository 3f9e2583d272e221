"""Tianshou: the adapter takes every id and foreign vector environments, and PPO learns through it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.algorithm.random import MARLRandomDiscreteMaskedOffPolicyAlgorithm
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import ModuleWithVectorOutput
from tianshou.utils.net.continuous import ContinuousActorProbabilistic
from torch import nn

import foveal_envs
from agents.adapters.tianshou import TianshouVectorEnv

from .learning import FLAT, ID, LEARNED, mean_return

LANES = 3
CARTPOLE = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.DISABLED}}


def lanes_of(env_id: str = ID, lanes: int = LANES) -> TianshouVectorEnv:
    return TianshouVectorEnv(gym.make_vec(env_id, lanes, autoreset_mode="disabled"))


def collector_of(env: TianshouVectorEnv) -> Collector:
    policy = MARLRandomDiscreteMaskedOffPolicyAlgorithm(action_space=env.action_space[0])
    collector = Collector(policy, env, VectorReplayBuffer(500, len(env)))
    collector.reset()
    return collector


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_collector(env_id):
    collector = collector_of(lanes_of(f"foveal_envs:{env_id}"))
    assert collector.collect(n_step=30, random=True).n_collected_steps == 30
    assert collector.collect(n_episode=LANES + 1, random=True).n_collected_episodes == LANES + 1
    assert collector.collect(n_step=30, random=True).n_collected_steps == 30
    first = collector.buffer.obs[0]
    space = collector.env.observation_space[0]
    assert space.contains({key: first[key] for key in space} if isinstance(space, gym.spaces.Dict) else first)


def test_foreign_vector_environment():
    collector = collector_of(TianshouVectorEnv(gym.make_vec("CartPole-v1", LANES, **CARTPOLE)))
    assert collector.collect(n_episode=2, random=True).n_collected_episodes == 2
    stats = collector.collect(n_episode=12, random=True)
    assert stats.n_collected_episodes == 12
    assert stats.returns.sum() == stats.n_collected_steps


def test_lanes_are_named_in_any_order_but_once():
    env, alone = lanes_of(FLAT), lanes_of(FLAT)
    actions, order = np.array([[1, 0], [0, 1], [-1, 0]], np.float32), [2, 0, 1]
    env.reset(seed=0)
    alone.reset(seed=0)
    expected = alone.step(actions)
    for found, wanted in zip(env.step(actions[order], id=order)[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(found, wanted[order])
    for wrong in ([0, 0, 1], [3], [-1], [], [True, False, True], [0.0]):
        with pytest.raises(ValueError, match="lanes"):
            env.reset(wrong)
    assert env.seed(np.array([4, 5, 6])) == [4, 5, 6]
    with pytest.raises(ValueError, match="as many seeds"):
        env.seed([1, 2])


def test_lanes_are_those_of_single_environments():
    env = lanes_of()
    env.seed(3)
    obs, infos = env.reset()
    single = gym.make(ID)
    for lane in range(LANES):
        first, info = single.reset(seed=3 + lane)
        np.testing.assert_array_equal(obs[lane].desired_goal, first["desired_goal"])
        assert infos[lane]["env_id"] == lane
        assert infos[lane]["episode_key"] == info["episode_key"]
    action = np.array([0.5, -0.5], np.float32)
    obs, *_ = env.step(np.tile(action, (LANES, 1)))
    np.testing.assert_array_equal(obs[LANES - 1].observation, single.step(action)[0]["observation"])


def test_a_reset_of_some_leaves_the_others():
    env = lanes_of()
    env.reset()
    actions = np.zeros((LANES, 2), np.float32)
    before, *_ = env.step(actions)
    fresh, infos = env.reset([1])
    after, *_ = env.step(actions)
    assert [info["env_id"] for info in infos] == [1]
    assert fresh.observation.shape == (1, 40)
    np.testing.assert_array_equal(
        after.observation, [before[0].observation, fresh[0].observation, before[2].observation]
    )


def test_refusals():
    with pytest.raises(ValueError, match="autoreset_mode='disabled'"):
        TianshouVectorEnv(gym.make_vec(ID, 2))
    env = lanes_of()
    env.reset()
    with pytest.raises(ValueError, match="3 lanes need as many actions, got 2"):
        env.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="all lanes"):
        env.set_env_attr("render_mode", None, [0])
    env.step(np.zeros((2, 2)), [0, 2])
    env.step(np.zeros((2, 2)), [0, 2])
    with pytest.raises(RuntimeError, match=r"reset lanes \[1\] first"):
        env.step(np.zeros((LANES, 2)))
    env.reset(1)
    env.step(np.zeros((LANES, 2)))


class Trunk(ModuleWithVectorOutput):
    """A net for observations with a goal."""

    def __init__(self):
        super().__init__(64)
        self.net = nn.Sequential(nn.Linear(80, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())

    def forward(self, obs, state=None, info=None):
        return self.net(torch.as_tensor(np.concatenate([obs.observation, obs.desired_goal], -1))), state


class Value(nn.Module):
    """V; Tianshou's own critics take one array only."""

    def __init__(self):
        super().__init__()
        self.trunk, self.last = Trunk(), nn.Linear(64, 1)

    def forward(self, obs):
        return self.last(self.trunk(obs)[0])


@pytest.mark.slow
def test_ppo_learns():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - Tianshou's minibatches
    env = lanes_of(lanes=64)
    env.seed(0)
    actor = ContinuousActorProbabilistic(preprocess_net=Trunk(), action_shape=(2,), unbounded=True)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda net: torch.distributions.Independent(torch.distributions.Normal(*net), 1),
        action_space=env.action_space[0],
    )
    adam = AdamOptimizerFactory(lr=1e-3)
    agent = PPO(policy=policy, critic=Value(), optim=adam, gamma=0.9, ent_coef=0.0, max_grad_norm=0.5)
    agent.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(agent, env, VectorReplayBuffer(2048, 64)),
            max_epochs=1,
            epoch_num_steps=10_240,
            collection_step_num_env_steps=2048,
            update_step_num_repetitions=5,
            batch_size=256,
            show_progress=False,
            verbose=False,
        )
    )

    def act(obs):
        with torch.no_grad():
            return actor(Batch(obs))[0][0].numpy()

    assert mean_return(act, ID) > LEARNED
