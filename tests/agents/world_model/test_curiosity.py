"""CuriosityReward: what it pays in a place that is certain, and in noise, and that a training resumes."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

import foveal_envs  # noqa: F401
from agents import CuriosityReward, RecurrentPPO, SaveCheckpoint, WorldModelController, load_checkpoint, make_sb3

KINDS = ("count", "disagreement", "error", "improvement")


class Rooms(gym.Env[np.ndarray, int]):
    """Action 0 shows the next of four pictures, in order; action 1 shows noise."""

    observation_space = gym.spaces.Box(-3, 3, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place = 0
        return np.eye(4, dtype=np.float32)[0], {}

    def step(self, action: int) -> Any:
        self.place = (self.place + 1) % 4
        shown = np.eye(4)[self.place] if action == 0 else self.np_random.normal(size=4).clip(-3, 3)
        return shown.astype(np.float32), 1.0, False, False, {}


def rewards_of(kind: str, steps: int = 600) -> tuple[float, float]:
    """Mean interest at the end in what is certain, and in noise."""
    env = CuriosityReward(DummyVecEnv([Rooms] * 8), kind, reward_weight=0.0, seed=0)  # type: ignore[arg-type]
    generator, sums = np.random.default_rng(0), ([], [])  # type: tuple[list[float], list[float]]
    env.seed(0)
    env.reset()
    before = np.zeros(8, np.int64)
    for step in range(steps):
        actions = generator.integers(0, 2, 8)
        _, rewards, _, infos = env.step(actions)
        assert all(info["task_reward"] == 1.0 for info in infos)
        if step > steps - 150:
            for lane in np.flatnonzero(before == 0):
                sums[actions[lane]].append(infos[lane]["curiosity"])
        before = actions
    assert np.isfinite(rewards).all()
    return float(np.mean(sums[0])), float(np.mean(sums[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_attracts_the_error_and_hardly_the_disagreement(kind: str) -> None:
    sure, noise = rewards_of(kind)
    if kind == "error":
        assert noise > 10 * sure
        assert noise > 0.3
    elif kind == "disagreement" or kind == "improvement":
        assert max(sure, noise) < 0.1
    else:
        assert noise == 1.0 > sure  # every noise is new


def test_model_free_agents_train_with_it_and_resume(tmp_path: Any) -> None:
    def env() -> CuriosityReward:
        return CuriosityReward(make_sb3("Foveal/Parking-v0", 4, seed=0), seed=0)

    PPO("MlpPolicy", env(), n_steps=16, batch_size=16, device="cpu").learn(64)
    agent = RecurrentPPO(env=env(), n_steps=8, seed=0)
    agent.learn(128, callback=SaveCheckpoint(tmp_path, every=64), log_interval=None)
    resumed = load_checkpoint(RecurrentPPO, tmp_path, env())
    resumed.learn(128 - resumed.num_timesteps, reset_num_timesteps=False, log_interval=None)
    for own, other in zip(agent.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert own.equal(other)


SMALL = {"model_steps": 64, "updates": 2, "batch_size": 16, "window": 3, "n_steps": 8}


def test_imagined_steps_say_how_much_the_members_disagree() -> None:
    env = make_sb3("Pendulum-v1", 4, seed=0)
    agent = WorldModelController(env=env, model_class="Ensemble", curiosity=0.5, seed=0, **SMALL)
    agent.learn(256, log_interval=None)
    model = agent.world_model
    x, a = torch.randn(6, 3), torch.rand(6, 1).requires_grad_()
    starts = torch.zeros(6, dtype=torch.bool)
    out, _ = model.step(x, a, (), starts)
    told = model.named(out)["disagreement"]
    percepts = torch.stack([one.step(x, a, (), starts)[0][:, :3] for one in model.others])
    alone = super(type(model), model).step(x, a, (), starts)[0][:, :3]
    wanted = model.in_changes(torch.cat((alone[None], percepts))).var(0).mean(-1).sqrt()
    torch.testing.assert_close(told, wanted, rtol=1e-4, atol=1e-5)
    assert torch.autograd.grad(told.sum(), a)[0].abs().min() > 0  # C can climb it
    unpaid = torch.zeros(1, 6)
    mapping = {name: part[None] for name, part in model.named(out).items()}
    paid = mapping["reward"]
    torch.testing.assert_close(agent._objective(mapping, unpaid), paid + 0.5 * told[None])


def test_what_a_controller_cannot_be_curious_about_is_refused() -> None:
    env = make_sb3("Pendulum-v1", 4, seed=0)
    for keywords, said in (
        ({}, "curiosity needs model_class"),
        ({"gradient": "real", "model_class": "Ensemble"}, "climbed in imagination"),
        ({"model_class": "Ensemble", "model_core": "lstm"}, "curiosity needs"),
    ):
        with pytest.raises(ValueError, match=said):
            WorldModelController(env=env, curiosity=0.1, **{**SMALL, **keywords})
    agent = WorldModelController(env=env, curiosity=0.1, model_kwargs={"error": True}, seed=0, **SMALL)
    agent.learn(128, log_interval=None)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of 'count'"):
        CuriosityReward(make_sb3("CartPole-v1", 1), "boredom")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [("weight", math.nan), ("weight", "x"), ("reward_weight", math.inf), ("members", 1.5), ("hidden", True),
     ("batch_size", 0), ("buffer_size", None), ("learning_rate", math.nan), ("follows", 5), ("seed", -1)],
)  # fmt: skip
def test_odd_keywords_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be "):
        CuriosityReward(make_sb3("CartPole-v1", 1), **{name: value})
