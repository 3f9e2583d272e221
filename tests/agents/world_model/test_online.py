"""The compiled form of the online updates against PyTorch's."""

from __future__ import annotations

import pytest
import torch

import foveal_envs  # noqa: F401
from agents import GymnasiumVecEnv, WorldModelController, make_sb3

from ..worlds import PointVectorEnv

RANDOM, OWN = 500, 500  # environment steps


def published(compiled, **keywords):
    env = make_sb3("Foveal/TargetDetection-v0", 1, seed=3, actuators="muscles", moves=5)
    return WorldModelController.from_preset(
        "published", env, **{"seed": 0, "model_steps": RANDOM, "compiled": compiled, **keywords}
    )


def parameters(agent):
    return torch.cat([part.flatten() for net in (agent.policy, agent.world_model) for part in net.parameters()])


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"goal_input": True, "noise": 0.5},
        {"error": "summed", "n_steps": 8},  # a rollout ends in the middle of an episode, and holds an end
        {"schedule": "alternating", "match_widths": (0.7,), "error": "summed", "evaluator": True, "learning_rate": 2.0},
    ],
)
def test_compiled_updates_equal_those_of_pytorch(keywords):
    forms = []
    for compiled in (True, False):  # one after the other: they draw from one generator
        agent = published(compiled, **keywords)
        assert (agent.compiled_descent is not None) == compiled
        nets = [parameters(agent)]
        for steps in (RANDOM, OWN):
            agent.learn(steps, log_interval=None, reset_num_timesteps=False)
            nets.append(parameters(agent))
        forms.append((nets, agent.measures))
    (fast, fast_measures), (slow, slow_measures) = forms
    assert torch.equal(fast[0], slow[0])
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(fast[2], slow[2], rtol=1e-5, atol=1e-5)
    assert (fast[1] - fast[0])[-40:].abs().max() > 0.01  # biases of M
    assert (fast[2] - fast[1])[:800].abs().max() > 0.001  # weights of C
    for name in ("train/model_loss", "train/return"):
        if name in slow_measures:
            assert float(fast_measures[name]) == pytest.approx(float(slow_measures[name]), rel=1e-3)


def test_the_form_is_visible_and_a_loaded_agent_keeps_it(tmp_path):
    assert published(None).compiled_descent is not None
    agent = published(None).learn(RANDOM + 5, log_interval=None)
    agent.save(tmp_path / "agent")
    loaded = WorldModelController.load(tmp_path / "agent", env=agent.env)
    torch.testing.assert_close(parameters(loaded), parameters(agent), rtol=0, atol=0)
    before = parameters(loaded).clone()
    loaded.learn(5, log_interval=None)
    assert loaded.compiled_descent is not None
    assert not torch.equal(before, parameters(loaded))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"online": False}, "online"),
        ({"gradient": "imagined"}, "gradient"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"max_grad_norm": 1.0}, "max_grad_norm"),
        ({"saturation": 0.1}, "saturation"),
        ({"model_output": "residual"}, "model_output"),
        ({"core_kwargs": {"hidden": (8, 8), "activation": "logistic"}}, "hidden"),
        ({"model_core_kwargs": {"hidden": (8,), "activation": "tanh"}}, "hidden"),
    ],
)
def test_other_settings_stay_with_pytorch(keywords, words):
    assert published(None, **keywords).compiled_descent is None
    with pytest.raises(ValueError, match=words):
        published(True, **keywords)


def test_many_lanes_stay_with_pytorch():
    env = GymnasiumVecEnv(PointVectorEnv(8))
    assert WorldModelController.from_preset("published", env).compiled_descent is None
    with pytest.raises(ValueError, match="lanes=1"):
        WorldModelController.from_preset("published", env, compiled=True)
