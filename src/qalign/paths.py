"""Missing paths: the nearest existing one, for a message."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from .errors import closest
from .untrusted import printable

MOST_NAMES = 10_000
"""Names of a folder that are compared."""


def instead(path: Path | str, advice: str) -> str:
    """The end of a message about a missing path: the nearest one, or the advice."""
    near = nearest_path(path)
    return f"did you mean '{printable(str(near))}'?" if near is not None else advice


def nearest_path(path: Path | str) -> Path | None:
    """The existing path most similar to a missing one, or None.

    Each missing part is replaced by the most similar name in its folder.
    """
    path = Path(path)
    near = Path(path.anchor)
    for part in path.parts[len(near.parts) :]:
        if not os.path.lexists(near / part):
            other = closest(part, _names(near))
            if other is None:
                return None
            part = other
        near /= part
    return near if near != path and near.exists() else None


def _names(folder: Path) -> list[str]:
    """The visible names in a folder. Empty where it is unreadable."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, MOST_NAMES) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return []
