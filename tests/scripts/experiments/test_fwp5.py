"""Evolved fast weights: what counts as an evaluation, and which starts are balanced."""

from __future__ import annotations

import numpy as np
import pytest

from agents import Evolution, make_sb3
from scripts.experiments import fwp5
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import Job, run_jobs


def test_evaluations_are_the_candidates_episodes_and_the_tests() -> None:
    env = make_sb3(fwp5.TASK, 8)
    agent = Evolution(env=env, population=4, episodes=2, test_every=2, test_episodes=3, seed=0)
    agent.learn(10**9, lambda *_: bool(agent.generation < 5))
    assert fwp5.evaluations(agent) == 5 * 4 * 2 + 2 * 3


def test_a_linear_net_with_a_delay_line_holds_a_jointed_pole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fwp5, "LONG", 1500)
    job = Job("hold", {"poles": "jointed", "net": "linear, delay line"}, 0, fwp5.hold)
    (row,) = run_jobs([job], processes=1).rows
    assert row["held"] == 1
    assert 33 <= row["evaluations"] < 1000
    assert 1000 <= row["moves"] <= 1500
    assert 0 < row["starts"] <= 625


def test_starts_of_mixed_poles_are_the_single_ones_and_then_the_jointed_ones() -> None:
    env = make_sb3(fwp5.TASK, 4, poles="mixed")
    stands = fwp5.balanced(Evolution(env=env, seed=0), "mixed")
    upright = [62, 187, 312, 437, 562]  # at rest, and a net of zeros never pushes
    assert np.flatnonzero(stands).tolist() == upright + [625 + start for start in upright]


def test_every_part_has_a_quick_form_and_no_claim_without_rows() -> None:
    for part in fwp5.PARTS:
        assert fwp5.jobs((part,), 1, True)
        made = fwp5.jobs((part,), 3, False)
        assert len({job.key() for job in made}) == len(made)
    assert judge(fwp5.claims([])) == []
