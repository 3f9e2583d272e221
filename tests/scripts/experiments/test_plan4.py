"""PLAN4: the world of contexts, and the jobs in a tiny form."""

from __future__ import annotations

import numpy as np

from scripts.experiments import plan4
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import run_jobs


def test_some_action_brings_about_what_is_wanted_and_pays_for_it() -> None:
    env = plan4.Table(200, 3, np.arange(plan4.CONTEXTS))
    obs, _ = env.reset(seed=0)
    context = (obs["observation"] @ 2 ** np.arange(plan4.BITS)).astype(int)
    wanted = obs["desired_goal"].argmax(1)
    possible = env.table[context] == wanted[:, None]
    assert possible.any(1).all()
    _, rewards, terminated, _, infos = env.step(possible.argmax(1))
    assert rewards.all()
    assert terminated.all()
    assert all((last["achieved_goal"] == last["desired_goal"]).all() for last in infos["final_obs"])


def test_the_quick_form_has_a_row_for_every_agent_and_no_verdict() -> None:
    rows = run_jobs(plan4.jobs((), 1, quick=True), processes=1).rows
    assert [row["agent"] for row in rows] == list(plan4.AGENTS)
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in ("trained", "unseen", "changed", "relearned"))
    assert len(judge(plan4.claims(rows), quick=True)) == 9
