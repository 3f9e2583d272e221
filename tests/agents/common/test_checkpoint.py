from __future__ import annotations

import warnings

import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize

import foveal_envs  # noqa: F401
from agents import (
    CORES,
    GymnasiumVecEnv,
    SaveCheckpoint,
    WorldModelController,
    load_checkpoint,
    make_sb3,
    save_checkpoint,
)
from agents.common import checkpoint

from ..world_model.test_controller import SMALL, parameters, point
from ..worlds import Elman, PointVectorEnv


def foveal():
    return make_sb3("Foveal/TargetDetection-v0", 8, seed=3, moves=5)


def normalised():
    return VecNormalize(point(), norm_obs_keys=["observation"])


@pytest.mark.parametrize("make", [point, foveal, normalised])
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_resumed_training_ends_in_the_same_bits(make, recurrent, tmp_path, monkeypatch):
    monkeypatch.setitem(CORES, "elman", Elman)
    cores = {"core": "elman", "core_kwargs": {}, "model_core": "elman", "model_core_kwargs": {}} if recurrent else {}
    agent = WorldModelController("MultiInputPolicy", make(), **{**SMALL, **cores})
    agent.learn(640, callback=SaveCheckpoint(tmp_path / "run", every=320))
    torch.manual_seed(5)  # the random states come from the checkpoint
    resumed = load_checkpoint(WorldModelController, tmp_path / "run", make())
    assert resumed.num_timesteps == 320
    resumed.learn(320, reset_num_timesteps=False)
    assert torch.equal(parameters(agent), parameters(resumed))
    assert torch.equal(agent.replay.data, resumed.replay.data)


def test_without_a_snapshot_of_the_environment_it_says_so(tmp_path, monkeypatch):
    monkeypatch.delattr(PointVectorEnv, "get_state")
    agent = WorldModelController("MultiInputPolicy", point(), **SMALL).learn(128)
    assert not save_checkpoint(agent, tmp_path)
    with pytest.warns(UserWarning, match="approximate"):
        resumed = load_checkpoint(WorldModelController, tmp_path, GymnasiumVecEnv(PointVectorEnv(8)))
    assert torch.equal(parameters(agent), parameters(resumed))
    resumed.learn(128, reset_num_timesteps=False)


def test_a_checkpoint_that_is_half_removed_is_no_checkpoint(tmp_path, monkeypatch):
    """Removing a file makes a folder the one that changed last."""
    agent = WorldModelController("MultiInputPolicy", point(), **SMALL)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.shutil, "rmtree", lambda path, **options: next(path.iterdir()).unlink())
        for _ in range(3):
            agent.learn(64, reset_num_timesteps=False)
            save_checkpoint(agent, tmp_path, keep=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_checkpoint(type(agent), tmp_path, point()).num_timesteps == agent.num_timesteps
    save_checkpoint(agent, tmp_path, keep=1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
