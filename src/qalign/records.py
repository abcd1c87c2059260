"""Records that cross folders, and their JSONL form."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from .errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
_ADDED = "added"


def added(default: T) -> T:
    """A field that a later version added. With its default it stands in no file and no identity, so these stay as they were."""
    return field(default=default, metadata={_ADDED: True})


def left_out(value: DataclassInstance) -> list[str]:
    """The fields made by `added` that have their default."""
    return [one.name for one in fields(value) if _ADDED in one.metadata and getattr(value, one.name) == one.default]


PairKind = Literal["question", "answer", "sentence"]
Finish = Literal["stop", "length"]
Outcome = Literal["correct", "wrong", "unanswered", "cut_off"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem in one language. Equal ids are translations of each other."""

    id: str
    language: str
    question: str
    answer: str | None
    """A worked answer (chain of thought), if the corpus has one."""
    gold: str | None
    """The final number as the corpus writes it, if it has one."""
    source: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A text in language X and the same text in English."""

    id: str
    language: str
    text: str
    text_en: str
    kind: PairKind
    """The kind of text. It decides the alignment variant."""
    source: str


@dataclass(frozen=True, slots=True)
class Document:
    """Plain text in one language, for a base model."""

    id: str
    language: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Example:
    """One supervised example."""

    id: str
    language: str
    """The language that it teaches: X for a translation pair in either direction."""
    source: str
    instruction: str | None
    """The text that the model reads. None: the response is plain text, learnt from its first token on."""
    response: str
    """The text that the model learns."""
    prompt: str | None = added(None)
    """The whole text before the response, where it is not the study's prompt."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one problem."""

    id: str
    language: str
    text: str
    prompt_sha256: str
    tokens: int
    """The number of generated tokens."""
    finish: Finish
    """Why generation ended."""
    sample: int = 0
    """Which of several answers to the problem, from 0."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule reads in an answer."""

    value: str | None
    """The number, or None."""
    text: str
    """The part of the answer that holds it."""
    start: int
    """The first character of that part."""
    end: int
    by: str
    """How it was found."""
    right: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A prediction judged under all answer rules."""

    id: str
    language: str
    gold: str
    finish: Finish
    outcome: Outcome
    """By the main rule. The four outcomes partition the problems."""
    readings: dict[str, Reading]
    """What each rule read, by its name."""
    answered_in: str | None = None
    """The language of the answer; `none` where it cannot be told, None where nobody asked."""


def to_json(record: DataclassInstance) -> str:
    """One line of JSON in UTF-8, keys in the order of the fields."""
    values = asdict(record)
    for name in left_out(record):
        del values[name]
    return json.dumps(values, ensure_ascii=False)


def write_jsonl(path: Path, records: Iterable[DataclassInstance]) -> int:
    """Writes records to `path`, whole or not at all, and returns their number."""
    count = 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(to_json(record) + "\n")
            count += 1
    return count


def read_jsonl(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of one of our own JSONL files, as a record or `dict`. Raises DataError if a line is not one."""
    import msgspec  # here: the world's sets are made by the standard library alone

    decoder = msgspec.json.Decoder(kind)
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):  # noqa: B007 - the errors below name it
                yield decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        name = kind.__name__ if is_dataclass(kind) else "record"
        raise DataError(f"{path} line {number} is not a valid {name}: {error}; the file is damaged") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read after line {number}: {error}; the file is damaged") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file next to `path` that replaces it when the block succeeds, and is removed when the block fails.

    Raises DataError if `path` is a folder or a device.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a file that can be written anew; name a file")
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder next to `path` that becomes it when the block succeeds, and is removed when the block fails.

    Raises DataError if `path` is there already and not an empty folder.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} is there already; name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """Where something is written before it is `path`. Removes what killed processes of this machine left there."""
    prefix = f".{path.name}.{platform.node()}."
    for name in os.listdir(path.parent) if path.parent.is_dir() else ():
        number = name.removeprefix(prefix).removesuffix(".tmp")
        if name == f"{prefix}{number}.tmp" and number.isdecimal():
            try:
                os.kill(int(number), 0)
            except ProcessLookupError:
                left = path.with_name(name)
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
            except (OSError, OverflowError):  # another user's process, or no number of one
                continue
    return path.with_name(f"{prefix}{os.getpid()}.tmp")


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def usual_permissions(folder: Path) -> None:
    """Gives the files of a folder the permissions of new files: libraries write some that only the owner can read."""
    new = folder / f".{os.getpid()}.tmp"
    new.touch()
    mode = new.stat().st_mode & 0o777
    new.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def sha256(text: str) -> str:
    """The hash of a prompt, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
