"""FormalLanguage: machines in slow Python, checked by hand, and what can be said without a memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import permutations
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import make_reference
from foveal_envs.tasks.memory.formal_language import FormalLanguage

from .test_memory import Page

ID = "Foveal/FormalLanguage-v0"
NO_QUESTION = "-"
Machine = Callable[[list[str]], list[str]]


def modular_sum(modulus: int) -> Machine:
    return lambda string: [str(sum(map(int, string[: i + 1])) % modulus) for i in range(len(string))]


def group(string: list[str]) -> list[str]:
    """Moves the things one after the other, and notes the place of each."""
    things, answers = list(range(len(string[0]))), []
    for symbol in string:
        moved = list(things)
        for place, new_place in enumerate(symbol):
            moved[int(new_place) - 1] = things[place]
        things = moved
        answers.append("".join(str(things.index(thing) + 1) for thing in range(len(things))))
    return answers


def anbn(string: list[str]) -> list[str]:
    answers, opened, closed = [], 0, 0
    for symbol in string:
        if symbol == "a":
            opened, closed = (opened + 1, 0) if closed == 0 else (1, 0)
        else:
            closed += 1
        assert closed <= opened
        asked = closed > 0 and opened - closed < 2
        answers.append(NO_QUESTION if not asked else "yes" if opened == closed else "no")
    return answers


def dyck(string: list[str]) -> list[str]:
    partner, stack, answers = dict(["()", "[]", "{}", "<>"]), [], []
    for symbol in string:
        if symbol in partner:
            stack.append(partner[symbol])
            answers.append(NO_QUESTION)
        else:
            assert stack.pop() == symbol
            answers.append(stack[-1] if stack else "none")
    return answers


LANGUAGES: list[tuple[dict[str, Any], Machine, str, str]] = [  # keywords, machine, a string and its answers by hand
    ({}, modular_sum(2), "1 0 1 1 0", "1 1 0 1 1"),
    ({"language": "modular_sum"}, modular_sum(5), "3 4 0 4 4", "3 2 2 1 0"),
    ({"language": "modular_sum", "modulus": 12}, modular_sum(12), "11 2 11", "11 1 0"),
    ({"language": "permutations", "elements": 3}, group, "213 231 132", "213 321 231"),
    ({"language": "permutations"}, group, "21345 23451 54321 12345", "21345 32451 34215 34215"),
    ({"language": "permutations", "elements": 4, "symbols": "generators"}, group, "2134 2341 2341", "2134 3241 4312"),
    ({"language": "anbn"}, anbn, "a b a a b b a a a b b b", "- yes - - no yes - - - - no yes"),
    ({"language": "anbn", "depth": 20, "length": 90}, anbn, "a a a a b b b b a b", "- - - - - - no yes - yes"),
    ({"language": "dyck"}, dyck, "( [ ] ) [ [ ( ) ] ]", "- - ) none - - - ] ] none"),
    ({"language": "dyck", "depth": 3, "brackets": 4, "length": 7}, dyck, "{ < > }", "- - } none"),
]
every_language = pytest.mark.parametrize(("keywords", "machine", "string", "answers"), LANGUAGES)


def some_strings(n: int, **keywords: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The names of a language, and n of its strings with their answers (T, n)."""
    task = FormalLanguage(**keywords)
    return task._language, *task.strings(np.random.default_rng(0).integers(2**63, size=n, dtype=np.uint64))


@every_language
def test_the_answers_are_those_of_the_machine(keywords: Any, machine: Machine, string: str, answers: str) -> None:
    assert " ".join(machine(string.split())) == answers
    language, symbols, wanted = some_strings(100, **keywords)
    for column in range(100):
        read = [language.symbols[symbol] for symbol in symbols[:, column]]
        said = [NO_QUESTION if answer < 0 else language.answers[answer] for answer in wanted[:, column]]
        assert said == machine(read)


