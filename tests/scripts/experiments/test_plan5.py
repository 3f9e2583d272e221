"""One big net: its three tasks have one shape, and are scored from the best policy without memory on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import OneBigNet
from scripts.experiments import plan5
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import Job, run_jobs


class Oracle:
    """Answers what the environment's own oracle answers, or the other thing."""

    def __init__(self, right: bool) -> None:
        self.right = right

    def predict(self, obs: Any, state: Any, start: Any, deterministic: bool) -> tuple[np.ndarray, None]:
        wanted = self.env.innermost.oracle_actions()  # type: ignore[attr-defined]
        return (wanted if self.right else 1 - wanted), None


@pytest.mark.parametrize("name", plan5.TASKS)
def test_a_task_shows_its_symbol_and_its_number(name: str) -> None:
    env = plan5.make(name, 5, 0)
    obs, number = env.reset(), list(plan5.TASKS).index(name)
    for _ in range(30):
        assert env.observation_space.contains(obs[0])
        assert (obs[:, plan5.SYMBOLS :] == np.eye(len(plan5.TASKS))[number]).all()
        assert (obs[:, : plan5.SYMBOLS].sum(1) == 1).all()  # an episode's end shows nothing, but a new one has begun
        obs, _, ends, infos = env.step(np.zeros(5, np.int64))
        for lane in np.flatnonzero(ends):
            assert infos[lane]["terminal_observation"].shape == env.observation_space.shape


@pytest.mark.parametrize("name", plan5.TASKS)
def test_the_scores_of_a_task_go_to_1(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan5.make
    for right in (True, False):
        oracle: Any = Oracle(right)

        def make(*arguments: Any, oracle: Any = oracle) -> Any:
            oracle.env = made(*arguments)
            return oracle.env

        monkeypatch.setattr(plan5, "make", make)
        least = plan5.TASKS[name][2]
        assert plan5.score(oracle, name, 32) == pytest.approx(1.0 if right else -least / (1 - least), abs=0.03)


def test_predictions_of_an_untrained_net_err_by_about_what_there_is_to_predict() -> None:
    agent = OneBigNet(env=plan5.make("parity", 2, 0), seed=0, **plan5.SETTINGS)
    assert (
        0.5 < plan5.prediction_error(agent, "parity", 16) < 2.0
    )  # a symbol and the task's number, each one of several


def test_a_net_of_a_third_has_a_third_of_the_numbers() -> None:
    env = plan5.make("anbn", 1, 0)
    whole, small = (
        plan5.parameters(OneBigNet(env=env, **settings)) for settings in (plan5.SETTINGS, plan5.of_size(plan5.third()))
    )
    assert small / whole == pytest.approx(1 / 3, abs=0.02)


def test_a_row_a_task_says_what_is_left_of_it() -> None:
    arguments = {"steps": plan5.ROUND, "updates": 2}
    job = Job("sequence", {"order": plan5.ORDERS[0], "agent": "consolidated"}, 0, plan5.learn_in_turn, arguments)
    rows = run_jobs([job], processes=1).rows
    assert [row["task"] for row in rows] == plan5.ORDERS[0].split(", ")
    assert {row["environment_steps"] for row in rows} == {3 * plan5.ROUND}
    assert all(np.isfinite(float(row[name])) for row in rows for name in ("learned", "after", "error_after"))


def test_every_part_has_a_quick_form_and_no_claim_without_rows() -> None:
    for part in plan5.PARTS:
        assert plan5.jobs((part,), 1, True)
        made = plan5.jobs((part,), 3, False)
        assert len({job.key() for job in made}) == len(made)
    assert judge(plan5.claims([])) == []
