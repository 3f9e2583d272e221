"""M as a vector environment: Gymnasium's contract, the numbers of M, and an agent of another library inside it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from agents import GymnasiumVecEnv, WorldModelController, make_sb3
from agents.world_model.open_loop import open_loop
from foveal_envs import check_vector_env

from .test_controller import SMALL, point

RECURRENT = {"core": "gru", "core_kwargs": {"size": 5}, "model_core": "lstm", "model_core_kwargs": {"size": 6}}


@pytest.fixture(scope="module")
def cart() -> WorldModelController:
    env = make_sb3("CartPole-v1", 4, seed=0)
    return certain(WorldModelController("MlpPolicy", env, **SMALL).learn(400, log_interval=None), 0.1)


@pytest.fixture(scope="module")
def recurrent() -> WorldModelController:
    env = make_sb3("CartPole-v1", 4, seed=0)
    agent = WorldModelController("MlpPolicy", env, burn_in=3, **{**SMALL, **RECURRENT})
    return certain(agent.learn(400, log_interval=None), 0.1)


@pytest.fixture(scope="module")
def goals() -> WorldModelController:
    """The achieved goal is predicted beside the observation."""
    return WorldModelController("MultiInputPolicy", point(), share_goal=False, **SMALL).learn(200, log_interval=None)


def certain(agent: WorldModelController, probability: float) -> WorldModelController:
    """The agent's M, which from now on predicts an end with this probability at every step."""
    odds = agent.world_model.heads["terminated"]
    with torch.no_grad():
        agent.world_model.head.weight[odds] = 0.0
        agent.world_model.head.bias[odds] = float(np.log(probability / (1 - probability)))
    return agent


@pytest.mark.parametrize("mode", ["same_step", "next_step", "disabled"])
@pytest.mark.parametrize("which", ["cart", "recurrent", "goals"])
def test_it_keeps_the_contract_of_vector_environments(which, mode, request):
    agent = request.getfixturevalue(which)
    check_vector_env(lambda n: agent.dream(n, horizon=7, autoreset_mode=mode), num_envs=3, steps=60)
    dream = agent.dream(2, autoreset_mode=mode)
    assert dream.metadata["autoreset_mode"] is AutoresetMode[mode.upper()]
    assert dream.single_observation_space == agent.observation_space
    assert dream.single_action_space == agent.action_space


def test_lanes_do_not_depend_on_how_many_there_are(recurrent):
    """Across groups of lanes, too."""
    traces = []
    for lanes in (2, 70):
        dream = recurrent.dream(lanes, horizon=5)
        traces.append([dream.reset(seed=3)[0][:2]])
        for step in range(20):
            traces[-1].append(dream.step(np.full(lanes, step % 2))[0][:2])
    np.testing.assert_array_equal(*map(np.array, traces))