@every_language
@pytest.mark.parametrize("policy", ["oracle", "random"])
def test_episodes_are_the_strings_of_their_keys(
    keywords: Any, machine: Machine, string: str, answers: str, policy: str
) -> None:
    env = gym.make_vec(ID, 20, vectorization_mode="vector_entry_point", **keywords)
    observation, _ = env.reset(seed=0)
    reference, total, over = make_reference(policy, env), np.zeros(20), False
    symbols, wanted = env.unwrapped.task.strings(env.unwrapped.get_state()["worlds"]["key"])
    right = np.zeros(20)
    for t in range(len(symbols)):
        assert not over
        np.testing.assert_array_equal(observation.argmax(1), symbols[t])
        assert (observation.sum(1) == 1.0).all()
        actions, _ = reference.predict(observation)
        observation, rewards, terminated, _, infos = env.step(actions)
        np.testing.assert_array_equal(rewards > 0.0, actions == wanted[t])
        right += actions == wanted[t]
        total += rewards
        over = terminated.all()
    assert over
    questions = (wanted >= 0).sum(0)
    asked = questions > 0
    np.testing.assert_allclose(total[asked], (right / questions.clip(1))[asked])
    np.testing.assert_allclose(infos["correct"], right / questions.clip(1))
    np.testing.assert_array_equal(infos["is_success"], asked & (right == questions))
    if policy == "oracle":
        assert infos["is_success"][asked].all()


@pytest.mark.parametrize(
    ("keywords", "best"),
    [
        ({}, 1 / 2),
        ({"language": "modular_sum"}, 1 / 5),
        ({"language": "permutations", "elements": 3}, 1 / 6),
        ({"language": "permutations", "elements": 3, "symbols": "generators"}, 1 / 6),
        ({"language": "permutations", "elements": 4, "symbols": "generators"}, 1 / 24),
        ({"language": "anbn"}, 8 / 15),
        ({"language": "anbn", "depth": 30}, 30 / 59),
        ({"language": "dyck"}, (1 - 6 / 90) / 2),
        ({"language": "dyck", "depth": 3, "brackets": 3}, 6 / 20),
    ],
)
def test_a_policy_without_memory_scores_what_the_page_says(keywords: dict[str, Any], best: float) -> None:
    """The answer most often right beside each symbol, of long strings, so that their beginning does not count."""
    _, symbols, wanted = some_strings(100, length=3000, **keywords)
    seen: dict[int, Counter[int]] = defaultdict(Counter)
    for symbol, answer in zip(symbols[100:].ravel().tolist(), wanted[100:].ravel().tolist(), strict=True):
        if answer >= 0:
            seen[symbol][answer] += 1
    hits = sum(counts.most_common(1)[0][1] for counts in seen.values())
    assert hits / sum(counts.total() for counts in seen.values()) == pytest.approx(best, rel=0.1)


@pytest.mark.parametrize("depth", [2, 8, 100])
def test_brackets_come_as_deep_as_they_may_and_no_deeper(depth: int) -> None:
    _, symbols, _ = some_strings(200, language="dyck", depth=depth, brackets=3, length=20 * depth)
    heights = np.where(symbols < 3, 1, -1).cumsum(0)
    assert heights.min() == 0
    assert heights.max() == depth
    assert np.isin(np.arange(depth + 1), heights).all()
    assert (heights.max(0) > 0.8 * depth).mean() > 0.9
    np.testing.assert_allclose(np.bincount(symbols[symbols < 3]) / (symbols < 3).sum(), 1 / 3, atol=0.03)


def test_numbers_of_a_are_uniform() -> None:
    _, symbols, _ = some_strings(100, language="anbn", depth=4, length=1000)
    runs = [len(run) for column in symbols.T for run in "".join(map(str, column.tolist())).split("1") if run]
    np.testing.assert_allclose(np.bincount(runs)[1:] / len(runs), 1 / 4, atol=0.02)


