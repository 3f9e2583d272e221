"""The leaderboard: who takes part, and what it makes of a training that a signal has ended."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from scripts.experiments import leaderboard
from scripts.shared.signals import Stopped


def test_peers_relabel_goals_wherever_there_are_any() -> None:
    for env_id, peer in (("FourRooms", "DQN with HER"), ("Parking", "DQN"), ("TargetDetection", "SAC with HER")):
        names = list(leaderboard.learners(f"Foveal/{env_id}-v0"))
        assert names == ["recipe", "PPO", "RecurrentPPO of sb3-contrib", peer]


def test_peers_see_images_by_convolutions() -> None:
    found = leaderboard.learners("Foveal/TakeCover-v0")
    assert list(found) == ["recipe", "PPO", "PPO with an MLP", "RecurrentPPO of sb3-contrib", "DQN"]
    assert [name for name, run in found.items() if run.agent_kwargs.get("policy") == "MlpPolicy"] == [leaderboard.MLP]
    assert "net_arch" not in found["PPO"].agent_kwargs["policy_kwargs"]


def test_no_training_changes_the_settings_of_another() -> None:
    run = leaderboard.learners("Foveal/Pole-v0")["SAC"]
    env = run.make_env()
    run.make_agent(env)  # Stable-Baselines3's SAC writes into its policy_kwargs
    env.close()
    assert run.agent_kwargs["policy_kwargs"] == {"net_arch": leaderboard.NET}


def test_a_training_that_a_signal_ends_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    job = leaderboard.jobs(("Parking",), 1, quick=True)[-1]
    finish = leaderboard.finish

    def interrupted(*given: Any, judge: Any, **keywords: Any) -> Any:
        def judge_and_stop(*point: Any) -> None:
            judge(*point)
            signal.raise_signal(signal.SIGTERM)

        return finish(*given, judge=judge_and_stop, **keywords)

    monkeypatch.setattr(leaderboard, "finish", interrupted)
    with pytest.raises(Stopped) as stopped:
        job.run(job)
    assert stopped.value.number == signal.SIGTERM
