"""The identity of a stage: canonical JSON of its config, and hashes of files."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from .errors import StageError
from .resources import cores
from .terminal import announce

BLOCK = 8 * 2**20
"""Bytes that one thread hashes at a time."""
SEAL = "sha256"
"""The key under which a sealed object holds the hash of all its other keys."""
NO_HASH = "0" * 64
"""Stands for a hash within a first look."""
_FIRST_LOOK = ContextVar("first look", default=False)


@contextmanager
def first_look() -> Iterator[None]:
    """Within it nothing is hashed or asked, so that errors in settings show at once."""
    token = _FIRST_LOOK.set(True)
    try:
        yield
    finally:
        _FIRST_LOOK.reset(token)


def is_first_look() -> bool:
    """Whether everything built now is built a second time, with hashes."""
    return _FIRST_LOOK.get()


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces. Raises StageError for what has no such text: a path, a set, NaN."""
    _check_canonical(value, "config")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check_canonical(value: object, where: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise StageError(f"{where} has the key {key!r}; use text for keys")
            _check_canonical(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check_canonical(item, f"{where}[{position}]")
    elif isinstance(value, Path):
        raise StageError(f"{where} is a path, which differs between machines; put it in `local` and its hash in config")
    elif not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        what = value if isinstance(value, float) else f"a {type(value).__name__}"
        raise StageError(f"{where} is {what}; use text, finite numbers, null, lists and mappings only")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def announce_hashing(root: Path, files: Iterable[Path]) -> None:
    """Announces the hashing of files under `root`, where they are large."""
    announce("hashing", root, sum(path.stat().st_size for path in files))


def block_sha256(path: Path) -> str:
    """The SHA-256 of the hashes of a file's blocks, made on all cores."""

    def hashed(block: int) -> bytes:
        return hashlib.sha256(os.pread(descriptor, BLOCK, block * BLOCK)).digest()

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        blocks = -(-os.fstat(descriptor).st_size // BLOCK)
        with ThreadPoolExecutor(min(cores(), 16)) as threads:
            return hashlib.sha256(b"".join(threads.map(hashed, range(blocks)))).hexdigest()
    finally:
        os.close(descriptor)


def sealed(values: Mapping[str, object]) -> dict[str, object]:
    """The values with a hash of them, so that damage to the file is detected."""
    return {**values, SEAL: hashlib.sha256(canonical(values).encode()).hexdigest()}


def unsealed(values: object) -> dict[str, object]:
    """The values that `sealed` was given. Raises ValueError if they have changed since."""
    inner = {name: value for name, value in values.items() if name != SEAL} if isinstance(values, dict) else {}
    if sealed(inner) != values:
        raise ValueError("its content does not have the hash that was written with it")
    return inner
