"""Tables: what M learns from a step, what is interesting in it, and how it is planned for."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from agents import CuriousExplorer, TableModel, make_sb3
from agents.world_model.tables import NetTableModel, plan

KINDS = ("count", "disagreement", "error", "improvement", "last_improvement")


def test_a_step_moves_every_member_by_the_delta_rule() -> None:
    model = TableModel(4, 2, members=3, rate=0.25, seed=0)
    before = model.p.copy()
    error = model.learn(1, 0, 3, 2.0)
    assert error == pytest.approx(1 - before[:, 1, 0, 3].mean())
    np.testing.assert_allclose(model.p[:, 1, 0], 0.75 * before[:, 1, 0] + 0.25 * np.eye(4)[3])
    np.testing.assert_allclose(model.p.sum(-1), 1.0)
    untouched = np.ones((4, 2), bool)
    untouched[1, 0] = False
    assert (model.p[:, untouched] == before[:, untouched]).all()
    model.learn(1, 0, 3, 0.0)
    assert model.reward[1, 0] == 1.0
    assert model.tried.tolist() == [[0, 0], [2, 0], [0, 0], [0, 0]]


def test_noise_attracts_error_and_the_last_improvement_but_neither_disagreement_nor_smoothed_improvement() -> None:
    model, generator = TableModel(10, 2, rate=0.7, seed=1), np.random.default_rng(0)
    for _ in range(60):
        model.learn(0, 0, 5)  # certain
        model.learn(0, 1, int(generator.integers(10)))  # noise
    sure, noise = ({kind: model.interest(kind)[0, a] for kind in KINDS} for a in (0, 1))
    assert sure["error"] < 0.01 < 0.5 < noise["error"]
    assert sure["last_improvement"] < 0.01 < 0.4 < noise["last_improvement"]
    assert max(sure["disagreement"], noise["disagreement"]) < 1e-6
    assert noise["improvement"] < 0.15
    assert sure["count"] == noise["count"] == 1 / 60
    assert all((model.interest(kind)[1:] == 1).all() for kind in KINDS)  # never tried
    with pytest.raises(ValueError, match="curiosity must be one of 'count'"):
        model.interest("boredom")  # type: ignore[arg-type]


def test_planning_finds_the_value_of_a_chain_and_hopes_for_the_unknown() -> None:
    model = TableModel(5, 2)
    for state in range(4):
        model.learn(state, 1, state + 1)
        model.learn(state, 0, state)
    rewards = np.zeros((5, 2))
    rewards[3, 1] = 1.0
    q = plan(model.tried, model.continued, rewards, 0.9, 0.0, 200)
    np.testing.assert_allclose(q[:4, 1], 0.9 ** np.arange(3, -1, -1))
    np.testing.assert_allclose(q[:4, 0], 0.9 * q[:4, 1])
    model.learn(0, 0, 4, 0.0, terminated=True)
    model.learn(0, 0, 4, 0.0, terminated=True)
    np.testing.assert_allclose(plan(model.tried, model.continued, rewards, 0.9, 0.0, 200)[0, 0], 0.9 / 3 * q[0, 1])
    hopeful = plan(model.tried, model.continued, rewards, 0.9, 10.0, 200)
    np.testing.assert_allclose(hopeful[4], 10.0)
    np.testing.assert_allclose(hopeful[3, 1], 1 + 0.9 * 10)


def test_nets_learn_what_tables_learn_and_generalise() -> None:
    model, generator = NetTableModel(6, 2, members=3, hidden=32, seed=0), np.random.default_rng(0)
    first = model.error(np.zeros((6, 2), np.int64))
    for _ in range(150):
        state = int(generator.integers(6))
        model.learn(state, 0, (state + 1) % 6)
    leads = np.stack([(np.arange(6) + 1) % 6] * 2, 1)
    assert model.error(leads)[:, 0].max() < 0.1 < first.mean()
    assert model.interest("disagreement")[:, 0].max() < 0.5
    np.testing.assert_allclose(model.p.sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("kind", ["disagreement", "count"])
def test_an_explorer_knows_the_world_sooner_than_chance(kind: str) -> None:
    known = {}
    for random in (False, True):
        env = make_sb3("Foveal/CuriosityGrid-v0", 1, seed=0, layout="corridor", moves=400)
        agent = CuriousExplorer(env=env, curiosity=kind, random=random, seed=0)  # type: ignore[arg-type]
        agent.learn(400, log_interval=None)
        known[random] = (agent.model.tried[~env.env.unwrapped.task.noisy] > 0).mean()
    assert known[False] > 0.55 > 0.5 > known[True]


def test_what_is_paid_is_found_and_then_sought() -> None:
    env = make_sb3("FrozenLake-v1", 1, seed=0, is_slippery=False)
    agent = CuriousExplorer(env=env, reward_weight=10.0, seed=0).learn(1500, log_interval=None)
    lake, total = gym.make("FrozenLake-v1", is_slippery=False), 0.0
    obs, _ = lake.reset(seed=0)
    for _ in range(6):
        action, _ = agent.predict(np.array(obs))
        obs, reward, terminated, _, _ = lake.step(int(action))
        total += float(reward)
    assert terminated
    assert total == 1.0


def test_settings_that_do_not_go_are_refused() -> None:
    env = make_sb3("Foveal/CuriosityGrid-v0", 1)
    with pytest.raises(ValueError, match="gamma must be below 1"):
        CuriousExplorer(env=env, gamma=1.0)
    with pytest.raises(ValueError, match="Discrete observations"):
        CuriousExplorer(env=make_sb3("CartPole-v1", 1))
    with pytest.raises(ValueError, match="rate must be a number above 0"):
        TableModel(3, 2, rate=0.0)
    for net, said in (
        ({"colour": 2}, "colour"),
        ({"members": 2}, "members"),
        ({"hidden": 0}, "hidden must be a whole number from 1"),
        ({"updates": -1}, "updates must be a whole number from 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number from 1"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
    ):
        with pytest.raises(ValueError, match=f"net does not fit: .*{said}"):
            CuriousExplorer(env=env, net=net)
