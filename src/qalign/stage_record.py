"""The record of a finished stage (`stage.json`): what it says, how it is written, and whether the files still fit it.

A record is data from outside: folders of runs are copied between machines. It is read by a schema, and nothing outside of
its folder is looked at.
"""

from __future__ import annotations

import json
import os
import platform
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import msgspec

from .errors import QAlignError, StageError
from .fingerprints import SEAL, announce_hashing, file_sha256, sealed, unsealed
from .resources import cores
from .untrusted import parse_json, printable

RECORD = "stage.json"
SCRATCH = "scratch"
RETURNED = "returned.json"
"""The file in `scratch` that says that the stage's function has returned: what is left is to record its output."""
SMALL = 64 * 2**20
"""Files up to this size (bytes) are hashed at each check; larger ones only where size or time changed."""
PACKAGES = ("qalign", "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets")
LARGEST = 64 * 2**20
"""Bytes that a record or another JSON file of a stage may have."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Shape = TypeVar("Shape")
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the fingerprint of a stage is taken of."""

    name: str
    version: int
    config: dict[str, Any]
    inputs: dict[str, Sha256]
    kind: str | None = None
    """The class of the stage; stages of earlier versions have none."""


class Hardware(msgspec.Struct, frozen=True):
    """The machine that a stage was made on."""

    machine: str
    system: str
    cores: int | None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `stage.json`. `files` holds size (bytes), time (nanoseconds) and SHA-256 of each file by its name."""

    fingerprint: Sha256
    identity: dict[str, Any]
    inputs: dict[str, str]
    adopted_from: str | None
    command: list[str]
    finished: Seconds
    seconds: Seconds
    versions: dict[str, str]
    hardware: Hardware
    files: dict[str, tuple[Count, int, Sha256]]
    adopted_name: str | None = None
    """The name that an adopted checkpoint was given."""


class Returned(msgspec.Struct, frozen=True):
    """The content of `returned.json`. `files` holds size (bytes) and time (nanoseconds) of each file of the output."""

    boot: str
    seconds: Seconds
    files: dict[str, tuple[Count, int]]


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Hashes what the folder holds and writes the record beside it; all of it is on the disk when this returns.

    Raises:
        StageError: the folder holds something other than files and folders.
    """
    (folder / RECORD).unlink(missing_ok=True)
    paths = list(output_files(folder))
    announce_hashing(folder, paths)
    with ThreadPoolExecutor(min(cores(), 8)) as threads:
        entries = list(threads.map(_entry, paths))
    files = {_name(folder, path): entry for path, entry in zip(paths, entries, strict=True)}
    _write(folder / RECORD, sealed({**record, "files": files}))
    for path in {folder, *(path.parent for path in paths)}:
        sync(path)


def read_record(folder: Path) -> Record:
    """The record of a finished stage.

    Raises:
        StageError: it cannot be read, does not have the shape of a record, or was damaged.
    """
    path = folder / RECORD
    try:
        record = msgspec.convert(_unsealed(read_object(path)), Record)
        msgspec.convert(record.identity, Identity)
        for name in record.files:
            if not is_inside(name):
                raise ValueError(f"it lists the file '{name}', which is not in the folder")
    except (OSError, ValueError, QAlignError) as error:
        raise StageError(
            f"{path} cannot be read as the record of a stage ({_one_line(error)}); remove the folder to make the stage "
            f"again: rm -r {folder}"
        ) from error
    return record


def check_files(folder: Path, record: Record) -> None:
    """Refuses a finished folder whose files are not those of its record.

    A large file that was changed without a change of its size and time is not noticed (`SMALL`).

    Raises:
        StageError: a file was changed, added or removed.
    """
    remove = f"remove the folder to make it again: rm -r {folder}"
    found = {_name(folder, path) for path in files_of(folder)} - {RECORD}
    for name, (size, nanoseconds, digest) in record.files.items():
        path = folder / name
        if name not in found:
            raise StageError(f"{path} is missing from a finished stage; put it back, or {remove}")
        status = path.stat()
        same_time = status.st_mtime_ns == nanoseconds and size > SMALL
        if status.st_size == size and not same_time:
            announce_hashing(path, [path])
        if status.st_size != size or (not same_time and file_sha256(path) != digest):
            raise StageError(f"{path} was edited after the stage was finished; put it back, or {remove}")
    if added := sorted(found - record.files.keys()):
        raise StageError(f"{folder / added[0]} was added to a finished stage; move it away, or {remove}")


