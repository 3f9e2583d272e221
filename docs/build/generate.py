"""MkDocs hook: pages of environments and modules, and the directives in the pages written by hand.

A page per registered environment comes from the docstring of its task and a rendered picture; a page per module comes
from its syntax tree. Directives stand in HTML comments, so that a page also reads well where no hook runs:

    <!-- source: foveal_envs/task.py Task.reset Task.step -->        the source of a module's members
    <!-- results: att1/*.csv | by: shape | show: within_10 -->       tables over the seeds of recorded results
    <!-- pivot: att1/ppo.csv | rows: budget | columns: shape | show: median -->  a short table
    <!-- curve: att1/curve.csv | x: steps | show: within_10 | by: a -->  learning curves with their intervals
    <!-- heat: recall/cores.csv | x: pairs | y: core | show: accuracy -->  a map of means over the seeds
    <!-- dots: att1/ppo.csv | y: shape | by: budget | show: median -->  means and their intervals on a line
    <!-- figure: loop -->                                            a drawing of figures.py
    <!-- recipes: table -->                                          which id tests what, and who learns it
    <!-- jobs: table -->                                             the best cores of every comparison

Whatever a directive names and does not find fails the build, a file of results too, and so does a path of the source in
backticks that is not there.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import charts
import figures
import gymnasium
import jobs
import numpy as np
import recipes
import tables
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image
from recipes import page_name

import foveal_envs
from foveal_envs.registration import OWN

PACKAGES = ("foveal_envs", "agents")
DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
STEPS_BEFORE_PICTURE, LATER = 6, {"Foveal/TakeCover-v0": 110}  # when there is something to see
WORLDS, STEPS_OF_AGREEMENT = 64, 100
SOURCE_PATH = re.compile(r"`((?:foveal_envs|agents|scripts|tests)/[\w./]*)`")
DIRECTIVE = re.compile(r"^<!-- (source|results|pivot|curve|heat|dots|figure|recipes|jobs): (.+?) -->$", re.MULTILINE)


# ---- MkDocs events


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the generated section of the navigation."""
    sections: dict[str, list[Any]] = {
        "environments/": ["environments/index.md", *(f"environments/{page_name(id)}.md" for id in foveal_envs.IDS)],
    }
    config.nav = [
        {title: sections.get(target, target) if isinstance(target, str) else target for title, target in entry.items()}
        if isinstance(entry, dict)
        else entry
        for entry in config.nav or []
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and pictures."""
    for uri, content in [*environment_pages().items(), *module_pages()]:
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replace the directives of a page, and check the paths that it names."""
    for path in SOURCE_PATH.findall(markdown):
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri} names {path}, which does not exist; correct the page")
    drawn = {"curve": charts.curve, "heat": charts.heat, "dots": charts.dots, "figure": figures.figure}
    tabled = {"results": tables.tables, "pivot": tables.pivot, "recipes": recipes.of_pages, "jobs": jobs.table}
    handlers = {"source": source, **tabled, **drawn}
    return DIRECTIVE.sub(lambda match: handlers[match[1]](match[2]), markdown)


# ---- Environments


@functools.cache
def environment_pages() -> dict[str, str | bytes]:
    """Page and picture of each environment, and the overview."""
    pages: dict[str, str | bytes] = {}
    rows = []
    for id in foveal_envs.IDS:
        name = page_name(id)
        env = gymnasium.make(id, render_mode="rgb_array")
        pages[f"environments/{name}.png"] = picture(env)
        pages[f"environments/{name}.md"] = environment_page(id, env)
        summary = (type(env.unwrapped.task).__doc__ or "").strip().partition("\n\n")[0]
        image = f"![{id}]({name}.png){{ width=140 }}"
        rows.append(f"| [{image}]({name}.md) | [`{id}`]({name}.md)<br>{' '.join(summary.split())} |")
        env.close()
    pages["environments/index.md"] = "\n".join(["# Environments", "", INTRODUCTION, "", "| | |", "|---|---|", *rows])
    return pages


INTRODUCTION = """Every environment works with `gymnasium.make` and, as a native vector environment, with
`gymnasium.make_vec`. `gymnasium.make("foveal_envs:Foveal/...")` needs no import; after `import foveal_envs` the id
alone will do. Variants are keyword arguments. Each page below is the docstring of the task."""


def environment_page(id: str, env: gymnasium.Env) -> str:
    """Title, picture, facts from the specification, and the docstring of the task with its keywords."""
    task, spec, flat = type(env.unwrapped.task), env.spec, id.replace("-v0", "-flat-v0")
    facts = {
        "id": f"`{id}`",
        "single": f'`gymnasium.make("foveal_envs:{id}")`',
        "vector": f'`gymnasium.make_vec("foveal_envs:{id}", num_envs=256)`',
        "one Box": f'`gymnasium.make("foveal_envs:{flat}")`' if flat in gymnasium.registry else None,
        "observation": describe(env.observation_space),
        "action": describe(env.action_space),
        "safety limit": f"{spec.max_episode_steps} steps" if spec.max_episode_steps else "none",
        "reward threshold": spec.reward_threshold,
        **recipes.facts(id),
    }
    return "\n".join(
        [
            f"# {id.removeprefix('Foveal/').removesuffix('-v0')} {{ #{task.__module__}.{task.__qualname__} }}",
            "",
            f"![A moment of an episode of {id} under random actions]({page_name(id)}.png)",
            "",
            '<div class="facts" markdown>',
            "",
            "| | |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in facts.items() if value is not None),
            "",
            "</div>",
            "",
            f"::: {task.__module__}.{task.__qualname__}",
            "    options:",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "      show_bases: false",
            "      show_source: false",
            "      members: false",
            "",
            *agreement(id, env),
        ]
    )


