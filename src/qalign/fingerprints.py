"""By what a stage is known: the canonical text of its config, and the hashes of files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import StageError


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; one value has one text.

    Raises:
        StageError: the value holds something that has no such text (a path, a set, NaN, a key that is no text).
    """
    _check_canonical(value, "config")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check_canonical(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise StageError(f"{where} has the key {key!r}; use text for keys")
            _check_canonical(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check_canonical(item, f"{where}[{position}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise StageError(f"{where} is {value}; use a finite number or null")
    elif isinstance(value, Path):
        raise StageError(f"{where} is a path, which differs between machines; put it in `local` and its hash in config")
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise StageError(f"{where} is a {type(value).__name__}; use text, numbers, lists and mappings only")


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
