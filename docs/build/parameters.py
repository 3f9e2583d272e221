"""Griffe extension: a row a parameter, also where a docstring lets several share a line.

``low, high: the limits.`` becomes an entry for each name, so that each gets the type and the default of its signature.
``likewise`` repeats the entry above, and ``as in TargetDetection`` links the class that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

SECTION = re.compile(r"^(?:Args|Attributes):\n((?: +.*\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*\n(?:     +.*\n)*)", re.MULTILINE)
NAMED = re.compile(r"\b((?:as in|as of|see)\s+)`?([A-Z]\w+)`?")


class OneRowAParameter(griffe.Extension):
    """Rewrites the docstrings of a package when all of it is known."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every docstring of the package."""
        members = list(everything_in(pkg))
        classes = {member.name: member.path for member in members if member.is_class}
        for member in members:
            if member.docstring:
                member.docstring.value = rewritten(member.docstring.value, classes)


def everything_in(parent: griffe.Object) -> Iterator[griffe.Object]:
    """An object and all that is defined within it, aliases left out."""
    yield parent
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            yield from everything_in(member)


def rewritten(docstring: str, classes: dict[str, str]) -> str:
    """The docstring with an entry a parameter.

    Args:
        docstring: in Google's style, without the indentation of its code.
        classes: name to dotted path of the classes that can be linked.
    """
    return SECTION.sub(lambda section: "".join(entries(section[0], classes)), docstring + "\n").rstrip("\n")


def entries(section: str, classes: dict[str, str]) -> Iterator[str]:
    """The lines of a section: its title, then an entry a parameter."""
    yield section.partition("\n")[0] + "\n"
    above = ""
    for names, text in ENTRY.findall(section):
        above = above if text.strip() == "likewise." else linked(text, classes)
        for name in names.split(", "):
            yield f"    {name}: {above}"


def linked(text: str, classes: dict[str, str]) -> str:
    """The text with a link to each class that it refers to."""
    return NAMED.sub(lambda word: f"{word[1]}[{word[2]}][{classes[word[2]]}]" if word[2] in classes else word[0], text)
