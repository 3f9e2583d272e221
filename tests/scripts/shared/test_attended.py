"""Patches that an AttentionAgent attends to, drawn by `watch`: where they lie, over the view or beside the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from agents import AttentionAgent, make_sb3
from scripts.shared.attended import AttendedPictures, overlay
from scripts.shared.environments import make_lanes
from scripts.shared.rollouts import rollout
from scripts.shared.runs import save_run
from scripts.watch import attended_pictures, watch
from tests.agents import worlds  # noqa: F401 (registers Spot-v0)

ID = "Foveal/TakeCover-v0"
KEYWORDS: dict[str, Any] = {"size": 32, "frame_skip": 20, "actuators": "directions", "tics": 60}


def agent_for(env_id: str, **keywords: Any) -> AttentionAgent:
    agent = AttentionAgent(env=make_sb3(env_id, 2, seed=0, **keywords), seed=0, net_kwargs={"patches": 3})
    agent.policy.weights.data.normal_(0.0, 0.3)
    return agent


def test_squares_lie_over_what_the_agent_attends_to() -> None:
    """The picture changes in the squares and nowhere else, and most at the first one's edge."""
    agent = agent_for(ID, **KEYWORDS)
    lane = make_lanes(ID, KEYWORDS, 1, render_mode="rgb_array")
    pictures = AttendedPictures(lane, agent)
    for move in rollout(lane, agent, 3):
        plain, drawn = lane.render()[0], pictures.draw(move)
        assert drawn.shape == plain.shape == (512, 704, 3)
        _, state = agent.predict(move.obs, episode_start=np.ones(1, bool))
        squares = pictures.squares(state)
        np.testing.assert_allclose(squares[:, 2:] - squares[:, :2], 7.0)
        inside = np.zeros(plain.shape[:2], bool)
        for left, top, right, bottom in (16 * squares).astype(int):
            inside[top:bottom, left:right] = True
        assert not inside[:, 512:].any()
        changed = (plain != drawn).any(2)
        assert not (changed & ~inside).any()
        assert changed[inside].mean() > 0.9
        left, top = (16 * squares[0, :2]).astype(int)
        np.testing.assert_array_equal(drawn[top + 1, left + 1], [255, 235, 59])
    lane.close()


def test_an_environment_that_does_not_draw_what_it_shows_has_the_image_beside_its_picture() -> None:
    agent = agent_for("Spot-v0")
    lane = make_lanes("Spot-v0", {}, 1, render_mode="rgb_array")
    assert attended_pictures(lane, agent) is not None
    obs, _ = lane.reset(seed=0)
    move = next(rollout(lane, agent, 0))
    picture = AttendedPictures(lane, agent).draw(move)
    height, width = obs.shape[1:3]
    own = lane.render()[0]
    left = 2 * round(256 * own.shape[1] / own.shape[0])
    assert picture.shape == (512, left + 2 * round(256 * width / height), 3)
    lane.close()


def test_others_are_drawn_as_ever() -> None:
    lane = make_lanes(ID, KEYWORDS, 1, render_mode="rgb_array")
    assert attended_pictures(lane, agent_for(ID, **KEYWORDS)) is not None
    from scripts.shared.policies import load_agent

    assert attended_pictures(lane, load_agent("random", lane, 0)) is None
    lane.close()


def test_the_most_important_square_is_the_strongest() -> None:
    blank = np.zeros((20, 40, 3), np.uint8)
    drawn = overlay(blank, np.array([[2.0, 2, 12, 12], [22, 2, 32, 12]]))
    assert drawn[2, 5, 0] > 2 * drawn[2, 25, 0] > 0
    assert not blank.any()


def test_the_command_writes_an_animation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_run(agent_for(ID, **KEYWORDS), tmp_path / "run", ID, **KEYWORDS)
    watch(str(tmp_path / "run"), episodes=1, gif=tmp_path / "patches.gif", png=tmp_path / "last.png")
    assert "return 60" in capsys.readouterr().out
    still = iio.imread(tmp_path / "last.png").astype(int)
    yellow = (np.abs(still - [255, 235, 59]) < 3).all(2)
    assert yellow[:, :512].any()
    assert not yellow[:, 512:].any()
