"""Progress of long work: a bar on a terminal, or lines in a log."""

from __future__ import annotations

import os
import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .terminal import log
from .untrusted import printable
from .wording import duration

SECONDS_PER_LINE = 20.0
TRUSTED_SECONDS, TRUSTED_SHARE = 30.0, 0.2
"""The time left is shown after this many seconds, or after this share of the work."""
LINES = "QALIGN_PROGRESS_LINES"
"""Set for processes that share a terminal. They write lines: two bars would overwrite each other."""


class Bar:
    """A progress bar on stderr. `done` is above zero when work is resumed.

    The time left follows from the rate since the first report: before it kernels are planned and a model is compiled.
    """

    def __init__(self, title: str, total: int, done: int = 0, quiet: bool = False) -> None:
        self.title, self.total, self.done = printable(title), total, done
        self._first: tuple[float, int] | None = None
        self._printed, self._text = 0.0, ""
        self._quiet = quiet
        self._progress: Progress | None = None
        if not quiet and sys.stderr.isatty() and LINES not in os.environ:
            self._progress = Progress(
                TextColumn("{task.description}", style="bold", markup=False), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                TimeElapsedColumn(), TextColumn("{task.fields[left]}", markup=False), console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._progress.add_task(self.title, total=total, completed=done, text="", left="")

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def advance(self, amount: int, text: str = "") -> None:
        """Reports `amount` more units as done, with a text about their state, or the last one."""
        self.done += amount
        self._text = text or self._text
        now = time.monotonic()
        if amount:
            self._first = self._first or (now, self.done)
        if self._progress:
            self._progress.update(self._task, completed=self.done, text=self._text, left=self._left(now))
            return
        ends = self.done >= self.total and (bool(text) or not self._text)  # the last text comes with the last report
        if not self._quiet and (now - self._printed >= SECONDS_PER_LINE or ends):
            self._printed = now
            log("  ".join(filter(None, [f"  {self.title}: {self.done}/{self.total}", self._text, self._left(now)])))

    def _left(self, now: float) -> str:
        """The time left. Empty where all is done or the rate is not reliable yet."""
        since, first = self._first or (now, self.done)
        seconds, units = now - since, self.done - first
        trusted = seconds >= TRUSTED_SECONDS or units >= TRUSTED_SHARE * self.total
        if not trusted or units <= 0 or seconds <= 0 or self.done >= self.total:
            return ""
        return f"{duration((self.total - self.done) * seconds / units)} left"

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()
