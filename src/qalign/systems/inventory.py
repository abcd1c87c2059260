"""What a folder of runs holds: each run with its state and its size, the stages, which of them no run needs; and removal.

Links are not followed: what lies behind one counts nothing and is never removed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ..errors import QAlignError, SettingError, nearest
from ..paths import instead
from ..pipeline.stage_record import RECORD, read_record
from ..results.run_results import load
from ..results.tables import Table
from ..untrusted import printable
from ..wording import counted, in_bytes
from .run_records import FOLDER, RunRecord, is_running, read_records

_STAGE = re.compile(r"(?P<stage>.+-[0-9a-f]{8})(?P<ending>\.partial|\.adopting|\.removing)?")
NAMED = 3
"""Missing stages that a row names; more are counted."""
LATEST = 2.0**33
"""The last time that is shown, seconds since 1970: the clock of a machine may have been wrong."""
LOCKS = ".locks"
RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """A folder of `stages`; `stage` is its name when the stage is done."""

    path: Path
    stage: str
    state: str
    """`finished`, `adopted`, `partial`, or `leftover`: no run goes on from it."""
    bytes: int
    inputs: Sequence[str] = ()

    @property
    def is_done(self) -> bool:
        return self.state in ("finished", "adopted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of `qalign runs`."""

    name: str
    results: Path
    state: str
    date: float = 0.0
    """When the run began or its results were written, seconds since 1970."""
    systems: Sequence[str] = ()
    run: Mapping[str, object] = field(default_factory=dict)
    stages: frozenset[str] | None = None
    """The stages that it needs; None if that cannot be known."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All runs and all stages of a folder of runs."""

    folder: Path
    runs: list[Run]
    stages: list[StageFolder]

    def unneeded(self, without: Iterable[Run] = ()) -> list[StageFolder]:
        """Stages that no run needs, other than the runs named, and leftovers from which no run goes on."""
        left_out = {run.name for run in without}
        done = {stage.stage: stage.inputs for stage in self.stages if stage.is_done}
        needed = closure((name for run in self.runs if run.name not in left_out for name in run.stages or ()), done)
        return [
            one
            for one in self.stages
            if one.stage not in needed or one.state == "leftover" or (not one.is_done and one.stage in done)
        ]

    def holds(self, results: Path) -> bool:
        """Whether a folder of results lies in this folder, and is no link."""
        return not results.is_symlink() and results.parent.resolve() == (self.folder / "results").resolve()

    def bytes_of(self, run: Run) -> int:
        """The bytes of a run's stages and results in this folder. Stages that runs share count for each."""
        results = size(run.results) if self.holds(run.results) else 0
        return sum(stage.bytes for stage in self.stages if stage.stage in (run.stages or ())) + results


def inventory(folder: Path) -> Inventory:
    """Reads a folder of runs. Raises SettingError where it is none, or where its `stages`, `results` or `records` are links."""
    if not folder.is_dir():
        advice = instead(folder, "give the one that you ran with: --runs DIR")
        raise SettingError(f"{folder} is not a folder of runs; {advice}")
    for path in (folder / "stages", folder / "results", folder / FOLDER):
        if path.is_symlink():
            raise SettingError(f"{path} is a symbolic link, and links are not followed; put the folder itself there")
    stages, broken = list(_stages(folder / "stages")), dict[str, str]()
    runs = [_recorded(record, folder, stages) for record in read_records(folder, broken)]
    known = {run.results.resolve() for run in runs}
    for path in sorted((folder / "results").glob("*/results.json")):
        if path.is_file() and not path.parent.is_symlink() and path.parent.resolve() not in known:
            runs.append(_unrecorded(path, stages))
    for name, fault in broken.items():
        runs.append(Run(name=name, results=folder / "results" / name, state=f"cannot be read: {fault}"))
    return Inventory(folder, sorted(runs, key=lambda run: (run.date, run.name)), stages)


