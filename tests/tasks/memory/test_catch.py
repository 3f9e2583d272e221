"""Catch: the fall said again in slow Python, what each view shows, that a hidden ball is hidden, and the references."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import make_reference
from foveal_envs.rendering import Canvas, pixels


def lanes(n: int, **keywords: Any) -> Any:
    return gym.make_vec("Foveal/Catch-v0", n, vectorization_mode="vector_entry_point", **keywords)


def play(env: Any, policy: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns (n,) of one episode of each lane, and the last infos."""
    reference = make_reference(policy, env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    returns, over = np.zeros(env.num_envs), False
    while not over:
        observation, rewards, terminated, _, infos = env.step(reference.predict(observation)[0])
        returns += rewards
        over = terminated.all()
    return returns, infos


CATCHES = [{}, {"size": 16, "visible": 3}, {"drift": True}, {"size": 9, "paddle": 4, "drift": True, "visible": 2}]


@pytest.mark.parametrize("view", ["plain", "pixels", "foveal"])
@pytest.mark.parametrize("keywords", CATCHES)
def test_the_ball_falls_by_the_rule(keywords: dict[str, Any], view: str) -> None:
    size, visible, width = (keywords.get(k, d) for k, d in (("size", 24), ("visible", 5), ("paddle", 3)))
    env = gym.make("Foveal/Catch-v0", view=view, **keywords).unwrapped
    env.action_space.seed(1)
    caught = []
    for seed in range(12):
        observation, _ = env.reset(seed=seed)
        start = env.get_state()["worlds"][0]
        x, dx, left, over, y = int(start["column"]), int(start["way"]), int(start["paddle"]), False, 0
        assert abs(dx) <= int(keywords.get("drift", False))
        while not over:
            check_view(view, observation, size, (x, y) if y < visible else None, (left, width))
            action = env.action_space.sample()
            left = min(max(left + int(np.ravel(action)[0]) - 1, 0), size - width)
            x, y = x + dx, y + 1
            if x in (-1, size):
                dx = -dx
                x += 2 * dx
            observation, reward, over, _, info = env.step(action)
            assert over == (y == size - 1)
            assert reward == info["is_success"] == (over and x in range(left, left + width))
            assert info["distance"] == abs(left + (width - 1) / 2 - x)
        caught.append(reward)
    assert len(set(caught)) > 1 or width / size < 0.2


def check_view(
    view: str, observation: np.ndarray, size: int, ball: tuple[int, int] | None, paddle: tuple[int, int]
) -> None:
    """Ball (column, row), None where it is hidden, and paddle (left, width) as the view should show them."""
    middle = (paddle[0] + paddle[1] / 2) / size
    if view == "plain":
        places = [0, 0, 0] if ball is None else [(ball[0] + 0.5) / size, (ball[1] + 0.5) / size, 1]
        np.testing.assert_allclose(observation, [*places, middle], atol=1e-6)
    elif view == "pixels":
        board = np.zeros((size, size), np.float32)
        board[-1, paddle[0] : sum(paddle)] = 1.0
        if ball is not None:
            board[ball[1], ball[0]] = 1.0
        np.testing.assert_array_equal(observation.reshape(size, size), board)
    else:
        assert observation[-1] == pytest.approx(2 * middle - 1, abs=1e-6)


@pytest.mark.parametrize("view", ["plain", "pixels", "foveal"])
def test_a_hidden_ball_leaves_no_trace(view: str) -> None:
    """With equal paddles and gazes, observations differ between columns exactly while the ball is visible."""
    env = lanes(200, view=view)
    observation, _ = env.reset(seed=0)
    worlds = env.get_state()["worlds"]
    same = np.flatnonzero(worlds["paddle"] == np.bincount(worlds["paddle"]).argmax())
    assert len(set(worlds["column"][same])) > 3
    stay = np.ones(200, np.int64) if view != "foveal" else np.tile([1, 16], (200, 1))
    for move in range(23):
        spread = np.ptp(observation[same], axis=0).max()
        assert (spread > 0.01) == (move < 5)
        observation, *_ = env.step(stay)


def test_the_periphery_tells_the_column_roughly_and_the_centre_exactly() -> None:
    env = lanes(200, view="foveal")
    first, _ = env.reset(seed=0)
    columns = env.get_state()["worlds"]["column"]
    for _ in range(3):
        looking, *_ = env.step(env.unwrapped.oracle_actions())
    differ = columns[:, None] != columns[None]
    upper = first[:, np.flatnonzero(env.unwrapped.task.fovea.retina.table[:, 1] < -100)]  # where no paddle is
    for observation, told in ((upper, False), (looking[:, :194], True)):
        gaps = np.abs(observation[:, None] - observation[None]).max(-1)
        assert (gaps[differ].min() > 0.01) == told
    alike = np.abs(upper[:, None] - upper[None]).max(-1) < 0.01
    assert np.abs(columns[:, None] - columns[None])[alike].max() <= 2


@pytest.mark.parametrize("view", ["plain", "foveal"])
@pytest.mark.parametrize("keywords", [{}, {"drift": True}, {"paddle": 1}, {"size": 16, "visible": 3, "paddle": 2}])
def test_every_ball_can_be_caught(keywords: dict[str, Any], view: str) -> None:
    returns, infos = play(lanes(1000, view=view, **keywords), "oracle")
    assert infos["is_success"].all()
    assert (returns == 1.0).all()
    returns, infos = play(lanes(2000, view=view, **keywords), "random")
    chance = keywords.get("paddle", 3) / keywords.get("size", 24)
    assert returns.mean() == infos["is_success"].mean() == pytest.approx(chance, abs=0.03)


def test_the_oracle_looks_at_the_ball() -> None:
    env = lanes(100, view="foveal")
    env.reset(seed=0)
    for _ in range(10):
        env.step(env.unwrapped.oracle_actions())
    worlds = env.get_state()["worlds"]
    place = (np.stack([worlds["column"], worlds["row"]], 1) + 0.5) * 512 / 24
    assert np.abs(worlds["gaze"][:, :2] - place).max() < 45.0  # one row below, and half of the smallest jump


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"view": "blind"}, "'plain', 'pixels', 'foveal'"),
        ({"size": 3}, "4 to 128"),
        ({"paddle": 24}, "1 to 23"),
        ({"visible": 0}, "1 to 24"),
        ({"visible": 1, "drift": True}, "2 to 24"),
        ({"view": "foveal", "retina": "eagle"}, "'rings'"),
        ({"view": "foveal", "largest_jump": 0.0}, "pixels"),
    ],
)
def test_impossible_keywords_name_the_allowed_values(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("Foveal/Catch-v0", **keywords)


def test_the_reward_threshold_lies_between_chance_and_memory() -> None:
    threshold = gym.spec("Foveal/Catch-v0").reward_threshold
    assert play(lanes(500), "random")[0].mean() + 0.3 < threshold < play(lanes(500), "oracle")[0].mean()


def test_a_player_does_not_see_the_ball_once_it_is_hidden() -> None:
    env = gym.make("Foveal/Catch-v0", size=6, visible=2).unwrapped
    pictures: list[dict[bool, set[bytes]]] = [{False: set(), True: set()} for _ in range(3)]
    for seed in range(6):
        env.reset(seed=seed)
        for move in range(3):
            worlds = env.get_state()["worlds"]
            worlds["paddle"] = 2
            for env.task.reveal, seen in pictures[move].items():
                canvas = Canvas(env.task.render_size)
                env.task.draw(worlds, 0, canvas)
                seen.add(pixels(canvas.finish()).tobytes())
            env.step(1)
    assert [len(seen[False]) > 1 for seen in pictures] == [True, True, False]
    assert all(len(seen[True]) > 1 for seen in pictures)
