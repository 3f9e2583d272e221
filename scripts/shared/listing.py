"""What ``train --help`` lists: agents, presets and recipes; for an id, the agents that fit it and their keywords."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence

import agents

from ..recipes import recipes
from .environments import make_lanes
from .policies import fitting

WIDTH = 100
COMMON = {"policy", "env", "seed", "device", "verbose", "stats_window_size", "tensorboard_log", "_init_setup_model"}


def listing(words: Sequence[str]) -> str:
    """The end of the help for a command line; empty where no help is asked for.

    Raises:
        Refusal: its first word is no environment.
    """
    if not {"-h", "--help"} & set(words):
        return ""
    return overview() if words[0].startswith("-") else of_id(words[0])


def overview() -> str:
    """All agents, presets and recipes."""
    ids = [f"  {name:22} {recipe.algorithm:22} {recipe.ability}" for name, recipe in recipes().items()]
    return "\n".join([
        _wrapped("agents", list(agents.AGENTS)),
        _wrapped("presets of WorldModelController", list(agents.PRESETS)),
        "\nrecipes; train takes Foveal/NAME-v0, or NAME:",
        *ids,
        "\ntrain ID --help lists the agents that fit the spaces of an id, and their keywords",
    ])  # fmt: skip


def of_id(env_id: str) -> str:
    """The agents that fit an environment, and their keywords with the defaults."""
    name = env_id if env_id not in recipes() else recipes()[env_id].id
    lanes = make_lanes(name, {}, 1)
    fits = fitting(lanes)
    lanes.close()
    lines = [f"agents that fit {name}, and the keywords that --agent takes:" if fits else f"no agent fits {name}"]
    for agent in fits:
        parameters = inspect.signature(agents.AGENTS[agent]).parameters.items()
        lines.append(_wrapped(agent, [_shown(*entry) for entry in parameters if entry[0] not in COMMON]))
    return "\n\n".join(lines)


def _shown(name: str, parameter: inspect.Parameter) -> str:
    return name if parameter.default is inspect.Parameter.empty else f"{name}={parameter.default!r}"


def _wrapped(title: str, entries: Sequence[str]) -> str:
    return textwrap.fill(f"{title}: {', '.join(entries)}", WIDTH, subsequent_indent="  ", break_long_words=False)
