"""scripts.play: commands, keys and clicks, the score against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygame
import pytest

from scripts.play import Game, play, steer
from scripts.shared.controls import keys_of, read_command

from ..conftest import IDS

ID = "Foveal/TargetDetection-v0"


@pytest.fixture
def game() -> Any:
    game = Game(ID, {"moves": 4, "rotate": True}, seed=3)
    yield game
    game.close()


def pose(game: Game) -> np.ndarray:
    return game.worlds[0]["gaze"].copy()


@pytest.mark.parametrize(
    ("word", "change"),
    [("left", (-20, 0, 0)), ("down", (0, 20, 0)), ("clockwise", (0, 0, np.radians(50))), ("stay", (0, 0, 0))],
)
def test_directions(game: Game, word: str, change: tuple[float, float, float]) -> None:
    before = pose(game)
    game.obey(read_command(word))
    np.testing.assert_allclose(np.angle(np.exp(1j * (pose(game) - before))[2]), change[2], atol=1e-6)
    np.testing.assert_allclose((pose(game) - before)[:2], change[:2], atol=1e-4)


def test_clicks_are_limited_by_the_largest_jump(game: Game) -> None:
    x, y, _ = pose(game)
    game.obey(("click", x + 5.0, y - 3.0))
    np.testing.assert_allclose(pose(game)[:2], (x + 5.0, y - 3.0), atol=1e-4)
    x, y, angle = pose(game)
    game.obey(("click", 256.0, 500.0 if y < 256.0 else 12.0))
    moved = pose(game)
    jump = np.exp(-1j * angle) * complex(*(moved[:2] - (x, y)))  # in the fovea's own frame
    assert max(abs(jump.real), abs(jump.imag)) == pytest.approx(20.0, abs=1e-4)
    game.obey(("click", 600.0, 100.0))  # in the panel
    np.testing.assert_array_equal(pose(game), moved)


def test_score_beside_the_oracle(game: Game) -> None:
    assert game.oracle.moves == 4
    for _ in range(6):
        game.obey(("stay", 1.0))
    assert game.over
    assert len(game.games) == 1
    assert "press R" in game.notes()[0][0]
    assert "1 games" in game.summary()
    game.obey(("new",))
    assert not game.over
    assert game.you.moves == 0


def test_the_person_who_plays_as_the_oracle_scores_the_same(game: Game) -> None:
    while not game.over:
        game._move(game.env.oracle_action())
    assert game.you.total == game.oracle.total
    assert game.you.found == game.oracle.found


def test_keys_clicks_and_quitting(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    screen = game.screen("human")
    assert screen.window is not None
    for key, mod in ((pygame.K_UP, 0), (pygame.K_RIGHT, pygame.KMOD_SHIFT), (pygame.K_F1, 0)):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod))
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(10, 10)))
    steer(game, screen, screen.window, frames=1)
    assert game.you.moves == 3
    screen = game.screen("human")
    assert screen.window is not None
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, mod=0))
    steer(game, screen, screen.window, frames=None)
    assert not screen.window.is_open


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    play(ID, seed=1, script="left up click:200,150 clockwise stay new", env=("moves=4",))
    assert "1 games" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unknown command 'hop'"):
        play(ID, script="hop")
    with pytest.raises(SystemExit, match="no task of foveal_envs"):
        play("CartPole-v1", script="left")
    with pytest.raises(SystemExit, match="no keys for the actions"):
        play("Foveal/MazeNavigation-v0", script="left", env=("actuators=muscles",))


@pytest.mark.parametrize("id", IDS)
def test_every_task_is_played_with_the_keys_on_the_screen(id: str) -> None:
    game = Game(id, {}, seed=2)
    keys = dict(keys_of(game.env.task))
    assert {"R", "Esc"} < keys.keys()
    assert set(keys_of(game.env.task)) <= set(game.notes())
    for word in [*(["right", "left"] if "arrows" in keys else ["say:1"]), "click:300,200"]:
        before = game.you.moves
        game.obey(read_command(word))
        assert game.you.moves == before + (not word.startswith("click") or "click" in keys)
    assert game.screen("rgb_array").show(game.worlds, 0, game.notes()) is not None
    game.close()


@pytest.mark.parametrize(
    ("id", "keywords", "words"),
    [
        ("FourRooms", {}, {0: "up", 1: "right", 2: "down", 3: "left"}),
        ("HQMaze", {}, {0: "up", 1: "right", 2: "down", 3: "left"}),
        ("Catch", {}, {0: "left", 1: "stay", 2: "right"}),
        ("Catch", {"view": "foveal"}, {0: "left", 1: "stay", 2: "right"}),
        ("AssociativeRecall", {"values": 12}, {3: "say:3", 11: "say:11"}),
        ("Parking", {}, {0: "say:1", 2: "say:3"}),
    ],
)
def test_keys_are_actions_by_their_names(id: str, keywords: dict[str, Any], words: dict[int, str]) -> None:
    game = Game(f"Foveal/{id}-v0", keywords, seed=2)
    for action, word in words.items():
        name, *values = read_command(word)
        assert np.ravel(game._act(name, values))[0] == action
    game.close()


def test_an_eye_goes_where_the_person_clicked() -> None:
    game = Game("Foveal/Catch-v0", {"view": "foveal"}, seed=0)
    before = pose(game)[:2]
    game.obey(("click", 500.0, 20.0))
    assert game.you.moves == 0
    for _ in range(4):
        game.obey(("stay", 1.0))
    assert np.hypot(*(pose(game)[:2] - (500, 20))) < 0.2 * np.hypot(*(before - (500, 20)))
    game.close()


def test_nothing_is_right_before_it_is_said() -> None:
    game = Game("Foveal/SameDifferent-v0", {"moves": 4}, seed=0)
    while game.worlds[0]["label"] != 0:  # the class that equal scores name
        game.obey(("new",))
    game.obey(("left", 1.0))
    assert game.worlds[0]["answer"] == 0
    assert game.you.found is None
    assert not [name for name, _ in game.notes() if name.endswith(" at")]
    game.obey(("say", 0))
    game.obey(("left", 1.0))
    assert game.you.found == 2
    assert ("right at", f"2 | {game.oracle.found_text}") in game.notes()
    game.close()


def test_what_is_said_is_judged() -> None:
    game = Game("Foveal/SameDifferent-v0", {"reward": "final", "moves": 2}, seed=0)
    label = int(game.worlds[0]["label"])
    game.obey(("say", label))
    assert ("you say", ("different", "same")[label]) in game.notes()
    assert not game.env.task.reveal
    for _ in range(2):
        game.obey(("right", 1.0))
    assert game.over
    assert game.env.task.reveal
    assert game.you.total == 1.0
    game.close()


def test_a_cell_of_the_grid_is_clicked() -> None:
    game = Game("Foveal/GridSearch-v0", {}, seed=0)
    game.obey(("click", 512 * 2.5 / 9, 512 * 7.5 / 9))
    assert pose(game)[:2].tolist() == [2.5, 7.5]
    game.obey(("left", 0.25))
    assert pose(game)[:2].tolist() == [1.5, 7.5]
    assert game.rival == "elm"
    game.close()
