"""User code `module:function`: imported after libraries, with one-line errors."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import QAlignError, SettingError

PACKAGE = Path(__file__).parent
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def own_function(name: str) -> Callable[..., Any]:
    """The function `module:function`, from the current folder or an installed module.

    The folder is last in the module search path, so a file in it never replaces a library. The user's modules can import each
    other from there, in worker processes too.

    Raises:
        SettingError: the module or function does not exist, or importing it fails or ends the program.
    """
    module_name, _, function = name.partition(":")
    what = f"'{name}' cannot be imported"
    folder = str(Path.cwd())
    while folder in sys.path:
        sys.path.remove(folder)
    sys.path.append(folder)
    importlib.invalidate_caches()  # the file may be newer than the cached folder listing
    with own_faults(what):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if f"{module_name}.".startswith(f"{error.name}."):  # not an import inside the module
                raise SettingError(
                    f"'{name}' cannot be imported (there is no module '{error.name}'); give module:function, the module in "
                    "this folder"
                ) from error
            raise
        module_file, exists = getattr(module, "__file__", None), hasattr(module, function)
    own = _file_of(module_name)
    if not isinstance(module_file, str) or "\0" in module_file:
        module_file = None
    if own is not None and (module_file is None or Path(module_file).resolve() != own.resolve()):
        raise SettingError(
            f"'{name}' cannot be imported: '{module_name}' is a library ({module_file or 'built in'}); rename {own}"
        )
    if not exists:
        raise SettingError(
            f"'{name}' cannot be imported: {module_file or module_name} has no '{function}'; give module:function"
        )
    with own_faults(what):
        value = getattr(module, function)
    if not callable(value):
        raise SettingError(f"'{name}' is not a function; a recipe takes a Study and returns its last training stage")
    return value  # type: ignore[no-any-return]


def _file_of(module: str) -> Path | None:
    """The file of a module in the current folder, or None."""
    place = Path.cwd().joinpath(*module.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


@dataclass(frozen=True)
class OwnFunction:
    """A user's function that reports its faults. A worker process can receive it."""

    function: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        name = getattr(self.function, "__qualname__", repr(self.function))
        with own_faults(f"{getattr(self.function, '__module__', 'a module')}:{name} failed"):
            return self.function(*arguments)


def is_own(function: Callable[..., object]) -> bool:
    """Whether a function or class is not one of this package."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] != __package__


@contextmanager
def own_faults(what: str) -> Iterator[None]:
    """Reports where a fault arose in user code.

    An interruption, a full disk and our own errors pass through.

    Raises:
        SettingError: anything else was raised, `SystemExit` included.
    """
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    except (QAlignError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise
        reason = " ".join(_words(error).split())[:200]
        raise SettingError(f"{what}: {_place(error)}{type(error).__name__}: {reason or 'no word'}; fix it") from error
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams  # user code may have replaced them


def _words(error: BaseException) -> str:
    """The message of an error. Empty where that fails too."""
    try:
        return str(error)
    except Exception:
        return ""


def _place(error: BaseException) -> str:
    """The innermost file and line of user code where an error arose, or empty."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}: "
    libraries = (PACKAGE, Path(sys.prefix), Path(sys.base_prefix), Path(traceback.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith("<") and not any(
            Path(frame.filename).is_relative_to(library) for library in libraries
        ):
            return f"{frame.filename} line {frame.lineno}: "
    return ""
