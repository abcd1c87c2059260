"""How a verb ends when something is wrong: one line and exit status 2, or 130 after Ctrl-C."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ..errors import QAlignError, SettingError
from ..terminal import INTERRUPTED, say
from ..untrusted import check_surrogates

USER_ERROR = 2
CANNOT_WRITE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.ELOOP,
)  # fmt: skip


@contextmanager
def errors() -> Iterator[None]:
    """One line and exit status 2 for what the user can mend; 130 for Ctrl-C; a traceback for a mistake of ours."""
    try:
        yield
    except QAlignError as error:
        say(f"qalign: error: {error}")
        raise SystemExit(USER_ERROR) from error
    except KeyboardInterrupt:
        say()
        say("qalign: interrupted; give the same command again to go on")
        raise SystemExit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        say(f"qalign: error: this needs {error.name}: pip install 'qalign[all]' (or one of its extras)")
        raise SystemExit(USER_ERROR) from error
    except OSError as error:
        if error.errno not in CANNOT_WRITE and error.filename is None:
            raise
        say(f"qalign: error: cannot use {error.filename or ''}: {error.strerror}; see to it and run it again")
        raise SystemExit(USER_ERROR) from error


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors are shown as `errors` shows them."""

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        with errors():
            check_text(arguments, inspect.signature(command, eval_str=True).parameters)
            command(**arguments)

    return wrapped


def check_text(arguments: Mapping[str, object], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Raises an error for an empty argument, and for one that has no UTF-8: it would stand in files written after days."""
    for name, value in arguments.items():
        for text in value if isinstance(value, list) else [value]:
            if text == "" and parameters[name].default != "":
                raise SettingError(f"{_typed(parameters[name])} is empty; give it a value, or leave it out")
            if isinstance(text, str | Path):
                check_surrogates(str(text), f"the argument '{text}'")


def _typed(parameter: inspect.Parameter) -> str:
    """A parameter as it is typed on the command line."""
    information = parameter.annotation.__metadata__[0]
    if isinstance(information, typer.models.ArgumentInfo):
        return parameter.name
    flags = (information.default, *(information.param_decls or ()))  # typer takes the first flag for a default
    return next((str(flag) for flag in flags if str(flag).startswith("--")), f"--{parameter.name.replace('_', '-')}")
