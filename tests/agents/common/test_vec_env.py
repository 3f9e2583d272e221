from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO, SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

import foveal_envs  # noqa: F401
from agents import GymnasiumVecEnv, RecurrentPPO, WorldModelController, make_sb3
from agents.common.vec_env import NO_INFO

from ..worlds import PointVectorEnv, Switches


def rollout(env, steps, seed=3):
    """Everything a VecEnv says during some steps, ends of episodes included."""
    env.seed(seed)
    env.action_space.seed(0)
    said = [env.reset()]
    for _ in range(steps):
        actions = np.array([env.action_space.sample() for _ in range(env.num_envs)])
        obs, rewards, ends, infos = env.step(actions)
        last = [info.get("terminal_observation") for info in infos]
        limits = [info.get("TimeLimit.truncated", False) for info in infos]
        returns = [info["episode"]["r"] if "episode" in info else None for info in infos]
        said += [obs, rewards, ends, last, limits, returns]
    return said


def assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    elif one is None or other is None:
        assert one is None
        assert other is None
    else:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("env_id", "keywords"),
    [
        ("CartPole-v1", {}),
        ("Pendulum-v1", {}),
        ("FrozenLake-v1", {}),
        ("Foveal/TargetDetection-v0", {"moves": 7}),
        ("Foveal/TargetDetection-v0", {"max_episode_steps": 5, "goal_format": "concat"}),
    ],
)
def test_it_says_what_dummy_vec_env_says(env_id, keywords):
    usual = make_vec_env(env_id, n_envs=3, env_kwargs=keywords, vec_env_cls=DummyVecEnv)
    ours = make_sb3(env_id, 3, **keywords)
    assert ours.observation_space == usual.observation_space
    assert ours.action_space == usual.action_space
    steps = 210 if env_id == "Pendulum-v1" else 60
    assert_equal(rollout(usual, steps), rollout(ours, steps))


def test_without_copies_two_buffers_take_turns():
    safe = GymnasiumVecEnv(PointVectorEnv(4))
    fast = GymnasiumVecEnv(PointVectorEnv(4), copy=False)
    for env in (safe, fast):
        env.seed(0)
    actions = np.full((4, 2), 0.1, np.float32)
    for env, distinct in ((safe, 6), (fast, 2)):
        seen = [env.reset(), *(env.step(actions)[0] for _ in range(5))]
        assert len({id(obs["observation"]) for obs in seen}) == distinct
    safe.seed(1), fast.seed(1)
    old, new = safe.reset(), fast.reset()
    for _ in range(20):
        assert_equal(old, new)
        (old, *_), (new, *_) = safe.step(actions), fast.step(actions)


def test_disabled_is_reset_here_and_next_step_is_refused():
    same, disabled = (GymnasiumVecEnv(PointVectorEnv(5, mode=mode)) for mode in ("SAME_STEP", "DISABLED"))
    one, other = rollout(same, 20), rollout(disabled, 20)
    assert_equal(one[1:], other[1:])
    with pytest.raises(ValueError, match="make_sb3"):
        GymnasiumVecEnv(gym.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point"))
    native = GymnasiumVecEnv(
        gym.make_vec("CartPole-v1", 4, vectorization_mode="vector_entry_point"), accept_reset_steps=True
    )
    PPO("MlpPolicy", native, n_steps=64, batch_size=128, seed=0).learn(512)


def test_empty_infos_are_shared_and_immutable():
    env = GymnasiumVecEnv(PointVectorEnv(3, moves=2))
    env.reset()
    infos = env.step(np.zeros((3, 2), np.float32))[3]
    assert all(info is NO_INFO for info in infos)
    with pytest.raises(TypeError, match="copy"):
        infos[0]["x"] = 1
    infos[0].copy()["x"] = 1
    assert copy.deepcopy(infos[0]) == pickle.loads(pickle.dumps(infos[0])) == {}
    infos = env.step(np.zeros((3, 2), np.float32))[3]
    assert set(infos[0]) == {"episode", "terminal_observation", "TimeLimit.truncated", "is_success"}
    assert infos[0]["episode"]["l"] == 2
    assert infos[0] is not infos[1]


def test_attributes_and_methods_reach_the_batch_or_the_lanes():
    env = GymnasiumVecEnv(PointVectorEnv(3))
    achieved, desired = np.zeros((7, 2), np.float32), np.ones((7, 2), np.float32)
    (rewards,) = env.env_method("compute_reward", achieved, desired, [{}] * 7, indices=[0])
    np.testing.assert_allclose(rewards, np.full(7, -np.sqrt(2)), rtol=1e-6)
    assert env.get_attr("moves") == [6, 6, 6]
    env.set_attr("moves", 9)
    assert env.get_attr("moves", [1]) == [9]
    with pytest.raises(ValueError, match="all lanes"):
        env.set_attr("moves", 9, indices=[0])
    with pytest.raises(AttributeError):
        env.get_attr("no_such_thing")
    assert not env.has_attr("no_such_thing")
    modes = {"autoreset_mode": AutoresetMode.SAME_STEP}
    lanes = GymnasiumVecEnv(gym.make_vec("Pendulum-v1", 2, vectorization_mode="sync", vector_kwargs=modes))
    assert lanes.get_attr("max_torque") == [2.0, 2.0]
    lanes.set_attr("max_torque", 1.0)
    assert lanes.env.envs[1].unwrapped.max_torque == 1.0
    assert len(lanes.env_method("get_wrapper_attr", "max_torque", indices=[1])) == 1


def test_wrappers_of_the_vector_environment_are_seen():
    statistics = gym.wrappers.vector.RecordEpisodeStatistics
    env = GymnasiumVecEnv(statistics(PointVectorEnv(2, moves=3)))
    assert env.env_is_wrapped(statistics) == [True, True]
    assert env.env_is_wrapped(gym.wrappers.vector.NormalizeReward) == [False, False]
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.get_attr("moves") == [3, 3]


def test_seed_and_options_reach_the_lanes_once():
    env = make_sb3("Pendulum-v1", 3, seed=5)
    first = env.reset()
    single = gym.make("Pendulum-v1")
    np.testing.assert_array_equal(first[2], single.reset(seed=7)[0])
    assert not np.array_equal(env.reset(), first)
    env.set_options([{"x": 1}, {}, {}])
    with pytest.raises(ValueError, match="same options"):
        env.reset()


def test_stable_baselines3_runs_on_it(tmp_path):
    def wrapped(name):
        monitored = VecMonitor(GymnasiumVecEnv(PointVectorEnv(4), monitor=False), str(tmp_path / name))
        return VecNormalize(monitored, norm_obs_keys=["observation"])

    train, test = wrapped("train"), wrapped("test")
    model = PPO("MultiInputPolicy", train, n_steps=16, batch_size=64, seed=0)
    evaluation = EvalCallback(test, n_eval_episodes=8, eval_freq=16, verbose=0)
    model.learn(192, callback=evaluation)
    assert len(model.ep_success_buffer)
    assert np.isfinite(evaluation.last_mean_reward)
    test.training = False
    mean, _ = evaluate_policy(model, test, n_eval_episodes=8)
    assert mean < 0
    train.close()
    test.close()


def test_hindsight_replay_relabels_through_the_batched_reward():
    env = GymnasiumVecEnv(PointVectorEnv(4))
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4},
        learning_starts=64,
        batch_size=64,
        seed=0,
        policy_kwargs={"net_arch": [16]},
    )
    model.learn(160)
    batch = model.replay_buffer.sample(64)
    goals = batch.observations["desired_goal"].numpy()
    expected = env.env.compute_reward(batch.next_observations["achieved_goal"].numpy(), goals, {})
    np.testing.assert_allclose(batch.rewards.numpy()[:, 0], expected, atol=1e-6)
    assert (batch.rewards.numpy() == 0).any()