def _stages(folder: Path) -> Iterator[StageFolder]:
    """The folders that stages left: finished ones, and what an interruption left of others."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _STAGE.fullmatch(path.name)
        if match is None or path.is_symlink() or not path.is_dir():
            continue
        state, inputs = "partial" if match["ending"] == ".partial" else "leftover", list[str]()
        if match["ending"] is None:
            if not (path / RECORD).is_file():
                continue  # made by hand, or edited: nobody but its owner knows what it is
            state = "finished"
            with suppress(QAlignError):  # a run that uses it says what is wrong
                record = read_record(path)
                state, inputs = "adopted" if record.adopted_from else "finished", list(record.inputs.values())
        yield StageFolder(path=path, stage=match["stage"], state=state, bytes=size(path), inputs=inputs)


def _recorded(record: RunRecord, folder: Path, stages: Sequence[StageFolder]) -> Run:
    results = Path(record.results)
    if results.name == record.name:  # in the folder of runs, which may have been moved
        results = folder / "results" / record.name
    finished = (results / "results.json").is_file()
    if is_running(record.name, folder):
        state = RUNNING
    else:
        state = "finished" if finished else _interrupted(record, stages) or f"no results at {results}"
    return Run(
        name=record.name, results=results, state=state,
        date=(results / "results.json").stat().st_mtime if finished else record.began, systems=record.systems,
        run=record.run, stages=frozenset(record.stages),
    )  # fmt: skip


def _interrupted(record: RunRecord, stages: Sequence[StageFolder]) -> str:
    """Which stages an interrupted run still needs, those first that it goes on from; empty if none."""
    done = {stage.stage for stage in stages if stage.is_done}
    partial = {stage.stage for stage in stages if stage.state == "partial"}
    last = [name for name in record.stages if not any(name in inputs for inputs in record.stages.values())]
    left = {name: () if name in done else inputs for name, inputs in record.stages.items()}
    missing = sorted(closure(last, left) - done, key=lambda name: (name not in partial, name))
    named = [f"{name} (partial)" if name in partial else name for name in missing[:NAMED]]
    more = ["..."] if len(missing) > NAMED else []
    total = counted(len(record.stages), "stage")
    return f"interrupted: {len(missing)} of {total} missing: {', '.join([*named, *more])}" if missing else ""


def _unrecorded(path: Path, stages: Sequence[StageFolder]) -> Run:
    """The row of results that an earlier version wrote, without a record. It needs every stage that went into those it names,
    and every stage that those went into."""
    results = path.parent
    try:
        content = load(path)
    except QAlignError as error:
        return Run(name=results.name, results=results, state=f"cannot be read: {printable(str(error))}")
    inputs = {stage.stage: stage.inputs for stage in stages if stage.is_done}
    named = [*content.training_stages(), *(corpus.folder for corpus in content.corpora)]
    users = {need: [stage for stage, needs in inputs.items() if need in needs] for need in {*named, *inputs}}
    return Run(
        name=results.name, results=results, state="finished", date=path.stat().st_mtime, systems=list(content.systems),
        run=content.run, stages=frozenset(closure(closure(named, users), inputs)),
    )  # fmt: skip


def closure(roots: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The roots and all that edges lead to from them."""
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += edges.get(name, ())
    return reached


def size(path: Path) -> int:
    """The bytes of the files below a path; what links lead to does not count."""
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size if stat.S_ISREG(status.st_mode) else 0
        with os.scandir(path) as entries:
            return sum(size(Path(entry.path)) for entry in entries)
    except OSError:  # it was removed meanwhile, or is not for us to read
        return 0


# --- what is shown ----------------------------------------------------------------------------------------------------


def _base(names: str) -> str:
    """Bases, those that are paths by their folders alone; several models that were measured stand with commas."""
    named = names.split(", ")
    return ", ".join(Path(name).name if name.startswith((".", "/")) or name.count("/") > 1 else name for name in named)


def runs_table(found: Inventory) -> Table:
    """One row per run."""
    rows = []
    for run in found.runs:
        what = run.run
        given = what.get("settings")
        settings = [f"seed {what['seed']}"] if "seed" in what else []
        settings += map(str, given) if isinstance(given, list) else []
        date = f"{datetime.fromtimestamp(min(run.date, LATEST), UTC):%Y-%m-%d %H:%M}" if run.date else "-"
        named = [
            ", ".join(run.systems),
            _base(str(what.get("base", ""))),
            str(what.get("scale", "")),
            ", ".join(settings),
        ]
        rows.append([run.name, date, *(text or "-" for text in named), in_bytes(found.bytes_of(run)), run.state])
    columns = ["run", "date (UTC)", "systems", "base", "scale", "settings", "size", "state"]
    return Table(f"Runs in {found.folder}", columns, rows, "Stages that runs share count in the size of each.")


