"""TorchRL: specs of every id, single and native; PPO learns."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import NormalParamExtractor, TensorDictModule, TensorDictSequential
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper
from torchrl.envs.utils import ExplorationType, check_env_specs, set_exploration_type
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import foveal_envs

from .learning import ID, LEARNED, mean_return


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_single_environment(env_id):
    check_env_specs(GymEnv(f"foveal_envs:{env_id}"))


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_native_environment(env_id):
    envs = gym.make_vec(f"foveal_envs:{env_id}", 4, vectorization_mode="vector_entry_point", autoreset_mode="Disabled")
    check_env_specs(GymWrapper(envs))


@pytest.mark.slow
def test_ppo_learns():
    torch.manual_seed(0)
    env = GymWrapper(gym.make_vec(ID, 64, vectorization_mode="vector_entry_point", autoreset_mode="Disabled"))
    env.set_seed(0)
    keys = ["observation", "desired_goal"]
    net = TensorDictSequential(
        TensorDictModule(MLP(80, 4, num_cells=[64, 64]), keys, ["parameters"]),
        TensorDictModule(NormalParamExtractor(), ["parameters"], ["loc", "scale"]),
    )
    actor = ProbabilisticActor(net, in_keys=["loc", "scale"], distribution_class=TanhNormal, return_log_prob=True)
    critic = ValueOperator(MLP(80, 1, num_cells=[64, 64]), in_keys=keys)
    advantage = GAE(gamma=0.9, lmbda=0.95, value_network=critic)
    loss = ClipPPOLoss(actor, critic, entropy_bonus=False, normalize_advantage=True)
    adam = torch.optim.Adam(loss.parameters(), 1e-3)
    for batch in Collector(env, actor, frames_per_batch=2048, total_frames=10_240):
        with torch.no_grad():
            advantage(batch)
        rows = batch.reshape(-1)
        for _ in range(5):
            for some in torch.randperm(len(rows)).chunk(8):
                losses = loss(rows[some])
                adam.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"]).backward()
                torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                adam.step()

    def act(obs):
        seen = TensorDict({key: torch.as_tensor(part) for key, part in obs.items()}, [len(obs["observation"])])
        with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
            return actor(seen)["action"].numpy()

    assert mean_return(act, ID) > LEARNED
