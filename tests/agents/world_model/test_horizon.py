"""M's error over the distance that it imagines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents import WorldModelController, horizon_errors, make_sb3
from agents.world_model.horizon import HorizonErrors

from .test_controller import SMALL, point


def pendulum(**keywords) -> WorldModelController:
    return WorldModelController("MlpPolicy", make_sb3("Pendulum-v1", 4, seed=0), **{**SMALL, **keywords})


def test_an_untrained_model_soon_is_no_better_than_the_mean_and_a_trained_one_is():
    untrained = pendulum(updates=0).learn(800, log_interval=None)
    trained = pendulum(updates=30, model_steps=800, evaluator=False, model_core_kwargs={"hidden": (64,)})
    trained.learn(800, log_interval=None)
    for agent in (untrained, trained):
        errors = horizon_errors(agent, 20)
        assert errors.distances.tolist() == [*range(1, 21)]
        assert (errors.mean_rmse == 1.0).all()
    before, after = (horizon_errors(agent, 20) for agent in (untrained, trained))
    assert before.no_better_from is not None
    assert (after.rmse < before.rmse).all()
    assert after.rmse[0] < after.rmse[5] < 1.0
    assert after.no_better_from is None or after.no_better_from > before.no_better_from
    np.testing.assert_array_equal(before.rmse, horizon_errors(untrained, 20).rmse)


@pytest.mark.parametrize("core", ["feedforward", "lstm"])
def test_one_step_is_the_error_of_observe(core):
    """At distance 1, with the state of M's core after burn-in."""
    kwargs = {"hidden": (16,)} if core == "feedforward" else {"size": 6}
    agent = pendulum(model_core=core, model_core_kwargs=kwargs, burn_in=4).learn(400, log_interval=None)
    agent.policy.scale.spread[:] = torch.tensor([1.0, 2.0, 3.0])
    with torch.random.fork_rng():
        torch.manual_seed(5)
        window = agent.policy.scale.scaled(agent.replay.windows(4 + 3, 2_000))
    with torch.no_grad():
        error = agent.world_model.observe(window, agent.world_model.initial_state(2_000))[4, :, :3]
        error = (error - window["next_percept"][4]).square().mean().sqrt()
    assert horizon_errors(agent, 3, seed=5).rmse[0] == pytest.approx(error.item(), rel=1e-4)


def test_windows_count_up_to_the_end_of_their_episode():
    """Episodes of 6 moves: no window is longer; the scale is fixed, so the mean's error is the standard deviation."""
    agent = WorldModelController("MultiInputPolicy", point(), **SMALL).learn(800, log_interval=None)
    errors = horizon_errors(agent, 9)
    assert errors.distances.tolist() == [1, 2, 3, 4, 5, 6]
    seen = agent.replay.newest(len(agent.replay))["next_percept"][..., :2].flatten(0, 1)
    assert errors.mean_rmse == pytest.approx(float(seen.std(0).square().mean().sqrt()), rel=0.05)


def test_the_first_distance_that_is_no_better():
    distances, mean = np.arange(1, 5), np.ones(4)
    assert HorizonErrors(distances, np.array([0.1, 0.5, 1.0, 0.9]), mean).no_better_from == 3
    assert HorizonErrors(distances, np.array([0.1, 0.5, 0.7, 0.9]), mean).no_better_from is None


def test_too_little_experience_and_impossible_numbers():
    agent = pendulum().learn(40, log_interval=None)
    known = len(agent.replay)
    with pytest.raises(ValueError, match="smaller horizon, or train longer"):
        horizon_errors(agent, known + 1)
    assert len(horizon_errors(agent, known).rmse) == known
    with pytest.raises(ValueError, match="at least 1"):
        horizon_errors(agent, 0)