def read_output(path: Path, shape: type[Shape]) -> Shape:
    """The value of a JSON file of a finished stage, as a type.

    Args:
        path: the file, at the top of the stage's folder.
        shape: a type that msgspec knows.

    Raises:
        StageError: it is not what the stage left.
    """
    try:
        return msgspec.convert(read_object(path), shape)
    except (OSError, ValueError, QAlignError) as error:
        raise StageError(
            f"{path} is not what its stage left ({_one_line(error)}); put it back, or remove the folder to make it again: "
            f"rm -r {path.parent}"
        ) from error


def write_returned(folder: Path, seconds: float) -> None:
    """Notes that the stage's function has returned after `seconds`, with what it left in the folder."""
    files = {_name(folder, path): _stamp(path) for path in output_files(folder)}
    _write(folder / SCRATCH / RETURNED, sealed({"boot": _boot(), "seconds": seconds, "files": files}))


def read_returned(folder: Path) -> float | None:
    """The seconds that the stage's function took if it has returned and its output is still there, else None.

    After a power failure files may lack content that was not on the disk yet: the note counts until the machine starts again.
    """
    try:
        note = msgspec.convert(unsealed(read_object(folder / SCRATCH / RETURNED)), Returned)
        files = {_name(folder, path): _stamp(path) for path in output_files(folder)}
    except (OSError, ValueError, QAlignError):
        return None
    return note.seconds if note.boot == _boot() and note.files == files else None


def read_object(path: Path) -> Any:
    """The value of a JSON file of ours.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, or too large.
        DataError: it is no JSON.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"it is {_kind(status.st_mode)}, no file")
    if status.st_size > LARGEST:
        raise ValueError(f"it has {status.st_size} bytes, more than {LARGEST}")
    return parse_json(path.read_bytes(), path.name)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide what a stage makes."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def hardware() -> dict[str, Any]:
    """The machine that this process runs on, in the shape of `Hardware`."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": cores()}


def files_of(folder: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """All files in a folder, sorted, without those of some names at its top; links are not followed.

    Raises:
        StageError: something in it is neither a file nor a folder.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in without:
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        if printable(entry.name) != entry.name:
            raise StageError(f"the name of the file {printable(entry.path)} holds control characters; give it another")
        if stat.S_ISDIR(mode):
            yield from files_of(Path(entry.path))
        elif stat.S_ISREG(mode):
            yield Path(entry.path)
        else:
            raise StageError(
                f"{printable(entry.path)} is {_kind(mode)}; a stage's folder holds files only: put the file itself there, or "
                "remove it"
            )


def output_files(folder: Path) -> Iterator[Path]:
    """The files of a folder that a record lists: all but the record itself and those of `scratch`."""
    return files_of(folder, without=(RECORD, SCRATCH))


def is_inside(name: str) -> bool:
    """Whether a name with slashes means a file within its folder."""
    path = PurePosixPath(name)
    return name == str(path) and name != "." and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def sync(path: Path) -> None:
    """Returns when a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(path: Path) -> tuple[int, int, str]:
    sync(path)
    return (*_stamp(path), file_sha256(path))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Writes JSON that is on the disk when this returns; the seal tells a torn file."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _unsealed(value: Any) -> Any:
    """The values of a record; those of earlier versions have no seal."""
    return unsealed(value) if isinstance(value, dict) and SEAL in value else value


def _boot() -> str:
    """A name for the time since the machine was started; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"


def _one_line(error: Exception) -> str:
    return printable(str(error)[:300] or type(error).__name__)
