"""The lines of a run on stderr: how much there is to do, what begins and ends, and where an interrupted stage goes on."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..pipeline import Node, in_order, resume_point
from ..placement import Placement
from ..terminal import log, say
from ..wording import counted, duration
from .evaluated import Evaluated
from .kinds import Train


class StageLines:
    """What a run says of its stages. `report` is called from several threads."""

    def __init__(
        self, comparison: Sequence[Evaluated], runs: Path, placement: Placement, stages: Sequence[Node]
    ) -> None:
        """Says nothing yet.

        Args:
            stages: those that will run.
        """
        self._runs, self._placement, self._total = runs, placement, len(stages)
        self._stages = {stage.folder_name: stage for stage in stages}
        self._titles = list(dict.fromkeys(system.title or system.name for system in comparison))
        self._users: dict[str, list[str]] = {}
        for system in comparison:
            for stage in in_order(system.scores.values()):
                users = self._users.setdefault(stage.fingerprint, [])
                if (title := system.title or system.name) not in users:
                    users.append(title)
        self._running: dict[str, tuple[Node, float]] = {}
        self._started, self._begun = time.monotonic(), 0
        self._lock = threading.Lock()

    @property
    def systems(self) -> dict[str, str]:
        """The system that each stage is for, or how many, by the name of its folder."""
        titles = {name: self._users.get(stage.fingerprint, []) for name, stage in self._stages.items()}
        return {
            name: users[0] if len(users) == 1 else f"{len(users)} systems" for name, users in titles.items() if users
        }

    def opening(self) -> None:
        """Says how many stages will run, for which systems."""
        if self._total:
            at_once = f", {self._placement.jobs} at once" if self._placement.jobs > 1 and self._total > 1 else ""
            self._log(f"{counted(self._total, 'stage')} to run for {', '.join(self._titles)}{at_once}")

    def closing(self) -> None:
        """Says how long the stages took."""
        if self._total:
            self._log(f"all stages are done, after {duration(round(time.monotonic() - self._started))}")

    def report(self, event: str, stage: Node) -> None:
        """Says that a stage begins, goes on, waits or is done, as `pipeline.run` tells it."""
        with self._lock:
            name = stage.folder_name
            if event in ("running", "resuming"):
                self._begun += 1
                self._running[name] = (stage, time.monotonic())
                state = resume_point(stage, self._runs) if event == "resuming" else ""
                word = "start" if state == "" else "go on"
                about = _about(stage, state or "", f"{self._begun} of {self._total}", self._for(stage))
                self._log(f"{word}: {name}{about}")
            elif event == "finished":
                _, began = self._running.pop(name, (stage, time.monotonic()))
                self._log(f"done: {name}{_about(stage, duration(round(time.monotonic() - began)))}")
            elif event == "waiting":
                self._log(f"wait for another run of: {name}{_about(stage)}")

    def _for(self, stage: Node) -> str:
        users = self._users.get(stage.fingerprint, [])
        return "for all systems" if len(users) == len(self._titles) > 1 else f"for {', '.join(users)}" if users else ""

    def _log(self, text: str) -> None:
        if not self._placement.quiet:
            log(text)

    @contextmanager
    def interruptions_in_words(self) -> Iterator[None]:
        """Says where each stage resumes when Ctrl-C or SIGTERM ends the run."""
        with _sigterm_as_interruption():
            try:
                yield
            except _Terminated:
                self._say_left()
                say("qalign: ended by SIGTERM; give the same command again to go on")
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt:
                self._say_left()
                raise

    def _say_left(self) -> None:
        for stage, _ in list(self._running.values()):
            state = resume_point(stage, self._runs)
            if state is None:
                continue
            why = f": {_no_checkpoint(self._placement)}" if isinstance(stage, Train) else ""
            say(f"qalign: {stage.folder_name} {f'goes on {state}' if state else f'begins again{why}'}")


def _about(stage: Node, *texts: str) -> str:
    """What stands behind the name of a stage: what people call it, if the name does not say so, and further texts."""
    label = getattr(stage, "label", "")
    there = [text for text in (label if label not in stage.name else "", *texts) if text]
    return f" ({'; '.join(there)})" if there else ""


def _no_checkpoint(placement: Placement) -> str:
    seconds = placement.seconds_per_checkpoint
    if math.isinf(seconds):
        return "checkpoints are off"
    return f"no checkpoint was written yet, one is every {duration(seconds)}"


class _Terminated(KeyboardInterrupt):
    """SIGTERM ends a run as Ctrl-C does."""


@contextmanager
def _sigterm_as_interruption() -> Iterator[None]:
    """Has a SIGTERM interrupt the work of the main thread. A second one ends the process, and a handler of others stays."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminated

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