@pytest.mark.parametrize(("elements", "count"), [(3, 6), (4, 24), (5, 120)])
def test_permutations_are_numbered_in_lexicographic_order(elements: int, count: int) -> None:
    language, symbols, _ = some_strings(400, language="permutations", elements=elements)
    names = ["".join(map(str, p)) for p in permutations(range(1, elements + 1))]
    assert language.answers == language.symbols == names
    assert language.table.shape == (count, count)
    assert sorted(set(symbols.ravel().tolist())) == list(range(count))
    few, _, wanted = some_strings(400, language="permutations", elements=elements, symbols="generators")
    assert few.symbols[0].startswith("213")
    assert few.symbols[1] == "".join(map(str, [*range(2, elements + 1), 1]))
    assert sorted(set(wanted.ravel().tolist())) == list(range(count))  # the two generate the group


def test_a_longer_string_begins_like_the_shorter_one() -> None:
    for keywords, *_ in LANGUAGES:
        _, symbols, wanted = some_strings(5, **{**keywords, "length": 50})
        _, longer, answers = some_strings(5, **{**keywords, "length": 2000})
        np.testing.assert_array_equal(symbols, longer[:50])
        np.testing.assert_array_equal(wanted, answers[:50])


@pytest.mark.parametrize(("language", "shortest"), [("dyck", 11), ("anbn", 19)])
def test_every_string_asks_something_or_is_refused(language: str, shortest: int) -> None:
    _, _, wanted = some_strings(2000, language=language, depth=10, length=shortest)
    assert (wanted >= 0).any(0).all()
    with pytest.raises(ValueError, match=f"length must be at least {shortest}, not {shortest - 1}; raise length"):
        FormalLanguage(language=language, depth=10, length=shortest - 1)


@pytest.mark.parametrize("keys", [[1, 2], 5, None, np.array([1.5]), np.array([-1]), np.zeros((1, 2), np.uint64)])
def test_odd_keys_of_strings_are_refused(keys: Any) -> None:
    with pytest.raises(ValueError, match="keys must be"):
        FormalLanguage().strings(keys)


@every_language
def test_the_viewer_sees_the_string_and_a_player_the_present_symbol(
    keywords: Any, machine: Machine, string: str, answers: str
) -> None:
    env = gym.make(ID, **keywords).unwrapped
    task = env.task
    env.reset(seed=1)
    worlds = env.get_state()["worlds"]
    symbols, wanted = (part[:, 0] for part in task.strings(worlds["key"]))
    for _ in range(5):
        env.step(int(env.oracle_action()))
    worlds, pages = env.get_state()["worlds"], {}
    for task.reveal in (False, True):
        pages[task.reveal] = Page(task.render_size)
        task.draw(worlds, 0, pages[task.reveal])
    texts = {reveal: [text for text in page.texts if text] for reveal, page in pages.items()}
    shown = Counter(task._language.symbols[symbol] for symbol in symbols[:6])
    asked = Counter(task._language.answers[answer] for answer in wanted[:6] if answer >= 0)
    assert shown + asked <= Counter(texts[True])
    own = Counter(task._language.answers[answer] for answer in wanted[:5] if answer >= 0)
    labels = Counter([*task._labels, "wanted", "answer"])
    assert Counter(texts[False]) == labels + own + Counter([task._language.symbols[symbols[5]]])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"language": "palindromes"}, "'parity', 'modular_sum', 'dyck', 'anbn', 'permutations'"),
        ({"length": 0}, "length must be a whole number from 1"),
        ({"modulus": 1}, "modulus must be a whole number from 2 to 128"),
        ({"brackets": 65}, "brackets must be a number of kinds from 1 to 64"),
        ({"depth": 1}, "depth must be a whole number from 2 to 1024"),
        ({"elements": 6}, "elements must be one of 3, 4, 5"),
        ({"symbols": "swaps"}, "'all', 'generators'"),
    ],
)
def test_impossible_keywords_name_the_allowed_values(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **keywords)


@pytest.mark.parametrize("keywords", [{"brackets": 64, "depth": 1024}, {"brackets": 1, "depth": 2}])
def test_the_largest_and_the_smallest_stack(keywords: dict[str, Any]) -> None:
    language, symbols, wanted = some_strings(3, language="dyck", length=5000, **keywords)
    assert symbols.max() < 2 * keywords["brackets"] == len(language.symbols)
    assert wanted.max() <= keywords["brackets"] == len(language.answers) - 1
