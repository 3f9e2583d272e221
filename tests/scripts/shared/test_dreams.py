"""The imagined stream beside the real one: its numbers, its restarts, and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from agents import WorldModelController, make_sb3
from agents.world_model.open_loop import open_loop
from scripts.shared.command import Refusal
from scripts.shared.dreams import Dreamer, StreamPictures
from scripts.shared.environments import make_lanes
from scripts.shared.rollouts import rollout
from scripts.shared.runs import save_run
from scripts.watch import run, watch
from tests.agents import worlds  # noqa: F401 (registers Spot-v0)
from tests.agents.makers import SMALL_CORES, SMALL_WORLD

ID = "Foveal/TargetDetection-v0"


def agent_for(env_id: str, **keywords: Any) -> WorldModelController:
    env = make_sb3(env_id, 2, seed=0)
    settings: dict[str, Any] = {"model_steps": 40, **SMALL_WORLD, **SMALL_CORES, **keywords}
    settings |= {"vision_kwargs": {"codes": 4, "width": 4, "updates": 20}}
    return WorldModelController("MultiInputPolicy", env, seed=0, **settings).learn(200, log_interval=None)


def streams(
    agent: WorldModelController, env_id: str, steps: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    lane, dreamer = make_lanes(env_id, {}, 1), Dreamer(agent, steps)
    seen, imagined, distances = [], [], []
    for move in rollout(lane, dreamer, 3):
        if not move.number:
            dreamer.begin(move.obs)
        seen.append(dreamer.numbers(move.obs))
        imagined.append(dreamer.imagined)
        distances.append(dreamer.distance)
    return seen, imagined, distances


@pytest.mark.parametrize("core", ["feedforward", "lstm"])
def test_it_begins_anew_from_reality(core: str) -> None:
    """With the state of M's core there; after one move, what M says of each real step."""
    size = {"hidden": (8,)} if core == "feedforward" else {"size": 6}
    agent = agent_for("CartPole-v1", model_core=core, model_core_kwargs=size)
    seen, imagined, distances = streams(agent, "CartPole-v1", 3)
    assert len(seen) > 6
    assert distances[:8] == [0, 1, 2, 3, 1, 2, 3, 1]
    np.testing.assert_array_equal(seen[0], imagined[0])
    each = streams(agent, "CartPole-v1", 1)
    np.testing.assert_array_equal(each[0], seen)
    assert set(each[2][1:]) == {1}
    for anew in (1, 4, 7):
        np.testing.assert_allclose(imagined[anew], each[1][anew], rtol=1e-5, atol=1e-6)
    assert not np.allclose(imagined[3], each[1][3], rtol=1e-3)


def test_between_two_starts_it_is_the_model_s_own_rollout() -> None:
    agent = agent_for("CartPole-v1")
    lane = make_lanes("CartPole-v1", {}, 1)
    dreamer, actions = Dreamer(agent, 5), []
    act = agent.predict
    agent.predict = lambda *a, **k: (actions.append(out := act(*a, **k)), out)[1]  # type: ignore[method-assign]
    imagined = []
    for move in rollout(lane, dreamer, 3):
        if not move.number:
            dreamer.begin(move.obs)
            start = agent.policy.scale(torch.from_numpy(move.obs))
        elif move.number <= 5:
            imagined.append(dreamer.imagined)
    vectors = torch.stack([agent.policy.actions.from_env(chosen) for chosen, _ in actions[:5]])
    outputs, _ = open_loop(agent.world_model, start, vectors, (), torch.tensor([True]))
    expected = agent.world_model.named(outputs)["observation"][:, 0].detach()
    np.testing.assert_allclose(imagined, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("env_id", "width"),
    [
        (ID, 704 + 192),
        ("CartPole-v1", 768 + 400),
        ("Foveal/SwampNavigation-v0", 704 + 400),
        ("Spot-v0", 512 + 400),
    ],
)
def test_pictures_of_retinas_lines_bars_and_images(env_id: str, width: int) -> None:
    agent = agent_for(env_id)
    films = []
    for kind in (Dreamer, Wrong):
        lane = make_lanes(env_id, {}, 1, render_mode="rgb_array")
        dreamer = kind(agent, 4)
        films.append(list(run(lane, dreamer, 1, seed=3, picture=StreamPictures(lane, dreamer).draw)))
        lane.close()
    assert {frame.pixels.shape for frame in films[0]} == {(512, width, 3)}
    right, wrong = (film[3].pixels for film in films)
    own = width - (192 if env_id == ID else 400)
    np.testing.assert_array_equal(right[:, :own], wrong[:, :own])
    assert (right[:, own:] != wrong[:, own:]).any()


class Wrong(Dreamer):
    """What it shows is not what M imagines."""

    def predict(self, *arguments: Any, **keywords: Any) -> Any:
        chosen = super().predict(*arguments, **keywords)
        self.imagined = 1 - self.imagined
        return chosen


def test_the_command_writes_an_animation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = agent_for(ID)
    save_run(agent, tmp_path / "run", ID, moves=3)
    watch(str(tmp_path / "run"), episodes=1, fps=4, gif=tmp_path / "dream.gif", dream=True, dream_steps=2)
    assert iio.imread(tmp_path / "dream.gif", index=None).shape[1:3] == (512, 896)
    assert "moves 3" in capsys.readouterr().out


def test_what_cannot_dream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="WorldModelController; a RandomPolicy has none"):
        watch(ID, "random", png=tmp_path / "x.png", dream=True)
    with pytest.raises(Refusal, match="--dream-steps must be at least 1"):
        Dreamer(agent_for("CartPole-v1"), 0)
