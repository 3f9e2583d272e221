"""Foveate: what it sees, gaze actions, fixed gazes, and vector lanes equal to single environments."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from foveal_envs import check_vector_env
from foveal_envs.retinas import make_retina
from foveal_envs.scenes.bank import ImageBank, look_at_picture
from foveal_envs.scenes.pictures import textures
from foveal_envs.wrappers import Foveate, FoveateVector

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Pictures(gym.Env[np.ndarray, Any]):
    """A bar that the action moves over a picture; an episode of random length."""

    def __init__(self, continuous: bool = False, colour: bool = False, shape: tuple[int, ...] | None = None) -> None:
        shape = shape or ((40, 60, 3) if colour else (40, 60))
        self.observation_space = gym.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else gym.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.noise = self.np_random.integers(0, 200, self.observation_space.shape, dtype=np.uint8)
        self.place, self.left = 30, int(self.np_random.integers(2, 7))
        return self._frame(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.place = int(np.clip(self.place + 5 * (float(np.ravel(action)[0]) - 1.0), 2, 58))
        self.left -= 1
        return self._frame(), float(self.place), self.left == 0, False, {}

    def _frame(self) -> np.ndarray:
        frame = self.noise.copy()
        frame[:, self.place - 2 : self.place + 2] = 255
        return frame


KINDS = [{"continuous": a, "colour": b} for a in (False, True) for b in (False, True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gaze", ["action", "centre"])
def test_checkers_accept_it(kind: dict[str, bool], gaze: str) -> None:
    env = Foveate(Pictures(**kind), gaze=gaze)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*different from the unwrapped version")
        check_env(env, skip_render_check=True)
    sb3_check_env(env)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_lanes_equal_single_envs(mode: AutoresetMode, kind: dict[str, bool]) -> None:
    check_vector_env(
        lambda n: FoveateVector(SyncVectorEnv([lambda: Pictures(**kind)] * n, autoreset_mode=mode)),
        single=lambda: Foveate(Pictures(**kind)),
        steps=60,
    )


def test_it_sees_what_the_bank_sees() -> None:
    picture, retina, rng = textures(1, 128)[0], make_retina("rings"), np.random.default_rng(0)
    bank, wanted = ImageBank(picture[None], retina, exact=True, outside=0.3), np.zeros(40, np.float32)
    eye = Foveate(_Still(picture), gaze=lambda gaze, steps: rng.uniform(0, 128, (1, 2)), outside=0.3)
    eye.reset(seed=0)
    wrong = []
    for _ in range(20):
        seen, *_, info = eye.step(0)
        look_at_picture(bank.arrays, 0, *info["gaze"], 0.0, wanted)
        wrong.append(255.0 * (seen[:40] - wanted))
        np.testing.assert_allclose(seen[40:], info["gaze"] / 64.0 - 1.0, atol=1e-6)
    assert np.sqrt(np.mean(np.square(wrong))) < 2.5


class _Still(gym.Env[np.ndarray, Any]):
    def __init__(self, picture: np.ndarray) -> None:
        self.picture, self.action_space = picture, gym.spaces.Discrete(1)
        self.observation_space = gym.spaces.Box(0, 255, picture.shape, np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return self.picture, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self.picture, 0.0, False, False, {}


def test_the_gaze_moves_and_stays_in_the_frame() -> None:
    env = Foveate(Pictures(continuous=True), largest_jump=8.0)
    _, info = env.reset(seed=0)
    np.testing.assert_array_equal(info["gaze"], [30.0, 20.0])
    np.testing.assert_allclose(env.step(np.array([0, 1, -0.5], np.float32))[-1]["gaze"], [38.0, 16.0])
    stay = Foveate(Pictures(), largest_jump=8.0)
    stay.reset(seed=0)
    for choice, gaze in ((16, [30, 20]), (6, [38, 20])):
        assert stay.step(np.array([1, choice]))[-1]["gaze"].tolist() == gaze
    assert stay.action_space == gym.spaces.MultiDiscrete([3, 17])


@pytest.mark.parametrize(
    ("continuous", "action", "message"),
    [
        (True, [0.0, np.nan, 0.0], "finite"),
        (True, [0.0, 0.0], "shape"),
        (True, np.array([0.0, object(), 0.0]), "real numbers"),
        (False, [0, -1], "lie in"),
        (False, [0, 17], "lie in"),
        (False, [0.0, 1.0], "integers"),
        (False, np.array([0, None]), "integers"),
        (False, [3, 0], "lie in"),
    ],
)
def test_a_bad_action_moves_nothing(continuous: bool, action: Any, message: str) -> None:
    single, vector = Foveate(Pictures(continuous)), FoveateVector(SyncVectorEnv([lambda: Pictures(continuous)] * 2))
    for env, bad, inner in (
        (single, action, [single.unwrapped]),
        (vector, np.stack([action] * 2), vector.unwrapped.envs),
    ):
        env.reset(seed=0)
        before = env._steps.copy(), env._gaze.copy(), [one.left for one in inner]
        with pytest.raises(ValueError, match=message):
            env.step(bad)
        assert data_equivalence(before, (env._steps, env._gaze, [one.left for one in inner]), exact=True)


def test_a_gaze_function_must_return_gazes() -> None:
    for wrong in (np.full((1, 2), np.nan), np.zeros(3)):
        env = Foveate(Pictures(), gaze=lambda gaze, steps, wrong=wrong: wrong)
        env.reset(seed=0)
        with pytest.raises(ValueError, match="the function gaze returns"):
            env.step(0)


def test_channels_stand_last_and_are_few() -> None:
    """Four are RGBA or a stack of frames, each seen on its own; more are frames or channels that stand first."""
    assert Foveate(Pictures(shape=(40, 60, 4))).observation_space.shape == (4 * 40 + 2,)
    with pytest.raises(ValueError, match="channels last; move the channels to the end"):
        Foveate(Pictures(shape=(4, 40, 60)))


class Told(SyncVectorEnv):
    """A vector environment whose metadata say what is wanted."""

    def __init__(self, mode: AutoresetMode, told: dict[str, Any]) -> None:
        super().__init__([Pictures] * 2, autoreset_mode=mode)
        self.metadata = told


def test_an_autoreset_mode_may_be_missing_or_a_string() -> None:
    with pytest.warns(UserWarning, match="NEXT_STEP is assumed"):
        unknown = FoveateVector(Told(AutoresetMode.NEXT_STEP, {}))
    known = FoveateVector(SyncVectorEnv([Pictures] * 2))
    named = FoveateVector(Told(AutoresetMode.SAME_STEP, {"autoreset_mode": "SameStep"}))
    for env in (unknown, known, named):
        env.reset(seed=0)
    finals = []
    for _ in range(12):
        action = known.action_space.sample()
        np.testing.assert_array_equal(unknown.step(action)[0], known.step(action)[0])
        finals += list(named.step(action)[-1].get("final_obs", []))
    assert {final.shape for final in finals if final is not None} == {named.single_observation_space.shape}
    with pytest.raises(ValueError, match="autoreset_mode"):
        FoveateVector(Told(AutoresetMode.NEXT_STEP, {"autoreset_mode": "sometimes"}))


def test_unfit_environments() -> None:
    with pytest.raises(ValueError, match="a picture"):
        Foveate(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match="'action', 'centre'"):
        Foveate(Pictures(), gaze="around")
    env = Pictures()
    env.action_space = gym.spaces.MultiBinary(3)
    with pytest.raises(ValueError, match="Discrete from 0"):
        Foveate(env)
    assert Foveate(env, gaze="centre").action_space == env.action_space
