"""Saved agents grouped by configuration: run folders that differ in the seed alone are seeds of one policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .runs import Run, read_config

CONFIGURATION = tuple(part.name for part in fields(Run) if part.name != "seed")


@dataclass
class Group:
    """Runs of one configuration.

    Attributes:
        config: of all of them, the seed apart.
        folders: of the runs.
        seeds: of their trainings.
    """

    config: dict[str, Any]
    folders: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    @property
    def env_id(self) -> str:
        """The environment's id, without its module."""
        return str(self.config["env_id"]).rpartition(":")[2]

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """Keywords of the environment."""
        return dict(self.config["env_kwargs"])


def group_runs(folders: Iterable[str], trust: bool = False) -> list[Group]:
    """Groups of run folders, in the order in which they are met.

    Args:
        folders: of the runs.
        trust: import the modules that they name.

    Raises:
        SystemExit: a folder that is no run.
    """
    groups: dict[str, Group] = {}
    for folder in folders:
        config = read_config(folder, trust)
        own = {name: config[name] for name in CONFIGURATION if name in config}
        group = groups.setdefault(json.dumps(own, sort_keys=True), Group(own))
        group.folders.append(str(folder))
        group.seeds.append(int(config.get("seed", 0)))
    return list(groups.values())


def name_groups(groups: Sequence[Group]) -> list[str]:
    """The algorithm of each, and the settings in which it differs from others of that algorithm."""
    names = []
    for group in groups:
        rivals = [_settings(other) for other in groups if other.config["algorithm"] == group.config["algorithm"]]
        known = dict.fromkeys(name for settings in rivals for name in settings)
        differing = [name for name in known if len({settings.get(name) for settings in rivals}) > 1]
        own = _settings(group)
        told = ", ".join(f"{name}={own.get(name, 'default')}" for name in differing)
        names.append(f"{group.config['algorithm']} {told}".rstrip())
    return names


def _settings(group: Group) -> dict[str, str]:
    """The configuration as one mapping of texts; keywords of agent and environment stand beside the rest."""
    flat: dict[str, str] = {}
    for name, value in group.config.items():
        for inner, setting in value.items() if isinstance(value, dict) else ((name, value),):
            flat[inner] = setting if isinstance(setting, str) else json.dumps(setting)
    return flat
