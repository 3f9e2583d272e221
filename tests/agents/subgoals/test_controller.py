from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents import HierarchicalController, make_sb3
from agents.common.archive import ArchiveError
from scripts.experiments.hrl1 import seen_from_leg

SWAMPS = "Foveal/SwampNavigation-v0"
STEP = 0.1


class Straight:
    """Steps of at most 0.1 along each axis towards the desired goal; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def predict(
        self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        self.asked.append(obs["desired_goal"].copy())
        way = (obs["desired_goal"] - obs["achieved_goal"]) / STEP
        return (way / np.maximum(1, np.abs(way).max(-1, keepdims=True))).astype(np.float32), state


def agent(lanes: int = 8, **keywords: Any) -> HierarchicalController:
    settings = {"context": (2, 22), "items": 5, "subgoals": 2, "hidden": (16,), "refinement": 2, "candidates": 2}
    small = {"updates": 3, "leg_steps": 6, "rollout_legs": 2, "seed": 0, **keywords}
    policy = {**settings, **small.pop("policy_kwargs", {})}
    return HierarchicalController(
        env=make_sb3(SWAMPS, lanes, seed=0), controller=Straight(), policy_kwargs=policy, **small
    )


def test_subgoals_are_pursued_in_turn_and_then_the_goal() -> None:
    made = agent(2, policy_kwargs={"patience": 3, "tolerance": 1e-6})
    obs = made.env.reset()
    state = None
    for _ in range(8):
        _, state = made.predict(obs, state)
    asked = np.array(made.controller.asked)
    plans = state[0]
    for lane in range(2):
        expected = [plans[lane, 0]] * 3 + [plans[lane, 1]] * 3 + [obs["desired_goal"][lane]] * 2
        np.testing.assert_allclose(asked[:, lane], expected, rtol=1e-6)
    _, again = made.predict(obs, state, np.array([True, False]))
    assert again[2].tolist() == [1, state[2][1] + 1]
    assert again[1].tolist() == [0, 2]


def test_it_learns_costs_and_subgoals_and_leaves_the_controller() -> None:
    made = agent()
    before = {name: part.clone() for name, part in made.policy.state_dict().items()}
    made.learn(200, log_interval=1)
    changed = {
        name.split(".")[0] for name, part in made.policy.state_dict().items() if not torch.equal(part, before[name])
    }
    assert changed == {"evaluator", "generator"}
    assert np.isfinite(made.measures["train/evaluator_error"])


def test_legs_lie_within_one_walk_to_one_target() -> None:
    made = agent(16, leg_steps=5, policy_kwargs={"tolerance": 1e-6})
    made.learn(1000, log_interval=None)
    for _ in range(20):
        start, end, context, cost = made._legs(64)
        assert (cost > 0).all()
        assert ((end - start).abs().amax(1) <= 5 * STEP + 1e-5).all()
        assert context.shape[1] == 20


def test_saved_and_loaded_it_plans_the_same(tmp_path: Any) -> None:
    made = agent().learn(100, log_interval=None)
    made.save(tmp_path / "agent")
    with pytest.raises(ArchiveError, match=r"could not hold controller.*pass controller="):
        HierarchicalController.load(tmp_path / "agent")
    loaded = HierarchicalController.load(tmp_path / "agent", controller=Straight())
    obs = made.env.reset()
    plans = []
    for one in (made, loaded):
        torch.manual_seed(3)
        plans.append(one.predict(obs)[1][0])
    np.testing.assert_array_equal(*plans)


def test_what_cannot_be_a_hierarchy_is_refused() -> None:
    with pytest.raises(ValueError, match="predict"):
        HierarchicalController(env=make_sb3(SWAMPS, 2, seed=0), controller=3)
    with pytest.raises(ValueError, match="achieved_goal"):
        HierarchicalController(env=make_sb3("Pendulum-v1", 2, seed=0), controller=Straight())


@pytest.mark.slow
def test_learned_subgoals_cost_less_than_the_straight_line() -> None:
    settings = {"subgoals": 6, "hidden": (64, 64, 64), "refinement": 100, "candidates": 16, "length_weight": 1.0}
    policy = {**settings, "features": seen_from_leg}
    made = agent(64, updates=200, leg_steps=16, rollout_legs=4, policy_kwargs=policy)
    made.learn(30_000, log_interval=None)
    costs = []
    for policy in (made, Straight()):
        env = make_sb3(SWAMPS, 64, seed=10**6)
        obs, state, start, total, open_ = env.reset(), None, None, np.zeros(64), np.ones(64, bool)
        for _ in range(80):
            actions, state = policy.predict(obs, state, start)
            obs, rewards, start, _ = env.step(actions)
            total -= rewards * open_
            open_ &= ~start
        costs.append(total.mean())
    assert costs[0] < 0.9 * costs[1]
