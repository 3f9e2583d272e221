"""The ``foveal`` command: train, evaluate, watch, play, benchmark and reproduce, from any folder."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from .shared.command import Refusal, choose, refusals_in_one_line

COMMANDS = {
    "train": "train an agent by the recipe of an id, and leave a run folder",
    "sweep": "search for better settings of a recipe, also on a Ray cluster",
    "train-rllib": "the same with RLlib's PPO, on any number of machines",
    "evaluate": "compare agents and reference policies on equal episodes",
    "watch": "show a policy in a window, or as GIF, MP4 or still picture",
    "record": "write episodes of an agent or a reference as a Minari dataset",
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
    words = sys.argv[1:] if words is None else words
    with refusals_in_one_line():
        name = choose("foveal", COMMANDS, words)
        if name is None:
            return
        sys.path.append(os.getcwd())  # where a user's "module:id" is looked for, after everything installed
        try:
            command = importlib.import_module(f".{name.replace('-', '_')}", __package__)
        except ModuleNotFoundError as error:
            raise Refusal(f"foveal {name} needs {error.name}: pip install 'foveal-envs[agents]'") from error
        command.main(words[1:])


if __name__ == "__main__":
    main()