@pytest.mark.parametrize("which", ["cart", "recurrent"])
def test_steps_are_those_of_the_model(which, request):
    """From a real step of the replay, its core warmed up there, with the real units of observation and reward."""
    agent = request.getfixturevalue(which)
    dream = agent.dream(5, horizon=9, sampled=False)
    observations = [dream.reset(seed=1)[0]]
    model, scale, replay = agent.world_model, agent.policy.scale, agent.replay
    window = replay.newest(len(replay))
    starts = []
    for row in observations[0]:
        (place,) = (window["observation"] == torch.from_numpy(row)).all(-1).nonzero()[:1].tolist()
        starts.append(place)
    state = model.initial_state(5)
    fresh = torch.stack([window.flag("episode_start")[t, column] for t, column in starts])
    for back in range(agent.burn_in, 0, -1):
        past = [torch.stack([window[name][t - back, column] for t, column in starts])
                for name in ("observation", "action", "episode_start")]  # fmt: skip
        state = model.step(scale(past[0]), past[1], state, past[2][:, 0] > 0.5)[1]
    actions = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 0, 1]] * 3), 2).float()
    outputs, _ = open_loop(model, scale(torch.from_numpy(observations[0])), actions, state, fresh)
    for t in range(3):
        obs, reward, terminated, _, _ = dream.step(np.array([0, 1, 1, 0, 1]))
        assert not terminated.any()
        named = model.named(outputs[t])
        np.testing.assert_allclose(obs, named["observation"].detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(reward, (named["reward"] * scale.reward).detach(), rtol=1e-5)


def test_rewards_are_in_the_units_of_the_environment():
    env = make_sb3("Pendulum-v1", 4, seed=0)
    many = {"model_steps": 800, "updates": 30, "evaluator": False}
    agent = WorldModelController("MlpPolicy", env, **{**SMALL, **many}).learn(800, log_interval=None)
    assert agent.policy.scale.reward > 2
    dream = agent.dream(200, horizon=1)
    dream.reset(seed=0)
    rewards = dream.step(np.zeros((200, 1), np.float32))[1]
    real = agent.replay.newest(len(agent.replay))["reward"].mean()
    assert rewards.mean() == pytest.approx(float(real), rel=0.3)


def test_with_goals_the_reward_is_the_objective_of_the_predicted_goal(goals):
    dream = goals.dream(6, horizon=4)
    obs, _ = dream.reset(seed=0)
    real = goals.replay.newest(len(goals.replay))
    before = real["next_percept"][:-1][~real.flag("episode_start")[1:]]
    for row in range(6):
        whole = np.concatenate([obs["observation"][row], obs["achieved_goal"][row]])
        assert np.isclose(before, whole).all(1).any()
    after, rewards, terminated, _, _ = dream.step(np.zeros((6, 2), np.float32))
    np.testing.assert_array_equal(after["desired_goal"], obs["desired_goal"])
    assert not np.array_equal(after["achieved_goal"], obs["achieved_goal"])
    assert not terminated.any()
    distance = np.linalg.norm(after["achieved_goal"] - after["desired_goal"], axis=-1)
    match = np.mean([np.exp(-np.sqrt(distance**2 + 1e-4) / width) for width in goals.match_widths], 0)
    np.testing.assert_allclose(rewards, match, rtol=1e-3)


def test_episodes_end_with_the_probability_that_is_predicted_and_at_the_horizon():
    env = make_sb3("CartPole-v1", 4, seed=0)
    agent = certain(WorldModelController("MlpPolicy", env, **SMALL).learn(100, log_interval=None), 0.3)
    dream = agent.dream(1000, horizon=3)
    dream.reset(seed=0)
    _, _, terminated, truncated, infos = dream.step(np.zeros(1000, int))
    assert terminated.mean() == pytest.approx(0.3, abs=0.05)
    assert not truncated.any()
    assert [last is not None for last in infos["final_obs"]] == terminated.tolist()
    kept = ~terminated
    for _ in range(2):
        _, _, terminated, truncated, _ = dream.step(np.zeros(1000, int))
        kept &= ~terminated | truncated
    assert truncated[kept].all()
    likely = certain(agent, 0.6).dream(10, sampled=False)
    likely.reset(seed=0)
    assert likely.step(np.zeros(10, int))[2].all()
    unlikely = certain(agent, 0.4).dream(10, sampled=False)
    unlikely.reset(seed=0)
    assert not unlikely.step(np.zeros(10, int))[2].any()


def test_every_episode_begins_at_the_starts_given(cart, tmp_path):
    """Even where there is no replay, as in an agent that was loaded."""
    cart.save(tmp_path / "agent")
    loaded = WorldModelController.load(tmp_path / "agent", device="cpu")
    dream = loaded.dream(3, horizon=2, sampled=False)
    with pytest.raises(ValueError, match="no step to start from"):
        dream.reset(seed=0)
    starts = np.float32([[0, 0, 0, 0], [1, 0, 0.1, 0], [0, 1, 0, 0.1]])
    np.testing.assert_array_equal(dream.reset(options={"starts": starts})[0], starts)
    assert (dream.step([0, 1, 0])[0] != starts).any()
    obs, *_, truncated, infos = dream.step([0, 1, 0])
    assert truncated.all()
    np.testing.assert_array_equal(obs, starts)
    assert (np.stack(infos["final_obs"]) != starts).any()


def test_another_library_trains_in_it(cart):
    env = GymnasiumVecEnv(cart.dream(8, horizon=20, seed=0))
    agent = PPO("MlpPolicy", env, n_steps=32, batch_size=64, seed=0, device="cpu").learn(512)
    assert len(agent.ep_info_buffer) > 5
    assert max(info["l"] for info in agent.ep_info_buffer) <= 20
    first = env.env.reset(seed=0)[0]
    np.testing.assert_array_equal(cart.dream(8, seed=0).reset()[0], first)


def test_under_vecnormalize_it_has_the_units_that_the_agent_sees():
    env = VecNormalize(make_sb3("Pendulum-v1", 4, seed=0))
    agent = WorldModelController("MlpPolicy", env, **SMALL).learn(200, log_interval=None)
    dream = agent.dream(50)
    assert not np.isfinite(dream.single_observation_space.high).any()
    start = torch.from_numpy(dream.reset(seed=0)[0])
    seen = agent.replay.newest(len(agent.replay))["observation"].flatten(0, 1)
    assert (start[:, None] == seen).all(-1).any(1).all()


def test_observations_of_whole_numbers_are_rounded():
    from agents.common.encoder import Encoder

    space = gym.spaces.Dict({"grey": gym.spaces.Box(0, 255, (1, 2), np.uint8), "far": gym.spaces.Box(-1, 1, (1,))})
    encoder = Encoder(space)
    assert encoder.keys == ["far", "grey"]
    made = encoder.decode(torch.tensor([[-7.0, 3.6, 300.0]]), torch.zeros(1, 0), torch.zeros(1, 0))
    assert made["grey"].tolist() == [[[4, 255]]]
    assert made["far"].tolist() == [[-1.0]]
    assert space.contains({key: part[0] for key, part in made.items()})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_envs": 0}, "at least 1"),
        ({"horizon": 0}, "at least 1"),
        ({"autoreset_mode": "never"}, "'same_step', 'next_step', 'disabled'"),
    ],
)
def test_impossible_settings_are_named(cart, keywords, message):
    with pytest.raises(ValueError, match=message):
        cart.dream(**keywords)


