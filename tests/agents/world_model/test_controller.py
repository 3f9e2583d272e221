from __future__ import annotations

import inspect
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

import foveal_envs  # noqa: F401
from agents import CORES, PRESETS, GymnasiumVecEnv, WorldModelController, make_sb3

from ..worlds import Elman, PointVectorEnv

SMALL = {
    "model_steps": 64,
    "n_steps": 4,
    "updates": 2,
    "batch_size": 16,
    "window": 3,
    "buffer_size": 2_000,
    "core_kwargs": {"hidden": (16,)},
    "model_core_kwargs": {"hidden": (16,)},
    "evaluator_kwargs": {"hidden": (16,)},
    "seed": 0,
}


def point(lanes=8, **keywords):
    return GymnasiumVecEnv(PointVectorEnv(lanes, **keywords))


def parameters(agent):
    nets = (agent.policy, agent.world_model, agent.value_net)
    return torch.cat([parameter.flatten() for net in nets for parameter in net.parameters()])


def test_the_default_learns_to_move_a_point_to_a_goal():
    env = point(64, moves=10)
    agent = WorldModelController("MultiInputPolicy", env, seed=0, match_widths=(0.3,), model_steps=2_000, updates=20)
    before, _ = evaluate_policy(agent, env, 128)
    agent.learn(15_000, log_interval=None)
    after, _ = evaluate_policy(agent, env, 128)
    assert after > 0.2 * before
    assert np.mean(agent.ep_success_buffer) > 0.3  # although it explores; about 0.03 by chance, 0.5 with these settings


@pytest.mark.parametrize("gradient", ["real", "imagined"])
@pytest.mark.parametrize("error", ["summed", "terminal"])
@pytest.mark.parametrize("schedule", ["alternating", "model_first"])
@pytest.mark.parametrize("evaluator", [True, False])
@pytest.mark.parametrize("goal", [True, False])
def test_every_combination_of_switches_learns_something(gradient, error, schedule, evaluator, goal):
    keywords = {"gradient": gradient, "error": error, "schedule": schedule, "evaluator": evaluator}
    agent = WorldModelController("ControllerPolicy", point(goal=goal), **keywords, **SMALL)
    start = parameters(agent).clone()
    model = agent.world_model.head.weight.clone()
    agent.learn(64)
    random_phase = agent.world_model.head.weight.clone()
    assert not torch.equal(model, random_phase)
    controller = agent.policy.head.weight.clone()
    agent.learn(192, reset_num_timesteps=False)
    assert not torch.equal(controller, agent.policy.head.weight)
    assert torch.equal(random_phase, agent.world_model.head.weight) == (schedule == "model_first")
    assert torch.isfinite(parameters(agent)).all()
    assert not torch.equal(start, parameters(agent))


@pytest.mark.parametrize("gradient", ["real", "imagined"])
@pytest.mark.parametrize("online", [True, False])
def test_recurrent_cores_for_both_nets(gradient, online, monkeypatch, tmp_path):
    monkeypatch.setitem(CORES, "elman", Elman)
    keywords = {**SMALL, "core": "elman", "model_core": "elman", "core_kwargs": {"size": 7}, "model_core_kwargs": {}}
    agent = WorldModelController("ControllerPolicy", point(), gradient=gradient, online=online, **keywords)
    agent.learn(256)
    assert agent.core_states[0][0].shape == (8, 7)
    recall = agent.policy.core.recall.weight
    assert torch.isfinite(recall).all()
    env = point()
    obs = env.reset()
    first, state = agent.predict(obs, None, np.ones(8, bool))
    again, state = agent.predict(obs, state, np.zeros(8, bool))
    fresh, _ = agent.predict(obs, state, np.ones(8, bool))
    assert not np.allclose(first, again)
    np.testing.assert_allclose(first, fresh)
    agent.save(tmp_path / "agent.zip")
    loaded = WorldModelController.load(tmp_path / "agent.zip")
    np.testing.assert_array_equal(loaded.predict(obs, state)[0], agent.predict(obs, state)[0])


def test_the_published_preset_is_that_of_1990():
    env = make_sb3("Foveal/TargetDetection-v0", 1, actuators="muscles", moves=5)
    agent = WorldModelController.from_preset("published", env, seed=0, model_steps=50)
    assert [tuple(p.shape) for p in agent.policy.parameters()] == [(20, 40), (20,), (4, 20), (4,)]
    assert [tuple(p.shape) for p in agent.world_model.parameters()] == [(40, 44), (40,), (40, 40), (40,)]
    assert max(p.abs().max() for p in agent.policy.parameters()) <= 0.1
    before = agent.policy.head.weight.clone()
    agent.learn(50)
    assert torch.equal(before, agent.policy.head.weight)
    agent.learn(25, reset_num_timesteps=False)
    assert not torch.equal(before, agent.policy.head.weight)
    with pytest.raises(ValueError, match="published"):
        WorldModelController.from_preset("publishd", env)
    names = inspect.signature(WorldModelController).parameters
    assert all(set(preset) <= set(names) for preset in PRESETS.values())


