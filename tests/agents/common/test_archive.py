"""Archives hold data: what comes back equals what went in; hostile files are refused in one line, and run nothing."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import pickle
import random
import tempfile
import warnings
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.save_util import data_to_json
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule

from agents import RecurrentPolicy, RecurrentPPO, WorldModelController, load_checkpoint, save_checkpoint
from agents.common.archive import MANIFEST, ArchiveError, pack, read_folder, read_zip, write_zip

from ..makers import env_of, make

CONTENT: dict[str, Any] = {
    "numbers": [1, -2.5, True, None, 2**100, float("inf")],
    "tuple": (1, ("a", [])),
    "pairs": {0: {"step": torch.tensor(3.0)}, "$sign": 1},
    "tensors": [torch.randn(2, 3), torch.ones(2, dtype=torch.bfloat16), torch.zeros(0), torch.arange(3)],
    "arrays": [np.arange(6.0).reshape(2, 3), np.zeros(3, [("x", np.int64), ("y", np.float32, (2,))]), np.float32(3)],
    "deque": deque([{"r": 1.0}], maxlen=4),
    "spaces": spaces.Dict(
        {
            "z": spaces.Box(-np.inf, np.array([1.0, 2.0], np.float32)),
            "a": spaces.Tuple([spaces.Discrete(4, start=-2), spaces.MultiBinary([2, 3])]),
            "m": spaces.MultiDiscrete([2, 3], start=[1, 0]),
        }
    ),
    "schedules": [LinearSchedule(1.0, 0.1, 0.5), FloatSchedule(0.5)],
}


def packed(content: Any = CONTENT, kind: str = "agent") -> bytes:
    file = io.BytesIO()
    write_zip(file, kind, content)
    return file.getvalue()


def zipped(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def agreed(held: dict[str, bytes], **changes: Any) -> bytes:
    """A zip of these parts whose manifest lists their true sizes and hashes."""
    listed = {name: {"size": len(part), "sha256": hashlib.sha256(part).hexdigest()} for name, part in held.items()}
    manifest = {"format": 1, "kind": "agent", "parts": listed, "not_data": [], **changes}
    return zipped({**held, MANIFEST: json.dumps(manifest).encode()})


def test_what_comes_back_equals_what_went_in() -> None:
    archive = read_zip(io.BytesIO(packed()), "agent")
    back = archive.content
    assert archive.not_data == ()
    for name in ("numbers", "tuple", "deque", "spaces"):
        assert back[name] == CONTENT[name], name
    assert list(back["spaces"]) == list(CONTENT["spaces"])
    assert back["deque"].maxlen == 4
    assert back["pairs"] == CONTENT["pairs"]
    for given, got in zip([*CONTENT["tensors"], *CONTENT["arrays"]], [*back["tensors"], *back["arrays"]], strict=True):
        assert got.dtype == given.dtype
        assert type(got) is type(given)
        assert bool((got == given).all())
    for given, got in zip(CONTENT["schedules"], back["schedules"], strict=True):
        assert [got(left) for left in (1.0, 0.7, 0.2)] == [given(left) for left in (1.0, 0.7, 0.2)]


def test_what_is_no_data_is_left_out_and_named() -> None:
    content = {"settings": {"learning_rate": lambda left: left, "policy_kwargs": {"features": [print], "size": 3}}}
    archive = read_zip(io.BytesIO(packed(content)), "agent")
    assert archive.not_data == ("settings.learning_rate", "settings.policy_kwargs.features.0")
    assert archive.content["settings"]["policy_kwargs"]["size"] == 3


def test_what_was_left_out_must_be_given_again(tmp_path: Path) -> None:
    agent = make("RecurrentPPO", learning_rate=lambda left: 1e-3 * left)
    agent.save(tmp_path / "agent")
    with pytest.raises(ArchiveError, match=r"agent.zip: it could not hold learning_rate.*pass learning_rate="):
        RecurrentPPO.load(tmp_path / "agent")
    loaded = RecurrentPPO.load(tmp_path / "agent", learning_rate=1e-4)
    assert loaded.lr_schedule(1.0) == 1e-4


# ---- hostile files


class Bomb:
    """What runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (str(MARKER),)


def torch_saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


MARKER = Path(tempfile.mkdtemp()) / "marker"  # what code in a file would make