def test_impossible_calls_are_named(cart):
    dream = cart.dream(2)
    with pytest.raises(gym.error.ResetNeeded):
        dream.step([0, 1])
    for options, message in (({"start": 0}, "'starts'"), ({"starts": np.zeros((3, 4))}, "2 observations")):
        with pytest.raises(ValueError, match=message):
            dream.reset(options=options)
    with pytest.raises(ValueError, match="each of the 2 lanes"):
        dream.reset(seed=[1, 2, 3])
    dream.reset(seed=0)
    for actions in ([0, 2], [0, 0.5], [0], [[0, 1]]):
        with pytest.raises(ValueError, match="action"):
            dream.step(actions)


@pytest.mark.parametrize("which", ["cart", "recurrent"])
def test_an_episode_is_a_function_of_its_key_and_lanes_may_rest(which, request):
    agent = request.getfixturevalue(which)
    keys = np.arange(40, dtype=np.uint64)
    dream = agent.dream(40, horizon=5, autoreset_mode="disabled", seed=0)
    mask = np.arange(40) % 4 > 0
    dream.reset(options={"episode_key": keys, "reset_mask": mask})
    with pytest.raises(gym.error.ResetNeeded, match="reset lanes"):
        dream.step(np.zeros(40, int))
    first, infos = dream.reset(options={"episode_key": keys})
    np.testing.assert_array_equal(infos["episode_key"], keys)
    alive, traces = np.ones(40, bool), [first]
    for _ in range(4):
        obs, _, terminated, truncated, _ = dream.step(np.ones(40, int), alive)
        np.testing.assert_array_equal(obs[~alive], traces[-1][~alive])
        alive &= ~(terminated | truncated)
        traces.append(obs)
    assert 0 < alive.sum() < 40
    again = agent.dream(40, horizon=5, autoreset_mode="disabled", seed=9)
    again.reset()
    assert (again.reset(options={"episode_key": keys, "reset_mask": mask})[0][mask] == first[mask]).all()
    alive = mask.copy()
    for expected in traces[1:]:
        obs, _, terminated, truncated, _ = again.step(np.ones(40, int), alive)
        np.testing.assert_array_equal(obs[alive], expected[alive])
        alive &= ~(terminated | truncated)
    for options in ({"episode_key": [1.5] * 40}, {"episode_key": keys[:3]}, {"reset_mask": np.ones(3, bool)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            again.reset(options=options)
