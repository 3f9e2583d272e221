"""DoublePole: the mechanics beside those of mass points and of Wieland, the forms, the starts and both ends."""

from __future__ import annotations

import itertools
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.tasks.control.double_pole import DoublePole, _accelerations, _move

from .test_pole import balanced, lanes

ID = "Foveal/DoublePole-v0"
GRAVITY = 9.8
RODS = {"double": ((0.1, 1.0), (0.01, 0.1)), "jointed": ((0.1, 1.0), (0.01, 0.1)), "single": ((0.1, 1.0), (0.0, 0.0))}
each_form = pytest.mark.parametrize("poles", RODS)


def form_of(poles: str, **own: float) -> np.void:
    """The constants of a form; those given are set."""
    form = DoublePole(poles)._forms.copy()
    for name, value in own.items():
        form[name] = value
    return form[0]


def points(poles: str, q: np.ndarray, v: np.ndarray) -> list[tuple[float, np.ndarray, np.ndarray, float]]:
    """The cart and the rods as mass points, two a rod: as a rod, they have its mass, centre and moment of inertia.

    Returns:
        Mass, derivative of the place (2, 3) by the position and both angles, acceleration (2,) of the place while
        position and angles move evenly, and height.
    """
    out = [(1.0, np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.zeros(2), 0.0)]
    for number, (mass, length) in enumerate(RODS[poles], 1):
        for share in ((1 - 3**-0.5) / 2, (1 + 3**-0.5) / 2):  # the nodes of Gauss, exact for squares
            reach = np.zeros(3)
            reach[number] = share * length
            if poles == "jointed" and number == 2:
                reach[1] = RODS[poles][0][1]
            across, up = reach * np.sin(q), reach * np.cos(q)
            place = np.array([[1.0, *up[1:]], [0.0, *-across[1:]]])
            out.append((mass / 2, place, np.array([-across @ v**2, -up @ v**2]), up.sum()))
    return out


def slow_accelerations(poles: str, q: np.ndarray, v: np.ndarray, push: float, rub: float = 1.0) -> np.ndarray:
    """Those of position and angles (3,), from Newton's law of all points, without forces of constraint."""
    inertia, force = np.zeros((3, 3)), np.array([push - rub * 5e-4 * np.sign(v[0]), 0.0, 0.0])
    for mass, place, even, _ in points(poles, q, v):
        inertia += mass * place.T @ place
        force += mass * place.T @ (np.array([0.0, -GRAVITY]) - even)
    below = v[1] if poles == "jointed" else 0.0
    friction = rub * 2e-6 * np.array([v[1], v[2] - below])
    force[1:] -= friction
    if poles == "jointed":
        force[1] += friction[1]
    if poles == "single":
        return np.array([*np.linalg.solve(inertia[:2, :2], force[:2]), 0.0])
    return np.linalg.solve(inertia, force)


def energy(poles: str, pose: np.ndarray) -> float:
    q, v = pose[::2], pose[1::2]
    return sum(
        mass * (0.5 * ((place @ v) ** 2).sum() + GRAVITY * height) for mass, place, _, height in points(poles, q, v)
    )


def some_poses(poles: str, n: int, seed: int = 0) -> np.ndarray:
    """Poses (n, 6), fast and slow ones."""
    rng = np.random.default_rng(seed)
    poses = rng.uniform(-1.0, 1.0, (n, 6)) * [2.0, 3.0, 0.6, 4.0, 0.6, 9.0] * rng.uniform(0.0, 1.0, (n, 1))
    if poles == "single":
        poses[:, 4:] = 0.0
    return poses


