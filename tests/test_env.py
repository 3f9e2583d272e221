"""The environments around every registered task: Gymnasium's contract, lanes, autoreset, time limits, snapshots."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from foveal_envs import FovealEnv, FovealVectorEnv, Task, check_vector_env
from foveal_envs.lanes import Lanes

from .conftest import CASES, IDS, VARIANTS, case_name

MODES = ("next_step", "same_step", "disabled")
GOAL_CASES = [
    (id, keywords) for id, keywords in CASES if isinstance(gym.make(id, **keywords).observation_space, gym.spaces.Dict)
]
every_case = pytest.mark.parametrize(("id", "keywords"), CASES, ids=case_name)
every_mode = pytest.mark.parametrize("mode", MODES)
every_id = pytest.mark.parametrize("id", IDS, ids=case_name)


def make_vec(id: str, num_envs: int, /, **keywords: Any) -> Any:
    return gym.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **keywords)


@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric")  # muscles push in [0, 1], as in 1990
@pytest.mark.filterwarnings("ignore:there is no display:RuntimeWarning")  # render_mode="human" works all the same
@every_case
def test_gymnasium_and_stable_baselines_accept_the_single_env(id: str, keywords: dict[str, Any]) -> None:
    check_env(gym.make(id, **keywords).unwrapped, skip_render_check=keywords != VARIANTS[id][0])
    if keywords.get("reward") != "terminal":  # SB3 wants all rewards from compute_reward
        sb3_check_env(gym.make(id, **keywords).unwrapped)


@every_case
@every_mode
def test_lanes_equal_single_envs(id: str, keywords: dict[str, Any], mode: str) -> None:
    limit = 7  # shorter than the task, so that both ends of an episode occur in the variants
    check_vector_env(
        lambda n: make_vec(id, n, autoreset_mode=mode, max_episode_steps=limit, **keywords),
        steps=40,
        single=lambda: gym.make(id, max_episode_steps=limit, **keywords),
    )


@every_mode
def test_lanes_equal_single_envs_over_a_thousand_ends(mode: str) -> None:
    id, keywords, n, steps = "Foveal/TargetDetection-v0", {"moves": 3, "rotate": True}, 40, 110
    check_vector_env(
        lambda m: make_vec(id, m, autoreset_mode=mode, **keywords),
        num_envs=n,
        steps=steps,
        single=lambda: gym.make(id, **keywords),
    )
    assert n * steps // 4 > 1000


@every_id
def test_time_limits_agree(id: str) -> None:
    for limit in (1, 6, 2000):
        ends = []
        single = gym.make(id, max_episode_steps=limit)
        sync = gym.make_vec(id, 1, vectorization_mode="sync", max_episode_steps=limit)
        native = make_vec(id, 1, max_episode_steps=limit)
        for env in (single, sync, native):
            single.action_space.seed(3)
            env.reset(seed=3)
            over, step = False, 0
            while not over:
                action = single.action_space.sample()
                _, _, terminated, truncated, _ = env.step(action if env is single else np.asarray(action)[None])
                over, step = bool(np.any(terminated) or np.any(truncated)), step + 1
            ends.append((step, bool(np.all(terminated)), bool(np.all(truncated))))
        assert ends[0] == ends[1] == ends[2]
        assert ends[0][0] <= limit


@every_id
@every_mode
def test_infos_equal_sync_vector_env(id: str, mode: str) -> None:
    mode_ = AutoresetMode[mode.upper()]
    native = make_vec(id, 3, autoreset_mode=mode, max_episode_steps=5, info="step")
    sync = gym.make_vec(id, 3, vectorization_mode="sync", max_episode_steps=5, vector_kwargs={"autoreset_mode": mode_})
    assert data_equivalence(native.reset(seed=0)[1], sync.reset(seed=0)[1], exact=True)
    native.action_space.seed(0)
    ended = np.zeros(3, bool)
    for _ in range(17):
        if mode == "disabled" and ended.any():
            native.reset(options={"reset_mask": ended.copy()})
            sync.reset(options={"reset_mask": ended.copy()})
        action = native.action_space.sample()
        *_, terminated, truncated, infos = native.step(action)
        assert data_equivalence(infos, sync.step(action)[-1], exact=True), infos
        ended = terminated | truncated


@every_case
def test_snapshots_and_copies_go_on_alike(id: str, keywords: dict[str, Any]) -> None:
    env = make_vec(id, 4, autoreset_mode="same_step", max_episode_steps=9, **keywords)
    env.reset(seed=5)
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(30)]
    for action in actions[:6]:
        env.step(action)
    twins = [
        pickle.loads(pickle.dumps(env)),
        copy.deepcopy(env),
        make_vec(id, 4, autoreset_mode="same_step", max_episode_steps=9, **keywords),
    ]
    twins[2].set_state(env.get_state())
    for action in actions[6:]:
        expected = env.step(action)
        for twin in twins:
            assert data_equivalence(expected, twin.step(action), exact=True)


@every_case
def test_specs_are_json(id: str, keywords: dict[str, Any]) -> None:
    env = gym.make(id, **keywords)
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    first, second = env.reset(seed=1)[0], gym.make(spec).reset(seed=1)[0]
    assert data_equivalence(first, second, exact=True)


def rewards_of(id: str) -> tuple[str, ...]:
    """VisualSearch ends when the target is found and pays every move until then: nothing is paid at the end alone."""
    return ("dense", "sparse") if "VisualSearch" in id else ("dense", "sparse", "terminal")


@pytest.mark.parametrize(
    ("id", "keywords", "reward"),
    [(id, keywords, reward) for id, keywords in GOAL_CASES for reward in rewards_of(id)],
    ids=case_name,
)
def test_rewards_come_from_the_goals(id: str, keywords: dict[str, Any], reward: str) -> None:
    env = make_vec(id, 5, **{**keywords, "reward": reward, "moves": 4}, autoreset_mode="disabled")
    env.reset(seed=0)
    moves = np.zeros(5, np.int64)
    for _ in range(8):
        observation, rewards, terminated, _, _ = env.step(env.action_space.sample())
        moves += 1
        goals = observation["achieved_goal"], observation["desired_goal"]
        ends = (moves == 4) | env.compute_terminated(*goals, {})
        expected = env.compute_reward(*goals, {})
        if reward == "terminal":
            expected = np.where(ends, expected, 0.0)
        np.testing.assert_array_equal(rewards, expected)
        np.testing.assert_array_equal(terminated, ends)
        if ends.any():
            env.reset(options={"reset_mask": ends})
            moves[ends] = 0


@every_id
def test_an_episode_key_replays_its_episode(id: str) -> None:
    env, vector = gym.make(id), make_vec(id, 3)
    env.reset(seed=1)
    observation, info = env.reset()
    again, _ = gym.make(id).reset(seed=99, options={"episode_key": info["episode_key"]})
    several, infos = vector.reset(options={"episode_key": info["episode_key"]})
    assert data_equivalence(observation, again, exact=True)
    assert (infos["episode_key"] == info["episode_key"]).all()
    third = list(iterate(vector.observation_space, several))[2]
    assert data_equivalence(third, observation, exact=True)


@every_case
def test_bad_actions_move_nothing(id: str, keywords: dict[str, Any]) -> None:
    env = make_vec(id, 3, **keywords)
    env.reset(seed=0)
    before = env.get_state()
    good = env.action_space.sample()
    bad: list[tuple[Any, str]] = [(good[:2], "shape"), (good.astype(str), "real numbers|integers")]
    if isinstance(env.single_action_space, gym.spaces.Box):
        for value in (np.nan, np.inf):
            wrong = good.copy()
            wrong[1, 0] = value
            bad.append((wrong, f"lane 1.*{value}"))
        bad.append((good[:, 1:], "shape"))
    else:
        wrong = good.copy()
        wrong[1] = 999
        bad += [(good.astype(float), "integers"), (wrong, "lane 1.*999")]
    for actions, message in bad:
        with pytest.raises(ValueError, match=message):
            env.step(actions)
    assert data_equivalence(before, env.get_state(), exact=True)


@pytest.mark.parametrize(
    ("space", "good", "bad"),
    [
        (gym.spaces.Discrete(4, start=-1), [-1, 2], [2, 3]),
        (
            gym.spaces.MultiDiscrete([[2, 3], [4, 5]]),
            [[[1, 2], [3, 4]], [[0, 0], [0, 0]]],
            [[[1, 2], [3, 4]], [[0, 3], [0, 0]]],
        ),
        (gym.spaces.MultiBinary(2), [[0, 1], [1, 1]], [[0, 1], [0, 2]]),
    ],
)
def test_whole_numbers_keep_to_the_bounds_of_their_space(space: gym.Space[Any], good: Any, bad: Any) -> None:
    task = make_vec(IDS[0], 1).get_attr("task")[0]
    task.action_space = space
    lanes = Lanes(task, 2)
    checked = lanes.actions.check(np.array(good, np.int32))
    assert checked.dtype == np.int64
    np.testing.assert_array_equal(checked, good)
    with pytest.raises(ValueError, match="lane 1 must lie in"):
        lanes.actions.check(np.array(bad))


class Count(Task):
    """Steps as a number and as a vector: a Dict with a part that has no axes."""

    world = np.dtype([("steps", np.int64)])

    def __init__(self) -> None:
        self.action_space = gym.spaces.Discrete(2)
        number, vector = gym.spaces.Discrete(10), gym.spaces.Box(0, 10, (1,), np.float32)
        self.observation_space = gym.spaces.Dict(number=number, vector=vector)

    def reset(self, worlds: Any, rows: Any, keys: Any) -> None:
        worlds["steps"][rows] = 0

    def step(self, worlds: Any, active: Any, actions: Any, rewards: Any, terminated: Any) -> None:
        worlds["steps"][active] += 1
        terminated[active] = worlds["steps"][active] >= 5

    def observe(self, worlds: Any, rows: Any, observation: Any) -> None:
        for part in observation.values():
            part[rows] = worlds["steps"][rows].reshape(-1, *[1] * (part.ndim - 1))


def test_a_dict_may_hold_single_numbers() -> None:
    env = FovealEnv(Count())
    seen = [env.reset(seed=0)[0], *(env.step(1)[0] for _ in range(3))]
    assert [int(one["number"]) for one in seen] == [0, 1, 2, 3]  # each its own, not one that changes
    assert all(env.observation_space.contains(one) for one in seen)
    assert check_env(env, skip_render_check=True) is None
    for mode in MODES:
        check_vector_env(
            lambda n, mode=mode: FovealVectorEnv(Count(), n, autoreset_mode=mode), single=lambda: FovealEnv(Count())
        )


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([1]), r"^the action must have shape \(\), got \(1,\)$"),
        (1.0, r"^the action must be integers for Discrete\(3\), got dtype float64$"),
        (7, r"^the action must lie in Discrete\(3\), got 7; nothing has moved$"),
    ],
)
def test_errors_of_a_single_action_know_no_lanes(action: Any, message: str) -> None:
    env = gym.make("Foveal/Parking-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_a_finished_lane_without_autoreset_needs_a_reset() -> None:
    env = make_vec(IDS[0], 2, autoreset_mode="disabled", max_episode_steps=1)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    with pytest.raises(gym.error.ResetNeeded, match=r"\[0, 1\]"):
        env.step(env.action_space.sample())
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": [True, False]})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"autoreset_mode": "sometimes"}, "'next_step', 'same_step', 'disabled'"),
        ({"info": "never"}, "'end', 'reward', 'step'"),
        ({"max_episode_steps": 0}, "None or a number from 1"),
        ({"render_mode": "ascii"}, "'rgb_array'"),
    ],
)
def test_impossible_vector_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_vec(IDS[0], 2, **keywords)


def test_unknown_keywords_list_the_known_ones() -> None:
    with pytest.raises(TypeError, match="'shpae'; it takes shape"):
        gym.make("Foveal/TargetDetection-v0", shpae="disc")


def test_copy_false_writes_to_the_same_arrays() -> None:
    env = make_vec("Foveal/TargetDetection-v0", 2, copy=False)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(env.action_space.sample())
    assert first["observation"] is second["observation"]


@pytest.mark.parametrize("mode", MODES[:2])
def test_infos_of_rewards_are_those_of_every_step_that_the_reward_reads(mode: str) -> None:
    make = partial(make_vec, "Foveal/SwampNavigation-v0", 3, autoreset_mode=mode, moves=4)
    brief, full = make(info="reward"), make(info="step")
    between = 0
    brief.reset(seed=0)
    full.reset(seed=0)
    brief.action_space.seed(0)
    for _ in range(12):
        actions = brief.action_space.sample()
        little, much = brief.step(actions)[-1], full.step(actions)[-1]
        np.testing.assert_array_equal(little["leg_cost"], much["leg_cost"])
        assert little["_leg_cost"].all()
        between += set(little) == {"leg_cost", "_leg_cost"}
        assert ("final_info" in little) == ("final_info" in much)
    assert between == (8 if mode == "next_step" else 9)
    dense = make(info="reward", reward="dense")
    dense.reset(seed=0)
    assert dense.step(dense.action_space.sample())[-1] == {}


def test_infos_are_empty_between_ends() -> None:
    env = make_vec("Foveal/TargetDetection-v0", 2)
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[-1] == {}


@pytest.mark.parametrize("mode", MODES[:2])
def test_statistics_wrapper_counts_episodes(mode: str) -> None:
    env = gym.wrappers.vector.RecordEpisodeStatistics(
        make_vec("Foveal/TargetDetection-v0", 4, autoreset_mode=mode, moves=5)
    )
    env.reset(seed=0)
    lengths: list[int] = []
    for _ in range(20):
        infos = env.step(env.action_space.sample())[-1]
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
    assert lengths
    assert set(lengths) == {5}


def test_call_and_attributes() -> None:
    env = make_vec("Foveal/TargetDetection-v0", 2)
    assert isinstance(env.unwrapped, FovealVectorEnv)
    assert env.get_attr("autoreset_mode") == (AutoresetMode.NEXT_STEP,) * 2
    assert len(env.call("get_state")) == 2
    env.set_attr("render_mode", [None, None])
    with pytest.raises(ValueError, match="share one task"):
        env.set_attr("render_mode", [None, "human"])


@pytest.mark.parametrize("keywords", [{"goal": None}, {"goal_format": "concat"}])
def test_goal_functions_exist_only_beside_goal_keys(keywords):
    for make in (gym.make, gym.make_vec):
        assert hasattr(make("Foveal/TargetDetection-v0").unwrapped, "compute_reward")
        env = make("Foveal/TargetDetection-v0", **keywords).unwrapped
        assert not hasattr(env, "compute_reward")
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = env.nothing


def test_what_the_constructor_refused_can_be_closed() -> None:
    """Gymnasium closes it when it is collected, and would report an error where nobody can catch it."""
    FovealVectorEnv.__new__(FovealVectorEnv).close()
