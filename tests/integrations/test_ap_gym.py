"""Active Perception Gym: the adapter shows its tasks of classification as they are, and the Recogniser learns there."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO

from agents import GymnasiumVecEnv, RecurrentPPO
from agents.adapters.ap_gym import ClassificationVectorEnv
from scripts.experiments.ap_gym import TASKS, learn
from scripts.experiments.shared.jobs import Job

LANES = 3
MOVES = 16
SIZES = {  # of observations and actions, and classes
    "CircleSquare-v0": (28, 4, 2),
    "CircleSquareInverted-v0": (31, 4, 2),
    "DoubleCircleSquare-v0": (28, 5, 3),
    "CircleSquare-sparse-v0": (28, 4, 2),
    "CircleSquareHideAndSeek-v0": (28, 4, 2),
}


def lanes_of(task: str = "CircleSquare-v0", lanes: int = LANES) -> ClassificationVectorEnv:
    return ClassificationVectorEnv(gym.make_vec(f"ap_gym:{task}", lanes))


@pytest.mark.parametrize("task", SIZES)
def test_spaces(task):
    env = lanes_of(task)
    size, actions, classes = SIZES[task]
    assert env.single_observation_space.shape == (size,)
    assert env.single_action_space.shape == (actions,)
    assert env.classes == classes
    obs, _ = env.reset(seed=0)
    for _ in range(MOVES + 1):
        assert env.observation_space.contains(obs)
        obs, rewards, *_ = env.step(env.action_space.sample())
        assert rewards.shape == (LANES,)
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_steps_are_those_of_ap_gym_without_the_one_that_resets(task):
    env, alone = lanes_of(task), gym.make_vec(f"ap_gym:{task}", LANES)
    keys = [*alone.single_observation_space]

    def flat(obs):
        parts = [np.eye(3)[obs[key]] if key == "inverted_label" else obs[key] for key in keys]
        return np.concatenate([part.reshape(LANES, -1) for part in parts], 1)

    np.testing.assert_allclose(env.reset(seed=4)[0], flat(alone.reset(seed=4)[0]))
    for number in range(1, 2 * MOVES + 2):
        actions = env.action_space.sample()
        theirs = {"action": actions[:, :2], "prediction": 5 * actions[:, 2:]}
        obs, rewards, terminated, truncated, infos = env.step(actions)
        expected = alone.step(theirs)
        np.testing.assert_array_equal(rewards, expected[1])
        label = expected[4]["prediction"]["target"]
        last = infos.get("final_info", infos)
        np.testing.assert_array_equal(last["is_success"], actions[:, 2:].argmax(1) == label)
        assert terminated.tolist() == [number % MOVES == 0] * LANES
        assert not truncated.any()
        if terminated.any():
            np.testing.assert_allclose(infos["final_obs"], flat(expected[0]))
            np.testing.assert_array_equal(last["label"], label)
            expected = alone.step(theirs)
        np.testing.assert_allclose(obs, flat(expected[0]))


@pytest.mark.parametrize("task", TASKS)
def test_reward_is_that_of_the_prediction(task):
    env = lanes_of(task)
    env.reset(seed=1)
    actions = np.zeros((LANES, env.single_action_space.shape[0]), np.float32)
    actions[:, 2:] = np.linspace(-1, 1, env.classes)
    _, rewards, _, _, infos = env.step(actions)
    label = infos["prediction"]["target"]
    p = np.exp(5 * actions[:, 2:])
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(rewards, np.log(p[np.arange(LANES), label]) / np.log(env.classes), rtol=1e-4)


def test_labels_reach_the_agent():
    env = GymnasiumVecEnv(lanes_of())
    env.seed(2)
    env.reset()
    for number in range(1, 2 * MOVES + 1):
        _, _, ends, infos = env.step(np.stack([env.action_space.sample()] * LANES))
        assert ends.tolist() == [number % MOVES == 0] * LANES
        if ends.any():
            assert {int(info["label"]) for info in infos} <= {0, 1}
            assert all(info["episode"]["l"] == MOVES for info in infos)
            assert all(info["terminal_observation"].shape == (28,) for info in infos)
        else:
            assert not any(infos)


def test_other_agents():
    PPO("MlpPolicy", GymnasiumVecEnv(lanes_of()), n_steps=16, batch_size=48, seed=0).learn(48)
    RecurrentPPO("MlpPolicy", GymnasiumVecEnv(lanes_of("DoubleCircleSquare-v0")), n_steps=16, seed=0).learn(48)


def test_refusals():
    with pytest.raises(ValueError, match="only tasks of classification are supported"):
        ClassificationVectorEnv(gym.make_vec("ap_gym:LightDark-v0", 2))
    with pytest.raises(ValueError, match="only tasks of classification are supported"):
        ClassificationVectorEnv(gym.make_vec("ap_gym:CircleSquareHideAndSeekNoPrediction-v0", 2))
    with pytest.raises(ValueError, match="only tasks of classification are supported"):
        ClassificationVectorEnv(gym.make_vec("CartPole-v1", 2))
    with pytest.raises(ValueError, match="NEXT_STEP"):
        ClassificationVectorEnv(gym.make_vec("ap_gym:CircleSquare-v0", 2, vectorization_mode="sync",
                                             vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}))  # fmt: skip


@pytest.mark.slow
def test_the_recogniser_learns():
    job = Job("classification", {"task": "CircleSquare-v0", "agent": "Recogniser"}, 0, learn,
              {"steps": 200_000, "rounds": 1})  # fmt: skip
    assert learn(job)[0]["right"] > 0.65
