"""Standard output and error, with control characters and keys removed.

Results go to standard output through `show` and `write`, messages to standard error through `say`. No work ends because its
output has no reader.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from .errors import QAlignError
from .redaction import redacted
from .untrusted import printable

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
BROKEN_PIPE = 141
"""The exit status after a reader such as `head` has gone, as a shell reports SIGPIPE."""
WIDTH = 200
"""Characters in a line of a table without a terminal and without COLUMNS."""
LARGE = 2**27
"""Bytes of work that is announced."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""Why a file or a stream that is open cannot be written to."""
_COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")


def prepare() -> None:
    """Makes standard streams writable: closed ones, and those with a small encoding."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:  # else the next opened file gets this number and the output
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def faults_in_words() -> Iterator[None]:
    """Ends a command: writes remaining output, and reports a fault in one line, without keys. The exit status is 2 for what the
    user can fix, 130 after Ctrl-C, and 1 after a traceback, for a bug of ours."""
    try:
        try:
            yield
        finally:
            with _standard_output():
                pass
    except QAlignError as error:
        _end(2, f"error: {error}")
    except ModuleNotFoundError as error:
        _end(2, f"error: this needs {error.name}: pip install 'qalign[all]' (or one of its extras)")
    except (KeyboardInterrupt, Exception) as error:
        kind = type(error).__name__
        if kind == "Exit":  # of the command-line library, which ends the command itself
            raise
        if isinstance(error, KeyboardInterrupt) or (
            kind == "Abort" and isinstance(error.__context__, KeyboardInterrupt)
        ):
            say()
            _end(INTERRUPTED, "interrupted; give the same command again to go on")
        if isinstance(error, BrokenPipeError) and error.filename is None:  # the reader of the help has gone
            _discard(sys.stdout)
            raise SystemExit(BROKEN_PIPE) from None
        if isinstance(error, OSError) and error.filename is not None:
            _end(2, f"error: cannot use {error.filename}: {error.strerror}; see to it and run it again")
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _discard(sys.stdout)
            _end(
                2, f"error: cannot write ({error.strerror}); make room, or send the output elsewhere, and run it again"
            )
        if not hasattr(error, "format_message"):  # errors of the command-line library have it
            _say_lines(traceback.format_exc())
            raise SystemExit(1) from None
        status = getattr(error, "exit_code", 2)
        if kind == "NoArgsIsHelpError":  # no error: no arguments ask for the help
            _say_lines(error.format_message())
            raise SystemExit(status) from None
        path = getattr(getattr(error, "ctx", None), "command_path", "qalign")
        _end(status, f"error: {' '.join(error.format_message().split())} See `{path} --help`.")


def _end(status: int, message: str) -> NoReturn:
    say(f"qalign: {message}")
    raise SystemExit(status) from None


def show(*things: object) -> None:
    """Prints texts, and tables and trees of rich, to standard output."""
    from rich.console import Console

    rendered = _Rendered()
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal or os.environ.get("COLUMNS", "").isdecimal() else WIDTH
    console = Console(file=rendered, force_terminal=is_terminal or None, width=width, highlight=False, markup=False)
    lines = max(1, console.width)
    shown = (_wrapped(_without_control(thing, False), lines) if isinstance(thing, str) else thing for thing in things)
    console.print(*shown, soft_wrap=all(isinstance(thing, str) for thing in things))
    write(_without_control(rendered.getvalue(), console.is_terminal), end="")


def text_of(things: Iterable[object]) -> str:
    """Texts, tables and trees of rich as plain text, at the width of the terminal."""
    from rich.console import Console

    rendered = io.StringIO()
    console = Console(file=rendered, width=shutil.get_terminal_size().columns, no_color=True, highlight=False)
    for thing in things:
        console.print(_wrapped(thing, console.width) if isinstance(thing, str) else thing, markup=False)
    return _without_control(rendered.getvalue(), False).strip("\n")


def _wrapped(text: str, width: int) -> str:
    """A text in lines that fit, broken between words, with indented list items."""
    wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for line in text.split("\n"):
        wrap.subsequent_indent = "  " * line.startswith("- ")
        lines += wrap.wrap(line) if len(line) > width else [line]
    return "\n".join(lines)


class _Rendered(io.StringIO):
    """Output of rich, with the characters that standard output can show."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # io.StringIO has None
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def write(text: str, end: str = "\n") -> None:
    """Writes escaped lines to standard output. Raises QAlignError, or SystemExit where its reader has gone."""
    with _standard_output():
        sys.stdout.write(text + end)


def say(text: str = "") -> None:
    """Writes one line to standard error, if possible. A message never ends work."""
    try:
        sys.stderr.write(printable(redacted(text)) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(sys.stderr)


@functools.cache
def announce(work: str, path: Path, size: int) -> None:
    """Announces work over many bytes, once per process."""
    if size >= LARGE:
        say(f"qalign: {work} {path} ({size / 2**20:,.0f} MiB)")


def log(text: str) -> None:
    """Writes a line about a run, with the time where standard error is no terminal."""
    try:
        on_terminal = sys.stderr.isatty()
    except ValueError:  # it was closed
        on_terminal = False
    say(text if on_terminal else f"{time.strftime('%H:%M:%S')} {text}")


def _say_lines(text: str) -> None:
    for line in text.rstrip("\n").split("\n"):
        say(line)


@contextmanager
def _standard_output() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
        raise SystemExit(BROKEN_PIPE) from None
    except (ValueError, OSError) as error:
        advice = "send it elsewhere"
        if isinstance(error, OSError):
            _discard(sys.stdout)
            fault = f"cannot write to standard output ({error.strerror})"
        elif sys.stdout.closed:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the program runs
            fault, advice = "standard output was closed by a recipe or a library", "leave it open"
        else:
            raise
        raise QAlignError(f"{fault}; {advice} (what was computed is in its files)") from error


def _discard(stream: TextIO) -> None:
    """Discards the content of a stream, and all that follows."""
    with suppress(OSError, ValueError):  # a stream without a file has nothing to write out
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _without_control(text: str, coloured: bool) -> str:
    """A rendered text with escapes for control characters but line ends and colours."""
    parts = _COLOURS.split(text) if coloured else [text]
    return "".join(
        part if _COLOURS.fullmatch(part) else "\n".join(map(printable, part.split("\n"))) for part in parts if part
    )
