"""Minari: its collector takes every id, and datasets of `record` replay exactly and teach a world model."""

from __future__ import annotations

import gymnasium as gym
import minari
import numpy as np
import pytest

import foveal_envs
from agents import WorldModel
from scripts.record import record
from tests.conftest import VARIANTS

EPISODES, SEED = 3, 5


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    else:
        np.testing.assert_array_equal(one, other)


def row(observations, number):
    """One observation of an episode's array, or dict of arrays."""
    if isinstance(observations, dict):
        return {key: row(part, number) for key, part in observations.items()}
    return observations[number]


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_collector(env_id):
    keywords = VARIANTS[env_id][-1]
    env = minari.DataCollector(gym.make(f"foveal_envs:{env_id}", **keywords))
    first, _ = env.reset(seed=SEED)
    ended, rewards = False, []
    while not ended:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rewards.append(reward)
        ended = terminated or truncated
    env.create_dataset("test/collected-v0")
    dataset = minari.load_dataset("test/collected-v0")
    (episode,) = dataset
    np.testing.assert_array_equal(episode.rewards, rewards)
    recovered = dataset.recover_environment()
    assert recovered.spec.id == env_id
    assert recovered.spec.kwargs.items() >= keywords.items()
    assert_equal(recovered.reset(seed=SEED)[0], first)
    assert_equal(row(episode.observations, 0), first)


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_recorded_episodes_replay(env_id):
    record(f"foveal_envs:{env_id}", "random", EPISODES, SEED, "test/recorded-v0")
    dataset = minari.load_dataset("test/recorded-v0")
    env = dataset.recover_environment()
    seeds = [metadata["seed"] for metadata in dataset.storage.get_episode_metadata(range(EPISODES))]
    assert seeds == [SEED + number for number in range(EPISODES)]
    for episode, seed in zip(dataset, seeds, strict=True):
        obs, _ = env.reset(seed=int(seed))
        assert_equal(obs, row(episode.observations, 0))
        for number, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, _ = env.step(action)
            assert_equal(obs, row(episode.observations, number + 1))
            assert reward == episode.rewards[number]
            assert terminated == episode.terminations[number]
            assert truncated == episode.truncations[number]
        assert terminated or truncated


def test_a_world_model_learns_from_a_recorded_dataset():
    record("foveal_envs:Foveal/TargetDetection-v0", "random", 40, dataset="test/lessons-v0")
    dataset = minari.load_dataset("test/lessons-v0")
    history = WorldModel.of(dataset.observation_space, dataset.action_space).fit(dataset, epochs=5)
    assert history[-1]["loss"] < history[0]["loss"]
