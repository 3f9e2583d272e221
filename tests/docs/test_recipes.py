"""What the pages say of recipes is what the recipes say."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

import foveal_envs
from agents import AGENTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS / "build"))
    return importlib.import_module("recipes")


def test_the_table_of_the_readme_is_that_of_the_recipes(recipes: ModuleType) -> None:
    text = recipes.README.read_text()
    assert recipes.table("docs/", link_ids=False) in text
    assert recipes.with_table(text) == text, "python docs/build/recipes.py brings it up to date"


def test_a_stale_table_is_replaced(recipes: ModuleType) -> None:
    text = "before\n<!-- recipes: table -->\n\n| stale |\n\n<!-- end -->\nafter\n"
    new = recipes.with_table(text)
    assert "stale" not in new
    assert recipes.table("docs/", link_ids=False) in new
    assert new.startswith("before\n<!-- recipes: table -->\n")
    assert new.endswith("<!-- end -->\nafter\n")


def test_every_id_has_a_row(recipes: ModuleType) -> None:
    rows = recipes.of_pages("table").splitlines()[2:]
    assert "[`TargetDetection`](environments/target_detection.md)" in rows[0]
    assert [row.split(" | ")[3] for row in rows] == [f"`foveal train {id}`" for id in foveal_envs.IDS]


def test_every_agent_and_every_paper_has_a_page(recipes: ModuleType) -> None:
    assert set(recipes.AGENT_PAGES) == set(AGENTS)
    for page in recipes.AGENT_PAGES.values():
        assert (DOCS / "agents" / page.partition("#")[0]).is_file()
    for recipe in importlib.import_module("scripts.recipes").recipes().values():
        assert (DOCS / "papers" / f"{recipe.paper}.md").is_file()


def test_a_score_is_written_with_two_digits(recipes: ModuleType) -> None:
    recipe = importlib.import_module("scripts.recipes").find_recipe("TargetDetection")
    assert recipes.score(type(recipe)("an id", "an ability", "PPO", 1, score=0.987)) == "0.99"
    assert recipes.score(type(recipe)("an id", "an ability", "PPO", 1)) == "–"
