"""Mazes and swamps: exact shortest paths, what the agent senses, statistics of the layouts, checks, and learners."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO, HerReplayBuffer

from foveal_envs.reference import make_reference
from foveal_envs.scenes.geodesics import BODY
from foveal_envs.scenes.mazes import steps_to
from foveal_envs.tasks.navigation.hq_maze import LAYOUTS

NAMES = ("FourRooms", "HQMaze", "KeyDoorMaze", "SwampNavigation", "MazeNavigation")


def lanes(name: str, n: int, **keywords: Any) -> Any:
    return gym.make_vec(f"Foveal/{name}-v0", n, vectorization_mode="vector_entry_point", **keywords)


def task(name: str, **keywords: Any) -> Any:
    return gym.make(f"Foveal/{name}-v0", **keywords).unwrapped.task


def play(name: str, policy: str, n: int = 200, **keywords: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns (n,) and measures of one episode of each lane."""
    env = lanes(name, n, autoreset_mode="same_step", **keywords)
    reference = make_reference(policy, env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    returns, over, measures = np.zeros(n), np.zeros(n, bool), {}
    while not over.all():
        observation, rewards, terminated, truncated, infos = env.step(reference.predict(observation)[0])
        returns += np.where(over, 0.0, rewards)
        for lane in np.flatnonzero((terminated | truncated) & ~over):
            for key, values in infos["final_info"].items():
                measures.setdefault(key, np.zeros(n))[lane] = values[lane]
        over |= terminated | truncated
    return returns, measures


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_takes_the_shortest_path(name: str) -> None:
    returns, measures = play(name, "oracle")
    assert measures["is_success"].all()
    assert (measures["spl"] > 0.97).all()
    assert (measures["cost_ratio"] < 1.02).all()
    threshold = gym.spec(f"Foveal/{name}-v0").reward_threshold
    assert play(name, "random")[0].mean() < threshold < returns.mean()


@pytest.mark.parametrize(
    "keywords", [{"goal": "picture", "rotate": True}, {"cells": 23, "moves": 900, "goal": "relative"}]
)
def test_the_oracle_walks_wider_mazes_and_turns(keywords: dict[str, Any]) -> None:
    measures = play("MazeNavigation", "oracle", 40, **keywords)[1]
    assert measures["is_success"].all()
    assert (measures["spl"] > 0.97).all()


def test_the_oracle_walks_in_eight_directions() -> None:
    measures = play("MazeNavigation", "oracle", 20, actuators="directions", rotate=True, cells=5)[1]
    assert measures["is_success"].mean() >= 0.95
    assert measures["spl"].mean() > 0.8


def agents_needed(maze: Any) -> int:
    """Least number of maps from observations to moves, each of which hands over at an observation, that lead home."""
    reached, known = {maze.start}, set()
    for agents in itertools.count(1):
        new: set[int] = set()

        def walk(here: int, policy: dict[int, int], seen: frozenset[int], visited: frozenset[int]) -> bool:
            code = int(maze.codes[here])
            for action in [policy[code]] if code in policy else range(4):
                there = int(maze.moves_to[here, action])
                if there in visited:
                    continue
                if there == maze.goal:
                    return True
                if maze.codes[there] not in seen:
                    new.add(there)  # noqa: B023 (called in this turn alone)
                more = seen | {int(maze.codes[there])}
                if walk(there, {**policy, code: action}, more, visited | {there}):
                    return True
            return False

        if any(walk(start, {}, frozenset(), frozenset([start])) for start in reached - known):
            return agents
        known |= reached
        reached = new
    raise AssertionError


@pytest.mark.parametrize(
    ("layout", "squares", "codes", "steps", "agents"),
    [("published", 62, 9, 28, 3), ("small", 44, 12, 18, 3), ("large", 76, 13, 36, 3)],
)
def test_layouts_have_the_stated_statistics(layout: str, squares: int, codes: int, steps: int, agents: int) -> None:
    maze = task("HQMaze", layout=layout)
    assert set(LAYOUTS) == {"published", "small", "large"}
    assert len(maze.cells) == squares
    assert len(set(maze.codes.tolist())) == codes
    assert maze.steps[maze.start] == steps
    assert agents_needed(maze) == agents
    assert (maze.steps >= 0).all()


@pytest.mark.parametrize(
    ("layout", "squares", "codes", "steps"),
    [("published", 62, 8, 83), ("small", 40, 12, 40), ("large", 230, 14, 83)],
)
def test_the_door_needs_the_key(layout: str, squares: int, codes: int, steps: int) -> None:
    maze = task("KeyDoorMaze", layout=layout)
    count = len(maze.cells)
    assert (count, len(set(maze.codes.tolist())), maze.steps[maze.start]) == (squares, codes, steps)
    assert layout == "large" or agents_needed(maze) == 3
    door = int(np.flatnonzero(maze.grid[tuple(maze.cells.T)] == "D")[0])
    beside = [cell for cell in range(count) if door + count in maze.moves_to[cell + count] and cell != door]
    assert len(beside) == 2
    assert door not in maze.moves_to[beside]
    assert (maze.codes[beside] != maze.codes[np.array(beside) + count]).all()


@pytest.mark.parametrize("cells", [2, 5, 11, 23])
def test_grown_mazes_are_connected_and_have_loops(cells: int) -> None:
    env = lanes("MazeNavigation", 30, cells=cells)
    env.reset(seed=0)
    size, opened = 2 * cells + 1, []
    for w in env.get_state()["worlds"]:
        free = w["walls"][:size, :size] == 0
        assert free[1::2, 1::2].all()
        assert not free[::2, ::2].any()
        assert not free[[0, -1]].any()
        assert not free[:, [0, -1]].any()
        assert ((steps_to(free, (1, 1)) >= 0) == free).all()
        opened.append(free.sum() - cells**2 - (cells**2 - 1))
    assert len({w["walls"].tobytes() for w in env.get_state()["worlds"]}) > (25 if cells > 2 else 1)
    walls_left = (cells - 1) ** 2
    assert np.mean(opened) == pytest.approx(0.1 * walls_left, abs=0.1 + 0.05 * walls_left**0.5)


def grid_length(walls: np.ndarray, start: np.ndarray, goal: np.ndarray, fine: int) -> float:
    """Shortest path on a fine grid with 16 directions that a square body can walk; a little too long."""
    size = walls.shape[0] * fine
    ys, xs = (np.indices((size + 1, size + 1)) / fine).astype(float)
    fits = np.ones(xs.shape, bool)
    for sx, sy in itertools.product((-1, 1), repeat=2):
        x, y = xs + sx * (BODY - 1e-6), ys + sy * (BODY - 1e-6)
        inside = (x > 0) & (y > 0) & (x < len(walls)) & (y < len(walls))
        fits &= inside & (walls[y.clip(0, len(walls) - 1).astype(int), x.clip(0, len(walls) - 1).astype(int)] == 0)
    ways = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if math.gcd(a, b) == 1]
    first, last = (tuple(np.rint(place[::-1] * fine).astype(int).tolist()) for place in (start, goal))
    best, queue = {first: 0.0}, [(0.0, first)]
    while queue:
        length, here = heapq.heappop(queue)
        if here == last:
            return length / fine
        if length > best[here]:
            continue
        for dy, dx in ways:
            there = here[0] + dy, here[1] + dx
            between = [(here[0] + dy * s // 2, here[1] + dx * s // 2) for s in (1, 2)]
            if all(fits[place] for place in between):
                total = length + math.hypot(dy, dx)
                if total < best.get(there, math.inf):
                    best[there] = total
                    heapq.heappush(queue, (total, there))
    return math.inf


def test_geodesics_agree_with_a_fine_grid() -> None:
    env = lanes("MazeNavigation", 12, cells=4, loops=0.4)
    env.reset(seed=0)
    for w in env.get_state()["worlds"]:
        length = grid_length(w["walls"][:9, :9], w["start"][:2], w["goal"][:2], fine=10)
        assert 0.96 * length - 0.2 <= w["shortest"] <= length + 0.2  # 16 directions: at most 2.8 % too long


def test_bodies_never_enter_walls_and_count_their_way() -> None:
    env = lanes("MazeNavigation", 50, cells=4, rotate=True, largest_step=0.7, moves=1000)
    env.action_space.seed(0)
    env.reset(seed=0)
    before = env.get_state()["worlds"]
    for _ in range(60):
        env.step(env.action_space.sample())
        after = env.get_state()["worlds"]
        for old, w in zip(before, after, strict=True):
            for sx, sy in itertools.product((-1, 1), repeat=2):
                x, y = w["pose"][0] + sx * (BODY - 1e-6), w["pose"][1] + sy * (BODY - 1e-6)
                assert w["walls"][int(y), int(x)] == 0
            if w["moves"] == old["moves"] + 1:
                moved = math.dist(w["pose"][:2], old["pose"][:2])
                assert moved - 1e-9 <= w["length"] - old["length"] <= math.sqrt(2) * moved + 1e-9
        before = after


@pytest.mark.parametrize("rotate", [False, True])
def test_the_view_is_the_share_of_wall_in_each_field(rotate: bool) -> None:
    env = lanes("MazeNavigation", 20, cells=5, rotate=rotate)
    observation, _ = env.reset(seed=0)
    table, offsets = env.unwrapped.task.receptive_fields, (np.arange(40) + 0.5) / 40 - 0.5
    assert np.hypot(table[:, 0], table[:, 1]).max() + 0.5 * table[:, 2].max() == pytest.approx(6.0)
    for lane, w in enumerate(env.get_state()["worlds"]):
        walls = np.pad(w["walls"][:11, :11], 20, constant_values=1)
        x, y, angle = w["pose"]
        for k, (u, v, diameter) in enumerate(table.astype(float)):
            cx, cy = x + math.cos(angle) * u - math.sin(angle) * v, y + math.sin(angle) * u + math.cos(angle) * v
            side = diameter * math.sqrt(math.pi) / 2
            rows, columns = (np.floor(c + side * offsets).astype(int) + 20 for c in (cy, cx))
            assert observation["observation"][lane, k] == pytest.approx(walls[np.ix_(rows, columns)].mean(), abs=0.05)


def test_area_under_the_cones_is_exact() -> None:
    env = lanes("SwampNavigation", 100, swamps=5, actuators="waypoint", largest_step=1.0)
    env.action_space.seed(0)
    env.reset(seed=0)
    before = env.get_state()["worlds"]
    env.step(env.action_space.sample())
    along = (np.arange(20000) + 0.5) / 20000
    for old, new in zip(before, env.get_state()["worlds"], strict=True):
        way = new["position"] - old["position"]
        points = old["position"] + along[:, None] * way
        depth = 0.0
        for x, y, radius, height in old["swamps"]:
            depth = depth + np.maximum(0.0, height * (1.0 - np.hypot(*(points - [x, y]).T) / radius))
        assert new["area"] == pytest.approx(np.mean(depth) * np.hypot(*way), abs=1e-6)
        assert new["leg_cost"] == pytest.approx(np.hypot(*way) + 10.0 * new["area"])


def polygon_length(start: np.ndarray, goal: np.ndarray, swamps: np.ndarray) -> float:
    """Shortest path over the corners of polygons around the swamps, Floyd and Warshall; a little too long."""
    angles = 2 * np.pi * np.arange(64) / 64
    rims = [s[:2] + s[2] / np.cos(np.pi / 64) * np.stack([np.cos(angles), np.sin(angles)], 1) for s in swamps]
    places = np.concatenate([[start, goal], *rims])
    clear = np.hypot(*(places[:, None] - swamps[None, :, :2]).transpose(2, 0, 1)) >= swamps[:, 2] - 1e-9
    places = places[clear.all(1)]
    gaps = places[None] - places[:, None]
    lengths = np.hypot(gaps[..., 0], gaps[..., 1])
    for x, y, radius, _ in swamps:
        to = np.array([x, y]) - places[:, None]
        share = ((to * gaps).sum(-1) / np.maximum(lengths, 1e-12) ** 2).clip(0, 1)
        away = np.hypot(*(to - share[..., None] * gaps).transpose(2, 0, 1))
        lengths = np.where(away < radius - 1e-9, np.inf, lengths)
    for k in range(len(places)):
        lengths = np.minimum(lengths, lengths[:, k, None] + lengths[None, k])
    return float(lengths[0, 1])


def test_shortest_dry_paths_agree_with_polygons() -> None:
    env = lanes("SwampNavigation", 40, swamps=[1, 5])
    env.reset(seed=0)
    for w in env.get_state()["worlds"]:
        longer = polygon_length(w["position"], w["goal"], w["swamps"][: w["count"]])
        assert 0.998 * longer <= w["shortest"] <= longer + 1e-9


def test_swamps_leave_room_and_the_straight_line_is_wet() -> None:
    env = lanes("SwampNavigation", 500)
    env.reset(seed=0)
    w = env.get_state()["worlds"]
    assert set(w["count"]) == {1, 2, 3, 4, 5}
    straight = np.hypot(*(w["goal"] - w["position"]).T)
    assert (w["shortest"] > straight).all()
    assert (np.abs(w["swamps"][..., :2]) + w["swamps"][..., 2:3] <= 0.95 + 1e-9).all()


def test_four_rooms_splits_and_tables() -> None:
    goals = task("FourRooms", held_out=20, split_seed=1)
    assert len(goals.cells) == 104
    assert (len(goals.train_goals), len(goals.held_out_goals)) == (76, 20)
    assert not set(goals.train_goals) & set(goals.held_out_goals)
    room = task("FourRooms", held_out="room", split_seed=3)
    assert (goals.cells[room.held_out_goals].min(0) >= 7).all()
    assert len(room.held_out_goals) == 18
    for split, allowed in (("train", goals.train_goals), ("held_out", goals.held_out_goals)):
        env = lanes("FourRooms", 500, goals=split, held_out=20, split_seed=1)
        observation, infos = env.reset(seed=0)
        assert set(infos["goal_cell"]) == set(allowed)
        np.testing.assert_array_equal(goals.cell_of(observation["desired_goal"]), infos["goal_cell"])
        np.testing.assert_array_equal(goals.cell_of(observation["achieved_goal"]), infos["cell"])
    dry = np.flatnonzero(~goals.lava)
    assert (goals.steps[np.ix_(dry, dry)] >= 0).all()
    assert (goals.steps[np.ix_(goals.lava, dry)] == -1).all()


def test_lava_ends_an_episode_and_is_never_worth_it() -> None:
    for reward, worth in (("sparse", -100.0), ("dense", -100.0), ("reached", 0.0)):
        rooms = task("FourRooms", reward=reward)
        lava, goal = rooms.vectors[rooms.lava], rooms.vectors[rooms.train_goals[0]]
        assert (rooms.compute_reward(lava, goal, {}) == worth).all()
        assert rooms.compute_terminated(lava, goal, {}).all()


@pytest.mark.parametrize(
    ("name", "layout", "message"),
    [
        ("HQMaze", ["S..", "###", "..G"], r"reachable from the start; X marks the fault:\nS\.\.\n###\n\.\.X  <--"),
        ("HQMaze", ["S..", "...", "..."], r"exactly one 'G', the goal; this one has 0"),
        ("HQMaze", ["S.S", "..G"], r"exactly one 'S'.*has 2(.|\n)*X\.X  <--"),
        ("HQMaze", ["S..", "G"], r"length of the longest, 3(.|\n)*GXX  <--"),
        ("HQMaze", ["S.?", "..G"], r"it holds '\?'(.|\n)*S\.X  <--"),
        ("HQMaze", "zigzag", "'published', 'small', 'large', 'a list of strings'"),
        ("HQMaze", [], "at least one row"),
        ("HQMaze", 5, "list of strings"),
        ("KeyDoorMaze", ["SDKG"], "key must be reachable while the door is shut"),
        ("KeyDoorMaze", ["SK#DG"], "goal must be reachable once the door is open"),
        ("KeyDoorMaze", ["SKGD"], "door must stand between"),
        ("FourRooms", ["..~.."], r"without lava; X marks the fault:\n\.\.~XX"),
        ("FourRooms", ["~."], "two free cells"),
        ("MazeNavigation", ["S.", "##", ".G"], "every free square must be reachable"),
        ("MazeNavigation", ["#"], "two free squares"),
        ("MazeNavigation", ["." * 97], "at most 96"),
        ("FourRooms", ["." * 65] * 65, r"at most 4096 squares.*got \(65, 65\)"),
        ("KeyDoorMaze", ["." * 129] * 129, r"at most 16384 squares.*got \(129, 129\)"),
    ],
)
def test_faulty_layouts_are_drawn(name: str, layout: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(name, layout=layout)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("HQMaze", {"moves": 0}, "from 1 to"),
        ("FourRooms", {"form": "polar"}, "'coordinates', 'one_hot'"),
        ("FourRooms", {"goals": "some"}, "'all', 'train', 'held_out'"),
        ("FourRooms", {"held_out": 96}, "from 0 to 95"),
        ("FourRooms", {"goals": "held_out", "held_out": 0}, "have a goal"),
        ("FourRooms", {"split_seed": -1}, "from 0 to"),
        ("SwampNavigation", {"swamps": 6}, "from 1 to 5"),
        ("SwampNavigation", {"radius": [0.1, 0.6]}, "0.45"),
        ("SwampNavigation", {"actuators": "legs"}, "'velocity', 'waypoint'"),
        ("SwampNavigation", {"swamp_weight": -1}, r"in \[0, "),
        ("MazeNavigation", {"cells": 48}, "2 to 47"),
        ("MazeNavigation", {"view": 4.0}, "cells"),
        ("MazeNavigation", {"goal": "smell"}, "'place', 'relative', 'picture'"),
        ("MazeNavigation", {"goal_format": "list"}, "'dict', 'concat'"),
        ("MazeNavigation", {"retina": "eagle"}, "'rings'"),
    ],
)
def test_impossible_keywords_name_the_allowed_values(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(name, **keywords)


def test_the_cost_of_a_leg_comes_with_the_info() -> None:
    swamp = task("SwampNavigation")
    with pytest.raises(ValueError, match="leg_cost"):
        swamp.compute_reward(np.zeros(2, np.float32), np.ones(2, np.float32), {})
    infos = [{"leg_cost": 1.0}, {"leg_cost": 2.0}]
    rewards = swamp.compute_reward(np.zeros((2, 2), np.float32), np.eye(2, dtype=np.float32), infos)
    np.testing.assert_allclose(rewards, [-1.1, -2.1])


@pytest.mark.parametrize("name", NAMES)
def test_ppo_trains(name: str) -> None:
    env = gym.make(f"Foveal/{name}-v0")
    policy = "MultiInputPolicy" if isinstance(env.observation_space, gym.spaces.Dict) else "MlpPolicy"
    PPO(policy, env, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)


@pytest.mark.parametrize(
    ("name", "keywords"), [("FourRooms", {}), ("MazeNavigation", {"actuators": "directions", "goal": "picture"})]
)
def test_her_trains(name: str, keywords: dict[str, Any]) -> None:
    env = gym.make(f"Foveal/{name}-v0", moves=10, **keywords)
    DQN(
        "MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, learning_starts=30, batch_size=8, device="cpu",
        buffer_size=200,
    ).learn(60)  # fmt: skip
