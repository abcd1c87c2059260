"""The record of a finished stage, `stage.json`, and the check of its files.

A record is untrusted data: folders of runs are copied between machines. It is validated by a schema. Nothing outside its
folder is read.
"""

from __future__ import annotations

import json
import os
import platform
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from ..errors import QAlignError, StageError
from ..fingerprints import SEAL, announce_hashing, file_sha256, sealed, unsealed
from ..resources import cores
from ..untrusted import parse_json, printable

RECORD = "stage.json"
SCRATCH = "scratch"
CARD = "README.md"
"""What a finished folder says of itself to people. It is no part of the result, and may be written again."""
RETURNED = "returned.json"
"""The file in `scratch` of a stage whose function has returned: only its record is missing."""
LARGE = 64 * 2**20
"""The most bytes of a JSON file of a stage, and of a file that is hashed at each check. A larger file is hashed where size or
time changed."""
PACKAGES = ("qalign", "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets")

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Shape = TypeVar("Shape")
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The values that the fingerprint of a stage hashes."""

    name: str
    version: int
    config: dict[str, object]
    inputs: dict[str, Sha256]
    kind: str | None = None
    """The class of the stage; stages of earlier versions have none."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `stage.json`."""

    fingerprint: Sha256
    identity: Identity
    inputs: dict[str, str]
    adopted_from: str | None
    command: list[str]
    finished: Seconds
    seconds: Seconds
    versions: dict[str, str]
    hardware: dict[str, str | int | None]
    """`machine`, `system` and `cores`."""
    files: dict[str, tuple[Count, int, Sha256]]
    """The size in bytes, time in nanoseconds and SHA-256 of each file by name."""
    adopted_name: str | None = None


class Returned(msgspec.Struct, frozen=True):
    """The content of `returned.json`."""

    boot: str
    seconds: Seconds
    files: dict[str, tuple[Count, int]]
    """The size in bytes and time in nanoseconds of each output file."""


def write_record(folder: Path, record: Mapping[str, object]) -> None:
    """Hashes the folder's content, writes its record with versions and machine, and syncs both to disk."""
    (folder / RECORD).unlink(missing_ok=True)
    paths = _files(folder)
    announce_hashing(folder, paths.values())
    with ThreadPoolExecutor(min(cores(), 8)) as threads:
        entries = dict(zip(paths, threads.map(_entry, paths.values()), strict=True))
    hardware = {"machine": platform.machine(), "system": platform.system(), "cores": cores()}
    whole = {**record, "versions": _versions(), "hardware": hardware, "files": entries}
    write_sealed(folder / RECORD, whole)
    for path in {folder, *(path.parent for path in paths.values())}:
        sync(path)


def read_record(folder: Path) -> Record:
    """The record of a finished stage."""
    with as_left(folder / RECORD):
        record = read_object(folder / RECORD)
        if isinstance(record, dict) and SEAL in record:  # records of earlier versions have no seal
            record = unsealed(record)
        return msgspec.convert(record, Record)


def read_output(path: Path, shape: type[Shape]) -> Shape:
    """The value of a JSON file at the top of a finished stage's folder, as a type that msgspec knows."""
    with as_left(path):
        return msgspec.convert(read_object(path), shape)


@contextmanager
def as_left(path: Path) -> Iterator[None]:
    """Raises a StageError where a file at the top of a finished stage's folder cannot be read."""
    try:
        yield
    except (OSError, ValueError, QAlignError) as error:
        reason = printable(str(error)[:300] or type(error).__name__)
        raise StageError(
            f"{path} is not what its stage left ({reason}); put it back, or {again(path.parent)}"
        ) from error


def again(folder: Path) -> str:
    """How a stage is made again."""
    return f"remove the folder to make it again: rm -r {folder}"


def check_files(folder: Path, record: Record) -> None:
    """Checks that the files of a finished folder are those of its record. A changed large file with the same size and time is
    not detected: see `LARGE`."""
    present = _files(folder)
    for name, (size, nanoseconds, digest) in record.files.items():
        if name == CARD:  # of an earlier version
            continue
        if name not in present:
            raise StageError(
                f"{folder}/{printable(name)} is missing from a finished stage; put it back, or {again(folder)}"
            )
        path = present[name]
        same_size, same_time = (one == then for one, then in zip(_stamp(path), (size, nanoseconds), strict=True))
        if same_size and same_time and size > LARGE:
            continue
        if same_size:
            announce_hashing(path, [path])
        if not same_size or file_sha256(path) != digest:
            raise StageError(f"{path} was edited after the stage was finished; put it back, or {again(folder)}")
    if added := sorted(present.keys() - record.files.keys()):
        raise StageError(f"{folder / added[0]} was added to a finished stage; move it away, or {again(folder)}")


def write_returned(folder: Path, seconds: float) -> None:
    """Records that the stage's function has returned after `seconds`, and its output."""
    files = {name: _stamp(path) for name, path in _files(folder).items()}
    write_sealed(folder / SCRATCH / RETURNED, {"boot": _boot(), "seconds": seconds, "files": files})


def read_returned(folder: Path) -> float | None:
    """The seconds of a stage's function that has returned, else None. Also None if its output is no longer there. After a
    power failure files may lack content that was not yet on disk, so the record is valid only until the machine restarts."""
    try:
        note = msgspec.convert(unsealed(read_object(folder / SCRATCH / RETURNED)), Returned)
        files = {name: _stamp(path) for name, path in _files(folder).items()}
    except (OSError, ValueError, QAlignError):
        return None
    return note.seconds if note.boot == _boot() and note.files == files else None


def read_object(path: Path) -> object:
    """The value of a JSON file of ours. OSError if it is unreadable, ValueError if it is no regular file or too large, DataError
    if it is not JSON."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"it is {_kind(status.st_mode)}, no file")
    if status.st_size > LARGE:
        raise ValueError(f"it has {status.st_size} bytes, more than {LARGE}")
    return parse_json(path.read_bytes(), path.name)


def sync(path: Path) -> None:
    """Returns when the content of a file, or the names of a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> dict[str, Path]:
    """The files of a stage's folder but record, card and scratch, sorted, by their names in it. Links are not followed."""

    def within(inner: Path) -> Iterator[Path]:
        for entry in sorted(os.scandir(inner), key=lambda entry: entry.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            if inner == folder and entry.name in (RECORD, SCRATCH, CARD):
                continue
            if printable(entry.name) != entry.name:
                raise StageError(
                    f"the name of the file {printable(entry.path)} holds control characters; give it another"
                )
            if stat.S_ISDIR(mode):
                yield from within(Path(entry.path))
            elif stat.S_ISREG(mode):
                yield Path(entry.path)
            else:
                only = "a stage's folder holds files only: put the file itself there, or remove it"
                raise StageError(f"{entry.path} is {_kind(mode)}; {only}")

    return {path.relative_to(folder).as_posix(): path for path in within(folder)}


def _entry(path: Path) -> tuple[int, int, str]:
    sync(path)
    return (*_stamp(path), file_sha256(path))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def write_sealed(path: Path, value: Mapping[str, object]) -> None:
    """Writes JSON to disk, and returns when it is there. Its seal reveals a torn file."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(sealed(value), file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide the output of a stage."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def _boot() -> str:
    """The identity of the machine's current boot. Empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"
