"""Runs programs that a model wrote: those of plain arithmetic by `programs`, others in a sandbox, or not at all.

The sandbox is bubblewrap: no network, no files but Python and its packages to read, an empty environment, and limits on
time and memory. Where bubblewrap is not installed or forbidden, such a program is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ..resources import cores
from ..untrusted import one_line
from . import programs

End = Literal["ran", "no program", "refused", "error", "time-out", "no number"]
"""How an answer that should be a program ended. One that ran printed a number."""

VERSION = 1
"""Part of the fingerprint of answers by programs: raised when the same text ends in another way."""
SECONDS = 5
"""The most seconds of computing of a program in the sandbox, without the imports of sympy and numpy (as published)."""
ROOM = 2**30
"""The most bytes of address space of a program in the sandbox."""
SECONDS_TO_START = 120.0
"""The most seconds until a sandbox answers, with the imports."""
_VISIBLE = ("mpmath", "numpy", "numpy.libs", "scipy", "scipy.libs", "sympy")


@dataclass(frozen=True, slots=True)
class Ran:
    """How an answer ended, and the number that its program printed."""

    end: End
    number: str | None = None


def program_of(text: str) -> str | None:
    """The program in an answer, None where nothing is printed. A fenced block of code is taken without its fence."""
    text = text.partition("### Instruction")[0]  # where the model asks itself the next question
    blocks: list[str] = re.findall(r"^```[^\n]*\n(.*?)(?:^```|\Z)", text, re.DOTALL | re.MULTILINE)
    return next((part for part in (*blocks, text) if "print(" in part), None)


def printed_number(text: str) -> str | None:
    """The number in what a program printed: the first, behind the last `=`, in a form that all answer rules read alike."""
    found = re.search(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:/\d+)?", text.rpartition("=")[2].replace(",", ""))
    if found is None:
        return None
    whole, _, part = found[0].partition("/")
    try:
        if whole.removeprefix("-").isdecimal() and not part:
            return str(int(whole))
        value = float(whole) / float(part or 1)
        return str(int(value)) if value == int(value) else f"{value:.4f}"
    except (ValueError, ArithmeticError):
        return None


def run_all(texts: Iterable[str], sandboxed: bool = True) -> list[Ran]:
    """How the programs in answers end, in order. They run side by side on all cores.

    Programs that need a sandbox are refused where there is none, or `sandboxed` is false.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as threads, _Sandboxes(sandboxed) as sandboxes:
        warnings.simplefilter("ignore")  # of what a text would mean as a program
        return list(threads.map(lambda text: _run(text, sandboxes), texts))


def _run(text: str, sandboxes: _Sandboxes) -> Ran:
    program = program_of(text)
    if program is None:
        return Ran("no program")
    end: End = "ran"
    try:
        printed = programs.run(program)
    except programs.Failed:
        return Ran("error")
    except programs.OutOfSteps:
        return Ran("time-out")
    except programs.Unknown:
        end, printed = sandboxes.run(program)
    if end != "ran":
        return Ran(end)
    number = printed_number(printed)
    return Ran("ran", number) if number is not None else Ran("no number")


@cache
def fault() -> str:
    """Why there is no sandbox on this machine, with advice; empty where there is one."""
    if sys.platform != "linux":
        return "bubblewrap runs on Linux alone"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    try:
        _Sandbox().close()
    except _NotStartedError as error:
        return f"bubblewrap does not work here: {one_line(error)}"
    return ""


def _command() -> list[str]:
    """The command that starts `guest` in bubblewrap."""
    site = Path(sysconfig.get_path("platlib"))
    shown = {path: path for path in ("/usr", "/lib", "/lib64", sys.base_prefix)}
    shown |= {str(site / name): f"/packages/{name}" for name in _VISIBLE}
    shown[str(Path(__file__).with_name("guest.py"))] = "/guest.py"
    binds = [word for place, seen in shown.items() for word in ("--ro-bind-try", place, seen)]
    apart = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    python = [os.path.realpath(sys.executable), "-s", "-S", "-P", "/guest.py", str(SECONDS), str(ROOM)]
    return [shutil.which("bwrap") or "bwrap", *apart, *binds, "--remount-ro", "/", "--chdir", "/", *python]


class _NotStartedError(Exception):
    pass


class _Sandbox:
    """A process in bubblewrap that runs one program after another. Raises _NotStartedError where none can be had."""

    def __init__(self) -> None:
        env = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=env
            )
            if self._answer(SECONDS_TO_START) != ("ran", "42\n"):  # it runs a program of its own first
                self.close()
                said.seek(0)
                reason = said.read(2000).decode("utf-8", "replace").strip()
                raise _NotStartedError(reason.splitlines()[-1][:200] if reason else "it says nothing")

    def run(self, program: str) -> tuple[End, str] | None:
        """How a program ended, and what it printed. None where the sandbox came to an end with it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(program).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return None
        return self._answer(SECONDS_TO_START + 20.0 * SECONDS)

    def _answer(self, seconds: float) -> tuple[End, str] | None:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        try:
            answer = json.loads(line)
            return answer["ended"], answer["printed"]
        except ValueError:
            return None

    def close(self) -> None:
        """Ends it, with all that runs in it."""
        self._process.kill()
        self._process.communicate()


class _Sandboxes:
    """Sandboxes that wait for programs: each is started when no other is idle."""

    def __init__(self, allowed: bool = True) -> None:
        self._allowed, self._idle = allowed, list[_Sandbox]()

    def __enter__(self) -> _Sandboxes:
        return self

    def __exit__(self, *_: object) -> None:
        for sandbox in self._idle:
            sandbox.close()

    def run(self, program: str) -> tuple[End, str]:
        """How a program ended, and what it printed."""
        if not self._allowed or fault():
            return "refused", ""
        try:
            sandbox = self._idle.pop() if self._idle else _Sandbox()
        except (_NotStartedError, IndexError):
            return "refused", ""
        if (answer := sandbox.run(program)) is None:
            sandbox.close()
            return "error", ""
        self._idle.append(sandbox)
        return answer
