"""The record of a finished stage, `stage.json`, and the check of its files.

A record is untrusted data: folders of runs are copied between machines. It is validated by a schema. Nothing outside its
folder is read.
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
from typing import Annotated, TypeVar

import msgspec

from ..errors import QAlignError, StageError
from ..fingerprints import SEAL, announce_hashing, file_sha256, sealed, unsealed
from ..resources import cores
from ..untrusted import parse_json, printable

RECORD = "stage.json"
SCRATCH = "scratch"
RETURNED = "returned.json"
"""The file in `scratch` of a stage whose function has returned: only its record is missing."""
SMALL = 64 * 2**20
"""Bytes of a file that is hashed at each check. A larger one is hashed where size or time changed."""
PACKAGES = ("qalign", "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets")
LARGEST = 64 * 2**20
"""The most bytes of a record or another JSON file of a stage."""

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


class Hardware(msgspec.Struct, frozen=True):
    """The machine that made a stage."""

    machine: str
    system: str
    cores: int | None


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
    hardware: Hardware
    files: dict[str, tuple[Count, int, Sha256]]
    """The size in bytes, time in nanoseconds and SHA-256 of each file by name."""
    adopted_name: str | None = None
    """The name that an adopted checkpoint was given."""


class Returned(msgspec.Struct, frozen=True):
    """The content of `returned.json`."""

    boot: str
    seconds: Seconds
    files: dict[str, tuple[Count, int]]
    """The size in bytes and time in nanoseconds of each output file."""


def write_record(folder: Path, record: Mapping[str, object]) -> None:
    """Hashes the folder's content, writes its record, and syncs both to disk.

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
        StageError: it is unreadable or damaged, or does not have the shape of a record.
    """
    path = folder / RECORD
    try:
        record = msgspec.convert(_unsealed(read_object(path)), Record)
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
    """Checks that the files of a finished folder are those of its record.

    A changed large file with the same size and time is not detected: see `SMALL`.

    Raises:
        StageError: a file was changed, added or removed.
    """
    remove = f"remove the folder to make it again: rm -r {folder}"
    present = {_name(folder, path) for path in files_of(folder)} - {RECORD}
    for name, (size, nanoseconds, digest) in record.files.items():
        path = folder / name
        if name not in present:
            raise StageError(f"{path} is missing from a finished stage; put it back, or {remove}")
        status = path.stat()
        same_time = status.st_mtime_ns == nanoseconds and size > SMALL
        if status.st_size == size and not same_time:
            announce_hashing(path, [path])
        if status.st_size != size or (not same_time and file_sha256(path) != digest):
            raise StageError(f"{path} was edited after the stage was finished; put it back, or {remove}")
    if added := sorted(present - record.files.keys()):
        raise StageError(f"{folder / added[0]} was added to a finished stage; move it away, or {remove}")


def read_output(path: Path, shape: type[Shape]) -> Shape:
    """The value of a JSON file of a finished stage, as a type.

    Args:
        path: the file, at the top of the stage's folder.
        shape: a type that msgspec knows.

    Raises:
        StageError: the file has changed, or does not fit the type.
    """
    try:
        return msgspec.convert(read_object(path), shape)
    except (OSError, ValueError, QAlignError) as error:
        raise StageError(
            f"{path} is not what its stage left ({_one_line(error)}); put it back, or remove the folder to make it again: "
            f"rm -r {path.parent}"
        ) from error


def write_returned(folder: Path, seconds: float) -> None:
    """Records that the stage's function has returned after `seconds`, and its output."""
    files = {_name(folder, path): _stamp(path) for path in output_files(folder)}
    _write(folder / SCRATCH / RETURNED, sealed({"boot": _boot(), "seconds": seconds, "files": files}))


def read_returned(folder: Path) -> float | None:
    """The seconds of a stage's function that has returned, else None.

    Also None if its output is no longer there. After a power failure files may lack content that was not yet on disk, so the
    record is valid only until the machine restarts.
    """
    try:
        note = msgspec.convert(unsealed(read_object(folder / SCRATCH / RETURNED)), Returned)
        files = {_name(folder, path): _stamp(path) for path in output_files(folder)}
    except (OSError, ValueError, QAlignError):
        return None
    return note.seconds if note.boot == _boot() and note.files == files else None


def read_object(path: Path) -> object:
    """The value of a JSON file of ours.

    Raises:
        OSError: it is unreadable.
        ValueError: it is not a regular file, or too large.
        DataError: it is not JSON.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"it is {_kind(status.st_mode)}, no file")
    if status.st_size > LARGEST:
        raise ValueError(f"it has {status.st_size} bytes, more than {LARGEST}")
    return parse_json(path.read_bytes(), path.name)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide the output of a stage."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def hardware() -> dict[str, str | int]:
    """The machine of this process, in the shape of `Hardware`."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": cores()}


def files_of(folder: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """All files in a folder, sorted. Links are not followed.

    Args:
        folder: the folder.
        without: names at its top to leave out.

    Raises:
        StageError: an entry is neither a file nor a folder.
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
    """The files of a folder that a record lists.

    The record itself and the files of `scratch` are left out.
    """
    return files_of(folder, without=(RECORD, SCRATCH))


def is_inside(name: str) -> bool:
    """Whether a name with slashes means a file within its folder."""
    path = PurePosixPath(name)
    return name == str(path) and name != "." and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def sync(path: Path) -> None:
    """Returns when the content of a file, or the names of a folder, are on disk."""
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


def _write(path: Path, value: Mapping[str, object]) -> None:
    """Writes sealed JSON to disk, and returns when it is there.

    The seal reveals a torn file.
    """
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _unsealed(value: object) -> object:
    """The values of a record. Records of earlier versions have no seal."""
    return unsealed(value) if isinstance(value, dict) and SEAL in value else value


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


def _one_line(error: Exception) -> str:
    return printable(str(error)[:300] or type(error).__name__)
