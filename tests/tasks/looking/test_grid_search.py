"""GridSearch: the belief model, the published searchers' figures, the ends of a search, impossible keywords."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import Belief, ELMPolicy, make_reference
from foveal_envs.tasks.looking.grid_search import GridSearch, visibility

ID = "Foveal/GridSearch-v0"


def lanes(n: int, /, **keywords: Any) -> Any:
    return gym.make_vec(ID, n, vectorization_mode="vector_entry_point", info="step", **keywords)


def search(reference: str, episodes: int, **keywords: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixations, successes and returns (episodes,) of a reference."""
    env = lanes(episodes, moves=900, **keywords)
    env.action_space.seed(1)
    policy = make_reference(reference, env)
    obs, _ = env.reset(seed=1)
    state, start, over = None, np.ones(episodes, bool), np.zeros(episodes, bool)
    fixations, found, returns = np.zeros(episodes), np.zeros(episodes, bool), np.zeros(episodes)
    while not over.all():
        actions, state = policy.predict(obs, state, start)
        obs, rewards, terminated, _, infos = env.step(actions)
        returns += np.where(over, 0.0, rewards)
        new = terminated & ~over
        fixations[new], found[new] = infos["fixations"][new], infos["is_success"][new]
        over |= terminated
        start = terminated
    return fixations, found, returns


FIGURES = [  # keywords, reference, published mean, episodes
    ({}, "raster", 35.8, 1000), ({}, "random", 23.0, 1000), ({}, "map", 9.94, 1500), ({}, "elm", 8.99, 1500),
    ({"e2": 3.0}, "raster", 17.2, 1000), ({"e2": 3.0}, "random", 7.2, 1000), ({"e2": 3.0}, "map", 4.5, 1500),
    ({"e2": 3.0}, "elm", 4.4, 1500),
    ({"n": 16, "e2": 2.0}, "raster", 109.0, 150), ({"n": 16, "e2": 2.0}, "random", 47.0, 150),
    ({"n": 16, "e2": 2.0}, "map", 18.9, 150), ({"n": 16, "e2": 2.0}, "elm", 16.5, 150),
]  # fmt: skip


@pytest.mark.parametrize(("keywords", "reference", "mean", "episodes"), FIGURES)
def test_searchers_take_as_many_fixations_as_published(
    keywords: dict[str, Any], reference: str, mean: float, episodes: int
) -> None:
    fixations, found, _ = search(reference, episodes, **keywords)
    error = fixations.std() / np.sqrt(episodes)
    assert abs(fixations.mean() - mean) < 3.0 * error + 0.03 * mean
    assert as_often_as_the_posterior(found)


def as_often_as_the_posterior(found: np.ndarray) -> bool:
    """Whether searches that stop at a posterior of 0.95 found the target as often, within three standard errors."""
    return bool(found.mean() >= 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / len(found)))


def test_the_one_step_ideal_searcher_is_as_good_as_elm() -> None:
    ideal, _, _ = search("ideal", 60, e2=3.0)
    elm, _, _ = search("elm", 60, e2=3.0)
    assert abs(ideal.mean() - elm.mean()) < 3.0 * np.hypot(ideal.std(), elm.std()) / np.sqrt(60)


@pytest.mark.parametrize("view", ["evidence", "posterior"])
def test_the_belief_is_what_the_task_knows(view: str) -> None:
    env = lanes(20, view=view, autoreset_mode="same_step")
    belief, log, start = Belief(env.unwrapped.task), None, np.ones(20, bool)
    obs, infos = env.reset(seed=3)
    for _ in range(30):
        p = belief.update(obs, log, start)
        np.testing.assert_allclose(p.max(1), infos["posterior"], rtol=1e-4)
        log = belief.log
        obs, _, start, _, infos = env.step(env.action_space.sample())


def test_posteriors_are_calibrated() -> None:
    """Among searches that stopped at a posterior p, the share p found the target."""
    env = lanes(4000, threshold=0.6)
    env.reset(seed=0)
    env.action_space.seed(0)
    p, found, over = np.zeros(4000), np.zeros(4000, bool), np.zeros(4000, bool)
    while not over.all():
        _, _, terminated, _, infos = env.step(env.action_space.sample())
        new = terminated & ~over
        p[new], found[new] = infos["posterior"][new], infos["is_success"][new]
        over |= terminated
    np.testing.assert_allclose(found.mean(), p.mean(), atol=0.02)


def test_evidence_has_the_stated_mean_and_spread() -> None:
    env = lanes(30_000, n=3, d_prime=2.0, e2=2.0)
    obs, _ = env.reset(seed=0)
    target, d = env.get_state()["worlds"]["target"], visibility(3, 2.0, 2.0, "gaussian")[4]
    for i in range(9):
        for sign, rows in ((1, target == i), (-1, target != i)):
            np.testing.assert_allclose(obs[rows, i].mean(), sign * 0.5 * d[i] ** 2, atol=0.12)
            np.testing.assert_allclose(obs[rows, i].std(), d[i], rtol=0.06)


def tiling_bound(cells: int, window: int) -> float:
    """Fewest mean fixations with a noise-free window; see GridSearch."""
    return sum(1.0 - seen / cells for seen in range(0, cells - 1, window))


