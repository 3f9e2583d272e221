"""The random reference: whose draws it takes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from foveal_envs.reference import make_reference


def test_random_goes_on_with_the_draws_of_the_space_unless_it_is_given_a_seed() -> None:
    env = gym.make_vec("Foveal/Parking-v0", 50, vectorization_mode="vector_entry_point")
    env.action_space.seed(5)
    wanted = env.action_space.sample()
    env.action_space.seed(5)
    np.testing.assert_array_equal(make_reference("random", env).predict(None)[0], wanted)
    np.testing.assert_array_equal(make_reference("random", env, seed=5).predict(None)[0], wanted)
