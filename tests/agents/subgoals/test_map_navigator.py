"""MapNavigator: maps hold nothing false, ways are shortest, moves and detours are learned, agents are saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents import MapNavigator, make_sb3
from agents.subgoals.map_kernels import FREE, UNSEEN, WALL, find_costs, find_path, find_waypoint, look
from agents.subgoals.map_navigator import NEIGHBOURS, Walker, _around, windows
from scripts.experiments.hrl_maze import TASK, fields

torch.set_num_threads(1)


def agent(lanes: int = 8, **keywords: Any) -> MapNavigator:
    small = {"n_steps": 60, "updates": 5, "batch_size": 32, "capacity": 500, "seed": 0, **keywords}
    env = make_sb3(TASK, lanes, seed=0, cells=4, moves=60)
    return MapNavigator(env=env, policy_kwargs={"fields": fields(), "hidden": (16,)}, **small)


def worlds(made: MapNavigator) -> np.ndarray:
    state: np.ndarray = made.env.unwrapped.env.unwrapped.get_state()["worlds"]  # type: ignore[union-attr]
    return state


def test_a_map_holds_what_is_true_and_grows() -> None:
    made = agent(20)
    obs, state, known = made.env.reset(), None, []
    true = worlds(made)["walls"][:, :9, :9].copy()
    made.policy.controller.effect += 0.025 * torch.eye(2)
    for _ in range(6):
        actions, state = made.predict(obs, state, np.zeros(20, bool))
        obs, _, ends, _ = made.env.step(actions)
        maps = state[0]
        going = ~ends
        assert ((maps == UNSEEN) | (maps == true))[going].all()
        known.append((maps != UNSEEN)[going].mean())
        if ends.any():
            break
    assert 0.3 < known[0] <= known[-1]


def test_a_field_settles_what_only_one_choice_explains() -> None:
    squares = np.full((3, 3), UNSEEN, np.int8)
    field = np.array([[0.0, 0.0, 1.5]])
    wall = 0.3 * 0.25 + 1.0 * 0.25  # of four squares with the areas 0.0625, 0.1875, 0.5 and 1.5
    corner = np.array([1.25, 1.5])
    areas = {(i, j): h * w for i, h in ((0, 0.25), (1, 1.0), (2, 0.25)) for j, w in ((0, 0.5), (1, 1.0))}
    wall = areas[0, 0] + areas[2, 1]
    look(squares, *corner, np.array([wall / 2.25]), field, 0.1)
    assert squares[1, 1] == FREE  # the body is there
    assert squares[1, 0] == FREE  # 0.5 is too much
    assert (squares[[0, 0, 2, 2], [0, 1, 0, 1]] == UNSEEN).all()  # above and below look the same
    assert (squares[:, 2] == UNSEEN).all()


def test_ways_are_taut_and_avoid_what_costs() -> None:
    squares = np.full((5, 5), FREE, np.int8)
    squares[2, 1:5] = WALL
    extra, costs, room = np.zeros((5, 5)), np.empty((5, 5)), np.empty((25, 2), np.int64)
    find_costs(squares, extra, 4.5, 4.5, costs)
    path = room[: find_path(squares, extra, costs, 4.5, 0.5, room)]
    assert [2, 0] in path.tolist()
    assert path[-1].tolist() == [4, 4]
    np.testing.assert_allclose(find_waypoint(squares, path, 4.5, 0.5, 4.5, 4.5, 0.1), (0.9, 1.9), atol=1e-3)
    squares[2, 3] = UNSEEN
    find_costs(squares, extra, 4.5, 4.5, costs)
    assert costs[0, 4] < 6
    extra[2, 3] = 20.0
    find_costs(squares, extra, 4.5, 4.5, costs)
    assert costs[0, 4] > 6


def test_windows_know_where_something_changed() -> None:
    maps = np.random.default_rng(0).integers(0, 3, (2, 13, 13)).astype(np.int8)
    new = np.zeros((2, 13, 13), bool)
    new[1, 2, 10] = True
    changed = maps.copy()
    changed[new] = (maps[new] + 1) % 3
    np.testing.assert_array_equal(_around(new), (windows(maps) != windows(changed)).any((3, 4)))
    assert windows(maps)[1, 4, 5, NEIGHBOURS, NEIGHBOURS] == maps[1, 4, 5]


def test_a_walker_learns_its_moves_though_walls_stop_many() -> None:
    made = agent()
    walker = Walker(made.action_space, 2)
    random = np.random.default_rng(0)
    actions = random.uniform(-1, 1, (400, 2))
    moved = actions @ np.array([[0.1, 0.02], [0.0, -0.2]])
    moved[random.random((400, 2)) < 0.3] = 0.0
    walker.fit(actions, moved)
    np.testing.assert_allclose(walker.effect, [[0.1, 0.02], [0.0, -0.2]], atol=1e-4)
    obs = {"achieved_goal": np.zeros((1, 2)), "desired_goal": np.array([[0.05, 0.01]])}
    np.testing.assert_allclose(walker.predict(obs)[0], [[0.5, 0.0]], atol=1e-3)


def test_it_learns_moves_kinds_of_squares_and_detours() -> None:
    made = agent()
    before = {name: part.clone() for name, part in made.policy.state_dict().items()}
    made.learn(8 * 60 * 4, log_interval=None)
    after = made.policy.state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert {"controller", "evaluator", "alike"} <= changed
    assert np.isfinite(made.measures["train/evaluator_error"])
    blank = made.policy.blank()
    assert (blank[2:-1:2, 2:-1:2] == WALL).all()
    assert (blank[1::2, 1::2] == FREE).all()
    assert (blank[1:-1:2, 2:-1:2] == UNSEEN).all()
    assert made.policy.in_space(make_sb3(TASK, 1, seed=0, cells=9).observation_space).blank().shape == (19, 19)


def test_saved_and_loaded_it_walks_the_same(tmp_path: Any) -> None:
    made = agent().learn(8 * 60 * 2, log_interval=None)
    made.save(tmp_path / "agent")
    loaded = MapNavigator.load(tmp_path / "agent")
    obs = made.env.reset()
    np.testing.assert_array_equal(made.predict(obs)[0], loaded.predict(obs)[0])
    one = {name: part[0] for name, part in obs.items()}
    np.testing.assert_array_equal(made.predict(one)[0], made.predict(obs)[0][0])


def test_it_needs_places() -> None:
    with pytest.raises(ValueError, match="achieved_goal"):
        MapNavigator(env=make_sb3(TASK, 1, seed=0, goal="picture"), policy_kwargs={"fields": fields()})
