"""What a trial is, what a command of it leaves, and the verdicts: the columns of the table."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Verdict = Literal[
    "refused rightly",
    "accepted rightly",
    "traceback",
    "silent acceptance",
    "refused badly",
    "hang",
    "result differs",
    "answers lost",
]
GOOD: tuple[Verdict, ...] = ("refused rightly", "accepted rightly")
BAD: tuple[Verdict, ...] = (
    "traceback",
    "silent acceptance",
    "refused badly",
    "hang",
    "result differs",
    "answers lost",
)
"""`refused badly`: a valid input was refused, or the refusal is not one line that names the matter, or holds a raw control
character, or left half of a file behind."""

USER_ERROR = 2
MOST_MEMORY_MIB = 3000
"""No input of these trials needs more; an input without end would."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys; a tab and the end of a line are none."""


@dataclass(frozen=True)
class Call:
    """A command: the words behind `qalign`, and what is around it.

    `prepare` runs in the child before the command: a kill that waits, say. `real` starts a Python of its own, for trials
    of what lies between a process and its terminal. `killed_after` kills it after so many seconds, and nothing it started.
    """

    words: Sequence[str]
    seconds: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    real: Sequence[str] = ()
    killed_after: float | None = None


@dataclass(frozen=True)
class Result:
    """What a command left. `status` is negative where a signal ended it."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    hung: bool
    memory_mib: int


@dataclass(frozen=True)
class Outcome:
    """The verdict of a trial, and in words what speaks against it."""

    verdict: Verdict
    why: str = ""


Run = Generator[Call, Result, Outcome]


@dataclass(frozen=True)
class Trial:
    """One trial. `run` gets an empty folder, which is the command's working directory, and a random state of its own.

    `waits` says that it mostly waits (for a server): many of such go at once.
    """

    id: str
    run: Callable[[Path, random.Random], Run]
    waits: bool = False

    @property
    def kind(self) -> str:
        """The row of the table."""
        return self.id.partition("/")[0]


Check = Callable[[Result], str | None]
"""None if a result is right, else what is wrong with it."""


def judged(result: Result, *, refused: Sequence[str] | None = None, accepted: Check | None = None) -> Outcome:
    """The verdict on a command that must be refused, or must give what `accepted` checks, or either.

    Args:
        result: what the command left.
        refused: words of which the refusal must hold one (none: any refusal in one line is right); None: refusing is wrong.
        accepted: the check of an accepted input; None: accepting is wrong.
    """
    if outcome := mishap(result):
        return outcome
    if result.status == 0:
        if accepted is None:
            return Outcome("silent acceptance", f"exit 0; expected a refusal that names {' or '.join(refused or ())}")
        wrong = accepted(result)
        return Outcome("result differs", wrong) if wrong else Outcome("accepted rightly")
    if fault := fault_of_refusal(result, refused or ()):
        return Outcome("refused badly", fault)
    if refused is None:
        return Outcome("refused badly", f"a valid input was refused: {result.stderr.strip()[:300]}")
    return Outcome("refused rightly")


def mishap(result: Result) -> Outcome | None:
    """What may come of no command: no end, a traceback, a raw control character, memory without bound."""
    if result.hung:
        return Outcome("hang", f"no end after {result.seconds:.0f} s; stderr ends {result.stderr[-200:]!r}")
    if "Traceback (most recent call last)" in result.stderr:
        return Outcome("traceback", last_line(result.stderr))
    if raw := _STEERING.search(result.stdout) or _STEERING.search(result.stderr):
        return Outcome("refused badly", f"a raw {raw[0]!r} reached the terminal: {raw.string[max(0, raw.start() - 60):raw.end() + 60]!r}")  # fmt: skip
    if result.memory_mib > MOST_MEMORY_MIB:
        return Outcome("hang", f"{result.memory_mib} MiB of memory")
    if result.status < 0:
        return Outcome("traceback", f"ended by signal {-result.status}; stderr ends {result.stderr[-200:]!r}")
    return None


def fault_of_refusal(result: Result, words: Sequence[str]) -> str | None:
    """What is wrong with a refusal: its status, its form, or that it does not name the matter."""
    if result.status != USER_ERROR:
        return f"exit {result.status} instead of {USER_ERROR}; stderr ends {result.stderr[-200:]!r}"
    lines = [line for line in result.stderr.splitlines() if not _is_progress(line)]
    if len(lines) != 1 or not lines[0].startswith("qalign: error: "):
        return f"not one line that begins with 'qalign: error: ': {result.stderr[-300:]!r}"
    if words and not any(word.casefold() in lines[0].casefold() for word in words):
        return f"names none of {', '.join(words)}: {lines[0][:300]}"
    return None


def said(result: Result) -> str | None:
    """Whether something that was repaired is spoken of."""
    lines = [line for line in result.stderr.splitlines() if not _is_progress(line)]
    return None if lines else "it was repaired, or read as something else, without a word"


def _is_progress(line: str) -> bool:
    """Whether a line tells how a run gets on: stages, bars, and requests that are sent again."""
    told = without_time(line)
    return told.startswith(
        ("start: ", "go on: ", "done: ", "  ", "wait for another run of: ", "all stages are done")
    ) or bool(
        re.search(
            r"^\d+ stages? to run for |it is asked again$|few to learn from|qalign: \S+ (?:goes on|begins again)", told
        )
    )


def without_time(line: str) -> str:
    """A line of the log without the time that it begins with."""
    return re.sub(r"^\d\d:\d\d:\d\d ", "", line)


def last_line(text: str) -> str:
    """The last line that says something, as a traceback ends in."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
