"""The ``foveal`` command: train, evaluate, watch, play, benchmark and reproduce, from any folder."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "train": "train an agent by the recipe of an id, and leave a run folder",
    "evaluate": "compare agents and reference policies on equal episodes",
    "watch": "show a policy in a window, or as GIF, MP4 or still picture",
    "play": "steer the fovea yourself with mouse and keys",
    "benchmark": "measure speed",
    "reproduce": "repeat a published result",
}


def main(words: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        words: its name and its options; None: those of this process.

    Raises:
        SystemExit: status 2 for an unknown command.
    """
    words = sys.argv[1:] if words is None else list(words)
    if not words or words[0] in ("-h", "--help"):
        print("usage: foveal COMMAND ...; foveal COMMAND --help lists its options\n")
        print("\n".join(f"  {name:10} {said}" for name, said in COMMANDS.items()))
        return
    if words[0] not in COMMANDS:
        print(f"foveal: unknown command {words[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    sys.path.append(os.getcwd())  # where a user's "module:id" is looked for, after everything installed
    try:
        command = importlib.import_module(f".{words[0]}", __package__)
    except ModuleNotFoundError as error:
        print(f"foveal {words[0]} needs {error.name}: pip install 'foveal-envs[agents]'", file=sys.stderr)
        raise SystemExit(2) from error
    command.main(words[1:])
