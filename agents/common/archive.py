"""Archives, the format in which agents, policies and checkpoints are saved. Reading one never runs code from it.

An archive has up to four parts: ``data.json``, ``tensors.safetensors``, ``arrays.npz`` and ``manifest.json``, which
gives the format version, the kind of content, and the size and SHA-256 of every other part. It is a zip file or a
folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from .data import Reader, Writer

File = str | Path | io.BufferedIOBase  # a path, or an open binary file
FORMAT = 1
MANIFEST = "manifest.json"
PARTS = ("data.json", "tensors.safetensors", "arrays.npz")


class ArchiveError(ValueError):
    """A file that is damaged, foreign or unsafe to read; the message is one line that starts with its name."""


class PickledError(ArchiveError):
    """A file that would run its own code when loaded."""


@dataclass(frozen=True)
class Archive:
    """What an archive holds.

    Attributes:
        kind: "agent", "policy" or "checkpoint".
        content: plain data, arrays and tensors.
        not_data: places in ``content``, such as "policy_kwargs.features", whose value is not data and was left out.
    """

    kind: str
    content: dict[str, Any]
    not_data: tuple[str, ...] = ()


# ---- writing


def pack(kind: str, content: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns an archive's parts by name, the manifest last.

    Args:
        kind: see `Archive`.
        content: None, numbers, strings, lists, tuples, dicts and deques of these; NumPy arrays and numbers, tensors,
            Gymnasium spaces and Stable-Baselines3's schedules. Anything else is left out; the manifest lists its place.
    """
    writer = Writer()
    data = writer.mapping(content, "")
    parts = {"data.json": json.dumps(data).encode()}
    if writer.tensors:
        # Each a copy of its own: safetensors takes no two tensors that share memory.
        tensors = {name: tensor.cpu().clone().contiguous() for name, tensor in writer.tensors.items()}
        parts["tensors.safetensors"] = save_tensors(tensors)
    if writer.arrays:
        file = io.BytesIO()
        save_arrays: Callable[..., None] = np.savez
        save_arrays(file, **writer.arrays)  # none holds objects, so nothing is pickled
        parts["arrays.npz"] = file.getvalue()
    listed = {name: {"size": len(part), "sha256": hashlib.sha256(part).hexdigest()} for name, part in parts.items()}
    manifest = {"format": FORMAT, "kind": kind, "parts": listed, "not_data": writer.not_data}
    parts[MANIFEST] = json.dumps(manifest, indent=1).encode()
    return parts


def write_zip(path: File, kind: str, content: Mapping[str, Any]) -> None:
    """Writes an archive as one uncompressed zip file.

    Args:
        path: file, replaced only when the new one is complete; or an open binary file.
        kind, content: see `pack`.
    """
    parts = pack(kind, content)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    if isinstance(path, str | Path):
        beside = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_through(beside, file.getvalue())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    else:
        path.write(file.getvalue())


