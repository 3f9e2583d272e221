"""Retina: one table of receptive fields, and the ways to name one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..checks import one_of, require
from ..compiled import aligned
from ..vectors import LANES
from .limits import LARGEST, SMALLEST
from .logpolar import logpolar
from .multiscale import multiscale
from .rings import rings
from .uniform import uniform

NOWHERE = 1e6  # pixels from the gaze
U, V, RADIUS, PER_RADIUS, BOX_U, BOX_V, BOX_WIDTH, BOX_HEIGHT = range(8)  # rows of ``Retina.fields``


class Retina:
    """Receptive fields (discs) fixed to the fovea; a field's activation is the mean darkness of the area it covers.

    Args:
        table: (K, 3) float array of (u, v, size): centre relative to the gaze and diameter, pixels. At angle 0, u
            points right and v points down; a positive angle turns the fovea clockwise on the screen.
        spec: how the table was made, a JSON-able name or dict; None for a table given by the user.

    Attributes:
        fields: (8, K') float32 for the kernels: rows u, v, radius and 1 / radius; then u, v, half the width and half
            the height of a box that holds the 16 successive fields of which this is one. K' is K rounded up to a
            multiple of 16; the fields beyond K lie where no object ever is.
        reach: radius in pixels of the circle around the gaze that holds every field.

    Raises:
        ValueError: the table is not (K, 3) numbers, or a field lies farther from the gaze than 100,000 pixels, or is
            larger, or smaller than 0.001 pixel.
    """

    def __init__(self, table: np.ndarray, spec: str | dict[str, Any] | None = None) -> None:
        require(spec is None or isinstance(spec, str | dict), "spec", "None, a name or a dict", spec)
        self.table = table = _checked(table)
        self.table.setflags(write=False)
        self.spec = spec
        radius = 0.5 * table[:, 2]
        self.fields = aligned((8, -(-len(table) // LANES) * LANES))
        self.fields[[U, V]], self.fields[RADIUS:] = NOWHERE, 1.0
        self.fields[[U, V, RADIUS, PER_RADIUS], : len(table)] = table[:, 0], table[:, 1], radius, 1.0 / radius
        for start in range(0, len(table), LANES):
            u, v, size = table[start : start + LANES].T
            sides = [[(w - 0.5 * size).min(), (w + 0.5 * size).max()] for w in (u, v)]
            box = np.concatenate([np.mean(sides, axis=1), 0.5 * np.ptp(sides, axis=1)])
            self.fields[BOX_U:, start : start + LANES] = box[:, None]
        self.reach = float((np.hypot(table[:, 0], table[:, 1]) + 0.5 * table[:, 2]).max())

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"Retina({self.spec!r}, fields={len(self)}, reach={self.reach:.1f})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retina) and np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        return hash(self.table.tobytes())


def _checked(table: Any) -> np.ndarray:
    """A copy (K, 3) float32 of a table, all of whose fields can be used."""
    try:
        array = np.asarray(table)
    except ValueError:  # lists of different lengths
        array = np.empty(0)
    good = array.dtype.kind in "fiu" and array.ndim == 2 and array.shape[1:] == (3,) and len(array) > 0
    require(good, "the table of a retina", "(K, 3) numbers (u, v, size) with K >= 1", table)
    near = np.abs(array) <= LARGEST
    rule = f"numbers of at most {LARGEST:g} pixels, the sizes (diameters, third column) at least {SMALLEST:g}"
    require(bool(near.all() and (array[:, 2] >= SMALLEST).all()), "the table of a retina", rule, table)
    return np.array(array, np.float32)


RETINAS: dict[str, Callable[..., np.ndarray]] = {
    "rings": rings,
    "multiscale": multiscale,
    "logpolar": logpolar,
    "uniform": uniform,
}
ALIASES = {"att1": "rings"}  # earlier names, still accepted


def make_retina(retina: str | Mapping[str, Any] | Retina) -> Retina:
    """A retina from its name, from ``{"name": ..., keyword: value}``, or itself.

    Raises:
        ValueError: unknown name, keyword or value; the message names the allowed ones.
    """
    if isinstance(retina, Retina):
        return retina
    require(isinstance(retina, str | Mapping), "retina", "a name, a dict with a name and keywords, or a Retina", retina)
    spec = retina if isinstance(retina, str) else dict(retina)
    keywords = {"name": spec} if isinstance(spec, str) else spec.copy()
    name = keywords.pop("name", None)
    name = ALIASES.get(name, name) if isinstance(name, str) else name
    name = one_of("the name of a retina", name, tuple(RETINAS))
    known = tuple(keyword for keyword in RETINAS[name].__annotations__ if keyword != "return")
    for keyword in keywords:
        one_of(f"a keyword of the retina {name!r}", keyword, known)
    return Retina(RETINAS[name](**keywords), spec)