def agreement(id: str, env: gymnasium.Env) -> Iterator[str]:
    """How often the sparse reward of an appearance goal agrees with success; nothing for tasks without such goals."""
    keywords = inspect.signature(type(env.unwrapped.task)).parameters
    if not {"goal", "reward"} <= set(keywords):
        return
    yield "## Sparse reward and success"
    yield ""
    yield (
        "The sparse reward of an appearance goal sees glimpses, `is_success` sees the world. Over the moves of random "
        "policies and oracles, half the worlds each:"
    )
    yield ""
    yield "| | of the matching glimpses, successes | of the successes, matching glimpses |"
    yield "|---|---:|---:|"
    by_default = keywords["goal"].default == "appearance"
    appearance = {} if by_default else {"goal": "picture"}
    for variant in [{}, {"rotate": True}] if "rotate" in keywords else [{}]:
        worlds = gymnasium.make_vec(id, WORLDS, reward="sparse", info="step", **appearance, **variant)
        worlds.reset(seed=0)
        worlds.action_space.seed(0)
        matches, successes, over = [], [], np.zeros(WORLDS, bool)
        for _ in range(STEPS_OF_AGREEMENT):
            actions = worlds.action_space.sample()
            actions[: WORLDS // 2] = worlds.unwrapped.oracle_actions()[: WORLDS // 2]
            _, rewards, terminated, truncated, infos = worlds.step(actions)
            matches.append((rewards == 0)[~over])  # a step that resets has no reward
            successes.append(infos["is_success"][~over])
            over = terminated | truncated
        match, success = np.concatenate(matches), np.concatenate(successes)
        shares = [f"{100 * (match & success).sum() / whole.sum():.1f} %" for whole in (match, success)]
        names = [f"`{name}={value!r}`" for name, value in {**appearance, **variant}.items()]
        yield f"| {', '.join(names) or 'default keywords'} | {' | '.join(shares)} |"


def describe(space: gymnasium.Space) -> str:
    """A space in one table cell."""
    if isinstance(space, gymnasium.spaces.Dict):
        return "<br>".join(f"`{key}`: `{value}`" for key, value in space.items())
    return f"`{space}`"


def picture(env: gymnasium.Env) -> bytes:
    """PNG of the environment after a few random actions; the same on every build."""
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(LATER.get(env.spec.id, STEPS_BEFORE_PICTURE)):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            break
    stream = io.BytesIO()
    Image.fromarray(env.render()).save(stream, "PNG")
    return stream.getvalue()


# ---- Modules


@functools.cache
def modules(package: str) -> dict[str, str]:
    """Dotted names of the modules of a package that say something, with what they say first.

    A module whose class has an environment page is left out: that page shows the same docstring.
    """
    shown_elsewhere = {home.partition(":")[0] for home in OWN.values()}
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if text and module not in shown_elsewhere:
            found[module] = " ".join(text.partition("\n\n")[0].split())
    return found


def module_pages() -> Iterator[tuple[str, str]]:
    """One page a module, by mkdocstrings, out of the search; and their index, which the search finds."""
    yield "api/index.md", "\n".join(module_index())
    for package in PACKAGES:
        for module in modules(package):
            own = public_names(module) or "false"  # a package shows what others define by its front door: not again
            page = f"# {module}\n\n::: {module}\n    options:\n      show_root_heading: false\n      members: {own}\n"
            yield f"api/{module}.md", f"---\nsearch:\n  exclude: true\n---\n\n{page}"


def module_index() -> Iterator[str]:
    """Lists of the modules, what each is, and its public names; in searches behind the pages about them."""
    yield "---\nsearch:\n  boost: 0.5\n---\n\n# Modules"
    for package in PACKAGES:
        yield f"\n## The modules of {package}\n"
        for module, text in modules(package).items():
            names = ", ".join(f"`{name}`" for name in public_names(module))
            yield f"- [`{module}`]({module}.md)<br>{text}{names and '<br>'}{names}"


def public_names(module: str) -> list[str]:
    """Functions and classes that a module defines for others."""
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    defined = (ast.FunctionDef, ast.ClassDef)
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in nodes if isinstance(node, defined) and not node.name.startswith("_")]


# ---- Source


def source(argument: str) -> str:
    """Fenced source of members of a module: ``path member member ...``; without members, the whole module."""
    path, *members = argument.split()
    if not (ROOT / path).is_file():
        raise PluginError(f"source directive: there is no file {path}")
    text = (ROOT / path).read_text(encoding="utf-8")
    code = "\n\n".join(member_source(text, path, member) for member in members) if members else text
    return f'```py title="{path}"\n{code.rstrip()}\n```'


def member_source(text: str, path: str, member: str) -> str:
    """Lines of one function or class, or of one method (``Class.method``), decorators included."""
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in member.split("."):
        found = next((node for node in body if getattr(node, "name", None) == name), None)
        if found is None:
            raise PluginError(f"source directive: {path} has no member {member}; correct the page that names it")
        body = getattr(found, "body", [])
    first = min([found.lineno, *(node.lineno for node in getattr(found, "decorator_list", []))])
    return "\n".join(text.splitlines()[first - 1 : found.end_lineno])
