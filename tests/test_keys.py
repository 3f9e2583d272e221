"""Random numbers as a pure function of (key, counter)."""

from __future__ import annotations

import numpy as np

from foveal_envs import keys


def test_bits_are_splitmix64() -> None:
    """The published test vector: SplitMix64 seeded 1234567 gives these numbers first."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [int(keys.bits(np.uint64(1234567), i)) for i in range(4)] == expected


def test_draws_are_uniform_and_independent() -> None:
    draws = np.array([[keys.uniform(np.uint64(key), i) for i in range(50)] for key in range(200)])
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert abs(draws.mean() - 0.5) < 0.01
    assert abs(draws.var() - 1 / 12) < 0.002
    correlation = np.corrcoef(draws.T) - np.eye(50)
    assert np.abs(correlation).max() < 0.35  # 5 standard errors of 200 samples


def test_normal_draws() -> None:
    draws = np.array([keys.normal(np.uint64(3), i) for i in range(20_000)])
    assert abs(draws.mean()) < 0.03
    assert abs(draws.std() - 1.0) < 0.03


def test_streams_and_episodes_differ() -> None:
    out = np.zeros(64, np.uint64)
    seeds, episodes = np.repeat(np.arange(8, dtype=np.uint64), 8), np.tile(np.arange(8), 8)
    keys.episode_keys(seeds, episodes, np.arange(64), out)
    assert len(set(out.tolist())) == 64
    assert len({int(keys.split(np.uint64(5), stream)) for stream in range(1000)}) == 1000


def test_below_covers_its_range() -> None:
    draws = [keys.below(np.uint64(1), i, 5) for i in range(500)]
    assert set(draws) == {0, 1, 2, 3, 4}
