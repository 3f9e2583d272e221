"""TakeCover: player, balls and monsters, the ends of an episode, what is seen, and what simple policies reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.rendering import Canvas, pixels
from foveal_envs.tasks.control.take_cover import TakeCover
from foveal_envs.tasks.control.take_cover_view import picture

ID = "Foveal/TakeCover-v0"
FACES = (62, 30), (32, 1), (1, 30)  # pixels of the floor, the left wall and the ceiling, in a frame of 64
Policy = Callable[[np.ndarray, int], np.ndarray]


def begun(task: TakeCover, n: int, seed: int = 0) -> np.ndarray:
    """Worlds (n,) at the beginning of their episodes."""
    worlds = np.zeros(n, task.world)
    task.reset(worlds, np.arange(n), np.random.default_rng(seed).integers(0, 2**63, n).astype(np.uint64))
    return worlds


def quiet(task: TakeCover, *balls: tuple[float, float, float]) -> np.ndarray:
    """One world (1,) whose monsters do not shoot for 90 tics, with balls (x, z, damage) that come straight ahead."""
    worlds = begun(task, 1)
    worlds["monsters"]["reload"] = 90
    for ball, (x, z, damage) in zip(worlds["balls"][0], balls, strict=False):
        ball["flying"], ball["x"], ball["z"], ball["dx"], ball["dz"], ball["damage"] = True, x, z, 0.0, -0.15, damage
    return worlds


def step(task: TakeCover, worlds: np.ndarray, pushes: Any, active: Any = True) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and terminated (N,) of pushes -1, 0 or 1."""
    n = len(worlds)
    rewards, terminated = np.zeros(n), np.zeros(n, bool)
    actions = np.broadcast_to(np.asarray(pushes), (n,)) + (task.action_space == gym.spaces.Discrete(3))
    task.step(worlds, np.broadcast_to(active, (n,)), actions.astype(task.action_space.dtype), rewards, terminated)
    return rewards, terminated


def view(task: TakeCover, worlds: np.ndarray) -> np.ndarray:
    """(N, S, S, 3)."""
    frames = np.zeros((len(worlds), *task.observation_space.shape), np.uint8)
    task.observe(worlds, np.arange(len(worlds)), frames)
    return frames


def survived(policy: Policy, n: int, seed: int = 0, **keywords: Any) -> np.ndarray:
    """Tics (n,) that a policy survives; it has the worlds and the tic, and gives pushes (n,)."""
    task = TakeCover(actuators="directions", **keywords)
    worlds, alive = begun(task, n, seed), np.ones(n, bool)
    tic = 0
    while alive.any():
        _, terminated = step(task, worlds, policy(worlds, tic), alive)
        alive &= ~terminated
        tic = int(worlds["tics"].max())
    return worlds["tics"].copy()


