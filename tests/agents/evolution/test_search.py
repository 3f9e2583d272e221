"""Evolution: a generation is a function of its seed, jobs are not lost, and the policy is the mean that was tested."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

import foveal_envs  # noqa: F401
from agents import Evolution, make_sb3
from agents.evolution.jobs import Jobs, Lanes

POLE = {"gamma": 0.98, "net": "recurrent", "population": 8, "episodes": 2, "test_every": 3, "test_episodes": 4}


class Fitness(BaseCallback):
    """Notes the fitness of every generation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.seen.append(self.model.fitness)  # type: ignore[attr-defined]


def evolve(lanes: int, steps: int = 2000, env_id: str = "Foveal/Pole-v0", **more: Any) -> tuple[Evolution, np.ndarray]:
    agent, noted = Evolution(env=make_sb3(env_id, lanes, seed=lanes), seed=4, **{**POLE, **more}), Fitness()
    agent.learn(steps, callback=noted, log_interval=None)
    return agent, np.array(noted.seen[1:])


@pytest.mark.parametrize("env_id", ["Foveal/Pole-v0", "CartPole-v1"])
def test_a_generation_does_not_depend_on_the_lanes(env_id: str) -> None:
    """By episode keys, and by seeds where an environment has none."""
    few, first = evolve(3, env_id=env_id)
    many, second = evolve(40, env_id=env_id)
    np.testing.assert_array_equal(first, second)
    assert torch.equal(few.policy.weights, many.policy.weights)
    assert few.num_timesteps == many.num_timesteps
    assert few.generation == many.generation >= 3


def test_a_generation_does_not_depend_on_the_workers() -> None:
    alone, _ = evolve(4)
    together, _ = evolve(4, workers=3)
    assert torch.equal(alone.policy.weights, together.policy.weights)
    assert alone.num_timesteps == together.num_timesteps
    assert alone.best == together.best
    assert alone.policy.weights.abs().sum() > 0


def test_all_candidates_play_the_same_episodes_unless_told_otherwise() -> None:
    agent, _ = evolve(4, steps=1)
    for common in (True, False):
        agent.common = common
        keys = agent._keys(7, 5, 3)
        assert (len(np.unique(keys[:, 0])) == 1) == common
        assert len(np.unique(keys[0])) == 3
    assert not set(agent._keys(7, 1, 50)[0]) & set(agent._keys(8, 1, 50)[0])


def test_the_policy_is_the_mean_that_did_best_in_its_test() -> None:
    tests: list[tuple[float, np.ndarray]] = []

    class Noting(Evolution):
        def train(self, steps: int) -> None:
            mean = self._weights[-1].copy()
            super().train(steps)
            if "evolution/test" in self.measures and self.generation % self.test_every == 0:
                tests.append((self.measures["evolution/test"], mean))

    agent = Noting(env=make_sb3("Foveal/Pole-v0", 8), seed=2, **POLE).learn(12_000, log_interval=None)
    best = max(score for score, _ in tests)
    assert len(tests) > 3
    assert agent.best == best
    kept = next(mean for score, mean in reversed(tests) if score == best)
    np.testing.assert_array_equal(agent.policy.weights.detach(), kept)


def test_what_it_scored_is_what_it_does_again() -> None:
    """The policy, replayed step by step on the episodes of its test, returns the same to the last bit."""
    agent, _ = evolve(8, steps=6000)
    keys, returns = agent._keys(1 << 32, 1, 4)[0], []
    for key in keys:
        env = gym.make("Foveal/Pole-v0")
        obs, _ = env.reset(options={"episode_key": int(key)})
        state, over, total, weight = None, False, 0.0, 1.0
        while not over:
            action, state = agent.predict(obs, state)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, weight, over = total + weight * reward, weight * agent.gamma, terminated or truncated
        returns.append(total)
    np.testing.assert_allclose(np.mean(returns), agent.best, rtol=1e-12)


def test_it_begins_anew_where_it_is_stuck() -> None:
    agent, _ = evolve(8, steps=3000, gamma=1.0, patience=1, test_every=1)  # every return is -1
    assert agent.search.restarts >= 2
    assert agent.best == -1


