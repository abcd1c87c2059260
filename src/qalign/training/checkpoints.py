"""Checkpoints of a training: complete or not there at all, with the hashes of their files.

A checkpoint holds the state of the trainer and the metrics so far. It is built under another name and then renamed, so a
kill at any moment leaves the earlier ones. The last two are kept: where the last is damaged, training goes on from the one
before. At Ctrl-C or SIGTERM one is written, where that takes seconds: schedulers such as Slurm kill some seconds later.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Self

import msgspec

from ..errors import QAlignError
from ..fingerprints import announce_hashing
from ..pipeline.stage_record import Count
from ..pipeline.workers import ONE_SIGNAL, SIGNALS
from ..records import atomic_file
from ..terminal import log, say
from ..wording import counted, duration
from . import manifest
from .config import METRICS
from .state import read_progress

if TYPE_CHECKING:
    from .trainer import Trainer

KEPT = 2
"""How many checkpoints are kept. While the next one is written there is one more."""
OPTIMIZER_STATES, BYTES_PER_SECOND = 2, 200e6
"""The states of the optimizer for each trained weight, and how fast a slow disk takes them, before one was written."""
LONGEST_SAVE = 20.0
"""Seconds that a checkpoint may take at an interruption. Slurm kills 30 seconds after SIGTERM."""


class Row(msgspec.Struct, frozen=True):
    """The part of a row of the metrics that is checked."""

    step: Count
    loss: float


class Checkpoints:
    """The checkpoints of one training. All ranks call the same methods."""

    def __init__(self, trainer: Trainer, scratch: Path, examples: str) -> None:
        """Makes no checkpoint yet. `examples` is what the tokens of this training are known by."""
        self.trainer, self.scratch, self.examples = trainer, scratch, examples
        self._saved_at = time.monotonic()
        self._seconds: float | None = None

    def resume(self) -> None:
        """Puts back the state and metrics of the last good checkpoint. What was reported after it is forgotten."""
        from accelerate.utils import broadcast_object_list

        first = self.trainer.accelerator.is_main_process
        checkpoint: Path | None = broadcast_object_list([latest(self.scratch, self.examples) if first else None])[0]
        if checkpoint is not None:
            self.trainer.resume(checkpoint, checked=True)
        if first and checkpoint is None:
            (self.scratch / METRICS).unlink(missing_ok=True)
        elif first and checkpoint is not None:
            with atomic_file(self.scratch / METRICS) as temporary:
                shutil.copyfile(checkpoint / METRICS, temporary)
        self._saved_at = time.monotonic()

    def seconds_to_save(self) -> float:
        """The seconds that the next checkpoint will take: those of the last one, else by its size.

        Infinite where the placement wants none, and on several processes, whose steps a signal does not end together.
        """
        if math.isinf(self.trainer.placement.seconds_per_checkpoint) or self.trainer.accelerator.num_processes > 1:
            return math.inf
        if self._seconds is not None:
            return self._seconds
        weights = self.trainer.model.parameters()
        return float(sum(one.nbytes * (1 + OPTIMIZER_STATES * one.requires_grad) for one in weights) / BYTES_PER_SECOND)

    def save_if_due(self, at_once: bool = False) -> bool:
        """Saves a checkpoint `at_once` or if one is due by the first rank's clock. Returns whether it did."""
        from accelerate.utils import broadcast_object_list

        age = time.monotonic() - self._saved_at
        due = [at_once or age >= self.trainer.placement.seconds_per_checkpoint]
        if not (due if self.trainer.accelerator.num_processes == 1 else broadcast_object_list(due))[0]:
            return False
        self.save()
        return True

    def save(self) -> None:
        """Saves a checkpoint, and removes all but the last ones."""
        place, started = self.scratch / f"step-{self.trainer.progress.step:09d}", time.monotonic()
        self.trainer.save(place, self.examples, [self.scratch / METRICS])
        if self.trainer.accelerator.is_main_process:
            for older in sorted(self.scratch.glob("step-*"))[:-KEPT]:
                manifest.remove(older)
        self.trainer.accelerator.wait_for_everyone()
        self._saved_at = time.monotonic()
        self._seconds = self._saved_at - started


def latest(scratch: Path, examples: str) -> Path | None:
    """The last checkpoint whose files are whole and belong to these examples, if any. Damaged ones are removed."""
    faults, last = [], None
    for checkpoint in sorted(scratch.glob("step-*"), reverse=True):
        announce_hashing(checkpoint, [path for path in checkpoint.rglob("*") if path.is_file()])
        fault = manifest.fault(checkpoint) or _misfit(checkpoint, examples)
        if fault is None:
            last = checkpoint
            break
        faults.append(f"the checkpoint {checkpoint.name} was removed, for {fault}")
        manifest.remove(checkpoint)
    if faults:
        then = f"goes on from {last.name}" if last else "begins from the beginning"
        log(f"{'; '.join(faults)}; training {then}")
    return last


def _misfit(checkpoint: Path, examples: str) -> str | None:
    """The reason why training cannot go on from an undamaged checkpoint, None if it can."""
    try:
        progress = read_progress(checkpoint)
        rows = msgspec.json.Decoder(Row).decode_lines((checkpoint / METRICS).read_bytes())
    except (OSError, ValueError, QAlignError) as error:
        return f"its progress or its metrics cannot be read: {error}"
    if [row.step for row in rows] != list(range(1, progress.step + 1)):
        return f"{METRICS} does not have a row for each of its {counted(progress.step, 'step')}"
    return None if progress.examples == examples else "it belongs to other examples"


class Interruption:
    """Asks a training to end after its step, by `asked`, the signal or 0. A second signal ends it at once.

    Signals act as before outside of the main thread, and where a checkpoint takes infinitely long.
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
        for number, before in self._before.items():
            signal.signal(number, before)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._restore()
        if kind is None and self.asked:  # too late for the loop to see it
            self.end()
