"""VizDoom: the adapter shows Take Cover as V, M and C learned it, and they learn there; skipped without VizDoom."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("vizdoom")

from agents import make_sb3
from agents.adapters.vizdoom import Screen
from scripts.experiments import worldmodels
from scripts.experiments.shared.jobs import run_jobs

ID = "agents.adapters.vizdoom:DoomTakeCover-v0"


def test_an_episode_is_small_pictures_and_a_reward_a_tic_until_the_game_is_over():
    env = gym.make(ID)
    obs, _ = env.reset(seed=3)
    assert obs.shape == (64, 64, 3)
    assert obs.std() > 5
    rewards, ended = [], False
    while not ended:
        before = obs
        obs, reward, ended, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
        assert not truncated
        rewards.append(reward)
    assert set(rewards[:-1]) == {4.0}
    assert 1 <= rewards[-1] <= 4
    np.testing.assert_array_equal(obs, before)
    again, _ = env.reset(seed=3)
    assert again.std() > 5
    env.close()


def test_an_episode_is_truncated_after_its_tics():
    env = gym.make(ID, tics=10, frame_skip=3, size=32)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(4)]
    assert ends == [(False, False)] * 3 + [(False, True)]
    env.close()


@pytest.mark.parametrize(("force", "buttons"), [(-1.0, [1, 0]), (-0.3, [0, 0]), (0.3, [0, 0]), (0.4, [0, 1])])
def test_a_force_presses_left_or_right(force, buttons):
    env = gym.make(ID, force=True)
    env.reset(seed=0)
    env.step(np.array([force], np.float32))
    assert env.unwrapped.game.get_last_action() == buttons
    env.close()


def test_it_refuses_what_has_no_screen():
    with pytest.raises(ValueError, match="there must be a 'screen'"):
        Screen(gym.make("CartPole-v1"))


def test_lanes_follow_their_seed():
    firsts = []
    for _ in range(2):
        env = make_sb3(ID, 2, seed=7)
        firsts.append(env.reset())
        env.close()
    assert firsts[0].shape == (2, 64, 64, 3)
    np.testing.assert_array_equal(*firsts)


def test_the_experiment_runs_at_the_published_sizes():
    *blind, row = run_jobs(worldmodels.jobs(("doom",), 1, quick=True), processes=1).rows
    assert [row["policy"] for row in blind] == ["random", "stay", "strafe"]
    assert all(float(row["tics"]) > 0 for row in (*blind, row))
    assert (row["table"], row["observes"]) == ("doom", "zhc")
