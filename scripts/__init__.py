"""Commands of foveal-envs: `foveal train` or `python -m scripts.train`; each lists its options by --help."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

PROJECT = "foveal-envs"  # stands in the first line of both packages, whose names are common


def check_agents() -> None:
    """Stop with a message if the package ``agents`` that Python finds is another project's.

    Raises:
        SystemExit: it is, or it stands elsewhere than this package.
    """
    found = importlib.util.find_spec("agents")
    path = Path(found.origin).resolve() if found is not None and found.origin else None
    here = Path(__file__).resolve().parent.parent
    if path is None or path.parent.parent != here or PROJECT not in path.read_text(errors="replace").partition("\n")[0]:
        raise SystemExit(
            f"the package `agents` that Python finds ({path or 'none'}) is not the one of {PROJECT}, but another "
            f"project's: install {PROJECT} in an environment of its own, and keep others out of PYTHONPATH"
        )


check_agents()
# Before NumPy and PyTorch are imported, and for the processes that a command starts. With small nets, two threads
# mostly wait for each other; and equal seeds give equal bits only with one.
os.environ["OMP_NUM_THREADS"] = "1"