@functools.cache
def corpus() -> dict[str, bytes]:
    """Hostile and damaged files by name."""
    whole = packed()
    parts = pack("agent", CONTENT)
    held = {name: part for name, part in parts.items() if name != MANIFEST}
    data = parts["data.json"]
    pickled = pickle.dumps(Bomb())
    serialized = data_to_json({"policy_class": Bomb(), "n_steps": 8}).encode()
    objects = npz(a=np.array([Bomb()], object))
    deep = b"[" * 100_000 + b"]" * 100_000
    loop = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    listed = json.loads(parts[MANIFEST])
    files = {
        "empty": b"",
        "text": b"no zip at all",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "pickle": pickled,
        "torch pickle": torch_saved({"data": Bomb()}),
        "zip of Stable-Baselines3 with code": zipped({"data": serialized, "policy.pth": torch_saved({})}),
        "compressed": zipped(parts, zipfile.ZIP_DEFLATED),
        "bomb": zipped({"data.json": bytes(50_000_000), MANIFEST: b"{}"}, zipfile.ZIP_DEFLATED),
        "bomb of arrays": agreed({**held, "arrays.npz": zipped({"a.npy": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)}),
        "path upward": zipped({**parts, "../../evil": b"x"}),
        "absolute path": zipped({**parts, "/etc/evil": b"x"}),
        "pickled part": zipped({**parts, "state.pkl": pickled}),
        "pickle as tensors": agreed({**held, "tensors.safetensors": torch_saved({"a": Bomb()})}),
        "pickle as data": agreed({**held, "data.json": pickled}),
        "array of objects": agreed({**held, "arrays.npz": objects}),
        "huge array": agreed({**held, "arrays.npz": zipped({"a.npy": npy_header("(9999999999999,)")})}),
        "hostile header": agreed({**held, "arrays.npz": zipped({"a.npy": npy_header("(__import__('os'),)")})}),
        "deep list": agreed({**held, "data.json": deep}),
        "deep mapping": agreed({**held, "data.json": loop}),
        "long number": agreed({**held, "data.json": b'{"a": ' + b"9" * 100_000 + b"}"}),
        "unknown kind of value": agreed({**held, "data.json": b'{"a": {"$eval": "1"}}'}),
        "unknown class": agreed({**held, "data.json": b'{"a": {"$class": "subprocess.Popen"}}'}),
        "missing tensor": agreed({"data.json": data}),
        "list for a mapping": agreed({**held, "data.json": b"[1]"}),
        "other format": agreed(held, format=999),
        "other kind": agreed(held, kind="policy"),
        "no manifest": zipped(held),
        "manifest of another shape": zipped({**held, MANIFEST: b"[3]"}),
        "part that is not listed": zipped({**held, MANIFEST: json.dumps({**listed, "parts": {}}).encode()}),
        "part upward": agreed(held, parts={**listed["parts"], "../data.json": listed["parts"]["data.json"]}),
        "entry twice": twice(parts),
    }
    for cut in range(1, 10):
        files[f"cut at {cut}"] = whole[: len(whole) * cut // 10]
    for place in range(40):
        at = len(whole) * place // 40
        files[f"flipped at {place}"] = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    return files


def npy_header(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def twice(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for name, part in [*parts.items(), *parts.items()]:
            archive.writestr(name, part)
    return file.getvalue()


def refused(load: Callable[[], Any], path: Path) -> str:
    """The one line by which a file is refused."""
    with pytest.raises(ArchiveError) as caught:
        load()
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    assert len(said) < 600
    return said


@pytest.mark.parametrize("name", sorted(corpus()))
def test_hostile_files_are_refused_in_one_line_and_run_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    path.write_bytes(corpus()[name])
    for load in (RecurrentPPO.load, RecurrentPolicy.load):
        refused(functools.partial(load, path), path)
    assert not MARKER.exists()


def test_a_pickled_file_is_read_only_if_it_is_trusted(tmp_path: Path) -> None:
    agent = make("WorldModelController").learn(40, log_interval=None)
    path = tmp_path / "old.zip"
    old = {"discount": 0.5, "trace": 0.3, "observation_space": agent.observation_space, "num_timesteps": 40}
    data = data_to_json({**agent.settings, **old, "action_space": agent.action_space}).encode()
    nets = {f"{name}.pth": torch_saved(state) for name, state in agent.get_parameters().items()}
    path.write_bytes(zipped({"data": data, **nets}))
    assert "pass trust=True" in refused(lambda: WorldModelController.load(path), path)
    loaded = WorldModelController.load(path, trust=True)
    assert (loaded.gamma, loaded.td_lambda, loaded.num_timesteps) == (0.5, 0.3, 40)
    for one, other in zip(loaded.policy.parameters(), agent.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_file_of_another_class_is_refused(tmp_path: Path) -> None:
    make("RecurrentPPO").save(tmp_path / "agent.zip")
    said = refused(lambda: WorldModelController.load(tmp_path / "agent.zip"), tmp_path / "agent.zip")
    assert said.endswith("it holds a RecurrentPPO, not a WorldModelController")
    env = gym.make("CartPole-v1")
    PPO("MlpPolicy", env, n_steps=8, batch_size=8).save(tmp_path / "ppo.zip")
    refused(lambda: RecurrentPPO.load(tmp_path / "ppo.zip"), tmp_path / "ppo.zip")


def test_checkpoints_with_links_and_foreign_parts_are_refused(tmp_path: Path) -> None:
    agent = make("RecurrentPPO")
    save_checkpoint(agent, tmp_path)
    (folder,) = tmp_path.glob("step-*")
    data = (folder / "data.json").read_bytes()
    (folder / "data.json").unlink()
    (folder / "data.json").symlink_to("/dev/zero")
    refused(lambda: load_checkpoint(RecurrentPPO, tmp_path, env_of("RecurrentPPO")), folder)
    (folder / "data.json").unlink()
    (folder / "data.json").write_bytes(data + b" ")
    assert "damaged" in refused(lambda: read_folder(folder, "checkpoint"), folder)
    (folder / "data.json").write_bytes(data)
    (folder / "evil.pkl").write_bytes(pickle.dumps(Bomb()))
    read_folder(folder, "checkpoint")
    assert not MARKER.exists()


# ---- mutations


def mutated(part: bytes, draw: random.Random) -> bytes:
    """A part with some bytes flipped, cut out, put in or repeated, or with a number or a word in place of another."""
    mutant = bytearray(part)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(mutant) + 1)
        kind = draw.randrange(6)
        if kind == 0 and at < len(mutant):
            mutant[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del mutant[at : at + draw.randrange(1, 20)]
        elif kind == 2:
            mutant[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 9)))
        elif kind == 3:
            mutant[at:at] = mutant[at : at + draw.randrange(1, 60)]
        elif kind == 4:
            mutant[at : at + draw.randrange(4)] = draw.choice(WORDS)
        else:
            del mutant[at:]
    return bytes(mutant)


WORDS = [b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"$tensor"', b'"$Box"', b'"x"', b"true", b"0", b"../", b"\0"]


def mutants(parts: dict[str, bytes], count: int, seed: int) -> Any:
    """Zips with one mutated part: the manifest, or another whose hash is made to agree."""
    draw = random.Random(seed)
    held = {name: part for name, part in parts.items() if name != MANIFEST}
    for _ in range(count):
        name = draw.choice([*held, MANIFEST])
        mutant = mutated(parts[name], draw)
        yield zipped({**parts, name: mutant}) if name == MANIFEST else agreed({**held, name: mutant})


def read_mutants(count: int, seed: int) -> None:
    small = {**CONTENT, "arrays": CONTENT["arrays"][:2], "tensors": CONTENT["tensors"][:2]}
    parts = pack("agent", small)
    said = [
        wrong_with(functools.partial(read_zip, io.BytesIO(mutant), "agent")) for mutant in mutants(parts, count, seed)
    ]
    assert 0 < said.count("") < count  # some mutations change a number, others nothing that matters


def wrong_with(load: Callable[[], Any]) -> str:
    """The one line by which a file is refused, "" where it is not."""
    try:
        load()
    except ArchiveError as error:
        said = str(error)
    else:
        return ""
    assert "\n" not in said
    return said


def test_mutated_archives_are_read_or_refused() -> None:
    read_mutants(4_000, 0)


@pytest.mark.slow
def test_many_mutated_archives_are_read_or_refused() -> None:
    read_mutants(100_000, 1)


@pytest.mark.slow
def test_mutated_agents_are_loaded_or_refused(tmp_path: Path) -> None:
    load_mutants(tmp_path / "agent.zip", 2_000)


def test_some_mutated_agents_are_loaded_or_refused(tmp_path: Path) -> None:
    load_mutants(tmp_path / "agent.zip", 60)


def load_mutants(path: Path, count: int) -> None:
    agent, said = make("RecurrentPPO"), []
    parts = pack("agent", agent.content())
    for mutant in mutants(parts, count, 2):
        path.write_bytes(mutant)
        said.append(wrong_with(lambda: RecurrentPPO.load(path)))
    assert 0 < said.count("") < count
    assert all(line.startswith(str(path)) for line in said if line)
