"""State tracking (TR3, TR4): formal languages learned with a teacher, in strings longer and deeper than in training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from foveal_envs.tasks.memory.formal_language import FormalLanguage

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import make_batch
from .shared.supervised import IGNORED, Batch, SequenceTask, at, jobs_of, mean_accuracy

TITLE = "state tracking: parity, permutations and brackets, in strings longer and deeper than in training"


@dataclass(frozen=True)
class Strings(SequenceTask):
    """Strings of a language: read a symbol, answer as `FormalLanguage` asks.

    Attributes:
        language: its name.
        levels: lengths of the strings; of brackets, depths, in strings ten times as long.
        beyond: steps at the start that are not scored.
        options: other keywords of `FormalLanguage`.
    """

    language: str
    levels: tuple[int, ...]
    beyond: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    level_name = "level"

    def _made(self, level: int) -> FormalLanguage:
        of_level = {"depth": level, "length": 10 * level} if self.language == "dyck" else {"length": level}
        return FormalLanguage(self.language, **of_level, **self.options)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The alphabet."""
        return int(self._made(self.levels[0]).observation_space.shape[0])  # type: ignore[index]

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The answers."""
        return int(self._made(self.levels[0]).action_space.n)  # type: ignore[attr-defined]

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """Strings of new keys."""
        keys = rng.integers(2**64, size=columns, dtype=np.uint64)
        symbols, answers = (part.T for part in self._made(level).strings(keys))
        scored = answers != IGNORED
        scored[:, : self.beyond] = False
        return make_batch([symbols], [self.input_size], answers, scored)


SECONDS, SEEDS = 60.0, 3
TRAINED, FARTHER = 40, (80, 200, 400)  # symbols
SHALLOW, DEEP = 6, (20, 40)  # open brackets
UPDATES, PATIENCE = 2_000, 1_000.0  # the same number for all, whatever the CPU seconds
CLOCK = {"clock": 8}
Models = dict[str, tuple[str, dict[str, Any]]]
REFLECTING: Models = {
    "delta, eigenvalues down to -1": ("delta", {"beta_max": 2.0}),
    "delta_product": ("delta_product", {}),
    "delta_product, four writes": ("delta_product", {"updates": 4}),
}
PARITY: Models = {
    **{name: (name, {}) for name in ("elman", "lstm", "gru", "recurrent_delta")},
    **REFLECTING,
    **{
        name + text: (name, keywords)
        for name in ("delta", "gated_delta", "linear_attention", "window_attention")
        for text, keywords in (("", {}), (", clock", CLOCK))
    },
}
GROUPS: Models = {**{name: (name, {}) for name in ("elman", "lstm", "recurrent_delta", "gated_delta")}, **REFLECTING}
NESTING: Models = {
    **{name: (name, {}) for name in ("lstm", "elman", "gated_delta", "window_attention")},
    "stack": ("stack", {"depth": 48}),
}
BARS = {"elman": 0.99, "lstm": 0.99, "recurrent_delta": 0.95}  # of parity in strings five times as long


def strings(language: str, models: Models, options: dict[str, Any], seeds: int, quick: bool) -> list[Job]:
    """Strings of up to `TRAINED` symbols; longer ones are scored beyond so many."""
    task = Strings(language, (5, 10, 20, TRAINED), options=options)
    tests = {TRAINED: (task, TRAINED), **{n: (replace(task, beyond=TRAINED), n) for n in FARTHER}}
    name = f"{language} of {options['elements']}" if options else language
    return _jobs("strings", {"language": name}, models, seeds, quick, task, tests, {"cpu_seconds": SECONDS})


def brackets(seeds: int, quick: bool) -> list[Job]:
    """Two kinds of brackets, up to `SHALLOW` of them open at once; tested on deeper ones."""
    task = Strings("dyck", (SHALLOW,))
    tests = {depth: (task, depth) for depth in (SHALLOW, *DEEP)}
    equal = {"CPU seconds": {"cpu_seconds": SECONDS}, "updates": {"cpu_seconds": PATIENCE, "updates": UPDATES}}
    made = []
    for name, training in list(equal.items())[: 1 if quick else None]:
        made += _jobs("brackets", {"equal": name}, NESTING, seeds, quick, task, tests, training)
    return made


def _jobs(
    table: str,
    conditions: dict[str, str],
    models: Models,
    seeds: int,
    quick: bool,
    task: Strings,
    tests: dict[int, tuple[Strings, int]],
    training: dict[str, Any],
) -> list[Job]:
    """All seeds of the first model after all first seeds."""
    made = []
    for name, (core, keywords) in list(models.items())[: 2 if quick else None]:
        made += jobs_of(
            table, {**conditions, "model": name}, 1 if quick else min(seeds, SEEDS), core=core, keywords=keywords,
            task=task, tests=tests, training={"cpu_seconds": 10.0} if quick else training,
        )  # fmt: skip
    return sorted(made, key=lambda job: job.seed)


PARTS: dict[str, Any] = {"parity": partial(strings, "parity", PARITY, {})}
for _elements in (3, 5):
    PARTS[f"permutations-{_elements}"] = partial(strings, "permutations", GROUPS, {"elements": _elements})
PARTS["brackets"] = brackets


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts, all if none is given; quick: two models of parity and of brackets."""
    return jobs_of_parts(PARTS, parts or (("parity", "brackets") if quick else ()), seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """Accuracy of every model, in strings five times as long, and at both depths."""
    made = []
    for name, models in {"parity": PARITY, "permutations of 3": GROUPS, "permutations of 5": GROUPS}.items():
        for model in models:
            own = at(rows, Strings, FARTHER[1], table="strings", language=name, model=model)
            bar = BARS.get(model) if name == "parity" else None
            text = f"{name}, {model}: accuracy beyond {TRAINED} symbols, up to {FARTHER[1]}"
            made.append(make_claim(text, "share", own, mean_accuracy, bar))
    for equal in ("CPU seconds", "updates"):
        deep = {
            (model, depth): at(rows, Strings, depth, table="brackets", equal=equal, model=model)
            for model in NESTING
            for depth in DEEP
        }
        for (model, depth), own in deep.items():
            bar = None
            if (model, equal) == ("stack", "updates") and deep["lstm", depth]:
                bar = mean_accuracy(deep["lstm", depth])
            text = f"brackets, {model} at equal {equal}: accuracy at depth {depth}"
            made.append(make_claim(text, "share", own, mean_accuracy, bar))
    return made
