"""TorchRL: specs of every id, single and native; PPO learns; the adapter makes recurrent modules of all cores."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict
from tensordict.nn import NormalParamExtractor, TensorDictModule, TensorDictSequential
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper
from torchrl.envs.utils import ExplorationType, check_env_specs, set_exploration_type
from torchrl.modules import (
    MLP,
    ProbabilisticActor,
    TanhNormal,
    ValueOperator,
    get_env_transforms_from_module,
    set_recurrent_mode,
)
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import foveal_envs
from agents.adapters.torchrl import CoreModule
from agents.cores import CORES, make_core

from .learning import ID, LEARNED, mean_return

LANES, STEPS = 3, 25
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_single_environment(env_id):
    check_env_specs(GymEnv(f"foveal_envs:{env_id}"))


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_native_environment(env_id):
    envs = gym.make_vec(f"foveal_envs:{env_id}", 4, vectorization_mode="vector_entry_point", autoreset_mode="Disabled")
    check_env_specs(GymWrapper(envs))


def update(loss: ClipPPOLoss, adam: torch.optim.Optimizer, rows: TensorDict, minibatches: int) -> None:
    """Five epochs of PPO over rows (N,) or sequences (B, T)."""
    for _ in range(5):
        for some in torch.randperm(len(rows)).chunk(minibatches):
            losses = loss(rows[some])
            adam.zero_grad()
            sum(part for name, part in losses.items() if name.startswith("loss_")).backward()
            torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            adam.step()


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
        update(loss, adam, batch.reshape(-1), 8)

    def act(obs):
        seen = TensorDict({key: torch.as_tensor(part) for key, part in obs.items()}, [len(obs["observation"])])
        with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
            return actor(seen)["action"].numpy()

    assert mean_return(act, ID) > LEARNED


def module_of(name: str) -> CoreModule:
    """In float64, with an initial state that is learned and not zero."""
    torch.manual_seed(0)
    core = make_core(name, 4)
    if core.initial_state(1):
        core = make_core(name, 4, learn_initial_state=True)
    core.double()
    for part in core.initial_state(1):
        part.data.add_(0.3 * torch.randn_like(part))
    return CoreModule(core, in_key="x", out_key="h")


def rollouts(module: CoreModule) -> tuple[TensorDictSequential, list[TensorDict]]:
    """A policy, and what it met in CartPole: episodes that end apart, by both ends, and go on in the next rollout."""
    policy = TensorDictSequential(
        TensorDictModule(torch.Tensor.double, ["observation"], ["x"]),
        module,
        TensorDictModule(lambda h: h[..., :2].argmax(-1), ["h"], ["action"]),
    )
    mode = {"autoreset_mode": AutoresetMode.DISABLED}
    lanes = gym.make_vec("CartPole-v1", LANES, vectorization_mode="sync", vector_kwargs=mode, max_episode_steps=9)
    env = GymWrapper(lanes, categorical_action_encoding=True)
    env = env.append_transform(get_env_transforms_from_module(policy))
    env.set_seed(0)
    frames = LANES * STEPS
    return policy, list(Collector(env, policy, frames_per_batch=frames, total_frames=2 * frames))


@pytest.mark.parametrize("name", CORES)
def test_a_core_gives_in_sequences_what_it_gave_step_by_step(name):
    module = module_of(name)
    policy, batches = rollouts(module)
    assert batches[0]["is_init"][:, 0].all()
    assert not batches[1]["is_init"][:, 0].all()
    assert batches[1]["is_init"][:, 1:].any()
    for batch in batches:
        with set_recurrent_mode(True):
            again = policy(batch.select(*policy.in_keys))
        torch.testing.assert_close(again["h"], batch["h"], **CLOSE)
        assert (again["action"] == batch["action"]).all()
        again["h"].square().mean().backward()
    assert [name for name, parameter in module.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize("how", [{"shifted": True}, {"deactivate_vmap": True}])
@pytest.mark.parametrize("name", ["feedforward", "lstm", "gated_delta", "window_attention"])
def test_values_of_next_observations_know_the_first(name, how):
    policy, batches = rollouts(module_of(name))
    core = policy[1].core
    head = ValueOperator(torch.nn.Linear(core.output_size, 1, dtype=torch.float64), in_keys=["h"])
    critic = TensorDictSequential(*list(policy)[:2], head)
    for batch in batches:
        value = critic(batch.clone())["state_value"]  # step by step, from the recorded states
        next_value = critic(batch["next"].clone())["state_value"]
        with torch.no_grad(), set_recurrent_mode(True):
            GAE(gamma=0.9, lmbda=0.9, value_network=critic, **how)(batch)
        valid = batch.get("shifted_valid", torch.ones(batch.shape, dtype=torch.bool))
        assert valid.float().mean() > 0.5
        torch.testing.assert_close(batch["state_value"][valid], value[valid], **CLOSE)
        valid &= ~batch["next", "terminated"].squeeze(-1)  # where the next value does not count
        torch.testing.assert_close(batch["next", "state_value"][valid], next_value[valid], **CLOSE)


def test_modes_and_batch_shapes():
    module = module_of("delta_rnn")
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    start = torch.zeros(2, 3, 5, 1, dtype=torch.bool)
    start[..., 0, :] = True
    data = TensorDict({"x": x, "is_init": start}, [2, 3, 5])
    with set_recurrent_mode(True):
        h = module(data.clone())["h"]
        assert h.shape == (2, 3, 5, module.core.output_size)
        torch.testing.assert_close(module(data[1, 2])["h"], h[1, 2], **CLOSE)
    keys = {"in_key": "x", "out_key": "h", "state_key": "memory", "is_init_key": "first"}
    other = CoreModule(module.core, **keys, default_recurrent_mode=True)
    data = data.rename_key_("is_init", "first")
    torch.testing.assert_close(other(data.clone())["h"], h, **CLOSE)
    with set_recurrent_mode(False):
        step = other(data[1, 2, 0].clone())
    torch.testing.assert_close(step["h"], h[1, 2, 0], **CLOSE)
    memory = [f"memory_{number}" for number in range(3)]
    assert set(step.keys(True, True)) == {"x", "first", "h", *(("next", key) for key in memory)}


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_state_that_is_missing_is_an_error(recurrent):
    data = TensorDict({"x": torch.zeros(2, 3, 4).double(), "is_init": torch.zeros(2, 3, 1).bool()}, [2, 3])
    with set_recurrent_mode(recurrent), pytest.raises(ValueError, match="get_env_transforms_from_module"):
        module_of("gru")(data)


def test_recurrent_mode_needs_an_axis_of_time():
    data = TensorDict({"x": torch.zeros(4).double(), "is_init": torch.ones(1).bool()}, [])
    with set_recurrent_mode(True), pytest.raises(ValueError, match="batch axis"):
        module_of("gru")(data)


@pytest.mark.slow
def test_ppo_learns_to_remember():
    torch.manual_seed(0)
    module = CoreModule(make_core("gated_delta", 3), in_key="observation", out_key="h")
    head = TensorDictModule(torch.nn.Linear(module.core.output_size, 2), ["h"], ["logits"])
    actor = ProbabilisticActor(
        TensorDictSequential(module, head),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    critic = TensorDictSequential(module, ValueOperator(torch.nn.Linear(module.core.output_size, 1), in_keys=["h"]))

    def make() -> GymWrapper:
        lanes = gym.make_vec("foveal_envs:Foveal/FlipFlop-v0", 64, autoreset_mode="disabled")
        env = GymWrapper(lanes, categorical_action_encoding=True)
        return env.append_transform(get_env_transforms_from_module(actor))

    env = make()
    check_env_specs(env)
    env.set_seed(0)
    advantage = GAE(gamma=0.0, lmbda=0.0, value_network=critic, shifted=True)
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.1, normalize_advantage=True)
    adam = torch.optim.Adam(loss.parameters(), 1e-3)
    for batch in Collector(env, actor, frames_per_batch=4096, total_frames=49_152):
        with torch.no_grad(), set_recurrent_mode(True):
            advantage(batch)
        update(loss, adam, batch, 4)
    env = make()
    env.set_seed(1_000_000)
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        returns = env.rollout(100, actor)["next", "reward"].sum(1)
    assert returns.mean() > 0.75  # no policy without memory has more than 0.5
