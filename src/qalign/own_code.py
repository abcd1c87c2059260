"""User code `module:function`: imported after libraries, with one-line errors."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import QAlignError, SettingError

PACKAGE = Path(__file__).parent
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def own_function(name: str) -> Callable[..., Any]:
    """The function `module:function`, from the current folder or an installed module.

    The folder is last in the module search path, so a file in it never replaces a library. The user's modules can import each
    other from there, in worker processes too. Raises SettingError if it cannot be had.
    """
    module_name, _, function = name.partition(":")
    what = f"'{name}' cannot be imported"
    folder = str(Path.cwd())
    sys.path[:] = [*(place for place in sys.path if place != folder), folder]
    importlib.invalidate_caches()  # the file may be newer than the cached folder listing
    with own_faults(what):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if not f"{module_name}.".startswith(f"{error.name}."):
                raise  # an import inside the module
            raise SettingError(
                f"{what} (there is no module '{error.name}'); give module:function of a file here"
            ) from error
        file, value = getattr(module, "__file__", None), getattr(module, function, None)
    place = Path(folder, *module_name.split("."))
    own = next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
    file = file if isinstance(file, str) and "\0" not in file else None
    if own is not None and (file is None or Path(file).resolve() != own.resolve()):
        raise SettingError(f"{what}: '{module_name}' is a library ({file or 'built in'}); rename {own}")
    if value is None:
        raise SettingError(f"{what}: {file or module_name} has no '{function}'; give module:function")
    if not callable(value):
        raise SettingError(f"'{name}' is not a function; a recipe takes a Study and returns its last training stage")
    return value  # type: ignore[no-any-return]


def is_own(function: Callable[..., object]) -> bool:
    """Whether a function or class is not one of this package."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] != __package__


@contextmanager
def own_faults(what: str) -> Iterator[None]:
    """Raises SettingError for what user code raises, `SystemExit` included, with the place where it arose.

    An interruption, a full disk and our own errors pass through.
    """
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    except (QAlignError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise
        try:
            reason = " ".join(str(error).split())[:200]
        except Exception:  # of a __str__ of the user's own
            reason = ""
        raise SettingError(f"{what}: {_place(error)}{type(error).__name__}: {reason or 'no word'}; fix it") from error
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams  # user code may have replaced them


def _place(error: BaseException) -> str:
    """The innermost file and line of user code where an error arose, or empty."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}: "
    libraries = (PACKAGE, Path(sys.prefix), Path(sys.base_prefix), Path(traceback.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if not frame.filename.startswith("<") and not any(map(file.is_relative_to, libraries)):
            return f"{file} line {frame.lineno}: "
    return ""
