"""The errors of a user, as one small tree of exceptions.

Each message is one line. It says what was found, what was expected, and what to do next. The command line prints it and
exits with status 2. A bug of ours is an `assert` or a plain exception, and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QAlignError(Exception):
    """An error that the user can fix. The message says how."""


class DataError(QAlignError):
    """A corpus, a file, a line or a column does not hold what it should."""


class SettingError(QAlignError):
    """A name or a value from the user does not exist."""


class ModelError(QAlignError):
    """A base, a checkpoint or a tokenizer is not usable."""


class StageError(QAlignError):
    """A stage folder is edited, locked or incomplete."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest name, or all names."""
    names = sorted(known)
    close = closest(name, names, cutoff=0.5)
    return f"did you mean '{close}'?" if close is not None else f"known: {', '.join(names) or 'none'}"


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most similar to a name, ignoring case, or None."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=cutoff)
    return folded[close[0]] if close else None
