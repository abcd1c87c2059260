"""The record of a run: its systems and settings, its stages, where its results are, and whether a process works on it.

A record is written before the first stage runs, so that an interrupted run is known too. It lies in `records` of the folder
of runs. Nothing in it decides a result.
"""

from __future__ import annotations

import hashlib
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from filelock import FileLock, Timeout

from ..errors import QAlignError, StageError
from ..pipeline import in_order
from ..pipeline.stage_record import read_object
from ..records import write_json
from ..redaction import redacted_command
from ..untrusted import printable

if TYPE_CHECKING:
    from .evaluated import Evaluated

FOLDER = "records"
Name = Annotated[str, msgspec.Meta(pattern=r"^[^/\0.][^/\0]*$")]
"""The name of a folder of a stage or of results; it leads nowhere else."""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `records/NAME.json`."""

    version: Literal[1]
    name: Name
    results: Annotated[str, msgspec.Meta(pattern=r"^[^\0]+$")]
    """The folder of the results, absolute."""
    began: Annotated[float, msgspec.Meta(ge=0)]
    run: dict[str, str | int | list[str]]
    """Base, scale, seed, languages and settings, as in `results.json`."""
    systems: list[str]
    command: list[str]
    stages: dict[Name, list[Name]]
    """The folder of each stage that the results need, with the folders of its inputs."""


def record_of(
    name: str, results: Path, run: Mapping[str, str | int | list[str]], comparison: Sequence[Evaluated], runs: Path
) -> RunRecord:
    """The record of a run that begins. That of results which lie elsewhere has the hash of their folder behind its name."""
    results = results.absolute()
    if results.resolve() != (runs / "results" / name).resolve():
        name = f"{name}-{hashlib.sha256(str(results.resolve()).encode(errors='replace')).hexdigest()[:4]}"
    stages = in_order([score for system in comparison for score in system.scores.values()])
    made = [stage for stage in stages if stage.given is None]
    return RunRecord(
        version=1, name=name, results=printable(str(results)), began=round(time.time(), 3), run=dict(run),
        systems=list(dict.fromkeys(system.name for system in comparison)), command=redacted_command(sys.argv),
        stages={one.folder_name: [i.folder_name for i in one.inputs.values() if i.given is None] for one in made},
    )  # fmt: skip


@contextmanager
def recorded(record: RunRecord, runs: Path) -> Iterator[None]:
    """Writes the record and marks the run as running meanwhile. The mark of a process that was killed is no mark."""
    folder = runs / FOLDER
    with ExitStack() as held:
        with suppress(OSError):  # a folder of runs that cannot be written to is refused where a stage has to run
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                for other in read_records(runs, broken={}):
                    if other.results == record.results and other.name != record.name:
                        (folder / f"{other.name}.json").unlink(missing_ok=True)  # its results are written over
                write_json(folder / f"{record.name}.json", msgspec.to_builtins(record))
                mark = folder / f".{record.name}.{uuid.uuid4().hex}.running"
                held.callback(mark.unlink, missing_ok=True)
                held.enter_context(FileLock(mark))
        yield


def read_records(runs: Path, broken: dict[str, str]) -> list[RunRecord]:
    """The records of all runs, by name; `broken` gets the name and the fault of each that cannot be read."""
    records = []
    for path in sorted((runs / FOLDER).glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            record = msgspec.convert(read_object(path), RunRecord)
            if record.name != path.stem:
                raise ValueError(f"it is the record of {record.name}")
            records.append(record)
        except (OSError, ValueError, QAlignError) as error:
            broken[path.stem] = printable(str(error)[:300])
    return records


def is_running(name: str, runs: Path) -> bool:
    """Whether a process works on a run; marks that killed processes left are removed."""
    for mark in (runs / FOLDER).glob(f".{name}.*.running"):
        try:
            with FileLock(mark, timeout=0):
                mark.unlink(missing_ok=True)
        except Timeout:
            return True
        except OSError as error:
            raise StageError(f"cannot tell whether {printable(name)} is running: {error.strerror} at {mark}") from error
    return False
