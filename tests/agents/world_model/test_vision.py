"""Images pass through an eye that learns from the first of them, or their pixels are numbers like all others."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import (
    ControllerPolicy,
    WorldModel,
    WorldModelController,
    horizon_errors,
    load_checkpoint,
    make_sb3,
    save_checkpoint,
)
from agents.common.encoder import Encoder
from agents.common.vision import Vision
from tests.agents.test_contract import numbers
from tests.agents.worlds import SIDE, SPOTS, Spot, picture

SMALL = {
    "model_steps": 64, "updates": 1, "batch_size": 8, "core_kwargs": {"hidden": (8,)},
    "model_core_kwargs": {"hidden": (8,)}, "evaluator_kwargs": {"hidden": (8,)},
    "vision_kwargs": {"codes": 4, "width": 4, "updates": 30},
}  # fmt: skip


def lanes(seed: int = 0, **keywords):
    return make_sb3("Spot-v0", 2, seed=seed, **keywords)


def test_codes_tell_where_the_spot_is_and_decode_to_the_picture() -> None:
    torch.manual_seed(0)
    places = np.random.default_rng(0).uniform(2, SIDE - 2, 300)
    images = torch.from_numpy(np.stack([picture(x) for x in places]))
    eye = Vision(SPOTS, 8, width=8, updates=150)
    assert eye.learn(images) < 0.1
    codes = eye.encode(images)
    distances = torch.pdist(codes[:50]).square().mean()
    assert 0.8 < distances < 1.2
    inputs = np.c_[codes.numpy(), np.ones(300)]
    weights = np.linalg.lstsq(inputs[:200], places[:200], rcond=None)[0]
    assert np.sqrt(np.mean((inputs[200:] @ weights - places[200:]) ** 2)) < 1.0
    decoded = eye.decode(codes)
    assert decoded.shape == images.shape
    far = (images.float() - images.float().mean(0)).square().mean()
    assert (decoded - images).square().mean() < 0.15 * far
    turned = Vision(gym.spaces.Box(0, 255, (3, SIDE, SIDE), np.uint8), 8, width=8)
    turned.load_state_dict(eye.state_dict())
    for given in (images, images.movedim(-1, 1)):
        torch.testing.assert_close(turned.encode(given), codes)
        torch.testing.assert_close(eye.encode(given), codes)
    torch.testing.assert_close(turned.decode(codes), decoded.movedim(-1, 1))


@pytest.mark.parametrize("side", [16, 33, 64, 210])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_size_and_depth(side: int, channels: int) -> None:
    space = gym.spaces.Box(0, 255, (side, max(16, side - 1), channels), np.uint8)
    eye = Vision(space, 3, width=2, updates=2)
    images = torch.randint(0, 256, (5, *eye.shape), dtype=torch.uint8)
    eye.learn(images)
    assert eye.decode(eye.encode(images)).shape == images.shape


def test_pictures_that_never_change_are_no_trouble() -> None:
    eye = Vision(SPOTS, 3, width=2, updates=3)
    images = torch.from_numpy(picture(5.0)).expand(4, -1, -1, -1)
    assert np.isfinite(eye.learn(images))
    assert torch.isfinite(eye.encode(images)).all()
    assert (eye.decode(eye.encode(images)) - images).abs().mean() < 5


GRU = {"core": "gru", "model_core": "gru", "core_kwargs": None, "model_core_kwargs": None}


@pytest.mark.parametrize("keywords", [{}, GRU])
def test_an_agent_learns_to_see_once_and_then_to_act(keywords: dict) -> None:
    agent = WorldModelController("MlpPolicy", lanes(), seed=0, **{**SMALL, **keywords})
    assert agent.encoder.observation_size == 4
    assert agent.encoder.eye is agent.policy.eye
    agent.learn(60, log_interval=None)
    assert not agent.encoder.eye.seen
    assert not agent.measures
    assert len(agent.album) == 30
    agent.learn(60, log_interval=None, reset_num_timesteps=False)
    assert agent.encoder.eye.seen
    assert len(agent.album) == 0
    kept = {name: part.clone() for name, part in agent.policy.eye.state_dict().items()}
    before = [part.clone() for part in agent.policy.head.parameters()]
    agent.learn(60, log_interval=None, reset_num_timesteps=False)
    assert all(torch.equal(part, kept[name]) for name, part in agent.policy.eye.state_dict().items())
    assert any(not torch.equal(part, old) for part, old in zip(agent.policy.head.parameters(), before, strict=True))
    # what was recorded before there was an eye has its codes now
    recorded = agent.replay.newest(len(agent.replay))
    replayed = lanes()
    seen = [agent.encoder.observation(replayed.reset())]
    assert torch.allclose(recorded["observation"][0], seen[0], atol=1e-5)
    assert torch.allclose(recorded["next_percept"][:-1][:5], recorded["observation"][1:][:5], atol=1e-5)
    assert np.isfinite(horizon_errors(agent, 3).rmse).all()


def test_goals_may_be_pictures() -> None:
    agent = WorldModelController("MultiInputPolicy", lanes(goal=True), seed=0, **SMALL).learn(120, log_interval=None)
    assert agent.encoder.shares_goal
    assert agent.encoder.goal_size == 4
    wanted = agent.replay.newest(len(agent.replay))["desired_goal"]
    assert torch.equal(wanted[0], wanted[8])  # through an episode, also where it was written anew
    assert not torch.equal(wanted[0], wanted[12])


def test_saved_and_resumed_to_the_bit(tmp_path) -> None:
    make = lambda: WorldModelController("MlpPolicy", lanes(), seed=0, **SMALL)  # noqa: E731
    whole = make().learn(120, log_interval=None)
    agent = make().learn(40, log_interval=None)
    save_checkpoint(agent, tmp_path / "early")
    with pytest.warns(UserWarning, match="approximate"):  # the environment keeps no state
        agent = load_checkpoint(WorldModelController, tmp_path / "early", lanes())
    assert len(agent.album) == 20
    agent.learn(80, log_interval=None, reset_num_timesteps=False)
    assert agent.encoder.eye.seen
    whole.save(tmp_path / "agent")
    loaded = WorldModelController.load(tmp_path / "agent")
    assert [part.tobytes() for part in numbers(loaded.get_parameters())] == [
        part.tobytes() for part in numbers(whole.get_parameters())
    ]
    assert loaded.encoder.eye is loaded.policy.eye
    whole.policy.save(tmp_path / "policy")
    policy = ControllerPolicy.load(tmp_path / "policy")
    image = picture(7.0)
    expected = whole.predict(image, deterministic=True)[0]
    for one in (loaded, policy):
        np.testing.assert_array_equal(one.predict(image, deterministic=True)[0], expected)
        np.testing.assert_array_equal(one.predict(np.moveaxis(image, -1, 0), deterministic=True)[0], expected)


def test_dreams_are_pictures() -> None:
    agent = WorldModelController("MlpPolicy", lanes(), seed=0, **SMALL).learn(120, log_interval=None)
    dream = agent.dream(2, horizon=3, seed=0)
    obs, _ = dream.reset()
    assert obs.shape == (2, 3, SIDE, SIDE)
    assert obs.dtype == np.uint8
    obs = dream.step(np.zeros((2, 1), np.float32))[0]
    assert dream.observation_space.contains(obs)
    pictures = np.stack([picture(6.0), picture(12.0)])
    begun = [dream.reset(seed=0, options={"starts": starts})[0] for starts in (pictures, np.moveaxis(pictures, -1, 1))]
    np.testing.assert_array_equal(*begun)


def test_a_model_alone_learns_to_see_from_episodes() -> None:
    rng = np.random.default_rng(0)
    episodes = []
    for _ in range(6):
        places = rng.uniform(2, SIDE - 2, 9)
        episodes.append(
            {
                "observations": np.stack([picture(x) for x in places]), "actions": np.diff(places)[:, None] / SIDE,
                "rewards": -places[1:], "terminations": np.zeros(8, bool), "truncations": np.arange(8) == 7,
            }
        )  # fmt: skip
    torch.manual_seed(0)
    model = WorldModel.of(SPOTS, Spot.action_space, vision_kwargs={"codes": 4, "width": 4, "updates": 20})
    history = model.fit(episodes, epochs=2, batch_size=4)
    assert model.encoder.eye.seen
    assert np.isfinite(history[-1]["loss"])
    assert "eye.mean" in model.state_dict()
    kept = model.eye.mean.clone()
    model.fit(episodes[::-1], epochs=1, batch_size=4)
    assert torch.equal(kept, model.eye.mean)
    first = WorldModel.of(SPOTS, Spot.action_space, vision=False)
    assert first.encoder.eye is None
    turned = [{**episode, "observations": np.moveaxis(episode["observations"], -1, 1)} for episode in episodes]
    torch.manual_seed(0)
    other = WorldModel.of(SPOTS, Spot.action_space, vision_kwargs={"codes": 4, "width": 4, "updates": 20})
    assert other.fit([*episodes[:3], *turned[3:]], epochs=2, batch_size=4) == history
    torch.manual_seed(0)
    other = WorldModel.of(SPOTS, Spot.action_space, vision_kwargs={"codes": 4, "width": 4, "updates": 20})
    assert other.fit(turned, epochs=2, batch_size=4) == history
    wrong = {**episodes[1], "observations": episodes[1]["observations"] / 255}
    with pytest.raises(ValueError, match="episode 1: observations are images, which must be uint8, not float64"):
        model.fit([episodes[0], wrong])
    with pytest.raises(ValueError, match="episode 1: 8 actions, but observations of shape"):
        model.fit([episodes[0], {**episodes[1], "observations": episodes[1]["observations"][:, :9]}])


def test_pixels_as_numbers_where_asked_or_small() -> None:
    keywords = {**SMALL, "vision": False, "vision_kwargs": None, "buffer_size": 1_000}
    agent = WorldModelController("MlpPolicy", lanes(), seed=0, **keywords)
    assert agent.encoder.eye is None
    assert agent.encoder.observation_size == SIDE * SIDE * 3
    tiny = gym.spaces.Box(0, 255, (9, 9, 3), np.uint8)
    assert Encoder(tiny, vision={}).eye is None
    mixed = gym.spaces.Dict({"a": gym.spaces.Box(0, 1, (3,)), "b": SPOTS})
    assert Encoder(mixed, vision={"codes": 5}).sizes == {"a": 3, "b": 5}


def test_what_an_eye_cannot_see_is_refused() -> None:
    two = gym.spaces.Dict({"a": SPOTS, "b": gym.spaces.Box(0, 255, (32, 32, 3), np.uint8)})
    with pytest.raises(ValueError, match="one eye sees images of one shape"):
        Encoder(two, vision={})
    for wrong in ({"model_steps": 0}, {"online": True, "vision": True}):
        with pytest.raises(ValueError, match="Vision learns from the images of the first"):
            WorldModelController("MlpPolicy", lanes(), seed=0, **{**SMALL, **wrong})
    for wrong, words in (({"codes": 0}, "codes"), ({"width": 0}, "width"), ({"updates": 0}, "updates")):
        with pytest.raises(ValueError, match=words):
            Vision(SPOTS, **wrong)
