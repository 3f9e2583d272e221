"""skrl: every id in native form; PPO learns."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from skrl.utils.spaces.torch import flatten_tensorized_space, tensorize_space
from torch import nn

import foveal_envs

from .learning import ID, LEARNED, mean_return

LANES = 3
QUIET = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_native_environment(env_id):
    env = wrap_env(gym.make_vec(f"foveal_envs:{env_id}", LANES, autoreset_mode="SameStep"), verbose=False)
    obs, _ = env.reset()
    size = gym.spaces.flatdim(env.observation_space)
    if isinstance(env.observation_space, gym.spaces.Discrete):
        size = 1  # skrl keeps the number
    assert obs.shape == (LANES, size)
    actions = torch.stack([torch.as_tensor(env.action_space.sample()).flatten() for _ in range(LANES)])
    obs, rewards, terminated, truncated, _ = env.step(actions)
    assert obs.shape == (LANES, size)
    assert rewards.shape == terminated.shape == truncated.shape == (LANES, 1)
    assert torch.isfinite(obs).all()
    env.close()


def net(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


class Policy(GaussianMixin, Model):
    def __init__(self, **spaces):
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        self.net, self.log_std = (
            net(self.num_observations, self.num_actions),
            nn.Parameter(torch.zeros(self.num_actions)),
        )

    def compute(self, inputs, role=""):
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    def __init__(self, **spaces):
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.net = net(self.num_observations, 1)

    def compute(self, inputs, role=""):
        return self.net(inputs["observations"]), {}


@pytest.mark.slow
def test_ppo_learns():
    set_seed(0)
    env = wrap_env(gym.make_vec(ID, 64, autoreset_mode="SameStep"), verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    models = {"policy": Policy(**spaces), "value": Value(**spaces)}
    settings = PPO_CFG(
        rollouts=32, learning_epochs=5, mini_batches=8, discount_factor=0.9, learning_rate=1e-3, value_clip=0.0
    )
    settings.experiment.write_interval = settings.experiment.checkpoint_interval = 0
    memory = RandomMemory(memory_size=32, num_envs=64, device=env.device)
    agent = PPO(models=models, memory=memory, cfg=settings, **spaces)
    SequentialTrainer(env=env, agents=agent, cfg={"timesteps": 160, **QUIET}).train()

    def act(obs):
        seen = flatten_tensorized_space(tensorize_space(env.observation_space, obs, device=env.device))
        with torch.no_grad():
            return models["policy"].act({"observations": seen})[1]["mean_actions"].numpy()

    assert mean_return(act, ID) > LEARNED
