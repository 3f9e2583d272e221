"""The help of train names every agent, preset and recipe; of an id, the agents that fit it and their keywords."""

from __future__ import annotations

import pytest

from agents import AGENTS, PRESETS
from scripts.recipes import recipes
from scripts.shared.listing import listing
from scripts.train import main, recipe_or_default


def test_the_help_names_agents_presets_and_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for name in (*AGENTS, *PRESETS, *recipes()):
        assert f"{name}" in said


def test_the_help_for_an_id_names_the_agents_that_fit_and_their_keywords() -> None:
    said = listing(["Foveal/Catch-v0", "--help"])
    assert "RecurrentPPO: learning_rate=0.001, n_steps=64" in said
    assert "HQLearning" not in said
    assert listing(["SwampSubgoals", "-h"]) == listing(["Foveal/SwampNavigation-v0", "-h"])


def test_no_help_costs_nothing() -> None:
    assert listing([]) == listing(["no/such-id"]) == ""


def test_an_id_that_is_not_there_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["Foveal/Nothing-v0", "--help"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_recipe_can_be_named() -> None:
    assert recipe_or_default("SwampSubgoals", {}).env_id == "Foveal/SwampNavigation-v0"
    assert recipe_or_default("foveal_envs:Foveal/Catch-v0", {}).env_id == "foveal_envs:Foveal/Catch-v0"