@pytest.mark.parametrize(
    ("n", "e2", "window", "closed"), [(9, 1.5, 9, 5.0), (3, 0.5, 1, 8 * 11 / 18), (15, 1.5, 9, 13)]
)
def test_the_tiling_bound_is_reached_and_not_beaten(n: int, e2: float, window: int, closed: float) -> None:
    """Without noise the target alone decides the number of fixations: the mean over all targets is exact."""
    keywords = {"n": n, "d_prime": 10.0, "falloff": "window", "e2": e2}
    assert tiling_bound(n * n, window) == pytest.approx(closed)
    env = lanes(3000, **keywords)
    env.reset(seed=1)  # as in `search`
    target = env.get_state()["worlds"]["target"]
    for reference in ("elm", "map", "raster", "random"):
        fixations, found, _ = search(reference, 3000, **keywords)
        mean = np.mean([fixations[target == cell].mean() for cell in range(n * n)])
        assert found.all()
        assert mean >= closed - 1e-9
        if reference == "elm" or (reference == "map" and window == 1):
            assert mean == pytest.approx(closed)


def test_answers_end_the_search() -> None:
    fixations, found, returns = search("elm", 500, stop="answer")
    assert as_often_as_the_posterior(found)
    np.testing.assert_allclose(returns, found - 0.05 * (fixations - 1), atol=1e-9)
    env = lanes(3, stop="answer")
    env.reset(seed=0)
    _, rewards, terminated, _, infos = env.step(env.unwrapped.oracle_actions())
    assert terminated.all()
    assert (rewards == 1.0).all()
    assert (infos["fixations"] == 1).all()


@pytest.mark.parametrize("stop", ["posterior", "answer"])
def test_probabilities_of_elm_follow_the_gain(stop: str) -> None:
    env = lanes(200, stop=stop)
    obs, _ = env.reset(seed=4)
    squares = env.unwrapped.task.visibility.astype(float) ** 2
    sure, doubtful, state, answered = ELMPolicy(env), ELMPolicy(env, temperature=0.5), None, 0
    for _ in range(9):
        actions, _ = sure.predict(obs, state)
        certain, _ = sure.probabilities(obs, state)
        assert (certain[np.arange(200), actions] == 1).all()
        wanted, state = doubtful.probabilities(obs, state)
        np.testing.assert_allclose(wanted.sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(wanted.argmax(1), actions)
        looks, p = actions < 81, np.exp(state)
        gain = (p / p.sum(1, keepdims=True))[looks] @ squares.T
        ratio = np.log(wanted[looks, 0] / wanted[looks, 40])
        np.testing.assert_allclose(ratio, (gain[:, 0] - gain[:, 40]) / 0.5, atol=1e-3)
        answered += (~looks).sum()
        obs, *_ = env.step(actions)
    assert (answered > 0) == (stop == "answer")


def test_running_out_of_moves_names_nothing() -> None:
    env = lanes(5, stop="answer", moves=2)
    env.reset(seed=0)
    for last in (False, True):
        _, rewards, terminated, _, _ = env.step(np.zeros(5, np.int64))
        assert (terminated == last).all()
        np.testing.assert_allclose(rewards, -0.05)


def test_the_dense_reward_pays_what_the_fixations_tell() -> None:
    env, other = (lanes(20, reward=reward, threshold=0.999) for reward in ("sparse", "dense"))
    belief, lane = Belief(env.unwrapped.task), np.arange(20)
    obs, _ = env.reset(seed=4)
    other.reset(seed=4)
    before = belief.update(obs, None, np.ones(20, bool))
    target = make_reference("oracle", env).predict(obs)[0]
    actions = np.full(20, 30)
    obs, rewards, terminated, _, _ = env.step(actions)
    after = belief.update(obs, belief.log, np.zeros(20, bool))
    told = (np.log(after) - np.log(before))[lane, target] / np.log(81)
    assert not terminated.any()
    np.testing.assert_allclose(other.step(actions)[1] - rewards, told, atol=1e-5)


def test_the_threshold_lies_between_random_and_elm() -> None:
    threshold = gym.spec(ID).reward_threshold
    assert threshold is not None
    assert search("random", 300)[2].mean() + 0.3 < threshold < search("elm", 2000)[2].mean()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n": 1}, "2 to 32"),
        ({"d_prime": 0.0}, "d_prime"),
        ({"e2": 0.0}, r"e2 must be a number of cells in \[0.01, 1000\]"),
        ({"falloff": "linear"}, "'gaussian'"),
        ({"stop": "never"}, "'posterior', 'answer'"),
        ({"threshold": 1.0}, "probability"),
        ({"cost": -1.0}, r"in \[0, 1000\]"),
        ({"moves": 0}, "from 1 to"),
        ({"reward": "shaped"}, "'sparse', 'dense'"),
        ({"view": "image"}, "'evidence', 'posterior'"),
    ],
)
def test_impossible_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GridSearch(**keywords)


@pytest.mark.parametrize("reference", ["map", "elm", "ideal"])
def test_searchers_refuse_other_tasks(reference: str) -> None:
    env = gym.make_vec("Foveal/TargetDetection-v0", 2, vectorization_mode="vector_entry_point")
    with pytest.raises(ValueError, match="GridSearch"):
        make_reference(reference, env)
