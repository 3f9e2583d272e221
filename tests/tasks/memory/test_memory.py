"""The tasks of memory: their rules said again in slow Python, chance, perfect memory, and what must stay hidden."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import make_reference
from foveal_envs.rendering import Canvas, pixels

Answer = int | None
EPISODES = 200


def flip_flop(units: np.ndarray) -> list[Answer]:
    """The wanted output for every event (T, 3) of a stream."""
    wanted, last = [], "C"
    for event in ("ABC"[k] for k in units.argmax(1)):
        wanted.append(int(event == "B" and last == "A"))
        last = event if event != "C" else last
    return wanted


def parking(units: np.ndarray) -> list[Answer]:
    """The slot wanted at every query of (T, 7) units, else None."""
    wanted: list[Answer] = []
    slot = None
    for step in units:
        if step[:3].any():
            slot = int(step[:3].argmax())
        wanted.append(slot if step[6] else None)
    return wanted


def recall(units: np.ndarray, keys: int = 26) -> list[Answer]:
    """The value wanted at every query of (T, keys + values) units, else None."""
    wanted: list[Answer] = []
    bound: dict[int, int] = {}
    for step in units:
        key, value = int(step[:keys].argmax()), step[keys:]
        if value.any():
            bound[key] = int(value.argmax())
        wanted.append(None if value.any() else bound[key])
    return wanted


STREAMS: list[tuple[str, dict[str, Any], Callable[[np.ndarray], list[Answer]], float]] = [
    ("FlipFlop", {}, flip_flop, 0.25),
    ("FlipFlop", {"probabilities": [0.2, 0.3, 0.5], "moves": 60}, flip_flop, 0.15 / 0.65),
    ("Parking", {}, parking, 1 / 3),
    ("Parking", {"stop": 0.6, "finish": 0.1, "query": 0.3, "moves": 40}, parking, 1 / 3),
    ("AssociativeRecall", {}, recall, 0.1),
    ("AssociativeRecall", {"reused": True, "pairs": 20, "values": 4}, recall, 0.25),
    ("AssociativeRecall", {"queries": 1, "values": 2, "pairs": 26}, recall, 0.5),
]
every_stream = pytest.mark.parametrize(("name", "keywords", "rule", "chance"), STREAMS)


def play(name: str, policy: str, n: int = EPISODES, **keywords: Any) -> tuple[np.ndarray, ...]:
    """One episode of each of n lanes: observations (T, n, ...) before each action, actions, rewards, and last infos."""
    env = gym.make_vec(f"Foveal/{name}-v0", n, vectorization_mode="vector_entry_point", **keywords)
    reference = make_reference(policy, env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    trace, over = [], False
    while not over:
        actions, _ = reference.predict(observation)
        trace.append((observation, actions))
        observation, rewards, terminated, _, infos = env.step(actions)
        trace[-1] += (rewards,)
        over = terminated.all()
        assert over == terminated.any()
    return (*(np.array(column) for column in zip(*trace, strict=True)), infos)


@every_stream
@pytest.mark.parametrize("policy", ["random", "oracle"])
def test_rewards_and_measures_follow_the_rule(
    name: str, keywords: dict[str, Any], rule: Any, chance: float, policy: str
) -> None:
    units, actions, rewards, infos = play(name, policy, **keywords)
    for lane in range(EPISODES):
        wanted, given = rule(units[:, lane]), actions[:, lane].tolist()
        if name == "FlipFlop":
            asked = units[:, lane, 1] == 1.0
            wrong_elsewhere = [not ask and answer == 1 for ask, answer in zip(asked, given, strict=True)]
        else:
            asked = np.array([answer is not None for answer in wanted])
            wrong_elsewhere = [False] * len(given)
        right = [a == b for a, b in zip(wanted, given, strict=True)]
        worth = 1.0 / max(1, asked.sum())
        expected = [
            worth * (ask and hit) - worth * wrong for ask, hit, wrong in zip(asked, right, wrong_elsewhere, strict=True)
        ]
        np.testing.assert_allclose(rewards[:, lane], expected, atol=1e-12)
        hits, questions = sum(asked & right), asked.sum() + sum(wrong_elsewhere)
        assert infos["correct"][lane] == pytest.approx(hits / max(1, questions))
        assert infos["is_success"][lane] == (hits == questions > 0)
        if name == "FlipFlop":
            assert infos["accuracy"][lane] == pytest.approx(np.mean(right))


@every_stream
def test_chance_and_perfect_memory(name: str, keywords: dict[str, Any], rule: Any, chance: float) -> None:
    _, _, rewards, infos = play(name, "oracle", **keywords)
    asked = infos["correct"] > 0  # a short stream may hold no question
    assert asked.mean() > 0.95
    assert (infos["correct"][asked] == 1.0).all()
    assert (infos["is_success"] == asked).all()
    np.testing.assert_allclose(rewards.sum(0)[asked], 1.0, atol=1e-9)
    _, _, _, infos = play(name, "random", n=2000, **keywords)
    assert infos["correct"].mean() == pytest.approx(chance, abs=0.035)
    assert infos["is_success"].mean() < (0.6 if keywords.get("queries") == 1 else 0.05)


@every_stream
def test_the_present_observation_does_not_tell_the_answer(
    name: str, keywords: dict[str, Any], rule: Any, chance: float
) -> None:
    """The answers most often right beside each observation, learned on half of the episodes and tried on the others."""
    units, *_ = play(name, "random", n=2000, **keywords)
    seen: dict[bytes, Counter[int]] = defaultdict(Counter)
    hits = questions = 0
    for lane in range(2000):
        for step, wanted in zip(units[:, lane], rule(units[:, lane]), strict=True):
            if wanted is None or (name == "FlipFlop" and step[1] == 0.0):
                continue
            if lane < 1000:
                seen[step.tobytes()][wanted] += 1
            elif step.tobytes() in seen:
                questions += 1
                hits += seen[step.tobytes()].most_common(1)[0][0] == wanted
    a, b, _ = keywords.get("probabilities", [1, 1, 1])
    best = max(a, b) / (a + b) if name == "FlipFlop" else chance
    assert questions > 900
    assert hits / questions == pytest.approx(best, abs=0.05)


def test_constant_answers_get_half_of_flip_flop() -> None:
    for event_answers, expected in (([0, 0, 0], 0.5), ([0, 1, 0], 0.5), ([1, 1, 1], -1.6)):
        env = gym.make_vec("Foveal/FlipFlop-v0", 500, vectorization_mode="vector_entry_point")
        observation, _ = env.reset(seed=0)
        total = np.zeros(500)
        for _ in range(100):
            observation, rewards, _, _, infos = env.step(np.array(event_answers)[observation.argmax(1)])
            total += rewards
        assert total.mean() == pytest.approx(expected, abs=0.1)
        assert infos["correct"].mean() <= 0.53


def test_events_come_with_their_probabilities() -> None:
    units, *_ = play("FlipFlop", "random", probabilities=[0.2, 0.3, 0.5])
    np.testing.assert_allclose(units.mean((0, 1)), [0.2, 0.3, 0.5], atol=0.015)
    following = units[1:][units[:-1, :, 0] == 1.0]  # after an A the next event is as always
    np.testing.assert_allclose(following.mean(0), [0.2, 0.3, 0.5], atol=0.03)


def test_the_car_parks_leaves_and_is_asked_for_as_said() -> None:
    env = gym.make_vec("Foveal/Parking-v0", 400, vectorization_mode="vector_entry_point")
    units, slots = [env.reset(seed=0)[0]], [env.get_state()["worlds"]["slot"]]
    for _ in range(99):
        units.append(env.step(env.action_space.sample())[0])
        slots.append(env.get_state()["worlds"]["slot"])
    units, slots = np.array(units), np.array(slots)
    before, now, shown = slots[:-1], slots[1:], units[1:]
    parks, stays = (before == -1) & (now != -1), (before != -1) & (now != -1)
    assert (shown[..., :3].sum(-1) == parks).all()
    assert (shown[parks][:, :3].argmax(1) == now[parks]).all()
    assert (before[stays] == now[stays]).all()
    assert not shown[~stays][:, 6].any()
    np.testing.assert_allclose(np.bincount(now[parks]) / parks.sum(), 1 / 3, atol=0.02)
    rates = [parks.sum() / (before == -1).sum(), 1 - stays.sum() / (before != -1).sum(), shown[stays][:, 6].mean()]
    np.testing.assert_allclose(rates, [0.25, 0.25, 0.5], atol=0.015)
    np.testing.assert_allclose(units[..., 3:6].mean((0, 1)), 0.5, atol=0.01)
    assert 15 < units[..., 6].sum(0).mean() < 20


@pytest.mark.parametrize("reused", [False, True])
def test_keys_are_reused_only_on_request(reused: bool) -> None:
    units, *_ = play("AssociativeRecall", "random", reused=reused, pairs=12)
    shown = units[:12, :, :26].argmax(-1)
    distinct = np.array([len(set(shown[:, lane])) for lane in range(EPISODES)])
    assert (distinct <= 6).all() if reused else (distinct == 12).all()
    assert (units[:12].sum(-1) == 2.0).all()
    assert (units[12:, :, 26:] == 0.0).all()
    frequency = np.bincount(shown.ravel(), minlength=26) / shown.size
    np.testing.assert_allclose(frequency, 1 / 26, atol=0.02)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("FlipFlop", {"moves": 0}, "from 1 to"),
        ("FlipFlop", {"probabilities": [0.5, 0.5]}, "three numbers"),
        ("FlipFlop", {"probabilities": [0.5, 0.5, 0.5]}, "sum to 1"),
        ("FlipFlop", {"probabilities": [1.0, 0.0, 0.0]}, "above 0"),
        ("Parking", {"moves": 0}, "from 1 to"),
        ("Parking", {"stop": 0.0}, "stop must be a probability"),
        ("Parking", {"query": 1.5}, "query must be a probability"),
        ("AssociativeRecall", {"pairs": 27}, "1 to 26"),
        ("AssociativeRecall", {"pairs": 53, "reused": True}, "1 to 52"),
        ("AssociativeRecall", {"keys": 0}, "1 to 1024"),
        ("AssociativeRecall", {"values": 1}, "2 to 1024"),
        ("AssociativeRecall", {"queries": 0}, "None or a number from 1"),
    ],
)
def test_impossible_keywords_name_the_allowed_values(name: str, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(f"Foveal/{name}-v0", **keywords)


@pytest.mark.parametrize("name", ["FlipFlop", "Parking", "AssociativeRecall", "FormalLanguage"])
def test_the_reward_threshold_lies_between_chance_and_memory(name: str) -> None:
    threshold = gym.spec(f"Foveal/{name}-v0").reward_threshold
    *_, chance, _ = play(name, "random")
    *_, best, _ = play(name, "oracle")
    assert chance.sum(0).mean() + 0.3 < threshold < best.sum(0).mean()


class Page(Canvas):
    """Keeps the texts written on it."""

    def __init__(self, size: tuple[float, float]) -> None:
        super().__init__(size)
        self.texts: list[str] = []

    def text(self, text: str, *place: Any, **more: Any) -> None:
        self.texts.append(text)
        super().text(text, *place, **more)


@pytest.mark.parametrize("keywords", [{}, {"pairs": 20, "reused": True}, {"pairs": 40, "keys": 60, "values": 12}])
def test_the_viewer_sees_all_pairs_and_a_player_none_but_the_present_one(keywords: dict[str, Any]) -> None:
    env = gym.make("Foveal/AssociativeRecall-v0", **keywords).unwrapped
    task, over, bound = env.task, False, {}
    observation, _ = env.reset(seed=0)
    while not over:
        key, value = observation[: task._keys], observation[task._keys :]
        if value.any():
            bound[int(key.argmax())] = int(value.argmax())
        page, hidden = Page(task.render_size), Page(task.render_size)
        for task.reveal, canvas in ((False, hidden), (True, page)):
            task.draw(env.get_state()["worlds"], 0, canvas)
        names = [chr(ord("A") + i) if task._keys <= 26 else str(i) for i in range(task._keys)]
        assert {f"{names[k]} {v}" for k, v in bound.items()} <= set(page.texts)
        answered = ["1"] * int(env.get_state()["worlds"][0]["asked"])
        present = [names[key.argmax()], str(value.argmax()) if value.any() else "?"]
        shown = [text for text in hidden.texts if text not in ("key", "value", "wanted", "answer", "")]
        assert sorted(shown) == sorted(present + answered[-15:])
        observation, _, over, *_ = env.step(1)
    page = Page(task.render_size)
    task.draw(env.get_state()["worlds"], 0, page)
    assert {f"{names[k]} {v}" for k, v in bound.items()} <= set(page.texts)


@pytest.mark.parametrize("name", ["FlipFlop", "Parking"])
def test_a_player_sees_only_the_present_event(name: str) -> None:
    env = gym.make(f"Foveal/{name}-v0").unwrapped
    pictures: dict[bool, set[bytes]] = {False: set(), True: set()}
    for seed in range(4):
        env.reset(seed=seed)
        for _ in range(3):
            env.step(0)
        worlds = env.get_state()["worlds"]
        worlds["trail"][0, 3], worlds["asked"], worlds["right"] = (0, -1, -1, -1), 0, 0  # the same event now
        worlds["trail"][0, :3, 2] = -1  # and nothing was asked before
        for env.task.reveal, seen in pictures.items():
            canvas = Canvas(env.task.render_size)
            env.task.draw(worlds, 0, canvas)
            seen.add(pixels(canvas.finish()).tobytes())
    assert len(pictures[False]) == 1
    assert len(pictures[True]) > 1


def test_the_on_line_flip_flop_hurts_by_the_square_of_the_error() -> None:
    env = gym.make_vec("Foveal/FlipFlop-v0", 50, vectorization_mode="vector_entry_point", answers="real", info="step")
    assert env.single_action_space == gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    rng = np.random.default_rng(0)
    seen, _ = env.reset(seed=0)
    trace, answers, pains = [seen], [], []
    for _ in range(100):
        answers.append(rng.uniform(0, 1, (50, 1)).astype(np.float32))
        seen, rewards, terminated, _, infos = env.step(answers[-1])
        trace.append(seen)
        pains.append(rewards)
    assert terminated.all()
    wanted = np.array([flip_flop(units) for units in np.array(trace[:-1]).swapaxes(0, 1)]).T
    given = np.array(answers)[..., 0]
    np.testing.assert_allclose(pains, -np.square(given - wanted), rtol=1e-6)
    np.testing.assert_allclose(infos["accuracy"], ((given > 0.5) == wanted).mean(0))


def test_the_oracle_of_the_on_line_flip_flop_feels_no_pain() -> None:
    *_, rewards, infos = play("FlipFlop", "oracle", 20, answers="real")
    assert not np.any(rewards)
    assert infos["is_success"].all()
