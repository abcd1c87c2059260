"""What a folder of runs holds: each run with its state and its size, the stages, and which of them no run needs.

Links are not followed: what lies behind one counts nothing and is never removed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ..errors import QAlignError, SettingError
from ..paths import instead
from ..pipeline.stage_record import RECORD, read_record
from ..results.files import load
from ..results.tables import Table
from ..untrusted import printable
from ..wording import counted, in_bytes
from .run_records import RunRecord, is_running, read_records

_STAGE = re.compile(r"(?P<stage>.+-[0-9a-f]{8})(?P<leftover>\.partial|\.adopting|\.removing)?")
NAMED = 3
"""Missing stages that a row names; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """A folder of `stages`."""

    path: Path
    stage: str
    """The name of the folder when the stage is done."""
    is_done: bool
    bytes: int
    inputs: tuple[str, ...] = ()
    adopted: bool = False

    @property
    def is_leftover(self) -> bool:
        """Whether no run goes on from it."""
        return self.path.name.endswith((".adopting", ".removing"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of `qalign runs`."""

    name: str
    results: Path
    """The folder of the results."""
    date: float = 0.0
    """When the run began or its results were written, seconds since 1970."""
    systems: tuple[str, ...] = ()
    run: Mapping[str, object] = field(default_factory=dict)
    """What it was run with, as `results.json` says it."""
    has_results: bool = False
    stages: frozenset[str] | None = None
    """The stages that it needs; None if that cannot be known."""
    missing: tuple[str, ...] = ()
    """Those of them that are not done."""
    running: bool = False
    fault: str = ""
    """Why its record or its results cannot be read."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All runs and all stages of a folder of runs."""

    folder: Path
    runs: list[Run]
    stages: list[StageFolder] = field(default_factory=list)

    def needed(self, without: Iterable[str] = ()) -> set[str]:
        """The stages that runs need, other than the runs named."""
        left_out = set(without)
        roots = [name for run in self.runs if run.name not in left_out for name in run.stages or ()]
        return closure(roots, self.inputs)

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Stage -> the stages that went into it, of those that are done."""
        return {stage.stage: stage.inputs for stage in self.stages if stage.is_done}

    def unneeded(self) -> list[StageFolder]:
        """Finished stages that no run needs, and leftovers from which no run goes on."""
        needed, done = self.needed(), {stage.stage for stage in self.stages if stage.is_done}
        return [s for s in self.stages if s.stage not in needed or s.is_leftover or (not s.is_done and s.stage in done)]

    def bytes_of(self, run: Run) -> int:
        """The bytes of a run's stages and results in this folder. Stages that runs share count for each."""
        results = size(run.results) if is_within(run.results, self.folder / "results") else 0
        return sum(s.bytes for s in self.stages if s.stage in (run.stages or ())) + results


def inventory(folder: Path) -> Inventory:
    """Reads a folder of runs.

    Raises:
        SettingError: it is not a folder, or its `stages` or `results` are links.
    """
    if not folder.is_dir():
        advice = instead(folder, "give the one that you ran with: --runs DIR")
        raise SettingError(f"{folder} is not a folder of runs; {advice}")
    for name in ("stages", "results", "records"):
        if (folder / name).is_symlink():
            raise SettingError(
                f"{folder / name} is a symbolic link, and links are not followed; put the folder itself there"
            )
    stages = list(_stages(folder / "stages"))
    broken: dict[str, str] = {}
    records = read_records(folder, broken)
    runs = [_run(record, folder, stages) for record in records]
    known = {run.results.resolve() for run in runs}
    earlier = sorted(path.parent for path in (folder / "results").glob("*/results.json") if path.is_file())
    runs += [_earlier(path, stages) for path in earlier if not path.is_symlink() and path.resolve() not in known]
    runs += [Run(name=name, results=folder / "results" / name, fault=why) for name, why in broken.items()]
    return Inventory(folder, sorted(runs, key=lambda run: (run.date, run.name)), stages)


def _stages(folder: Path) -> Iterator[StageFolder]:
    """The folders that stages left: finished ones, and what an interruption left of others."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _STAGE.fullmatch(path.name)
        if match is None or path.is_symlink() or not path.is_dir():
            continue
        is_done = match["leftover"] is None
        if is_done and not (path / RECORD).is_file():
            continue  # made by hand, or edited: nobody but its owner knows what it is
        found = StageFolder(path=path, stage=match["stage"], is_done=is_done, bytes=size(path))
        with suppress(QAlignError):  # a run that uses it says what is wrong
            record = read_record(path) if is_done else None
            if record is not None:
                found = replace(found, inputs=tuple(record.inputs.values()), adopted=record.adopted_from is not None)
        yield found


def _run(record: RunRecord, folder: Path, stages: Sequence[StageFolder]) -> Run:
    """The row of a recorded run."""
    results = Path(record.results)
    if results.name == record.name:  # in the folder of runs, which may have been moved
        results = folder / "results" / record.name
    done = {stage.stage for stage in stages if stage.is_done}
    partial = {stage.stage for stage in stages if not stage.is_done and not stage.is_leftover}
    last = [name for name in record.stages if not any(name in inputs for inputs in record.stages.values())]
    missing = [name for name in closure(last, record.stages, done) if name not in done]
    has_results = (results / "results.json").is_file()
    return Run(
        name=record.name,
        date=_date(results) if has_results else record.began,
        systems=tuple(record.systems),
        run=record.run,
        results=results,
        has_results=has_results,
        stages=frozenset(record.stages),
        missing=tuple(
            f"{name} (partial)" if name in partial else name for name in sorted(missing, key=lambda n: n not in partial)
        ),
        running=is_running(record.name, folder),
    )


def _earlier(results: Path, stages: Sequence[StageFolder]) -> Run:
    """The row of results that an earlier version wrote, without a record.

    It needs every stage that went into those it names, and every stage that those went into.
    """
    try:
        content = load(results / "results.json")
    except QAlignError as error:
        return Run(name=results.name, results=results, has_results=True, fault=printable(str(error)))
    inputs = {stage.stage: stage.inputs for stage in stages if stage.is_done}
    named = [*content.training_stages(), *(corpus.folder for corpus in content.corpora)]
    users = {need: [stage for stage, needs in inputs.items() if need in needs] for need in {*named, *inputs}}
    needed = closure(closure(named, users), inputs)
    return Run(
        name=results.name,
        date=_date(results),
        systems=tuple(content.systems),
        run=content.run,
        results=results,
        has_results=True,
        stages=frozenset(needed),
    )


def closure(roots: Iterable[str], edges: Mapping[str, Iterable[str]], stop: Iterable[str] = ()) -> set[str]:
    """The roots and all that edges lead to from them; edges of `stop` are not followed."""
    reached: set[str] = set()
    stopped, waiting = set(stop), list(roots)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += () if name in stopped else edges.get(name, ())
    return reached


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path is at the top of a folder, and no link."""
    return not path.is_symlink() and path.parent.resolve() == folder.resolve()


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


def _date(results: Path) -> float:
    """When results were written, seconds since 1970."""
    return (results / "results.json").stat().st_mtime


def state(run: Run) -> str:
    """`finished`, `running`, or `interrupted` with what lacks."""
    if run.fault:
        return f"cannot be read: {run.fault}"
    if run.running:
        return "running"
    if run.has_results:
        return "finished"
    if run.missing:
        named = ", ".join(run.missing[:NAMED]) + (", ..." if len(run.missing) > NAMED else "")
        return f"interrupted: {len(run.missing)} of {counted(len(run.stages or ()), 'stage')} missing: {named}"
    return f"no results at {run.results}"


def runs_table(found: Inventory) -> Table:
    """One row per run."""
    body = [
        [
            run.name,
            _date_text(run.date),
            ", ".join(run.systems) or "-",
            _base(run.run),
            str(run.run.get("scale", "-")),
            _settings(run.run),
            in_bytes(found.bytes_of(run)),
            state(run),
        ]
        for run in found.runs
    ]
    columns = ["run", "date (UTC)", "systems", "base", "scale", "settings", "size", "state"]
    title, note = f"Runs in {found.folder}", "Stages that runs share count in the size of each."
    # Names are copied from here, so a narrow terminal gets one table with less in each row.
    short = [
        [*row[:2], _short(run, row), row[6], row[7].partition(" missing:")[0]]
        for run, row in zip(found.runs, body, strict=True)
    ]
    further = "A wider terminal shows settings, and the names of missing stages."
    narrow = Table(title, ["run", "date (UTC)", "what", "size", "state"], short, further)
    return Table(title, columns, body, note, narrow=(narrow,))


def _short(run: Run, row: Sequence[str]) -> str:
    """Systems, base and scale; settings by their number."""
    given = run.run.get("settings")
    parts = [row[2], *(f"{word} {text}" for word, text in (("base", row[3]), ("scale", row[4])) if text != "-")]
    return "; ".join([*parts, counted(len(given), "setting")] if isinstance(given, list) and given else parts)


def elsewhere(found: Inventory) -> list[str]:
    """Where the results of runs are that lie outside of the folder of runs."""
    results = found.folder / "results"
    return [f"Results of {run.name}: {run.results}" for run in found.runs if not is_within(run.results, results)]


def stages_table(title: str, stages: Sequence[StageFolder]) -> Table:
    """Stages with their sizes."""
    kinds = {True: "adopted", False: "finished"}
    body = [
        [s.path.name, kinds[s.adopted] if s.is_done else "leftover" if s.is_leftover else "partial", in_bytes(s.bytes)]
        for s in stages
    ]
    return Table(title, ["stage", "state", "size"], body)


def _date_text(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else "-"
    except (ValueError, OverflowError, OSError):  # the clock of a machine that wrote it was wrong
        return "-"


def _base(run: Mapping[str, object]) -> str:
    """The bases of a run, those that are paths by their folders alone; several models that were measured stand with commas."""
    names = str(run.get("base", "-")).split(", ")
    return ", ".join(Path(name).name if name.startswith((".", "/")) or name.count("/") > 1 else name for name in names)


def _settings(run: Mapping[str, object]) -> str:
    """The seed, and what was given with `--set`."""
    given = run.get("settings") or []
    seed = [f"seed {run['seed']}"] if "seed" in run else []
    return ", ".join([*seed, *(given if isinstance(given, list) else [str(given)])]) or "-"
