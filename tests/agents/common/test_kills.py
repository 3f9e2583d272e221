"""Whatever moment a training is killed at, it resumes from the newest checkpoint and ends in the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..makers import MAKERS

ROOT = Path(__file__).parents[3]


def killed(name: str, kills: int, aimed: int) -> None:
    """So many kills, of which some are aimed at the save itself; see `tests.agents.kills`."""
    command = [sys.executable, "-m", "tests.agents.kills", name, str(kills), str(aimed), "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", ["RecurrentPPO", "WorldModelController"])
def test_a_killed_training_resumes_to_the_same_bits(name: str) -> None:
    killed(name, 5, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RecurrentPPO", "WorldModelController"])
def test_a_training_killed_a_hundred_times_resumes_to_the_same_bits(name: str) -> None:
    killed(name, 100, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_agent_resumes_to_the_same_bits(name: str) -> None:
    killed(name, 5, 2)
