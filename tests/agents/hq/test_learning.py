"""HQ-learning: its targets said again in slow Python, the known table against stepping, handing over, save and load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import foveal_envs  # noqa: F401  registers the ids
from agents import HQLearning, load_checkpoint, make_sb3, save_checkpoint
from agents.hq.kernels import RULES, STEP, _learn

SMALL = ["S..", "#.#", "..G"]


def learner(lanes: int = 1, layout: Any = "small", moves: int = 100, **keywords: Any) -> HQLearning:
    env = make_sb3("Foveal/HQMaze-v0", lanes, seed=0, layout=layout, moves=moves)
    return HQLearning(env=env, seed=3, **{"trials": 300, "test_every": 50, **keywords})


def same(a: HQLearning, b: HQLearning) -> None:
    for x, y in zip((*a.policy.tables, a.tests, a._counts), (*b.policy.tables, b.tests, b._counts), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_known_table_is_learned_as_by_stepping() -> None:
    fast = learner().learn(1)  # 100 trials
    slow = learner(table=False)
    while slow.trials_done + len(slow.tests) < 100:
        slow.learn(1, reset_num_timesteps=not slow.num_timesteps)
    assert fast.num_timesteps == slow.num_timesteps > 1000
    assert len(fast.tests) == 1
    same(fast, slow)


def test_targets_of_q_and_hq() -> None:
    rng = np.random.default_rng(0)
    agents, observations, gamma, decay, rate, subgoal_rate = 4, 5, 0.8, 0.6, 0.1, 0.3
    for last in (0, 1, 2, 3):
        lengths = rng.integers(1, 4, last + 1)
        trace = np.zeros(lengths.sum(), STEP)
        trace["obs"], trace["action"] = rng.integers(0, observations, len(trace)), rng.integers(0, 3, len(trace))
        trace["agent"], trace["reward"] = np.repeat(np.arange(last + 1), lengths), rng.normal(size=len(trace))
        rewards, subgoals = trace["reward"], rng.integers(0, observations, agents)
        q, hq = rng.normal(size=(agents, observations, 3)), rng.normal(size=(agents, observations))
        seen = np.array([True, True, True, True, False])
        subgoals %= 4
        wanted_q, wanted_hq = q.copy(), hq.copy()
        target = 0.0
        for t in reversed(range(len(trace))):
            o, a, i, _ = trace[t]
            following = 0.0
            if t + 1 < len(trace):
                after, _, j, _ = trace[t + 1]
                following = (1 - decay) * wanted_q[j, after].max() + decay * target
            target = rewards[t] + gamma * following
            wanted_q[i, o, a] += rate * (target - wanted_q[i, o, a])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        later = value = 0.0
        for i in reversed(range(last + 1)):
            own = sum(gamma**k * rewards[starts[i] + k] for k in range(lengths[i]))
            target = own + gamma ** lengths[i] * ((1 - decay) * value + decay * later)
            later = value = target
            if i < agents - 1:
                wanted_hq[i, subgoals[i]] += subgoal_rate * (target - wanted_hq[i, subgoals[i]])
                value = wanted_hq[i, seen].max()
        rules = np.zeros(1, RULES)[0]
        rules["gamma"], rules["td_lambda"], rules["rate"], rules["subgoal_rate"] = gamma, decay, rate, subgoal_rate
        _learn((q, hq, seen), subgoals, trace, rules)
        np.testing.assert_allclose(q, wanted_q)
        np.testing.assert_allclose(hq, wanted_hq)


def test_eight_agents_solve_what_one_cannot() -> None:
    layout = "published"
    many = learner(layout=layout, moves=1000, trials=2000, test_every=100)
    one = learner(layout=layout, moves=1000, trials=2000, test_every=100, agents=1)
    for agent in (many, one):
        while agent.trials_done < 1500:
            agent.learn(1, reset_num_timesteps=False)
    assert many.tests[:, 2].max() == 100.0
    assert many.tests[:, 1].min() < 40
    assert (one.tests[:, 2] == 0.0).all()
    best = many.tests[-1]
    env = gym.make_vec("Foveal/HQMaze-v0", 2, vectorization_mode="vector_entry_point", layout=layout)
    obs, _ = env.reset(seed=0)
    state, start, total, steps, over = None, np.ones(2, bool), 0.0, 0, False
    while not over:
        actions, state = many.predict(obs, state, start)
        obs, rewards, terminated, _, _ = env.step(actions)
        total, steps, over, start = total + rewards[0], steps + 1, terminated.all(), terminated
        assert (state[0] == state[0][0]).all()
    assert state[0].max() >= 2
    assert (steps < 1000) == (total == 100.0)
    assert len(best) == 3


def test_kernels_get_every_keyword_under_its_name() -> None:
    settings = {"gamma": 0.5, "subgoal_rate": 0.125, "temperature": 0.75, "p_start": 0.25, "trials": 7, "test_every": 3}
    agent = learner(layout=SMALL, td_lambda=0.375, learning_rate=lambda left: 0.0625, **settings).learn(1)
    found = {name: agent._rules[0][name] for name in RULES.names or ()}
    assert found == {**settings, "td_lambda": 0.375, "rate": 0.0625}


def test_many_lanes_share_the_tables() -> None:
    agent = learner(lanes=8, layout=SMALL, trials=2000).learn(20_000)
    assert agent.trials_done > 500
    assert (agent.tests[-5:, 2] == 100.0).all()
    assert (agent.tests[-5:, 1] <= 6).all()


def test_save_load_and_resume_are_exact(tmp_path: Path) -> None:
    agent = learner(lanes=3, layout=SMALL).learn(600)
    agent.save(tmp_path / "agent")
    loaded = HQLearning.load(tmp_path / "agent", env=agent.env)
    same(agent, loaded)
    observations = np.arange(16)
    np.testing.assert_array_equal(agent.predict(observations)[0], loaded.predict(observations)[0])
    assert save_checkpoint(agent, tmp_path / "checkpoint")
    twin = load_checkpoint(HQLearning, tmp_path / "checkpoint", learner(lanes=3, layout=SMALL).env)
    for each in (agent, twin):
        each.learn(600, reset_num_timesteps=False)
    same(agent, twin)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"agents": 0}, "agents must be a whole number from 1"),
        ({"temperature": 0.0}, "above 0"),
        ({"p_start": 2.0}, "of at least 0 and at most 1"),
    ],
)
def test_impossible_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HQLearning(**keywords)


def test_observations_must_be_discrete() -> None:
    with pytest.raises(ValueError, match="Discrete observations"):
        HQLearning(env="CartPole-v1")
