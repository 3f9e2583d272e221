"""The real environment has the dream's observations: V's code of what it shows, and M's memory."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import ConvVAE, GymnasiumVecEnv, MemoryObservation, MixtureDream, MixtureModel
from foveal_envs import check_vector_env
from tests.agents.worlds import PointVectorEnv

from .dodge import dodge

MODES = ["same_step", "next_step", "disabled"]


def close(one, other) -> None:
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("observes", ["z", "zh", "zhc"])
def test_it_keeps_the_contract_of_vector_environments(learned, mode, observes):
    def make(lanes: int) -> MemoryObservation:
        return MemoryObservation(dodge(lanes, mode, 18), learned.vae, learned.model, observes)

    check_vector_env(make, num_envs=3, steps=40)
    dream = MixtureDream(learned.model, learned.coded.starts(), 3, observes=observes)
    assert make(3).observation_space == dream.observation_space
    assert make(3).action_space == dream.action_space


@pytest.mark.parametrize("mode", MODES)
def test_the_memory_is_that_of_the_model(learned, mode):
    """Against M's own steps on codes of a second environment of the same seed."""
    vae, model = learned.vae, learned.model
    env, seen = MemoryObservation(dodge(4, mode, 16), vae, model, "zhc"), dodge(4, mode, 16)
    obs, _ = env.reset(seed=0)
    images, _ = seen.reset(seed=0)
    state, output = model.initial_state(4), torch.zeros(4, 16)
    over, rng = np.zeros(4, bool), np.random.default_rng(0)
    for _ in range(50):
        close(obs, torch.cat([vae.encode(images)[0], output, state[1]], 1))
        actions = rng.integers(0, 3, 4)
        with torch.no_grad():
            _, after, new = model.step(
                vae.encode(images)[0], model.actions.from_env(actions), state, torch.zeros(4) > 0
            )
        images, _, terminated, truncated, finals = seen.step(actions)
        obs, _, _, _, infos = env.step(actions)
        ended = terminated | truncated
        if mode == "same_step" and ended.any():
            last = vae.encode(np.stack(list(finals["final_obs"][ended])))[0]
            rows = torch.from_numpy(ended)
            close(np.stack(list(infos["final_obs"][ended])), torch.cat([last, after[rows], new[1][rows]], 1))
        if mode == "disabled" and ended.any():
            close(obs, torch.cat([vae.encode(images)[0], after, new[1]], 1))
            images, _ = seen.reset(options={"reset_mask": ended})
            obs, _ = env.reset(options={"reset_mask": ended})
        begun = torch.from_numpy(over if mode == "next_step" else ended)[:, None]
        over = ended
        output = torch.where(begun, 0.0, after)
        state = tuple(torch.where(begun, 0.0, part) for part in new)


def test_keys_pass_through_and_lanes_may_rest(learned):
    env = MemoryObservation(dodge(5, "disabled", None), learned.vae, learned.model)
    assert env.can_rest
    keys = np.arange(5, dtype=np.uint64) + 7
    first, _ = env.reset(options={"episode_key": keys})
    np.testing.assert_array_equal(env.reset(options={"episode_key": keys})[0], first)
    active = np.array([True, False, True, True, False])
    obs = env.step(np.zeros(5, int), active)[0]
    np.testing.assert_array_equal(obs[~active], first[~active])
    assert (obs[active] != first[active]).any(1).all()
    rested = env.step(np.zeros(5, int), ~active)[0]
    np.testing.assert_array_equal(rested[active], obs[active])
    env.reset(options={"episode_key": keys})
    np.testing.assert_array_equal(env.step(np.zeros(5, int))[0][~active], rested[~active])


@pytest.mark.parametrize("mode", MODES)
def test_a_snapshot_holds_the_memory_too(learned, mode):
    env = MemoryObservation(dodge(3, mode, 9), learned.vae, learned.model, "zhc")

    def played(steps: int) -> list[np.ndarray]:
        seen = []
        for step in range(steps):
            obs, _, terminated, truncated, _ = env.step(np.full(3, step % 3))
            if mode == "disabled" and (terminated | truncated).any():
                obs, _ = env.reset(options={"reset_mask": terminated | truncated})
            seen.append(obs)
        return seen

    env.reset(seed=0)
    played(9)  # in "next_step", lanes wait for a reset
    kept = env.get_state()
    assert mode != "next_step" or kept["memory_over"].any()
    first = played(20)
    for name in ("memory_codes", "memory_over", "worlds"):
        with pytest.raises(ValueError, match=name):
            env.set_state({**kept, name: np.zeros(2)})
        with pytest.raises(ValueError, match=name):
            env.set_state({key: value for key, value in kept.items() if key != name})
    env.set_state(kept)
    np.testing.assert_array_equal(played(20), first)


def test_stable_baselines_takes_it(learned):
    env = GymnasiumVecEnv(MemoryObservation(dodge(3, "same_step", 10), learned.vae, learned.model))
    env.seed(0)
    obs = env.reset()
    assert obs.shape == (3, 22)
    for _ in range(12):
        kept, before = obs.copy(), obs
        obs, _, ends, infos = env.step(np.ones(3, int))
        np.testing.assert_array_equal(before, kept)
    assert any("episode" in info for info in infos) == ends.any()


def test_what_does_not_fit_is_refused(learned):
    other = ConvVAE(gym.spaces.Box(0, 255, (16, 16, 3), np.uint8), 6, width=2)
    with pytest.raises(ValueError, match="V sees images"):
        MemoryObservation(dodge(2), other, learned.model)
    with pytest.raises(ValueError, match="V sees images"):
        MemoryObservation(PointVectorEnv(2), other, learned.model)
    with pytest.raises(ValueError, match="M reads 6 codes"):
        MemoryObservation(dodge(2), learned.vae, MixtureModel(6, gym.spaces.Discrete(4)))


def test_lanes_rest_only_where_they_can(learned):
    class Restless(gym.vector.VectorWrapper):
        def step(self, actions):
            return self.env.step(actions)

    env = MemoryObservation(Restless(dodge(2)), learned.vae, learned.model)
    env.reset(seed=0)
    assert not env.can_rest
    with pytest.raises(ValueError, match="cannot rest"):
        env.step(np.zeros(2, int), np.ones(2, bool))
