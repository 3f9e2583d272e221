"""The ``foveal`` command; it first makes sure that the package of the commands, whose name is common, is ours."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

PROJECT = "foveal-envs"


def main() -> None:
    """Run ``scripts.cli``.

    Raises:
        SystemExit: the package ``scripts`` that Python finds is another project's.
    """
    found = importlib.util.find_spec("scripts")
    path = Path(found.origin) if found is not None and found.origin else None
    if path is None or PROJECT not in path.read_text(errors="replace").partition("\n")[0]:
        raise SystemExit(
            f"the package `scripts` that Python finds ({path or 'none'}) is not the one of {PROJECT}, but another "
            f"project's: install {PROJECT} in an environment of its own, and keep others out of PYTHONPATH"
        )
    importlib.import_module("scripts.cli").main()


if __name__ == "__main__":
    main()
