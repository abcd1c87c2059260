"""Words for counts: 1 language, 2 languages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 language`, `1,200 languages`; `plural` for nouns whose plural does not end in s alone."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