def strafe(half: int) -> Policy:
    """Right and left by turns, from the middle of a turn on."""
    return lambda worlds, tic: np.full(len(worlds), 1 if (tic + half // 2) // half % 2 == 0 else -1)


def orange(frame: np.ndarray) -> np.ndarray:
    """Where (S, S) a frame has the colours of a ball."""
    red, green, blue = np.moveaxis(frame.astype(int), -1, 0)
    return (red > 200) & (red - blue > 30) & (green > 50)


# ---- The rules


def test_the_player_is_pushed_slowed_and_stopped_by_the_walls() -> None:
    task, rng = TakeCover(), np.random.default_rng(0)
    worlds, x, v = quiet(task), 0.0, 0.0
    for push in np.repeat(rng.integers(-1, 2, 9), 9):
        v = 0.8 * v + 0.04 * push
        x += v
        if abs(x) > 3.0:
            x, v = 3.0 * np.sign(x), 0.0
        step(task, worlds, push)
        np.testing.assert_allclose([worlds["x"][0], worlds["speed"][0]], [x, v], atol=1e-12)
    for _ in range(60):
        step(task, worlds, 1)
    assert worlds["x"][0] == 3.0
    assert worlds["speed"][0] == 0.0


def test_a_ball_that_comes_near_hits_once() -> None:
    task = TakeCover()
    worlds = quiet(task, (0.3, 0.72, 30.0), (-0.6, 0.72, 40.0))  # the second one passes by
    healths = []
    for _ in range(9):
        step(task, worlds, 0)
        healths.append(worlds["health"][0])
    assert healths == [100.0, 100.0] + [70.0] * 7  # |(0.3, 0.42)| is not yet less than 0.5
    assert not worlds["balls"]["flying"].any()


def test_monsters_arrive_reload_and_shoot_straight() -> None:
    task = TakeCover()
    worlds, ages = begun(task, 200), [list[tuple[int, int]]() for _ in range(16)]
    worlds["health"] = 100.0
    shots, far = worlds["monsters"]["shots"].copy(), 0
    for tic in range(1000):
        before = worlds.copy()
        step(task, worlds, 0)
        worlds["health"] = 100.0
        fired = worlds["monsters"]["shots"] > shots
        assert not fired[:, min(16, 5 + tic // 80) :].any()
        for monster in range(16):
            ages[monster] += [(tic, lane) for lane in np.flatnonzero(fired[:, monster])]
        shots = worlds["monsters"]["shots"].copy()
        both = before["balls"]["flying"] & worlds["balls"]["flying"]
        far = max(far, both.sum(1).max())
        moved = np.stack([worlds["balls"][c] - before["balls"][c] for c in "xz"], -1)[both]
        np.testing.assert_allclose(np.hypot(*moved.T), 0.15)
        assert (np.abs(worlds["balls"]["x"][worlds["balls"]["flying"]]) < 3.0 + 1e-9).all()
    for monster, events in enumerate(ages):
        arrival = 80 * max(0, monster - 4)
        for lane in range(20):
            times = [tic for tic, which in events if which == lane]
            assert times[0] - arrival < 90 if times else arrival > 900
            assert all(40 <= gap <= 90 for gap in np.diff(times))
    assert 10 < far <= 32


@pytest.mark.parametrize("speed", [0.0, 0.02, -0.02])
def test_three_shots_in_ten_are_aimed_ahead_of_the_player(speed: float) -> None:
    """The mean place where shots go is 0.3 of the mean aim, for random places have the mean 0."""
    task = TakeCover()
    worlds = begun(task, 20_000)
    worlds["monsters"]["reload"][:, 0], worlds["monsters"]["reload"][:, 1:] = 1, 90
    worlds["x"], worlds["speed"] = -1.0, speed / 0.8  # what is left of it counts
    step(task, worlds, 0)
    ball, x = worlds["balls"][:, 0], worlds["x"]
    np.testing.assert_allclose(x, -1.0 + speed)
    target = ball["x"] - ball["dx"] / ball["dz"] * ball["z"]
    flight = np.hypot(worlds["monsters"]["x"][:, 0] - x, 8.0) / 0.15
    assert target.mean() == pytest.approx(0.3 * (x + 0.5 * speed * flight).mean(), abs=0.04)
    if not speed:
        near = np.abs(target - x) <= 0.5
        assert near.mean() == pytest.approx(0.3 + 0.7 / 6.0, abs=0.01)
        assert ((ball["damage"] >= 25.0) & (ball["damage"] <= 45.0)).all()


# ---- Actions and ends


def test_a_third_of_a_force_moves_nothing_and_more_is_a_push() -> None:
    forces = TakeCover()
    for force, push in ((-1.0, -1), (-0.34, -1), (-0.33, 0), (0.0, 0), (0.33, 0), (0.34, 1), (1.0, 1), (9.0, 1)):
        worlds = [quiet(forces), quiet(forces)]
        forces.step(worlds[0], np.ones(1, bool), np.float32([[force]]), np.zeros(1), np.zeros(1, bool))
        step(TakeCover(actuators="directions"), worlds[1], push)
        assert worlds[0].tobytes() == worlds[1].tobytes()


@pytest.mark.parametrize("skip", [2, 4, 7])
def test_a_skip_is_as_many_steps_until_either_end(skip: int) -> None:
    one, many = (gym.make(ID, tics=163, frame_skip=k).unwrapped for k in (1, skip))
    ends = []
    for seed in range(12):
        (frame, _), (same, _) = one.reset(seed=seed), many.reset(seed=seed)
        one.action_space.seed(seed)
        terminated = False
        while not terminated:
            np.testing.assert_array_equal(frame, same)
            action, total, over = one.action_space.sample(), 0.0, False
            for _ in range(skip):
                if not over:
                    frame, reward, over, _, info = one.step(action)
                    total += reward
            same, reward, terminated, _, other = many.step(action)
            assert (reward, terminated, other) == (total, over, info)
            assert one.get_state()["worlds"].tobytes() == many.get_state()["worlds"].tobytes()
        ends.append((info["survived"], info["is_success"], info["health"] > 0.0))
    assert all(success == alive == (tics == 163 and alive) for tics, success, alive in ends)
    assert len({success for _, success, _ in ends}) == 2
    assert any(tics % skip for tics, _, _ in ends)


def test_the_limit_of_an_episode_is_its_own() -> None:
    env = gym.make(ID, tics=3)
    env.reset(seed=0)
    ends = [env.step(np.float32([0.0]))[2:] for _ in range(3)]
    assert [(terminated, truncated, info["is_success"]) for terminated, truncated, info in ends] == [
        (False, False, False),
        (False, False, False),
        (True, False, True),
    ]


# ---- The view


def test_balls_grow_as_they_come_and_appear_where_they_are() -> None:
    task = TakeCover(size=96)
    sizes = [orange(view(task, quiet(task, (0.0, z, 1.0)))[0]).sum() for z in (7.0, 4.0, 2.0, 1.0, 0.6)]
    assert sizes[0] > 5
    assert all(2 * small < large for small, large in itertools.pairwise(sizes))
    for x, columns in ((-1.0, slice(0, 48)), (1.0, slice(48, 96))):
        seen = orange(view(task, quiet(task, (x, 2.5, 1.0)))[0])
        assert seen.sum() == seen[:, columns].sum() > 20
        rows, places = np.nonzero(seen)
        assert places.mean() + 0.5 == pytest.approx(48.0 + 48.0 * x / 2.5, abs=0.5)
        assert rows.mean() + 0.5 == pytest.approx(48.0 + 48.0 * 0.15 / 2.5, abs=0.5)


def test_what_moves_to_the_left_sees_the_ball_on_the_right() -> None:
    task = TakeCover()
    worlds = quiet(task, (0.0, 3.0, 1.0))
    worlds["x"] = -1.0
    assert np.nonzero(orange(view(task, worlds)[0]))[1].mean() > 40


def test_nearer_balls_cover_farther_ones() -> None:
    task = TakeCover(size=96)
    near, far = (0.0, 2.0, 1.0), (0.25, 6.0, 1.0)  # the far one stands behind the rim of the near one
    alone = view(task, quiet(task, near))[0]
    hidden = orange(alone)
    for balls in ([near, far], [far, near]):
        both = view(task, quiet(task, *balls))[0]
        inner = hidden & np.roll(hidden, 1, 1) & np.roll(hidden, -1, 1)  # its rim is mixed with what is behind
        inner &= np.roll(inner, 1, 0) & np.roll(inner, -1, 0)
        np.testing.assert_array_equal(both[inner], alone[inner])
    beside = view(task, quiet(task, near, (1.5, 6.0, 1.0)))[0]
    assert orange(beside).sum() > hidden.sum()


def test_the_room_moves_past_the_player_as_the_exact_picture_does() -> None:
    task = TakeCover()
    worlds = begun(task, 50)
    worlds["x"] = np.random.default_rng(0).uniform(-3.0, 3.0, 50)
    for frame, w in zip(view(task, worlds).astype(int), worlds, strict=True):
        assert np.abs(frame - picture(w, 64, 0)).mean() < 2.0
    assert np.abs(np.diff(view(task, worlds).astype(int), axis=0)).mean() > 10.0


@pytest.mark.parametrize("perturbation", ["colour", "bars", "blob"])
def test_a_perturbation_changes_the_picture_and_not_the_world(perturbation: str) -> None:
    plain, other = (gym.make_vec(ID, 6, perturbation=name) for name in ("none", perturbation))
    frames, changed = plain.reset(seed=3)[0], other.reset(seed=3)[0]
    plain.action_space.seed(0)
    for _ in range(120):
        worlds = [env.unwrapped.get_state()["worlds"].tobytes() for env in (plain, other)]
        assert worlds[0] == worlds[1]
        same = (frames == changed).all(-1)
        assert all(0.01 < 1.0 - share < 0.99 for share in same.mean((1, 2)))
        if perturbation == "bars":
            assert not changed[:, :, :5].any()
            assert not changed[:, :, -5:].any()
            assert same[:, :, 5:-5].all()
        elif perturbation == "blob":
            assert (changed[:, 19, 45] == changed[0, 19, 45]).all()
            assert same[:, 32:].all()
        action = plain.action_space.sample()
        frames, changed = plain.step(action)[0], other.step(action)[0]


def test_colours_are_those_of_the_episode() -> None:
    task = TakeCover(perturbation="colour")
    worlds = begun(task, 40)
    worlds["x"] = 0.0
    floors, walls, ceilings = (view(task, worlds)[:, row, column].astype(int) for row, column in FACES)
    assert np.ptp(floors, axis=0).min() > 25
    assert np.ptp(walls, axis=0).min() > 25
    assert not np.ptp(ceilings, axis=0).any()
    before = view(task, worlds)[:, 60:, 20:44]
    step(task, worlds, 0)
    np.testing.assert_array_equal(view(task, worlds)[:, 60:, 20:44], before)


@pytest.mark.parametrize("reveal", [True, False])
def test_only_a_revealed_drawing_has_a_map(reveal: bool) -> None:
    task = TakeCover()
    task.reveal = reveal
    canvas = Canvas(task.render_size)
    task.draw(quiet(task, (2.0, 4.0, 1.0)), 0, canvas)
    corner = pixels(canvas.finish())[12:180, 388:500].reshape(-1, 3).astype(int)
    player = np.abs(corner - (0x4F, 0xC3, 0xF7)).sum(-1) < 30
    assert player.any() == reveal


# ---- What policies reach


@pytest.mark.parametrize("skip", [1, 4])
def test_neither_standing_nor_strafing_pays_and_the_oracle_survives(skip: int) -> None:
    rng = np.random.default_rng(1)
    chance = survived(lambda worlds, tic: rng.integers(-1, 2, len(worlds)), 600, frame_skip=skip).mean()
    assert 220 < chance < 260
    still = survived(lambda worlds, tic: np.zeros(len(worlds), int), 600, frame_skip=skip).mean()
    assert 140 < still < 170
    blind = [survived(strafe(half), 300, frame_skip=skip).mean() for half in (8, 20, 40, 48, 60, 80, 120, 200)]
    assert max(blind) < 1.5 * chance
    task = TakeCover(frame_skip=skip, actuators="directions")
    best = survived(lambda worlds, tic: task.oracle(worlds) - 1, 40, frame_skip=skip)
    assert best.mean() > 2000


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"size": 15}, "size must be a number of pixels from 16 to 128; got 15"),
        ({"size": 129}, "from 16 to 128"),
        ({"frame_skip": 0}, "frame_skip must be a number of tics from 1"),
        ({"tics": 0}, "tics must be a number of tics from 1"),
        ({"actuators": "muscles"}, "'force', 'directions'"),
        ({"perturbation": "fog"}, "'none', 'colour', 'bars', 'blob'"),
    ],
)
def test_impossible_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **keywords)


@pytest.mark.parametrize("size", [16, 17, 128])
def test_every_size_is_drawn(size: int) -> None:
    task = TakeCover(size=size)
    frames = view(task, begun(task, 3))
    assert frames.shape == (3, size, size, 3)
    small = frames[0].astype(int)
    assert small.std() > 15
