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
    """What a run says of the stages that it will run. `report` is called from several threads."""

    def __init__(
        self, comparison: Sequence[Evaluated], runs: Path, placement: Placement, stages: Sequence[Node]
    ) -> None:
        self._runs, self._placement, self._total = runs, placement, len(stages)
        self._titles = list(dict.fromkeys(system.title or system.name for system in comparison))
        self._users: dict[str, list[str]] = {}
        """The systems of each stage, by the name of its folder."""
        for system in comparison:
            for stage in in_order(system.scores.values()):
                users = self._users.setdefault(stage.folder_name, [])
                users += [title for title in [system.title or system.name] if title not in users]
        self._running: dict[str, tuple[Node, float]] = {}
        self._started, self._begun = time.monotonic(), 0
        self._lock = threading.Lock()

    @property
    def systems(self) -> dict[str, str]:
        """The system that each stage is for, or how many, by the name of its folder."""
        users = self._users.items()
        return {name: titles[0] if len(titles) == 1 else f"{len(titles)} systems" for name, titles in users}

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
            name, now = stage.folder_name, time.monotonic()
            if event in ("running", "resuming"):
                self._begun += 1
                self._running[name] = (stage, now)
                state = resume_point(stage, self._runs) if event == "resuming" else ""
                number = f"{self._begun} of {self._total}"
                self._say("start" if state == "" else "go on", stage, state or "", number, self._for(name))
            elif event == "finished":
                _, began = self._running.pop(name, (stage, now))
                self._say("done", stage, duration(round(now - began)))
            elif event == "waiting":
                self._say("wait for another run of", stage)

    def _for(self, name: str) -> str:
        users = self._users.get(name, [])
        return "for all systems" if len(users) == len(self._titles) > 1 else f"for {', '.join(users)}" if users else ""

    def _say(self, what: str, stage: Node, *texts: str) -> None:
        """A line with the stage's folder, what people call it if the name does not say so, and further texts."""
        label = getattr(stage, "label", "")
        there = [text for text in (label if label not in stage.name else "", *texts) if text]
        self._log(f"{what}: {stage.folder_name}" + (f" ({'; '.join(there)})" if there else ""))

    def _log(self, text: str) -> None:
        if not self._placement.quiet:
            log(text)

    @contextmanager
    def interruptions_in_words(self) -> Iterator[None]:
        """Says where each stage resumes when Ctrl-C or SIGTERM ends the run."""
        with _sigterm_as_interruption():
            try:
                yield
            except KeyboardInterrupt:
                for stage, _ in list(self._running.values()):
                    if (state := resume_point(stage, self._runs)) is not None:
                        say(f"qalign: {stage.folder_name} {f'goes on {state}' if state else self._begins_again(stage)}")
                raise

    def _begins_again(self, stage: Node) -> str:
        seconds = self._placement.seconds_per_checkpoint
        if not isinstance(stage, Train):
            return "begins again"
        if math.isinf(seconds):
            return "begins again: checkpoints are off"
        return f"begins again: no checkpoint was written yet, one is every {duration(seconds)}"


@contextmanager
def _sigterm_as_interruption() -> Iterator[None]:
    """Has a SIGTERM end the run as Ctrl-C does. A second one ends the process, and a handler of others stays."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
