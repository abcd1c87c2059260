"""Progress of long work: a bar with rate and time left on a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .terminal import log
from .untrusted import printable

SECONDS_PER_LINE = 20.0
LINES = "QALIGN_PROGRESS_LINES"
"""Set in the environment of processes that share a terminal: they write lines, for two bars would overwrite each other."""


class Bar:
    """A progress bar on stderr. `done` may start above zero when work is resumed."""

    def __init__(self, title: str, total: int, done: int = 0, quiet: bool = False) -> None:
        self.title, self.total, self.done = printable(title), total, done
        self._started, self._first, self._printed = time.monotonic(), done, 0.0
        self._quiet = quiet
        self._progress: Progress | None = None
        if not quiet and sys.stderr.isatty() and LINES not in os.environ:
            self._progress = Progress(
                TextColumn("{task.description}", style="bold", markup=False), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._progress.add_task(self.title, total=total, completed=done, text="")

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def advance(self, amount: int, text: str = "") -> None:
        """Reports `amount` more units as done, with a word on how it goes."""
        self.done += amount
        if self._progress:
            self._progress.update(self._task, completed=self.done, text=text)
        elif not self._quiet:
            now = time.monotonic()
            if now - self._printed >= SECONDS_PER_LINE or self.done >= self.total:
                self._printed = now
                rate = (self.done - self._first) / max(now - self._started, 1e-9)
                left = (self.total - self.done) / rate if rate else 0.0
                log(f"  {self.title}: {self.done}/{self.total}  {text}  {left:.0f} s left")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()
