"""What can go wrong for a user, as one small tree of exceptions.

QAlignError
    DataError       a corpus, a file, a line, a column
    SettingError    a name or a value that the user gave
    ModelError      a base, a checkpoint, a tokenizer
    StageError      a stage folder: edited, locked, incomplete

Each message is one line: what was found, what was expected, what to do next. The command line prints it and exits
with status 2. A mistake of our own is an `assert` or a plain exception, and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QAlignError(Exception):
    """Something the user can mend; the message says how."""


class DataError(QAlignError):
    """A corpus or a file does not hold what it should."""


class SettingError(QAlignError):
    """A name or a value that the user gave is not one that exists."""


class ModelError(QAlignError):
    """A base or a checkpoint cannot be used as it is."""


class StageError(QAlignError):
    """A stage folder is not what its fingerprint says."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one if there is one, else all of them."""
    names = sorted(known)
    close = closest(name, names, cutoff=0.5)
    return f"did you mean '{close}'?" if close is not None else f"known: {', '.join(names) or 'none'}"


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like a name, in capitals or not; None if none is like it."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=cutoff)
    return folded[close[0]] if close else None
