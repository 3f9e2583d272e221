"""Wrong command lines: one line on stderr that says what to do, and exit status 2."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.shared.command import run_command
from scripts.shared.signals import Stopped

T, P = "Foveal/TargetDetection-v0", "Foveal/Parking-v0"
WRONG = [
    "train Foveal/Nope-v0", "train Nope-v0", "train nope:Foveal/Parking-v0", "train Foveal/Parking-v9", "train os",
    "train --step 3", f"train {P} --steps -5", f"train {P} --steps 0", f"train {P} --steps x", f"train {P} --steps 1.5",
    f"train {P} --lanes 0", f"train {P} --lanes 1000000", f"train {P} --seed -1", f"train {P} --seed 99999999999",
    f"train {P} --seeds 0", f"train {P} --algorithm os", f"train {P} --algorithm Nobody",
    f"train {P} --algorithm os:system", f"train {P} --algorithm nope:Agent", f"train {P} --agent nonsense",
    f"train {P} --agent gamma=7", f"train {P} --agent gamma=x", f"train {P} --agent n_steps=1.5",
    f"train {P} --agent colour=red", f"train {P} --agent learning_rate=lin_x", f"train {P} --agent core=nope",
    f"train {P} --agent n_minibatches=7", f"train {P} --agent core_kwargs=3", f"train {P} --env nonsense",
    f"train {P} --env slots=x", f"train {P} --env colour=red", f"train {P} --env moves=1.5",
    f"train {T} --env shape=cube", f"train {T} --env task=subprocess:Popen", f"train {T} --preset nope",
    f"train {P} --preset published", f"train {P} --logger nope", f"train {P} --logger", f"train {P} --minutes 0",
    f"train {P} --lessons steps=100", f"train {P} --lessons steps=100 teacher=nobody",
    f"train {T} --lessons steps=100 teacher=oracle", f"train {P} --lessons steps=100 teacher=elm",
    f"train {P} extra words", "train Foveal/HQMaze-v0 --algorithm WorldModelController",
    "train Foveal/HQMaze-v0 --algorithm SAC", f"train {P} --algorithm HQLearning",
    f"train {P} --algorithm MapNavigator",
    f"train {P} --algorithm HierarchicalController", "train CartPole-v1 --env colour=red", "train --resume nowhere",
    "train --from nowhere", f"train {P} --resume BAD", "train --resume LIST", "train --resume EMPTY",
    f"train {P} --folder FILE/run", f"train {P} --folder LIST",
    "evaluate", "evaluate Foveal/Nope-v0", f"evaluate {T} --agents nobody", f"evaluate {T} --agents elm",
    f"evaluate {T} --episodes 0", f"evaluate {T} --episodes x", f"evaluate {T} --env shape=cube", "evaluate LIST",
    f"evaluate {T} --agents LIST", f"evaluate {T} --agents BAD", f"evaluate {T} --report x.html",
    "evaluate --zoo Foveal/Nope-v0", f"evaluate {T} --agents FILE", "watch", "watch Foveal/Nope-v0",
    f"watch {T} --agent nobody", f"watch {T} --episodes 0", f"watch {T} --fps 0", f"watch {T} --seed -1",
    f"watch {T} --gif FILE/x.gif", "watch BAD", "play Foveal/Nope-v0", "play CartPole-v1",
    f"play {T} --env shape=cube", f"play {T} --frames x", "benchmark nope", "benchmark envs --nope",
    "reproduce nope", "reproduce att1 --parts nope", "reproduce att1 --seeds 0", "reproduce att1 --processes 0",
    "reproduce att1 --seeds x", "nope",
]  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders and files that are no runs."""
    root = tmp_path_factory.mktemp("wrong")
    made: dict[str, Any] = {
        "LIST": [],
        "BAD": {"algorithm": "PPO", "env_id": P, "env_kwargs": {}, "steps": "many"},
        "EMPTY": None,
    }
    for name, config in made.items():
        (root / name).mkdir()
        if config is not None:
            (root / name / "config.json").write_text(json.dumps(config))
    (root / "BAD" / "model.zip").write_bytes(b"PK")
    (root / "FILE").write_text("")
    return {name: str(root / name) for name in (*made, "FILE")}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_refused_in_one_line(
    line: str,
    places: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, place in places.items():
        line = line.replace(name, place)
    with pytest.raises(SystemExit) as stop:
        importlib.import_module("scripts.cli").main(line.split())
    said = capsys.readouterr()
    assert stop.value.code == 2, said
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert not said.out
    assert not list(tmp_path.iterdir())


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("", "train", "evaluate", "watch", "play", "benchmark", "reproduce"):
        words = [*command.split(), "--help"]
        if command in ("", "benchmark"):
            importlib.import_module("scripts.cli").main(words)
        else:
            with pytest.raises(SystemExit) as stop:
                importlib.import_module("scripts.cli").main(words)
            assert stop.value.code == 0
        assert "foveal" in capsys.readouterr().out or command


def test_whole_numbers_may_have_an_exponent() -> None:
    """As 1e6 steps: nothing else that is written with a point or a letter is a whole number."""
    given: list[int] = []

    def take(steps: int) -> None:
        given.append(steps)

    for word in ("60000", "60_000", "6e4", "6.0"):
        run_command(take, "take", ["--steps", word])
    assert given == [60_000, 60_000, 60_000, 6]
    for word in ("1.5", "1e-1", "inf", "nan", "x"):
        with pytest.raises(SystemExit) as stop:
            run_command(take, "take", ["--steps", word])
        assert stop.value.code == 2


def test_commands_use_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    code = "import scripts.evaluate, torch; print(torch.get_num_threads())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1\n"


def test_a_stopped_training_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def train() -> None:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(SystemExit) as stop:
        run_command(train, "train", [])
    assert stop.value.code == 143
    assert capsys.readouterr().err == "\nstopped by SIGTERM\n"