@each_form
def test_accelerations_are_those_of_mass_points(poles: str) -> None:
    for pose in some_poses(poles, 100):
        q, v = pose[::2], pose[1::2]
        found = _accelerations(tuple(q.tolist()), tuple(v.tolist()), 7.0, form_of(poles))
        np.testing.assert_allclose(found, slow_accelerations(poles, q, v, 7.0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("poles", ["double", "single"])
def test_accelerations_are_those_of_wieland(poles: str) -> None:
    """As published: effective forces and masses of the poles, and gravity as a negative number."""
    g = -GRAVITY
    for pose in some_poses(poles, 100, seed=1):
        x_v, a, a_v = pose[1], pose[2::2], pose[3::2]
        force, mass, angular = 7.0 - 5e-4 * np.sign(x_v), 1.0, [0.0, 0.0]
        rods = [(m, length / 2) for m, length in RODS[poles] if m]
        for k, (m, half) in enumerate(rods):
            rub = 2e-6 * a_v[k] / (m * half)
            force += m * half * a_v[k] ** 2 * math.sin(a[k])
            force += 0.75 * m * math.cos(a[k]) * (rub + g * math.sin(a[k]))
            mass += m * (1 - 0.75 * math.cos(a[k]) ** 2)
        for k, (m, half) in enumerate(rods):
            rub = 2e-6 * a_v[k] / (m * half)
            angular[k] = -0.75 / half * (force / mass * math.cos(a[k]) + g * math.sin(a[k]) + rub)
        found = _accelerations(tuple(pose[::2].tolist()), tuple(pose[1::2].tolist()), 7.0, form_of(poles))
        np.testing.assert_allclose(found, [force / mass, *angular], rtol=1e-9, atol=1e-9)


@each_form
def test_moves_follow_a_slow_and_fine_integration(poles: str) -> None:
    env = gym.make(ID, poles=poles).unwrapped
    env.reset(seed=0)
    rng, steps = np.random.default_rng(2), 20
    state = env.get_state()["worlds"]["pose"][0].copy()

    def slope(pose: np.ndarray, push: float) -> np.ndarray:
        q, v = pose[::2], pose[1::2]
        return np.stack([v, slow_accelerations(poles, q, v, push)], 1).ravel()

    for _ in range(9):
        action = rng.uniform(-1.0, 1.0, 1).astype(np.float32)
        push, time = 10.0 * float(action[0]), 0.02 / steps
        for _ in range(steps):
            a = slope(state, push)
            b = slope(state + time / 2 * a, push)
            c = slope(state + time / 2 * b, push)
            d = slope(state + time * c, push)
            state = state + time / 6 * (a + 2 * b + 2 * c + d)
        env.step(action)
        np.testing.assert_allclose(env.get_state()["worlds"]["pose"][0], state, rtol=1e-4, atol=1e-5)


@each_form
def test_energy_is_kept_but_for_friction_and_push(poles: str) -> None:
    smooth, rough = form_of(poles, track=0.0, hinge=0.0), form_of(poles, hinge=1e-4)
    for start in some_poses(poles, 20, seed=3):
        pose, first = start.copy(), energy(poles, start)
        for _ in range(15):
            _move(pose, 0.0, smooth)
        assert np.abs(pose - start)[:4].max() > 0.01
        assert energy(poles, pose) == pytest.approx(first, abs=1e-6)
        _move(pose := start.copy(), 5.0, smooth)
        assert energy(poles, pose) - first == pytest.approx(5.0 * (pose[0] - start[0]), abs=1e-7)
        pose = start.copy()
        for _ in range(15):
            _move(pose, 0.0, rough)
        assert energy(poles, pose) < first - 5e-6


@pytest.mark.parametrize("actuators", ["force", "bang-bang"])
@pytest.mark.parametrize("poles", [*RODS, "mixed"])
def test_the_oracle_is_interrupted_and_who_moves_at_random_fails(poles: str, actuators: str) -> None:
    keywords: dict[str, Any] = {"id": ID, "poles": poles, "actuators": actuators, "start": "uniform"}
    moves, stood = balanced("oracle", **keywords)
    assert (moves == 1000).all()
    assert stood.all()
    moves, stood = balanced("random", **keywords)
    assert moves.mean() < 50
    assert not stood.any()


@pytest.mark.slow
@each_form
def test_the_oracle_balances_to_the_limit_of_the_usual_test(poles: str) -> None:
    moves, stood = balanced("oracle", 1, id=ID, poles=poles, max_episode_steps=100_000)
    assert (moves == 100_000).all()
    assert stood.all()


@pytest.mark.parametrize(
    ("poles", "pushless", "held"), [("double", 22, 545), ("jointed", 10, 543), ("single", 36, 569)]
)
def test_the_numbers_of_the_page(poles: str, pushless: int, held: int) -> None:
    env = gym.make(ID, poles=poles)
    env.reset(seed=0)
    ends = [env.step(np.zeros(1, np.float32))[2] for _ in range(pushless)]
    assert ends.index(True) == pushless - 1
    moves, _ = balanced("oracle", 625, np.arange(625), id=ID, poles=poles, start="grid")
    assert (moves == 1000).sum() == pytest.approx(held, abs=2)  # libraries differ in a last digit


@pytest.mark.parametrize(("poles", "other"), [("single", "jointed"), ("jointed", "single")])
def test_what_balances_one_form_fails_in_the_other(poles: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DoublePole, "_gains", DoublePole(other)._gains)
    moves, _ = balanced("oracle", 625, np.arange(625), id=ID, poles=poles, start="grid")
    assert (moves == 1000).sum() <= 3


def test_episodes_of_the_grid_are_the_625_starts_in_order() -> None:
    env = lanes(625, ID, start="grid", velocities=True).unwrapped
    env.reset(options={"episode_key": np.arange(625)})
    poses = env.get_state()["worlds"]["pose"]
    notches = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    ends = np.array([2.16, 1.35, math.radians(3.6), math.radians(8.6)])
    wanted = np.array(list(itertools.product(2 * notches - 1, repeat=4))) * ends
    np.testing.assert_allclose(poses[:, :4], wanted, rtol=0, atol=1e-12)
    assert not poses[:, 4:].any()
    env.reset(options={"episode_key": np.arange(625, dtype=np.uint64) + np.uint64(625 * 10**15)})
    np.testing.assert_array_equal(env.get_state()["worlds"]["pose"], poses)
    env.reset(seed=0)
    assert len(np.unique(env.get_state()["worlds"]["pose"], axis=0)) > 300


def test_the_other_starts() -> None:
    env = lanes(200, ID).unwrapped
    env.reset(seed=0)
    np.testing.assert_array_equal(
        env.get_state()["worlds"]["pose"], np.tile([0, 0, math.radians(4.5), 0, 0, 0], (200, 1))
    )
    env = lanes(200, ID, start="uniform").unwrapped
    env.reset(seed=0)
    poses = env.get_state()["worlds"]["pose"]
    assert (np.abs(poses).max(0) <= 0.05).all()
    assert (np.abs(poses).max(0) > 0.045).all()
    assert len(np.unique(poses, axis=0)) == 200


@pytest.mark.parametrize("start", ["standard", "uniform", "grid"])
def test_mixed_episodes_are_those_of_both_forms_in_turns(start: str) -> None:
    n = 8
    keys = [*range(n), *range(625, 625 + n), *range(1250, 1250 + n)]
    mixed, single, jointed = (lanes(3 * n, ID, poles=poles, start=start) for poles in ("mixed", "single", "jointed"))
    first, *others = (env.reset(options={"episode_key": keys})[0] for env in (mixed, single, jointed))
    for _ in range(5):
        np.testing.assert_array_equal(first[:n], others[0][:n])
        np.testing.assert_array_equal(first[n : 2 * n], others[1][n : 2 * n])
        np.testing.assert_array_equal(first[2 * n :], others[0][2 * n :])
        actions = mixed.action_space.sample()
        first, *others = (env.step(actions)[0] for env in (mixed, single, jointed))
    assert not others[0][:, 2].any()
    assert others[1][:, 2].all()
    mixed.reset(seed=0)
    assert len(set(mixed.unwrapped.get_state()["worlds"]["form"].tolist())) == 2


def test_both_forms_of_mixed_begin_alike() -> None:
    env = lanes(2, ID, poles="mixed", velocities=True)
    obs, _ = env.reset(options={"episode_key": [0, 625]})
    np.testing.assert_array_equal(obs[0], obs[1])
    obs, *_ = env.step(np.zeros((2, 1), np.float32))
    assert (obs[0] != obs[1]).any()


@pytest.mark.parametrize(("place", "limit"), [(0, 2.4), (2, math.radians(36.0)), (4, math.radians(36.0))])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_it_fails_beyond_the_limits_of_position_and_of_both_angles(place: int, limit: float, sign: float) -> None:
    env = gym.make(ID, pain=True, velocities=True).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    for share, fails in ((0.95, False), (1.02, True)):
        state["worlds"]["pose"] = 0.0
        state["worlds"]["pose"][0, place] = sign * share * limit
        env.set_state(state)
        obs, reward, terminated, _, info = env.step(np.zeros(1, np.float32))
        assert terminated == fails
        assert reward == -float(fails)
        assert obs[-1] == float(fails)
        assert info["is_success"] is not fails
        assert obs[place // 2] == pytest.approx(sign * share, abs=0.06)


def test_a_push_of_bang_bang_is_the_largest_force() -> None:
    poses = []
    for keywords, action in (({"actuators": "bang-bang"}, 1), ({"largest_force": 20.0}, np.float32([0.5]))):
        env = gym.make(ID, **keywords).unwrapped
        env.reset(seed=3)
        for _ in range(5):
            env.step(action)
        poses.append(env.get_state()["worlds"]["pose"].copy())
    np.testing.assert_array_equal(*poses)


def test_what_is_observed() -> None:
    env = gym.make(ID, velocities=True, pain=True, start="uniform").unwrapped
    obs, _ = env.reset(seed=0)
    pose = env.get_state()["worlds"]["pose"][0]
    most = math.radians(36.0)
    wanted = [pose[0] / 2.4, pose[2] / most, pose[4] / most, pose[1] / 3.0, pose[3] / 3.0, pose[5] / 3.0, 0.0]
    np.testing.assert_allclose(obs, wanted, rtol=1e-6)
    for poles in ("double", "jointed", "single", "mixed"):
        assert gym.make(ID, poles=poles).observation_space.shape == (3,)


@each_form
def test_the_picture_has_the_poles_of_the_form_at_their_hinges(poles: str) -> None:
    task = DoublePole(poles)
    world = np.zeros(1, task.world)
    world["pose"] = [0.5, 0.0, 0.3, 0.0, -0.2, 0.0]
    long, *others = task._poles(world[0])
    assert long[2] == 0.3
    assert [other[2] for other in others] == ([] if poles == "single" else [-0.2])
    for x, y, *_ in others:
        top = long[0] + long[3] * math.sin(0.3), long[1] - long[3] * math.cos(0.3)
        assert ((x, y) == pytest.approx(top)) == (poles == "jointed")
        assert (y == long[1]) == (poles == "double")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"poles": "triple"}, "'double', 'jointed', 'single', 'mixed'"),
        ({"start": 0.05}, "'standard', 'uniform', 'grid'"),
        ({"actuators": "muscles"}, "'force', 'bang-bang'"),
        ({"largest_force": 0.0}, "newtons"),
        ({"velocities": 1}, "True or False"),
        ({"pain": "no"}, "True or False"),
    ],
)
def test_impossible_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **keywords)
