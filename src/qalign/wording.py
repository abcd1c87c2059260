"""Words for counts, sizes and times: 1 language, 2 languages, 27.3 GiB, 12 min."""

from __future__ import annotations

import math
from collections.abc import Mapping

UNKNOWN = "unknown"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 language`, `1,200 languages`. `plural` is for irregular plurals."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """`40 s`, `12 min`, `9.5 h` or `3.2 days`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"


def in_bytes(count: float) -> str:
    """`27.3 GiB`, or less in a smaller unit."""
    name, size = ("GiB", 2**30) if count >= 2**30 else ("MiB", 2**20) if count >= 2**20 else ("KiB", 2**10)
    return f"{count / size:,.1f} {name}"


def by_language(counts: Mapping[str, int]) -> str:
    """`de 400, es 380`, or `400 each of de, es` where all are equal."""
    values = set(counts.values())
    if len(values) == 1 and len(counts) > 1:
        return f"{_short(next(iter(values)))} each of {' '.join(counts)}"
    return ", ".join(f"{code} {_short(count)}" for code, count in counts.items())


def _short(count: float) -> str:
    return f"{count:,.0f}" if count < 1e6 else f"{count / 1e6:,.1f}M"