def test_a_loaded_agent_goes_on_with_the_search(tmp_path: Any) -> None:
    agent, _ = evolve(8)
    agent.save(tmp_path / "agent")
    loaded = Evolution.load(tmp_path / "agent", env=make_sb3("Foveal/Pole-v0", 3))
    for one in (agent, loaded):
        one.learn(1000, reset_num_timesteps=False, log_interval=None)
    assert torch.equal(agent.policy.weights, loaded.policy.weights)
    assert loaded.generation == agent.generation
    other = Evolution.load(tmp_path / "agent", env=make_sb3("Foveal/Pole-v0", 3), population=12)
    assert not other.search.started  # and begins at the policy
    other.learn(300, log_interval=None)


class Broken(Evolution):
    """Some candidates' weights are not finite."""

    share = 0.0

    def begin_rollout(self) -> None:
        super().begin_rollout()
        self._weights[: int(self.share * self.population)] = np.nan


def test_a_candidate_that_is_not_finite_counts_as_the_worst() -> None:
    agent = Broken(env=make_sb3("Foveal/Pole-v0", 5), seed=1, **POLE)
    agent.share = 0.25
    with pytest.warns(UserWarning, match="the outputs of 2 of 8 candidates of generation 0 were not finite"):
        agent.learn(1, log_interval=None)
    assert np.isnan(agent.fitness[:2]).all()
    assert np.isfinite(agent.fitness[2:]).all()
    assert np.isfinite(agent.search.mean).all()
    agent.share = 1.0
    with pytest.raises(FloatingPointError, match="all 8 candidates of generation 1 were not finite"):
        agent.learn(1, reset_num_timesteps=False, log_interval=None)


def test_a_vecenv_that_can_neither_begin_nor_rest_plays_on() -> None:
    env = DummyVecEnv([lambda: gym.make("CartPole-v1") for _ in range(3)])
    agents = [Evolution(env=env, seed=3, **POLE).learn(1500, log_interval=None) for _ in range(2)]
    assert torch.equal(agents[0].policy.weights, agents[1].policy.weights)
    assert agents[0].best > 8
    assert Lanes(env).begins == "none"


def test_every_job_is_played_once() -> None:
    jobs = Jobs(np.repeat(np.arange(3), 2), np.arange(6, dtype=np.uint64), 4)
    assert jobs.take(np.arange(4)).tolist() == [0, 1, 2, 3]
    jobs.add(np.ones(4), np.zeros(4, bool))
    assert jobs.take(np.array([1, 3])).tolist() == [1, 3]
    assert jobs.who.tolist() == [0, 2, 1, 2]
    jobs.add(np.ones(4), np.array([False, False, True, False]))
    assert jobs.take(np.array([0, 1, 2])).tolist() == []
    assert not jobs.finished
    assert jobs.active.tolist() == [False, False, False, True]
    jobs.take(np.array([3]))
    assert jobs.finished
    np.testing.assert_array_equal(jobs.lengths, [2, 1, 2, 1, 1, 1])
    assert np.isnan(jobs.returns[2])
    np.testing.assert_array_equal(np.delete(jobs.returns, 2), [2, 1, 1, 1, 1])


def test_settings_that_do_not_go_are_refused() -> None:
    env = make_sb3("Foveal/Pole-v0", 2)
    for keywords, said in (
        ({"population": 2}, "population must be a whole number of at least 4"),
        ({"sigma": 0}, "sigma must be"),
        ({"optimizer": "adam"}, "optimizer must be 'cma' or"),
        ({"scales": {"colour": 2.0}}, "scales are of the layers"),
        ({"optimizer_kwargs": {"colour": 2.0}}, "optimizer_kwargs do not fit cma"),
        ({"optimizer_kwargs": {"seed": 1}}, "optimizer_kwargs do not fit cma.*'seed'"),
        *(
            ({"optimizer": "openai-es", "optimizer_kwargs": {name: value}}, f"do not fit openai-es: .*{name}")
            for name, value in (("learning_rate", math.nan), ("learning_rate", "x"), ("weight_decay", -1), ("seed", 1))
        ),
    ):
        with pytest.raises(ValueError, match=said):
            Evolution(env=env, **keywords)