@pytest.mark.parametrize("learner", ["world_model", "policy"])
def test_published_updates_are_plain_gradient_descent(learner):
    """M after every cycle on 1/2 |x' - M(x, a)|^2 at rate 0.1; C after the trajectory on 1/2 |d - x(T)|^2."""
    env = make_sb3("Foveal/TargetDetection-v0", 1, actuators="muscles", moves=3, seed=1)
    keywords = {"seed": 0, "model_steps": 3 if learner == "world_model" else 0}
    agent = WorldModelController.from_preset("published", env, **keywords).learn(3)
    twin = WorldModelController.from_preset("published", env, **keywords)
    net = getattr(twin, learner)
    trajectory = agent.replay.newest(3)
    for part in trajectory.rows() if learner == "world_model" else [trajectory]:
        if learner == "world_model":
            error = twin.world_model.observe(part) - part["next_percept"]
        else:
            error = twin.world_model.real_forward(twin.policy, part).outputs[-1] - part["desired_goal"][-1]
        gradients = torch.autograd.grad(0.5 * error.square().sum(), list(net.parameters()))
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.data -= (0.1 if learner == "world_model" else 0.02) * gradient
    torch.testing.assert_close(parameters(agent), parameters(twin))


def test_it_is_an_ordinary_stable_baselines3_algorithm(tmp_path):
    env, test = point(), point()
    agent = WorldModelController("MultiInputPolicy", env, **SMALL)
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    evaluation = EvalCallback(test, n_eval_episodes=8, eval_freq=8, verbose=0, best_model_save_path=str(tmp_path))
    agent.learn(512, callback=evaluation, log_interval=1)
    assert np.isfinite(evaluation.last_mean_reward)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0]
    for key in ("train/model_loss", "train/evaluator_loss", "rollout/ep_rew_mean", "rollout/success_rate"):
        assert key in header
    agent.logger.close()
    obs = test.reset()
    expected, state = agent.predict(obs)
    assert state == ()
    agent.save(tmp_path / "agent")
    loaded = WorldModelController.load(tmp_path / "agent", env=point(5))
    np.testing.assert_array_equal(loaded.predict(obs)[0], expected)
    loaded.learn(100)
    one = {key: value[0] for key, value in obs.items()}
    action, _ = agent.predict(one)
    assert action.shape == (2,)
    np.testing.assert_allclose(action, expected[0], rtol=1e-5)
    other = WorldModelController.load(tmp_path / "best_model")
    assert other.predict(obs)[0].shape == (8, 2)


def test_same_seed_same_nets_and_another_seed_others():
    one, same, other = (
        parameters(WorldModelController("MultiInputPolicy", point(), **{**SMALL, "seed": seed}).learn(128))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_an_interrupted_training_can_still_be_saved(tmp_path):
    class Interrupt(BaseCallback):
        def _on_step(self):
            if self.num_timesteps >= 200:
                raise KeyboardInterrupt
            return True

    agent = WorldModelController("MultiInputPolicy", point(), **SMALL)
    with pytest.raises(KeyboardInterrupt):
        agent.learn(10_000, callback=Interrupt())
    agent.save(tmp_path / "agent")
    WorldModelController.load(tmp_path / "agent", env=point()).learn(64, reset_num_timesteps=False)


def test_scaled_goals_are_refused():
    with pytest.raises(ValueError, match="norm_obs_keys"):
        WorldModelController("MultiInputPolicy", VecNormalize(point()), **SMALL)
    env = VecNormalize(point(), norm_obs_keys=["observation"])
    agent = WorldModelController("MultiInputPolicy", env, **SMALL).learn(128)
    assert agent.encoder.percept_size == 4
    assert agent.world_model.output == "residual"
    with pytest.raises(ValueError, match="norm_obs_keys"):
        agent.set_env(VecNormalize(point()))


def test_bad_choices_are_named():
    with pytest.raises(ValueError, match="imagined"):
        WorldModelController("MultiInputPolicy", point(), gradient="fake")
    with pytest.raises(TypeError, match="learning_rat"):
        WorldModelController("MultiInputPolicy", point(), learning_rat=1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["triangle", "ring"])
def test_the_default_finds_the_target(shape):
    env = make_sb3("Foveal/TargetDetection-v0", 256, shape=shape)
    agent = WorldModelController("MultiInputPolicy", env, seed=0)
    agent.learn(90_000, log_interval=None)
    test = make_sb3("Foveal/TargetDetection-v0", 500, seed=10**6, shape=shape)
    obs = test.reset()
    for _ in range(25):
        obs, _, _, infos = test.step(agent.predict(obs)[0])
    distance = np.array([info["distance"] for info in infos])
    assert (distance < 10).mean() >= 0.98
    assert np.median(distance) < 1


class Large(gym.Env):
    """A point on a line that is rewarded in the middle, and sees its place in units and in millionths."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        pass

    def seen(self):
        return np.float32([self.x, 1e6 * self.x])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.moves = self.np_random.uniform(-1, 1), 0
        return self.seen(), {}

    def step(self, action):
        self.x, self.moves = float(np.clip(self.x + 0.3 * action[0], -1, 1)), self.moves + 1
        return self.seen(), -abs(self.x), False, self.moves == 5, {}


def test_numbers_too_large_for_the_nets_are_said_once():
    env = GymnasiumVecEnv(SyncVectorEnv([Large] * 8, autoreset_mode=AutoresetMode.SAME_STEP))
    agent = WorldModelController(env=env, scaled=False, **SMALL)
    with pytest.warns(UserWarning, match=r"column 1 of 'observation' is -?[\d.]+e\+05.*VecNormalize") as warned:
        agent.learn(320)
    assert len(warned) == 1
    assert torch.isfinite(parameters(agent)).all()
    for own in (VecNormalize(env, norm_reward=False), env):  # scaled by the wrapper, or by the agent itself
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scaled = WorldModelController(env=own, **SMALL).learn(320)
        assert scaled.measures["train/model_loss"] < 10
