"""Revisions on the hub: a branch or tag becomes a recorded commit.

A file `revisions.json` maps names to the commit of their first use. A name is `owner/name` for a dataset or
`model:owner/name`, with `@REVISION` where one was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from .errors import DataError, QAlignError
from .fingerprints import is_first_look
from .huggingface import COMMIT, Repository, commit_of, is_out_of_reach
from .records import write_json
from .untrusted import parse_json, printable

FILE = "revisions.json"
UNKNOWN = "unknown"
"""The commit of an unreachable repository in a plan."""
_TOLERATED: ContextVar[dict[str, QAlignError] | None] = ContextVar("tolerated", default=None)


@contextmanager
def hub_out_of_reach_allowed() -> Iterator[dict[str, QAlignError]]:
    """Within it the commit is `UNKNOWN` where the hub is out of reach. Yields the errors that say so, by name."""
    found: dict[str, QAlignError] = {}
    token = _TOLERATED.set(found)
    try:
        yield found
    finally:
        _TOLERATED.reset(token)


def resolve(repository: Repository, asked: str | None, record: Path) -> str:
    """The commit to read: a full commit as asked, else the recorded one, or that of the hub, which is then recorded.

    `asked` is a branch, a tag or a commit, or None for the newest. Raises DataError or ModelError if the record is broken, or
    the hub does not know the revision.
    """
    if asked and COMMIT.fullmatch(asked.lower()):
        return asked.lower()
    if is_first_look():
        return UNKNOWN
    key = ("model:" if repository.kind == "model" else "") + repository.name + (f"@{asked}" if asked else "")
    try:
        known = _read(record)
        if key in known:
            return known[key]
        return _add(key, commit_of(repository, asked), record)
    except QAlignError as error:
        tolerated = _TOLERATED.get()
        if tolerated is not None and is_out_of_reach(error):
            tolerated[repository.name] = error
            return UNKNOWN
        raise repository.error(str(error)) from error


def _add(key: str, commit: str, record: Path) -> str:
    """Records a commit unless another run was first. Returns the recorded one."""
    from filelock import FileLock

    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_name(f".{record.name}.lock")):
        known = _read(record)
        if key not in known:
            known[key] = commit
            write_json(record, dict(sorted(known.items())))
        return known[key]


def _read(record: Path) -> dict[str, str]:
    """The recorded commits. Raises DataError if the file is not a record of commits."""
    try:
        known = parse_json(record.read_bytes(), str(record))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{record} cannot be read ({error.strerror}); see to it, or remove it") from error
    if not isinstance(known, dict):
        raise DataError(f"{record} is not a record of revisions (a JSON object of names and commits): remove it")
    for name, commit in known.items():
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            line = f"'{printable(name)[:80]}' has {printable(str(commit))[:80]!r}, not a commit (40 hexadecimal digits)"
            raise DataError(f"{record} is not a record of revisions: {line}: remove its line")
    return known
