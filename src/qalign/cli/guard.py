"""How a verb ends: with its results; or, where something is wrong, with one line and exit status 2, or 130 after Ctrl-C."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import QAlignError
from ..terminal import INTERRUPTED, say, show

if TYPE_CHECKING:
    from ..results.run_results import Results

USER_ERROR = 2
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a file that is open already cannot be written for."""


@contextmanager
def errors() -> Iterator[None]:
    """One line and exit status 2 for what the user can mend; 130 for Ctrl-C; a traceback for a mistake of ours."""
    try:
        yield
    except KeyboardInterrupt:
        say()
        say("qalign: interrupted; give the same command again to go on")
        raise SystemExit(INTERRUPTED) from None
    except (QAlignError, ModuleNotFoundError, OSError) as error:
        words = str(error)
        if isinstance(error, ModuleNotFoundError):
            words = f"this needs {error.name}: pip install 'qalign[all]' (or one of its extras)"
        elif isinstance(error, OSError):
            if error.errno not in NO_ROOM and error.filename is None:
                raise
            words = f"cannot use {error.filename or ''}: {error.strerror}; see to it and run it again"
        say(f"qalign: error: {words}")
        raise SystemExit(USER_ERROR) from error


def finish(results: Results, differences: bool = False) -> None:
    """Writes results with their figures and page; prints tables, the tests of all differences if asked, findings and files."""
    files = results.write()
    for table in results.last_tables(differences):
        show(table, "")
    for sentence in (*results.findings, *results.model_lines):
        show(sentence)
    show(f"All tables: qalign report {shlex.quote(str(results.folder / 'results.json'))}")
    show(f"{'Page' if files[0].suffix == '.html' else 'Results'}: {files[0]}")
