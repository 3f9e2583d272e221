"""M as a vector environment: Gymnasium's contract, M's own numbers, and what an end is."""

from __future__ import annotations

import copy
import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from agents import GymnasiumVecEnv, MemoryObservation, MixtureDream, MixtureModel
from agents.evolution.gaussians import sample
from foveal_envs import check_vector_env

from .dodge import dodge

MODES = ["same_step", "next_step", "disabled"]
PAIR = gym.spaces.MultiDiscrete([2, 3])


def made(core: str = "lstm", space: gym.Space = PAIR, **keywords) -> MixtureModel:
    torch.manual_seed(0)
    return MixtureModel(4, space, core=core, core_kwargs={"size": 7}, **keywords)


def starts(count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(count, 4), torch.randn(count, 4) - 3


def certain(p: float, reward: float | None = None) -> MixtureModel:
    """M that predicts an end with this probability at every step."""
    model = made(reward=reward is not None)
    with torch.no_grad():
        model.head.weight[3 * 4 * 5 :] = 0.0
        model.head.bias[3 * 4 * 5] = math.log(p / (1 - p))
        if reward is not None:
            model.head.bias[-1] = reward
    return model


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("ends", "observes", "core"), [("sample", "zh", "lstm"), ("cut", "z", "gru"), ("expected", "zhc", "lstm")]
)
def test_it_keeps_the_contract_of_vector_environments(mode, ends, observes, core):
    settings = {"horizon": 9, "ends": ends, "observes": observes, "autoreset_mode": mode}
    check_vector_env(lambda n: MixtureDream(made(core), starts(), n, **settings), num_envs=3, steps=50)


@pytest.mark.parametrize("core", ["lstm", "gru"])
def test_lanes_do_not_depend_on_how_many_there_are_nor_on_their_place(core):
    """Beyond 64 lanes M reads them in two groups; under one key they all dream the same."""
    traces = []
    for lanes in (2, 70):
        dream = MixtureDream(made(core), starts(), lanes, 6, ends="sample")
        traces.append([dream.reset(seed=3)[0][:2]])
        for step in range(40):
            traces[-1].append(dream.step(np.full((lanes, 2), step % 2))[0][:2])
    np.testing.assert_array_equal(*map(np.array, traces))
    dream = MixtureDream(made(core), starts(), 70, 60)
    obs, infos = dream.reset(options={"episode_key": np.full(70, 2**63 + 5, np.uint64)})
    assert (infos["episode_key"] == 2**63 + 5).all()
    for step in range(45):
        assert (obs == obs[0]).all()
        obs = dream.step(np.full((70, 2), step % 2))[0]


def test_an_episode_is_a_function_of_its_key_and_the_actions():
    """Whatever the lanes did before, and while others rest."""
    keys, rng = np.arange(6, dtype=np.uint64) + 40, np.random.default_rng(0)
    actions = rng.integers(0, 2, (50, 6, 2))
    mask = np.array([True, False, True, True, False, True])
    traces = []
    for seed in (0, 1):
        dream = MixtureDream(made(), starts(), 6, 80, autoreset_mode="disabled", seed=seed)
        before = dream.reset()[0]
        for _ in range(seed * 33):
            before = dream.step(actions[0])[0]
        obs, _ = dream.reset(options={"episode_key": keys, "reset_mask": mask})
        np.testing.assert_array_equal(obs[~mask], before[~mask])
        trace = [obs[mask]]
        for step in range(50):
            active = mask & ((step % 3 > 0) | (np.arange(6) != 2))
            last, (obs, rewards, _, _, _) = obs, dream.step(actions[step], active)
            np.testing.assert_array_equal(obs[~active], last[~active])
            assert (rewards[~active] == 0).all()
            trace.append(obs[mask])
        traces.append(np.array(trace))
    np.testing.assert_array_equal(*traces)
    alone = MixtureDream(made(), starts(), 1, 80)
    for column, lane in enumerate(np.flatnonzero(mask).tolist()):
        obs, _ = alone.reset(options={"episode_key": keys[lane : lane + 1]})
        for step in range(50):
            np.testing.assert_array_equal(obs[0], traces[0][step, column])
            if lane != 2 or step % 3 > 0:
                obs = alone.step(actions[step, lane : lane + 1])[0]


@pytest.mark.parametrize("restart_flag", [False, True])
def test_steps_are_those_of_the_model(restart_flag):
    model = made(restart_flag=restart_flag, reward=True)
    dream = MixtureDream(model, starts(), 5, 30, temperature=1e-12, observes="zhc", ends="sample")
    obs, _ = dream.reset(seed=0)
    assert (obs[:, 4:] == 0).all()
    state, rng, ended = model.initial_state(5), np.random.default_rng(0), np.ones(5, bool)
    for _ in range(20):
        actions = rng.integers(0, [2, 3], (5, 2))
        codes = torch.from_numpy(obs[:, :4])
        with torch.no_grad():
            said, output, state = model.step(codes, model.actions.from_env(actions), state, torch.from_numpy(ended))
        obs, rewards, terminated, truncated, infos = dream.step(actions)
        ended = terminated | truncated
        after = np.stack([infos["final_obs"][i] if ended[i] else obs[i] for i in range(5)])
        still = sample(said, 1e-12, (torch.full((5, 4), 0.5), torch.zeros(5, 4)))
        np.testing.assert_allclose(after, torch.cat([still, output, state[1]], 1), atol=1e-4)
        np.testing.assert_allclose(rewards, said.reward, atol=1e-5)
        assert (obs[ended, 4:] == 0).all()


