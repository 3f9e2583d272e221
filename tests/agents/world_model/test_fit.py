"""M learns from recorded episodes, without an environment, and refuses bad ones by their number."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import WorldModel, WorldModelController, make_sb3
from agents.world_model.episodes import read_episodes
from agents.world_model.fitting import _replay

from .test_controller import SMALL

SEEN = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
PUSH = gym.spaces.Box(-1, 1, (1,), np.float32)


def recorded(count: int = 40, steps: int = 20, kind: str = "object", seed: int = 0):
    """A mass that is pushed: x += 0.1 v, v += push; it pays -|x| and ends beyond 3; x in thousandths."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x, v = 0.0, 0.0
        seen, pushes, rewards, ends = [(1000 * x, v)], [], [], []
        for _ in range(steps):
            push = rng.uniform(-1, 1, 1).astype(np.float32)
            x, v = x + 0.1 * v, v + float(push[0])
            seen.append((1000 * x, v))
            pushes.append(push)
            rewards.append(-abs(x))
            ends.append(abs(x) > 1)
            if ends[-1]:
                break
        last = np.zeros(len(ends), bool)
        last[-1] = not ends[-1]
        episode = {
            "observations": np.float32(seen),
            "actions": np.array(pushes),
            "rewards": np.array(rewards),
            "terminations": np.array(ends),
            "truncations": last,
        }
        yield SimpleNamespace(**episode) if kind == "object" else episode


@pytest.mark.parametrize("core", ["feedforward", "lstm"])
def test_it_learns_from_episodes(core):
    torch.manual_seed(0)
    model = WorldModel.of(SEEN, PUSH, core=core)
    history = model.fit(recorded(), epochs=30, batch_size=16)
    assert len(history) == 30
    assert [*history[0]] == ["percept", "reward", "terminated", "loss"]
    assert history[-1]["percept"] < 0.2 * history[0]["percept"]
    assert history[-1]["loss"] == pytest.approx(sum(history[-1][name] for name in ("percept", "reward", "terminated")))
    assert model.scale.spread[0] > 100
    assert model.scale.count == sum(len(episode.rewards) for episode in recorded()) - held_out_steps()
    if core == "feedforward":
        out, _ = model.step(model.scale(torch.tensor([[500.0, 2.0]])), torch.tensor([[0.5]]), (), torch.tensor([True]))
        x, v = model.named(out)["observation"][0].tolist()
        assert x == pytest.approx(700, abs=30)
        assert v == pytest.approx(2.5, abs=0.2)


def held_out_steps() -> int:
    order = np.random.default_rng(0).permutation(40)[:4]
    return sum(len(episode.rewards) for number, episode in enumerate(recorded()) if number in order)


def test_no_state_crosses_from_one_episode_to_the_next():
    """The loss on several episodes is the mean of those on each alone, weighted by its steps."""
    model = WorldModel.of(SEEN, PUSH, core="lstm", core_kwargs={"size": 6})
    history = model.fit(recorded(6), epochs=1, held_out=0.5, batch_size=4)
    episodes = read_episodes(recorded(6), model.encoder, model.actions)
    total, steps = 0.0, 0
    for number in np.random.default_rng(0).permutation(6)[:3]:
        replay = _replay([episodes[number]])
        alone = model.losses(model.scale.scaled(replay.newest(len(replay))), model.initial_state(1))
        total, steps = total + len(replay) * alone["percept"].item(), steps + len(replay)
    assert history[0]["percept"] == pytest.approx(total / steps, rel=1e-4)


def test_objects_and_mappings_and_seeds_give_the_same():
    histories = []
    for kind in ("object", "mapping"):
        torch.manual_seed(0)
        histories.append(WorldModel.of(SEEN, PUSH).fit(recorded(kind=kind), epochs=2))
        torch.rand(3)
    assert histories[0] == histories[1]


