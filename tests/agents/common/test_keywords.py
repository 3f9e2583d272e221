"""Every keyword of every agent against values of a wrong kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import AGENTS, RecurrentPPO, WorldModelController, make_sb3
from agents.common.checkpoint import save_checkpoint
from agents.common.keywords import check_keywords
from agents.cores import make_core
from agents.cores.ops.checks import constructor_keywords
from agents.evolution.recording import random_play
from agents.evolution.vae import ConvVAE
from agents.subgoals.generator import SubgoalGenerator
from agents.world_model.tables import TableModel

ODD: list[Any] = [
    None, float("nan"), float("inf"), -float("inf"), -1, 0, 1.5, 1e9, True, False, "x", "no", "", [], {}, (1, 2, 3),
    10**30, np.zeros((2, 3)), np.array([None]), {1}, object(), b"x", [[1]], 2**63,
]  # fmt: skip
FREE = (
    "policy", "env", "controller", "device", "core", "model_core", "match_widths", "objective", "tensorboard_log",
)  # fmt: skip


def accepted(kind: type, name: str) -> list[Any]:
    taken = []
    for value in ODD:
        said = ""
        try:
            check_keywords(kind, {name: value})
            taken.append(value)
        except ValueError as error:
            said = str(error)
        assert not said or (said.startswith(f"{name} must be") and len(said) < 250)
    return taken


@pytest.mark.parametrize("name", AGENTS)
def test_odd_values_are_refused_by_name(name: str) -> None:
    kind = AGENTS[name]
    kinds = {"gamma": {None, 0, 1}, "learning_rate": {0, 1.5, 1e9}, "seed": {None, 0}, "verbose": {0}}
    for keyword in [keyword for keyword in constructor_keywords(kind) if keyword not in FREE]:
        taken = accepted(kind, keyword)
        assert not [value for value in taken if isinstance(value, str | bytes | list | tuple | set | np.ndarray)]
        assert not [value for value in taken if isinstance(value, float) and not np.isfinite(value)]
        if keyword in kinds:
            assert {value for value in taken if not isinstance(value, bool)} <= kinds[keyword]
        assert len(taken) <= 4, (keyword, taken)


@pytest.mark.parametrize(
    ("keyword", "value"), [("gamma", 7), ("n_steps", 1.5), ("n_steps", "x"), ("learning_rate", -1)]
)
def test_a_constructor_refuses_before_it_builds_anything(keyword: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{keyword} must be .* got {value!r}"):
        AGENTS["RecurrentPPO"]("RecurrentPolicy", "CartPole-v1", **{keyword: value})


def test_what_the_annotations_allow_is_accepted() -> None:
    kind = AGENTS["RecurrentPPO"]
    for keyword, value in (
        ("n_minibatches", None),
        ("learning_rate", lambda left: 1e-3 * left),
        ("n_steps", np.int64(3)),
    ):
        check_keywords(kind, {keyword: value})


def test_what_a_subclass_passes_on_is_checked_too() -> None:
    class Mine(RecurrentPPO):
        def __init__(self, policy: str, env: object, unkept: object = None, **options: Any) -> None:
            super().__init__(policy, env, bptt="half", n_steps=8, **options)

    with pytest.raises(ValueError, match="bptt must be 'full' or 'cut', got 'half'"):
        Mine("RecurrentPolicy", make_sb3("foveal_envs:Foveal/Catch-v0", 2))


def test_seeds_are_those_of_numpys_legacy_generator() -> None:
    check_keywords(AGENTS["RecurrentPPO"], {"seed": 2**32 - 1})
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to 4294967295, got 4294967296"):
        check_keywords(AGENTS["RecurrentPPO"], {"seed": 2**32})


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"core": "gated_delta", "core_kwargs": {"sise": 3}}, r"^Delta\(\) got .* 'sise'; it takes .*size.*heads"),
        ({"model_core_kwargs": {"sise": 3}}, r"^FeedForward\(\) got .* 'sise'; it takes .*hidden"),
        ({"model_kwargs": {"hiden": 3}}, r"^WorldModel\(\) got .* 'hiden'; it takes .*action_size"),
        ({"evaluator_kwargs": {"hiden": 3}}, r"^Evaluator\(\) got .* 'hiden'; it takes .*hidden"),
    ],
)
def test_unknown_keywords_of_parts_list_the_known(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        WorldModelController("ControllerPolicy", "foveal_envs:Foveal/TargetDetection-v0", **keywords)


def test_widths_may_be_an_array() -> None:
    assert make_core("feedforward", 3, hidden=np.array([4, 5])).output_size == 5


ODD_NUMBERS: list[Any] = ["x", 1.5, True, None, 0, -1, [2], float("nan")]


@pytest.mark.parametrize("value", ODD_NUMBERS, ids=repr)
def test_whole_numbers_of_functions_are_checked_by_name(value: Any) -> None:
    vectors = make_sb3("foveal_envs:Foveal/Parking-v0", 1)
    lanes = gym.make_vec("foveal_envs:Foveal/TakeCover-v0", 2, vectorization_mode="vector_entry_point", size=16)
    calls: dict[str, Callable[[], Any]] = {
        "codes": lambda: ConvVAE(lanes.single_observation_space, value),
        "frames": lambda: random_play(lanes, value),
        "hidden": lambda: make_core("feedforward", 3, hidden=(value,)),
        "updates": lambda: make_core("delta", 3, updates=value),
        "subgoals": lambda: SubgoalGenerator(2, 3, subgoals=value),
        "keep": lambda: save_checkpoint(RecurrentPPO(env=vectors), "nowhere", keep=value),
        "states": lambda: TableModel(value, 2),
    }
    for name, call in calls.items():
        said = f"{name} must be a whole number of at least 1, not {value!r}"
        with pytest.raises(ValueError, match=re.escape(said)):
            call()
    lanes.close()
