"""What the recipes say, for the pages: which id tests what, which agent learns it, by which command, to which score.

``python docs/build/recipes.py`` brings the table of README.md up to date; a test compares it.
"""

from __future__ import annotations

import re
from pathlib import Path

from foveal_envs.registration import OWN
from scripts.recipes import Recipe, find_recipe

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"(<!-- recipes: table -->\n).*?(<!-- end -->)", re.DOTALL)
AGENT_PAGES = {
    "AttentionAgent": "evolution.md#attentionagent",
    "CuriousExplorer": "curiosity.md",
    "Evolution": "evolution.md",
    "HQLearning": "hq_learning.md",
    "HierarchicalController": "hierarchical_controller.md",
    "MapNavigator": "hierarchical_controller.md#places-never-seen-before-mapnavigator",
    "OneBigNet": "one_big_net.md",
    "Recogniser": "recogniser.md",
    "RecurrentPPO": "recurrent_ppo.md",
    "ThinkingController": "thinking_controller.md",
    "VisionMemoryController": "evolution.md#visionmemorycontroller",
    "WorldModelController": "world_model_controller.md",
}


def of_pages(argument: str) -> str:
    """The table, for the directive of generate.py on a page at the root of the documentation."""
    return table("", link_ids=True)


def page_name(id: str) -> str:
    """``Foveal/TargetDetection-v0`` -> ``target_detection``; later versions keep their number."""
    name = id.removeprefix("Foveal/").removesuffix("-v0")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def table(root: str, link_ids: bool) -> str:
    """Markdown table with a row an id.

    Args:
        root: of links, "" or with a slash at its end.
        link_ids: whether there are pages of the environments, which only the site has.
    """
    lines = ["| id | tests | agent | command | score |", "|---|---|---|---|---:|"]
    for name in OWN:
        recipe = find_recipe(f"Foveal/{name}-v0")
        shown = f"[`{name}`]({root}environments/{page_name(recipe.id)}.md)" if link_ids else f"`{name}`"
        cells = [shown, recipe.ability, agent(recipe, root), f"`foveal train {recipe.id}`", score(recipe)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def facts(id: str) -> dict[str, str | None]:
    """Rows of the table on the page of an environment; None: not known."""
    recipe, up = find_recipe(id), "../"
    name = id.partition("/")[2].removesuffix("-v0")
    return {
        "tests": recipe.ability,
        "agent": agent(recipe, up),
        "results": f"[what we measured]({up}papers/{recipe.paper}.md)",
        "train": f"`foveal train {id}`, by [its recipe]({up}runs.md#recipes)",
        "watch": f"`foveal watch --zoo {name}`, the agent that comes with this package",
        "score": None if recipe.score is None else f"{score(recipe)}, where 0 is random and 1 the best known",
    }


def agent(recipe: Recipe, root: str) -> str:
    return f"[{recipe.algorithm}]({root}agents/{AGENT_PAGES[recipe.algorithm]})"


def score(recipe: Recipe) -> str:
    return "–" if recipe.score is None else f"{recipe.score:.2f}"


def with_table(text: str) -> str:
    """The text of README.md with the table of today."""
    return MARKED.sub(lambda marks: f"{marks[1]}\n{table('docs/', link_ids=False)}\n\n{marks[2]}", text)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
