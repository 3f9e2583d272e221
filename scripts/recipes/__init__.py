"""Recipes: for every id the agent, its settings, and the score to expect; one TOML file an id.

``train`` takes the recipe of an id when nothing else is said; the zoo, the tables of the documentation and
``reproduce recipes`` read the same files.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from ..shared.command import Refusal
from ..shared.environments import untwinned
from ..shared.runs import Run

HERE = Path(__file__).parent
ZOO = HERE.parent / "zoo"


@dataclass(frozen=True)
class Recipe:
    """How to train an agent for an id.

    Attributes:
        id: of the environment.
        ability: what the id tests, in a few words.
        algorithm, preset, agent_kwargs, env_kwargs, train_kwargs, lessons, steps, lanes: see `Run`.
        measure: of an episode, whose mean is given beside the normalised score.
        score: normalised score to expect, from random, 0, to the best reference, 1; None: of no id of the suite.
        cpu_seconds: of the training, one core.
        episodes: by which the zoo scores it, three times.
        paper: page of the documentation about it, without ".md".
    """

    id: str
    ability: str
    algorithm: str
    steps: int
    lanes: int = 64
    preset: str = "default"
    agent_kwargs: dict[str, Any] = field(default_factory=dict)
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    lessons: dict[str, Any] = field(default_factory=dict)
    measure: str = "is_success"
    score: float | None = None
    cpu_seconds: float | None = None
    episodes: int = 1000
    paper: str = ""

    def run(self, seed: int = 0) -> Run:
        """The run that the recipe describes."""
        shared = {part.name for part in fields(Run)} & {part.name for part in fields(self)}
        return Run(env_id=self.id, seed=seed, **{name: getattr(self, name) for name in shared})


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by the name of their file."""
    return {path.stem: Recipe(**tomllib.loads(path.read_text())) for path in sorted(HERE.glob("*.toml"))}


def find_recipe(name: str) -> Recipe:
    """A recipe by the name of its file, or by the id of its environment or of its flat twin.

    Raises:
        Refusal: there is none.
    """
    own_id = untwinned(name.rpartition(":")[2])
    found = recipes().get(name) or recipes().get(own_id.partition("/")[2].removesuffix("-v0"))
    if found is None or (name not in recipes() and found.id != own_id):
        raise Refusal(f"there is no recipe for {name}; there are {', '.join(recipes())}")
    return found


def zoo_folder(name: str) -> Path:
    """The run folder of the trained agent of an id.

    Raises:
        Refusal: the zoo has none.
    """
    folder = ZOO / find_recipe(name).id.partition("/")[2]
    if not folder.is_dir():
        raise Refusal(f"the zoo has no agent for {name}; it has {', '.join(sorted(p.name for p in ZOO.glob('*-v*')))}")
    return folder