def test_the_costs_of_moves_are_kept_where_rewards_are_made_of_them():
    env_id = "Foveal/SwampNavigation-v0"
    env = make_sb3(env_id, 2, seed=0, moves=10)
    keywords = {"learning_starts": 40, "batch_size": 32, "seed": 0, "policy_kwargs": {"net_arch": [8]}}
    model = SAC("MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, **keywords)
    with pytest.raises(ValueError, match=r"info='reward', as make_sb3 does, .*HerReplayBuffer\(copy_info_dict=True\)"):
        model.learn(44)
    kept = {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": {"copy_info_dict": True}}
    SAC("MultiInputPolicy", env, **kept, **keywords).learn(44)
    asked = make_sb3(env_id, 2, info="end")
    asked.reset()
    assert "leg_cost" not in asked.step(np.zeros((2, 2), np.float32))[3][0]
    assert make_sb3(env_id, 2, reward="dense").env.metadata["reward_needs_info"] == ()


def test_switches_sampled_as_floats_reach_the_environment():
    env = GymnasiumVecEnv(SyncVectorEnv([Switches] * 4, autoreset_mode=AutoresetMode.SAME_STEP))
    env.reset()
    rewards = env.step(np.float32([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]))[1]
    np.testing.assert_array_equal(rewards, [2, 0, 3, 1])
    RecurrentPPO("MlpPolicy", env, n_steps=8, core="gru").learn(64)
    PPO("MlpPolicy", env, n_steps=8, batch_size=8).learn(64)


@pytest.mark.parametrize("default", [AutoresetMode.NEXT_STEP, "next_step"])
def test_the_mode_is_named_as_the_environment_names_it(default):
    class Native(SyncVectorEnv):
        def __init__(self, num_envs=1, autoreset_mode=default):
            assert type(autoreset_mode) is type(default)
            super().__init__([Switches] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)

    gym.register("Test/Native-v0", entry_point=Switches, vector_entry_point=Native)
    try:
        assert make_sb3("Test/Native-v0", 2).env.unwrapped.__class__ is Native
    finally:
        del gym.registry["Test/Native-v0"]


def test_agents_take_gymnasium_s_vector_environments() -> None:
    for keywords in ({"autoreset_mode": "same_step"}, {"autoreset_mode": "disabled"}):
        env = gym.make_vec("Foveal/FlipFlop-v0", 4, **keywords)
        agent = RecurrentPPO(env=env, n_steps=8, seed=0).learn(64, log_interval=None)
        assert agent.n_envs == 4
        agent.set_env(gym.make_vec("Foveal/FlipFlop-v0", 2, **keywords))
        assert agent.lanes == 2
    with pytest.raises(ValueError, match="NEXT_STEP"):
        RecurrentPPO(env=gym.make_vec("Foveal/FlipFlop-v0", 4))
    lanes = gym.make_vec("Pendulum-v1", 2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": "SameStep"})
    agent = WorldModelController("MlpPolicy", lanes, seed=0, model_steps=20, updates=1, batch_size=4)
    assert agent.learn(60, log_interval=None).num_timesteps >= 60