def stages_table(title: str, stages: Sequence[StageFolder]) -> Table:
    """Stages with their sizes."""
    return Table(title, ["stage", "state", "size"], [[s.path.name, s.state, in_bytes(s.bytes)] for s in stages])


# --- removal ----------------------------------------------------------------------------------------------------------


class Removal(NamedTuple):
    """What is to be removed: runs, stages, and folders of results within the folder of runs."""

    runs: list[Run]
    stages: list[StageFolder]
    results: list[Path]

    @property
    def bytes(self) -> int:
        return sum(stage.bytes for stage in self.stages) + sum(map(size, self.results))


def removal(found: Inventory, names: Sequence[str], unneeded: bool) -> Removal:
    """What is removed with runs by name or folder of results: their records, results, and the stages that no other run needs.
    With `unneeded`, all stages that no remaining run needs. SettingError for a name that is unknown, a run that is running,
    and where it cannot be known what a remaining run or a stage needs."""
    runs = []
    for name in dict.fromkeys(names):
        run = next((r for r in found.runs if name == r.name or Path(name).resolve() == r.results.resolve()), None)
        if run is None:
            advice = nearest(name, (run.name for run in found.runs))
            raise SettingError(f"there is no run '{name}' in {found.folder}: {advice}")
        if run.state == RUNNING:
            raise SettingError(f"{run.name} is running; stop it first, or wait until it is done")
        runs.append(run)
    for run in found.runs:
        if run.stages is None and run not in runs:
            raise SettingError(
                f"it cannot be known which stages {run.name} needs ({run.state}); remove it too, or put its file back"
            )
    own = {name for run in runs for name in run.stages or ()}
    stages = [stage for stage in found.unneeded(runs) if unneeded or stage.stage in own]
    recorded = {name for run in found.runs for name in run.stages or ()}
    for lock in sorted((found.folder / "stages" / LOCKS).glob("*.lock")) if stages else ():
        try:
            if lock.stem not in recorded:  # what it needs is not known
                with FileLock(lock, timeout=0):
                    pass
        except Timeout:
            raise SettingError(
                f"{lock.stem} is being made now, by a command other than run; wait until it is done"
            ) from None
    return Removal(runs, stages, [run.results for run in runs if found.holds(run.results) and run.results.is_dir()])


def remove(told: Removal, found: Inventory, names: Sequence[str], unneeded: bool) -> tuple[int, list[str]]:
    """Removes what was told and is still not needed; returns the bytes that were freed, and what was kept, with the reason. No
    run begins meanwhile. Errors are those of `removal`."""
    folder = found.folder / FOLDER
    folder.mkdir(exist_ok=True)
    kept, freed = [], 0
    with FileLock(folder / ".lock"):
        planned = removal(inventory(found.folder), names, unneeded)  # a run may have begun
        still = {stage.path for stage in planned.stages}
        for stage in told.stages:
            if stage.path not in still:
                kept.append(f"{stage.path.name}: a run needs it now")
            elif not _remove_stage(stage, found.folder):
                kept.append(f"{stage.path.name}: a process uses it")
            else:
                freed += stage.bytes
        for results in told.results:
            freed += size(results)
            shutil.rmtree(results)
        for run in told.runs:
            (folder / f"{run.name}.json").unlink(missing_ok=True)
    return freed, kept


def _remove_stage(stage: StageFolder, runs: Path) -> bool:
    """Removes a stage and its logs unless a process holds its lock. Half of a removed stage never looks finished."""
    locks = stage.path.parent / LOCKS
    locks.mkdir(exist_ok=True)
    try:
        with FileLock(locks / f"{stage.stage}.lock", timeout=0):
            away = stage.path
            if stage.is_done:
                away = stage.path.with_name(f"{stage.stage}.removing")
                if away.exists():
                    shutil.rmtree(away)
                stage.path.rename(away)
            shutil.rmtree(away)
            logs = runs / "logs" / stage.stage
            if stage.is_done and logs.is_dir() and not logs.is_symlink() and not logs.parent.is_symlink():
                shutil.rmtree(logs)
    except Timeout:
        return False
    except FileNotFoundError as error:
        raise QAlignError(f"{error.filename} was removed by something else; run the command again") from error
    return True
