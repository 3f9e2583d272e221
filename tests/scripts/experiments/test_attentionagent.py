"""reproduce attentionagent: references, how an agent's rows follow from what it survives, and the claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foveal_envs.tasks.control.take_cover import TakeCover
from scripts.experiments import attentionagent
from scripts.experiments.attentionagent import (
    DREAM,
    ORACLE,
    OURS,
    PICTURES,
    PPO,
    RANDOM,
    SKIP,
    claims,
    jobs,
    learn,
    survival,
)
from scripts.experiments.shared.claims import Row
from scripts.experiments.shared.jobs import Job
from scripts.experiments.shared.strafing import Strafing


def test_strafing_turns_after_so_many_tics_and_begins_in_the_middle_of_a_turn() -> None:
    policy, state, actions = Strafing(20, SKIP, choices=True), None, []
    for move in range(12):
        chosen, state = policy.predict(np.zeros((2, 3)), state, np.array([move == 0, move in (0, 4)]))
        actions.append(chosen)
    turns = [2, 2, 2, 0, 0, 0, 0, 0, 2, 2, 2, 2]  # of 4 tics each
    assert np.array(actions)[:, 0].tolist() == turns
    assert np.array(actions)[4:, 1].tolist() == turns[:8]
    still = Strafing(0, SKIP, choices=True)
    assert still.predict(np.zeros((2, 3)), state, np.zeros(2, bool))[0].tolist() == [1, 1]


def test_strafing_by_force_is_strafing_by_choices() -> None:
    policies, states = [Strafing(20, SKIP, choices) for choices in (True, False)], [None, None]
    for move in range(12):
        (chosen, states[0]), (force, states[1]) = (
            policy.predict(np.zeros((2, 3)), state, np.array([False, move == 5]))
            for policy, state in zip(policies, states, strict=True)
        )
        assert (force[:, 0] == chosen - 1).all()


def test_references_without_training_are_as_the_task_says() -> None:
    """Within 6 standard errors; the table stands in the docstring of the task."""
    for policy, expected in (("random", RANDOM), (0, 155.0), (56, 321.0)):
        blind = policy if isinstance(policy, str) else Strafing(policy, SKIP, choices=True)
        tics = survival(blind, 400, size=16)
        assert abs(tics.mean() - expected) < 6 * tics.std() / 20
    assert "| random | 237 | 249 |" in (TakeCover.__doc__ or "")
    assert survival("oracle", 20, size=16).mean() > 0.98 * ORACLE


@pytest.mark.parametrize("name", [OURS, PPO])
def test_an_agent_is_tried_with_every_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attentionagent.SIZES, name, 40)
    monkeypatch.setitem(attentionagent.LANES, name, 4)
    monkeypatch.setitem(attentionagent.KEYWORDS, "tics", 80)
    rows = learn(Job("main", {"agent": name}, 0, learn, {"cpu_seconds": 0.2, "episodes": 3}))
    assert [row["perturbation"] for row in rows] == list(PICTURES)
    for row in rows:
        assert 0 < row["survived"] <= 80
        assert row["score"] == pytest.approx((row["survived"] - RANDOM) / (ORACLE - RANDOM), abs=1e-3)
        assert row["environment_steps"] > 0
        assert np.isnan(row["loss"])  # nobody gains anything in 80 tics


def test_the_loss_is_a_share_of_what_was_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    survived = {"none": RANDOM + 400, "colour": RANDOM + 300, "bars": RANDOM + 400, "blob": RANDOM}

    class Agent:
        num_timesteps = 7

    monkeypatch.setattr(attentionagent, "trained", lambda *_: Agent())
    monkeypatch.setattr(attentionagent, "survival", lambda *_, perturbation, **__: np.full(5, survived[perturbation]))
    rows = learn(Job("main", {"agent": OURS}, 0, learn, {"cpu_seconds": 0.0, "episodes": 5}))
    assert [row["loss"] for row in rows] == [0.0, 0.25, 0.0, 1.0]


def row(table: str, agent: str, seed: int, picture: str, survived: float, loss: float) -> Row:
    spent: dict[str, Any] = {"environment_steps": 1, "cpu_seconds": 1.0}
    return {"table": table, "agent": agent, "seed": seed, "perturbation": picture, "survived": survived,
            "score": 0.1, "loss": loss, **spent}  # fmt: skip


@pytest.mark.parametrize(("good", "ours", "passed"), [(3, 0.2, True), (2, 0.2, False), (3, 0.35, False)])
def test_claims(good: int, ours: float, passed: bool) -> None:
    rows = []
    for seed in range(5):
        for picture in PICTURES:
            survived = 2 * RANDOM + (1 if seed < good else -1)
            rows.append(row("main", OURS, seed, picture, survived, 0.0 if picture == "none" else ours))
            rows.append(row("perturbations", PPO, seed, picture, 400.0, 0.0 if picture == "none" else 0.6))
    made = claims(rows)
    judged = [claim for claim in made if claim.passed is not None and claim.seeds]
    assert len(judged) == 2  # none speaks of the agent that is not there
    assert all(claim.passed for claim in judged) == passed
    assert not any(DREAM in claim.claim for claim in made if claim.seeds)


def test_parts() -> None:
    names = [job.conditions.get("agent", job.conditions.get("policy")) for job in jobs((), 5, False)]
    assert [names.count(name) for name in (OURS, PPO, DREAM, "random")] == [5, 5, 5, 3]
    assert {job.table for job in jobs((), 1, True)} == {"main", "references"}
    assert [job.conditions["agent"] for job in jobs(("world-model",), 2, False)] == [DREAM, DREAM]
