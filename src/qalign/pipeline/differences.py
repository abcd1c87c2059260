"""The differences between the identities of two stages, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ..fingerprints import canonical


def differences(where: str, old: object, new: object) -> Iterator[str]:
    """A line for each value that differs.

    Args:
        where: the path of the values in the identity.
        old: a value of the first identity.
        new: the value of the second.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            inner = f"{where}.{key}" if where else key
            if key not in new:
                yield f"{inner} is gone (was {_short(old[key])})"
            elif key not in old:
                yield f"{inner} is added ({_short(new[key])})"
            else:
                yield from differences(inner, old[key], new[key])
    elif where.startswith("inputs."):
        if old != new:
            yield f"its input {where.removeprefix('inputs.')} is another ({old!s:.8} -> {new!s:.8})"
    elif canonical(old) != canonical(new):
        yield f"{where} {_short(old)} -> {_short(new)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
