from __future__ import annotations

import pytest

from scripts.recipes import find_recipe
from scripts.shared.command import Refusal
from scripts.shared.optuna_trials import drawn
from scripts.shared.sweeps import Range, parse_range, with_settings
from scripts.sweep import sweep


def test_ranges() -> None:
    assert parse_range("learning_rate=1e-4..1e-2:log") == ("learning_rate", Range(1e-4, 1e-2, True))
    assert parse_range("n_steps=16..64") == ("n_steps", Range(16, 64))
    assert parse_range("core_kwargs.size=16|48") == ("core_kwargs.size", Range(choices=(16, 48)))
    assert parse_range("core=lstm|gru") == ("core", Range(choices=("lstm", "gru")))


@pytest.mark.parametrize("word", ["gamma", "gamma=", "gamma=1..0", "gamma=0..1:log", "gamma=0.9", "gamma=a..b", "=1..2",
                                  "gamma=0..1:exp", "gamma=..", "gamma=1..2..3"])  # fmt: skip
def test_what_is_no_range_is_refused(word: str) -> None:
    with pytest.raises(Refusal, match="--tune takes ranges such as"):
        parse_range(word)


class Trial:
    """Says how it was asked, as Optuna's trials are."""

    def __getattr__(self, kind):
        return lambda *asked, **more: (kind, asked, more)


def test_values_are_drawn_by_their_kind() -> None:
    assert drawn(Range(1e-4, 1e-2, True), Trial(), "x") == ("suggest_float", ("x", 1e-4, 1e-2), {"log": True})
    assert drawn(Range(16, 64), Trial(), "x") == ("suggest_int", ("x", 16, 64), {"log": False})
    assert drawn(Range(choices=(1, "a")), Trial(), "x") == ("suggest_categorical", ("x", (1, "a")), {})


def test_settings_reach_into_mappings() -> None:
    run = find_recipe("Parking").run()
    changed = with_settings(run, {"core_kwargs.size": 16, "gamma": 0.5})
    assert changed.agent_kwargs == {**run.agent_kwargs, "core_kwargs": {"size": 16}, "gamma": 0.5}
    assert run.agent_kwargs["core_kwargs"] == {"size": 48}


def test_without_optuna_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install 'foveal-envs\[agents,sweep\]'"):
        sweep("Foveal/Parking-v0", tune=("gamma=0..1",))