def test_dicts_goals_and_choices():
    unit = gym.spaces.Box(0, 1, (2,), np.float32)
    space = gym.spaces.Dict({"observation": unit, "achieved_goal": unit, "desired_goal": unit})
    model = WorldModel.of(space, gym.spaces.Discrete(3, start=1))
    assert [*model.heads] == ["percept"]
    assert (model.output, model.scale.observations) == ("logistic", False)
    seen = np.random.default_rng(0).random((6, 2), np.float32)
    episode = {
        "observations": {"observation": seen, "achieved_goal": seen, "desired_goal": np.zeros((6, 2))},
        "actions": np.array([1, 2, 3, 2, 1]),
        "rewards": np.zeros(5),
        "terminations": np.zeros(5, bool),
        "truncations": np.arange(5) == 4,
    }
    assert [*model.fit([episode, episode], epochs=1)[0]] == ["percept", "loss"]
    other = {**episode, "observations": {**episode["observations"], "achieved_goal": 0.5 * seen}}
    with pytest.raises(ValueError, match="episode 1: observation and achieved_goal"):
        model.fit([episode, other])


def test_an_agent_s_model_is_fitted_with_its_own_scales():
    agent = WorldModelController("MlpPolicy", make_sb3("Pendulum-v1", 2, seed=0), **SMALL)
    rng = np.random.default_rng(0)
    episodes = [
        {
            "observations": rng.normal(size=(9, 3)),
            "actions": rng.uniform(-2, 2, (8, 1)),
            "rewards": rng.normal(size=8),
            "terminations": np.zeros(8, bool),
            "truncations": np.zeros(8, bool),
        }
        for _ in range(4)
    ]
    agent.world_model.fit(episodes, epochs=1)
    assert agent.policy.scale.count == 24


BAD = {
    "has no rewards": lambda e: e.pop("rewards"),
    "rewards are not all finite": lambda e: e["rewards"].__setitem__(3, np.nan),
    "observations are not all finite": lambda e: e["observations"].__setitem__((3, 1), np.inf),
    "an action is not finite": lambda e: e["actions"].__setitem__((0, 0), np.nan),
    r"19 actions, but rewards of shape \(20,\)": lambda e: e.update(actions=e["actions"][:-1]),
    r"observations of shape \(20, 2\), which must be \(21, 2\)": lambda e: e.update(observations=e["observations"][1:]),
    r"observations of shape \(21, 1\)": lambda e: e.update(observations=e["observations"][:, :1]),
    "actions must be numbers of the shape": lambda e: e.update(actions=e["actions"][:, 0]),
    "it ends at step 4, but has 20 steps": lambda e: e["terminations"].__setitem__(4, True),
    "it has no steps": lambda e: e.update(
        actions=e["actions"][:0], **{name: np.zeros(0) for name in ("rewards", "terminations", "truncations")}
    ),
    "rewards are no numbers": lambda e: e.update(rewards=["a"] * 20),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_episodes_are_refused_by_their_number(message):
    good = [episode for episode in recorded(kind="mapping", count=60) if len(episode["rewards"]) == 20][:3]
    BAD[message](good[1])
    model = WorldModel.of(SEEN, PUSH)
    before = model.head.weight.clone()
    with pytest.raises(ValueError, match=f"^episode 1: .*{message}"):
        model.fit(good)
    assert torch.equal(before, model.head.weight)
    assert not model.scale.count


def test_too_few_episodes_and_impossible_numbers():
    model = WorldModel.of(SEEN, PUSH)
    with pytest.raises(ValueError, match="no episodes"):
        model.fit([])
    with pytest.raises(ValueError, match="at least two"):
        model.fit(recorded(1))
    for name, value in (("epochs", 0), ("held_out", 0.0), ("held_out", 1.0), ("held_out", "x"), ("burn_in", -1),
                        ("window", 1.5), ("batch_size", "x")):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name} must be a .*number.*, not {value!r}"):
            model.fit(recorded(2), **{name: value})
    model.actions = None
    with pytest.raises(ValueError, match=r"WorldModel\.of"):
        model.fit(recorded(2))
    with pytest.raises(ValueError, match="MultiDiscrete of one axis"):
        WorldModel.of(SEEN, gym.spaces.Text(3))
