"""Words for counts and times: 1 language, 2 languages, 12 min."""

from __future__ import annotations

import math

UNKNOWN = "unknown"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 language`, `1,200 languages`; `plural` for nouns whose plural does not end in s alone."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """`40 s`, `12 min`, `9.5 h` or `3.2 days`."""
    if seconds is None:
        return UNKNOWN
    for name, size in (("days", 86400 * 2), ("h", 3600), ("min", 60)):
        unit = 86400 if name == "days" else size
        if seconds >= size:
            return f"{seconds / unit:.1f} {name}" if name != "min" else f"{seconds / unit:.0f} {name}"
    return f"{math.ceil(seconds)} s"
