"""Ctrl-C and SIGTERM in a training: what was learnt is kept where that takes seconds.

Slurm and other schedulers send SIGTERM some seconds before they kill.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

from ..pipeline.workers import ONE_SIGNAL, SIGNALS
from ..terminal import say
from ..wording import duration

LONGEST_SAVE = 20.0
"""Seconds that a checkpoint may take at an interruption. Slurm kills 30 seconds after SIGTERM."""


class Interruption:
    """Asks a training to end after its step. A second signal ends it at once.

    Signals act as before outside of the main thread, and where a checkpoint takes infinitely long.

    Attributes:
        asked: the signal that asked, or 0.
    """

    def __init__(self, title: str, seconds_to_save: Callable[[], float]) -> None:
        self.title, self.seconds_to_save = title, seconds_to_save
        self.asked, self._since = 0, 0.0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and math.isfinite(self.seconds_to_save()):
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is not None and before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            if time.monotonic() - self._since > ONE_SIGNAL:
                self.end(number)
            return
        saves = (seconds := self.seconds_to_save()) <= LONGEST_SAVE
        how = "after this step and a checkpoint; the same signal again ends it at once"
        if not saves:
            how = f"without a checkpoint, which would take {duration(seconds)}"
        with suppress(Exception):  # a message may be interrupted by itself
            say(f"qalign: {self.title} ends {how}")
        if not saves:
            self.end(number)
        self.asked, self._since = number, time.monotonic()

    def end(self, number: int | None = None) -> None:
        """Ends the training as the signal would have ended it without us."""
        self._restore()
        signal.raise_signal(number or self.asked)

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._restore()
        if kind is None and self.asked:  # too late for the loop to see it
            self.end()