def write_folder(folder: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Writes an archive as a new folder, and waits until it is all on disk; see `pack`."""
    parts = pack(kind, content)
    folder.mkdir()
    for name, part in parts.items():
        write_through(folder / name, part)
    sync_folder(folder)


def write_through(path: Path, content: bytes) -> None:
    """Writes a file and waits until it is on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until a folder's entries are on disk."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- reading


def read_zip(path: File, kind: str) -> Archive:
    """Reads an archive from a zip file.

    Args:
        path: the file, or an open binary file.
        kind: the kind of archive expected.

    Raises:
        ArchiveError: the file is no archive, is damaged, or is of another kind; `PickledError` if it is pickled.
        OSError: the file cannot be opened.
    """
    if not isinstance(path, str | Path):
        return _read(source_of(path), kind, lambda: _zip_parts(path))
    if Path(path).exists() and not Path(path).is_file():
        raise ArchiveError(f"{path}: it is not a regular file")
    with Path(path).open("rb") as file:
        return _read(source_of(path), kind, lambda: _zip_parts(file))


def source_of(path: File) -> str:
    """What messages call a file."""
    return str(path) if isinstance(path, str | Path) else "the file"


def read_folder(folder: Path, kind: str) -> Archive:
    """Reads an archive from a folder; see `read_zip`."""
    return _read(str(folder), kind, lambda: {name: _file(folder / name) for name in _names(folder)})


def has_all_parts(folder: Path) -> bool:
    """Whether a folder has all parts that its manifest lists, in the right sizes; hashes are not checked."""
    try:
        listed = json.loads(_file(folder / MANIFEST))["parts"]
        return all((folder / name).stat().st_size == about["size"] for name, about in listed.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def unpack(parts: Mapping[str, bytes], kind: str) -> Archive:
    """Builds an archive from its parts; damaged parts may raise any exception."""
    manifest = json.loads(parts[MANIFEST])
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']!r}, but this version reads {FORMAT}")
    if manifest["kind"] != kind:
        raise ValueError(f"it holds {_article(manifest['kind'])}, not {_article(kind)}")
    listed = manifest["parts"]
    for name, about in listed.items():
        part = parts.get(name)
        if part is None:
            raise ValueError(f"it lacks {name}")
        if len(part) != about["size"] or hashlib.sha256(part).hexdigest() != about["sha256"]:
            raise ValueError(f"{name} is damaged: its size or hash does not match the manifest")
    held = {name: parts[name] for name in PARTS if name in listed}
    tensors = load_tensors(held["tensors.safetensors"]) if "tensors.safetensors" in held else {}
    arrays = _arrays(held["arrays.npz"]) if "arrays.npz" in held else {}
    content = Reader(tensors, arrays).value(json.loads(held["data.json"]))
    if not isinstance(content, dict):
        raise ValueError("its data is not a mapping")
    return Archive(kind, content, tuple(str(place) for place in manifest["not_data"]))


def _read(source: str, kind: str, parts: Callable[[], dict[str, bytes]]) -> Archive:
    try:
        return unpack(parts(), kind)
    except Exception as error:  # a damaged file may raise anything
        wrong = PickledError if isinstance(error, PickledError) else ArchiveError
        raise wrong(f"{source}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """An exception's message as one line of at most 300 characters."""
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        said = f"it lacks {said}"
    return said if len(said) <= 300 else f"{said[:297]}..."


def _zip_parts(file: io.BufferedIOBase) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if MANIFEST not in names and any("data" in name for name in names):
            raise PickledError(
                "it was pickled by Stable-Baselines3, PyTorch or an older version of this package, and loading it "
                "would run code from it; if you trust it, pass trust=True"
            )
        for name in names:
            if name not in (*PARTS, MANIFEST):
                raise ValueError(f"it has an entry {name!r}, unknown in archives of this package")
        _check_entries(archive)
        return {name: archive.read(name) for name in names}


def _check_entries(archive: zipfile.ZipFile) -> None:
    """Raises ValueError if reading all entries would take more memory than the size of the file."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise ValueError("it is compressed; archives of this package never are")
    length = archive.fp.seek(0, io.SEEK_END) if archive.fp else 0
    if len({entry.filename for entry in entries}) < len(entries) or sum(e.file_size for e in entries) > length:
        raise ValueError("its entries overlap")


def _names(folder: Path) -> list[str]:
    return [name for name in (*PARTS, MANIFEST) if (folder / name).exists()]


def _file(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path.name} is not a regular file")
    return path.read_bytes()


def _arrays(part: bytes) -> dict[str, np.ndarray]:
    file = io.BytesIO(part)
    with zipfile.ZipFile(file) as archive:
        _check_entries(archive)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        return dict(loaded)


def _article(kind: object) -> str:
    return f"{'an' if str(kind)[:1] in 'aeiou' else 'a'} {kind}"
