"""about.json of a run folder: under what circumstances a run ran, how far it got and how it ended."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .command import program

PACKAGES = ("foveal-envs", "gymnasium", "stable-baselines3", "torch", "numpy", "numba", "pygame-ce")


def read_about(folder: Path) -> dict[str, Any]:
    """What about.json says; nothing where it is not there or not whole."""
    try:
        about = json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def circumstances(device: str) -> dict[str, Any]:
    """Versions, commit, command, threads, device and date, for about.json."""
    import torch

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "unknown"
    return {
        "versions": {"python": platform.python_version(), **versions},
        "platform": platform.platform(),
        **_commit(),
        "command": f"{program(Path(sys.argv[0]).stem)} {shlex.join(sys.argv[1:])}",
        "threads": torch.get_num_threads(),
        "device": device,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _commit() -> dict[str, Any]:
    """The commit of this code and whether files have changed since; nothing outside a checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        if Path(git("rev-parse", "--show-toplevel").strip()) != root:
            return {}
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(git("status", "--porcelain").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {}
