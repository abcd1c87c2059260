"""What trackers get, by way of accelerate: the curves of a training, and the scores of a system.

One run of a tracker is one training, or the scores of one system. A file says what it got, so that a resumed training goes on
in the same run and reports no step twice.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from ..errors import SettingError
from ..models.opening import first_line
from ..placement import Placement
from ..records import write_json
from ..terminal import say


class Reports:
    """A run in each tracker, begun with its first row. A tracker that fails is left out: no training is lost for it."""

    def __init__(
        self, placement: Placement, systems: Sequence[str], name: str, config: Mapping[str, object], kept: Path | None = None
    ) -> None:  # fmt: skip
        """A run for some systems, in the group of the first. `config` has its parameters, and the file `kept` what it got."""
        self.trackers = [one for one in placement.trackers if one != "tensorboard" or importlib.util.find_spec(one)]
        self.group, self.name = (*systems, "qalign")[0], name
        self.logs = placement.runs / "logs" / re.sub(r"[^\w() -]", "-", self.group)
        plain = {key: one if isinstance(one, bool | int | float | str) else str(one) for key, one in config.items()}
        self.config, self.kept = {**plain, "systems": ", ".join(systems)}, kept or self.logs / f"{name}.json"
        self._begun: dict[str, Any] = {}
        self._reported: dict[str, tuple[str, int]] = {}
        """Tracker -> what it knows the run by, and the last step that it got."""
        with suppress(OSError, msgspec.DecodeError):
            self._reported = msgspec.json.decode(self.kept.read_bytes(), type=dict[str, tuple[str, int]])

    def report(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Reports rows, each with its `step`, but for those that a tracker got before."""
        for tracker in self.trackers:
            if new := [row for row in rows if row["step"] > self._reported.get(tracker, ("", 0))[1]]:
                with self._guarded(tracker):
                    run = self._run(tracker)
                    self._keep(tracker, self._reported[tracker][0], int(new[-1]["step"]))  # first, so none is doubled
                    for row in new:
                        run.log({name: row[name] for name in row if name != "step"}, step=int(row["step"]))

    def check(self) -> None:
        """Begins the run where a key or a server may be wrong. SettingError where it cannot be begun."""
        for tracker in self.trackers:
            if tracker != "tensorboard":
                with self._guarded(tracker, refuses=True):
                    self._run(tracker)

    def close(self) -> None:
        """Ends the runs; a tracker may wait until all is sent."""
        for tracker, run in self._begun.items():
            with self._guarded(tracker):
                run.finish()

    def _run(self, tracker: str) -> Any:
        """The run in a tracker, new or gone on with."""
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        if tracker in self._begun:
            return self._begun[tracker]
        PartialState()  # accelerate's logs need it
        before, name = self._reported.get(tracker, (None, 0))[0], f"{self.group}/{self.name}"
        kind, known_by = LOGGER_TYPE_TO_CLASS[tracker], before or uuid4().hex
        of_group = {"name": name, "group": self.group, "config": self.config}
        options: Any = {
            "tensorboard": {"logging_dir": self.logs},
            "wandb": {**of_group, "id": known_by, "resume": "allow"},
            "mlflow": {"run_name": name, "tags": {"group": self.group}, "run_id": before},
            "trackio": {**of_group, "resume": "allow" if before else "never", "embed": False},
        }.get(tracker, {"logging_dir": self.logs} if kind.requires_logging_directory else {})
        run = kind(self.name if tracker == "tensorboard" else "qalign", **options)
        run.start()
        self._begun[tracker] = run
        if before is None:
            self._keep(tracker, run.tracker.info.run_id if tracker == "mlflow" else known_by, 0)
            if tracker == "tensorboard":  # accelerate makes a run of its own of the parameters
                run.tracker.add_hparams(self.config, {}, run_name=".")
            elif "config" not in options:
                run.store_init_configuration(self.config)
        return run

    def _keep(self, tracker: str, known_by: str, step: int) -> None:
        self._reported[tracker] = known_by, step
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.kept, self._reported)

    @contextmanager
    def _guarded(self, tracker: str, refuses: bool = False) -> Iterator[None]:
        """Leaves a tracker out at a fault, of whatever kind, or refuses it. Its words go where messages go."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except Exception as error:
            reason = f"the tracker {tracker} cannot be used ({first_line(error)})"
            if refuses:
                raise SettingError(f"{reason}; see to its key and server, or name another with --tracker") from error
            self.trackers = [one for one in self.trackers if one != tracker]
            say(f"qalign: {reason}; {self.group}/{self.name} goes on without it")


def reports_of(placement: Placement, scratch: Path, config: Mapping[str, object], is_main: bool = True) -> Reports:
    """The reports of the training that works in a scratch folder. Only the main one of several processes has trackers."""
    name, systems = scratch.parent.name.removesuffix(".partial"), [*placement.systems_of(scratch)]
    placement = placement if is_main else replace(placement, trackers=())
    return Reports(placement, systems, name, config, scratch / "trackers.json")