def test_what_is_expected_is_the_mean_of_what_is_drawn():
    """The same codes: the return of an endless episode is the mean return of many that end."""
    model = made(space=gym.spaces.Discrete(2))
    with torch.no_grad():
        model.head.bias[60] = -2.0
        model.head.weight[60] *= 4.0
    for reward in (False, True):
        if reward:
            rewarding = made(space=gym.spaces.Discrete(2), reward=True)
            with torch.no_grad():
                rewarding.head.weight[:61], rewarding.head.bias[:61] = model.head.weight, model.head.bias
            rewarding.core.load_state_dict(model.core.state_dict())
            model = rewarding
        totals = {}
        for ends in ("expected", "sample"):
            dream = MixtureDream(model, starts(), 2_000, 15, ends=ends, autoreset_mode="disabled")
            dream.reset(seed=0)
            total, alive = np.zeros(2_000), np.ones(2_000, bool)
            for _ in range(15):
                _, rewards, terminated, _, _ = dream.step(np.arange(2_000) % 2, alive)
                total += rewards
                alive &= ~terminated
            assert alive.all() == (ends == "expected")
            totals[ends] = total
        spread = totals["sample"].std() / math.sqrt(2_000)
        assert abs(totals["expected"].mean() - totals["sample"].mean()) < 4 * spread
        assert totals["expected"].std() < 0.7 * totals["sample"].std()


def test_ends_and_rewards():
    expected = MixtureDream(certain(0.2), starts(), 3, 4)
    expected.reset(seed=0)
    for step in range(1, 9):
        _, rewards, terminated, truncated, _ = expected.step(np.zeros((3, 2), int))
        np.testing.assert_allclose(rewards, 0.8 ** (1 + (step - 1) % 4), rtol=1e-6)
        assert not terminated.any()
        assert truncated.all() == (step % 4 == 0)
    drawn = MixtureDream(certain(0.2), starts(), 2_000, 4, ends="sample")
    drawn.reset(seed=0)
    _, rewards, terminated, _, _ = drawn.step(np.zeros((2_000, 2), int))
    assert terminated.mean() == pytest.approx(0.2, abs=0.04)
    np.testing.assert_array_equal(rewards, ~terminated)
    for p in (0.4, 0.6):
        cut = MixtureDream(certain(p, reward=2.5), starts(), 5, 4, ends="cut")
        cut.reset(seed=0)
        _, rewards, terminated, _, _ = cut.step(np.zeros((5, 2), int))
        assert terminated.all() == (p > 0.5)
        np.testing.assert_allclose(rewards, 2.5)
    endless = MixtureDream(made(ends=False), starts(), 5, 4, ends="sample")
    endless.reset(seed=0)
    assert (endless.step(np.zeros((5, 2), int))[1] == 1).all()


def test_temperature_widens_the_dream():
    widths = []
    for temperature in (0.1, 1.0, 2.0):
        dream = MixtureDream(made(), tuple(part[:1] for part in starts()), 500, temperature=temperature, observes="z")
        dream.reset(seed=0)
        widths.append(dream.step(np.zeros((500, 2), int))[0].std(0).mean())
    assert 2 * widths[0] < widths[1] < widths[2]


def test_it_begins_with_first_codes(learned):
    mean, log_variance = learned.coded.starts()
    assert len(mean) == learned.coded.episode_start.sum()
    dream = MixtureDream(learned.model, (mean, torch.full_like(log_variance, -99.0)), 30)
    codes = torch.from_numpy(dream.reset(seed=0)[0][:, :6])
    assert (codes[:, None] == mean).all(-1).any(1).all()
    assert len(codes.unique(dim=0)) > 10


def test_an_agent_that_trains_in_it_acts_in_the_real_environment(learned):
    dream = MixtureDream(learned.model, learned.coded.starts(), 8, 20, seed=0)
    agent = PPO("MlpPolicy", GymnasiumVecEnv(dream), n_steps=16, batch_size=32, seed=0, device="cpu").learn(128)
    env = MemoryObservation(dodge(4), learned.vae, learned.model)
    obs, _ = env.reset(seed=0)
    assert env.step(agent.predict(obs)[0])[0].shape == obs.shape


def test_impossible_settings_are_named():
    model = made()
    for keywords, message in (({"num_envs": 0}, "num_envs .*from 1"), ({"num_envs": "2"}, "num_envs"),
                              ({"horizon": 0}, "horizon .*from 1"), ({"horizon": 1.5}, "horizon"),
                              ({"temperature": "x"}, "temperature"), ({"temperature": math.inf}, "temperature"),
                              ({"ends": "?"}, "'cut'"),
                              ({"temperature": 0.0}, "above 0"), ({"observes": "h"}, "'zhc'"),
                              ({"starts": (torch.zeros(2, 3),) * 2}, "4"), ({"starts": starts(0)}, "each"),
                              ({"model": made("gru"), "observes": "zhc"}, "only an LSTM")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            MixtureDream(**{"model": model, "starts": starts(), **keywords})


def test_what_is_not_finite_is_refused():
    model = copy.deepcopy(made())
    dream = MixtureDream(model, starts(), 2)
    dream.reset(seed=0)
    with torch.no_grad():
        model.head.bias[20:40] = math.inf
    with pytest.raises(FloatingPointError, match="not finite"):
        dream.step(np.zeros((2, 2), int))
