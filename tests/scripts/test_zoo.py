"""Recipes of all ids; the zoo: trained agents, small, each with a card, which play as their cards say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import pytest

from foveal_envs.registration import OWN
from scripts.evaluate import evaluate
from scripts.recipes import ZOO, find_recipe, recipes, zoo_folder
from scripts.shared.runs import Run, create_folder, read_config
from scripts.shared.suite import run, task_of
from scripts.shared.training import fit
from scripts.train import recipe_or_default

IDS = [f"Foveal/{name}-v0" for name in OWN]
EPISODES = 40


def test_every_id_has_a_recipe_and_the_zoo_is_small() -> None:
    assert {find_recipe(env_id).id for env_id in IDS} == set(IDS)
    assert {path.name for path in ZOO.glob("*-v*")} == {env_id.partition("/")[2] for env_id in IDS}
    assert sum(path.stat().st_size for path in ZOO.rglob("*") if path.is_file()) < 10_000_000


def test_a_flat_twin_has_the_recipe_the_agent_and_the_scores_of_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    for env_id in (id for id in gym.registry if "-flat-" in id):
        assert recipe_or_default(env_id, {}).env_id == find_recipe(env_id).id == env_id.replace("-flat", "")
        assert zoo_folder(env_id) == zoo_folder(env_id.replace("-flat", ""))
    tables = []
    for env_id in ("Foveal/HQMaze-v0", "Foveal/HQMaze-flat-v0"):
        evaluate(env_id, episodes=5, json_output=True)
        evaluate(env_id, episodes=5, seeds=2, suite=True, json_output=True)
        tables.append(capsys.readouterr().out.replace("-flat", ""))
    assert tables[0] == tables[1]


@pytest.mark.parametrize("env_id", IDS)
def test_an_agent_of_the_zoo_plays_as_its_card_says(env_id: str) -> None:
    folder = zoo_folder(env_id)
    card = json.loads((folder / "card.json").read_text())
    (_, measure), best, _ = task_of(env_id)
    config = Run.from_config(read_config(folder))
    mean = measure(run(str(folder), env_id, config.env_kwargs, EPISODES, 7))
    zero, one = card["references"]["random"], card["references"][best]
    (own,) = [row["score"] for row in card["scores"] if row["seed"] == card["seed"]]
    assert (mean - zero) / (one - zero) > own - 0.15
    assert config.env_kwargs.keys() >= card["env_keywords"].keys()
    assert {"commit", "versions", "cpu_seconds", "agent_keywords", "command"} <= card.keys()


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_makes_its_agent(name: str, tmp_path: Path) -> None:
    recipe = recipes()[name]
    own = recipe.run(seed=3)
    assert own.seed == 3
    assert own.env_id == recipe.id
    assert recipe.id in gym.registry
    assert set(recipe.agent_kwargs) <= set(vars(own)["agent_kwargs"])
    env = own.make_env()
    if "controller" not in own.agent_kwargs:
        assert own.make_agent(env).n_envs == own.lanes
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes())
def test_a_recipe_trains(name: str, tmp_path: Path) -> None:
    own = recipes()[name].run()
    lessons = {**own.lessons, "steps": 2_000} if own.lessons else {}
    folder = create_folder(replace(own, steps=min(own.steps, 2_000), lessons=lessons), tmp_path / "run")
    _, attendant = fit(Run.from_config(read_config(folder)), folder, progress_bar=False)
    assert attendant.stop is None
    assert (folder / "model.zip").is_file()
