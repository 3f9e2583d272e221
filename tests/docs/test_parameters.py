"""Parameters of the documentation: an entry a name, and links to the classes that are referred to."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("griffe")


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "build"))
    return importlib.import_module("parameters")


def test_names_that_share_a_line_get_an_entry_each(parameters: ModuleType) -> None:
    docstring = """What it is.

Args:
    low, high: the limits, as in
        Interval.
    size: a number: see `Other`.
    first, *rest: likewise.

Raises:
    ValueError: low, high: both."""
    assert (
        parameters.rewritten(docstring, {"Interval": "package.Interval"})
        == """What it is.

Args:
    low: the limits, as in
        [Interval][package.Interval].
    high: the limits, as in
        [Interval][package.Interval].
    size: a number: see `Other`.
    first: a number: see `Other`.
    *rest: a number: see `Other`.

Raises:
    ValueError: low, high: both."""
    )


def test_every_parameter_of_the_packages_has_its_type(parameters: ModuleType) -> None:
    griffe = importlib.import_module("griffe")
    extensions = griffe.load_extensions(parameters.OneRowAParameter)
    package = griffe.load("foveal_envs", docstring_parser="google", extensions=extensions)
    for name in ("target_tracking.TargetTracking", "image_search.ImageSearch"):
        task = package[f"tasks.looking.{name}"]
        (section,) = (part for part in task.docstring.parsed if part.kind.value == "parameters")
        assert {parameter.name for parameter in section.value} == {
            parameter.name for parameter in task.parameters if parameter.name != "self"
        }
        assert all(parameter.annotation for parameter in section.value)
