"""What is done with a tree of stages: run, check, adopt what was made elsewhere, explain why a stage is new."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from msgspec import to_builtins

from ..errors import QAlignError, StageError
from ..fingerprints import canonical
from ..own_code import own_faults
from ..placement import Placement
from ..redaction import redacted_command
from ..untrusted import printable
from . import stage_record
from .stage import Node, Work, in_order, needed, status, working_folder
from .stage_record import CARD, RECORD, RETURNED, SCRATCH, Record, again
from .workers import run_together

if TYPE_CHECKING:
    from .cluster import Jobs

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Event = Callable[[str, Node], None]


def run(
    targets: Sequence[Node], runs: Path, placement: Placement | None = None,
    on_event: Event = lambda event, stage: None, workers: Executor | Jobs | None = None, jobs: int = 1,
) -> None:  # fmt: skip
    """Runs what the targets need and is not done yet; with `workers`, as many as `jobs` stages at once, each in one of them.
    `on_event` is told "done", "waiting", "running" or "resuming", and "finished" of each stage, of a job also "lost" and
    "failed". StageError where a finished folder was edited or the disk is full, else whatever QAlignError a stage raised."""
    to_run = needed(targets, runs)
    for stage in to_run:
        _check_place(stage, runs)
    for stage in in_order(targets):
        if stage.given is None and status(stage, runs) == "done":
            if (stage.folder(runs) / SCRATCH).is_dir():  # its run ends just now, or was killed there
                with _lock(stage, runs, on_event):
                    _remove_leftovers(stage.folder(runs))
            _verify(stage, runs)
            on_event("done", stage)

    if workers is None:
        for stage in to_run:
            make(stage, runs, placement, on_event)
    elif isinstance(workers, Executor):
        run_together(to_run, lambda stage: make(stage, runs, placement, on_event, workers), jobs)
    else:
        run_together(
            to_run, lambda stage: workers.make(stage, runs, placement or Placement(), on_event), jobs, workers.interrupt
        )


def make(stage: Node, runs: Path, placement: Placement | None, on_event: Event, workers: Any = None) -> None:
    """Makes a stage whose inputs are done, unless another process does: then it waits for that."""
    with _lock(stage, runs, on_event):
        if status(stage, runs) != "done":
            _execute(stage, runs, placement, on_event, workers)


def _check_place(stage: Node, runs: Path) -> None:
    """Refuses to make a stage where something lies that no stage left there."""
    folder = stage.folder(runs)
    # In this order: another run may put the finished folder there at any moment.
    if (folder.exists() or folder.is_symlink()) and status(stage, runs) != "done":
        raise StageError(f"{folder} has no {RECORD}, so it was edited by hand; put it back, or {again(folder)}")


def _verify(stage: Node, runs: Path) -> None:
    """Refuses a finished folder whose files or record are not those that the stage left."""
    folder = stage.folder(runs)
    record = stage_record.read_record(folder)
    if record.fingerprint != stage.fingerprint or canonical(to_builtins(record.identity)) != canonical(stage.identity):
        what = "was edited: it does not describe this stage any more"
        raise StageError(f"{folder}/{RECORD} {what}; put it back, or {again(folder)}")
    stage_record.check_files(folder, record)


def adopt(stage: Node, source: Path, runs: Path, name: str | None = None) -> Path:
    """Registers a folder that was made elsewhere as the finished result of `stage`; returns where it now is. Tables know it by
    `name`, which is by default the folder's own."""
    if not source.is_dir():
        raise StageError(f"{source} is not a folder; give the folder of the finished checkpoint")
    if status(stage, runs) == "done":
        raise StageError(f"{stage.folder_name} is done already; remove its folder first: rm -r {stage.folder(runs)}")
    _check_place(stage, runs)
    with _lock(stage, runs, lambda event, which: None):
        folder, copy = stage.folder(runs), _adopting(stage.folder(runs))
        shutil.rmtree(copy, ignore_errors=True)
        try:
            with _machine_faults_in_one_line(copy):
                _copy(source, copy)
                adopted = {"adopted_from": str(source), "adopted_name": name or printable(source.resolve().name)}
                _finish(stage, copy, folder, seconds=0.0, adopted=adopted)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        _remove_leftovers(folder)
    return folder


def _copy(source: Path, copy: Path) -> None:
    """Copies a folder with what its links lead to, but for its record, card and scratch. Permissions are the umask's."""

    def own(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder) == source and name in (RECORD, SCRATCH, CARD)]

    try:
        shutil.copytree(source, copy, ignore=own, copy_function=shutil.copyfile)
        for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
            folder.chmod(copy.parent.stat().st_mode)
    except shutil.Error as error:
        if any(os.strerror(number) in str(error) for number in _DISK_FULL):
            raise
        name, _, reason = error.args[0][0]
        raise StageError(f"{printable(name)} cannot be copied ({printable(reason)}); fix it, or remove it") from error


def _execute(stage: Node, runs: Path, placement: Placement | None, on_event: Event, workers: Executor | None) -> None:
    """Runs a stage and records its result; where an earlier run was interrupted at recording, only that."""
    folder = stage.folder(runs)
    partial = working_folder(folder)
    seconds = stage_record.read_returned(partial)
    if seconds is None:
        seconds = _call(stage, runs, placement, on_event, workers)
    else:
        on_event("resuming", stage)
    # An interruption from here on leaves output and scratch: the next run records them.
    with _machine_faults_in_one_line(partial):
        _finish(stage, partial, folder, seconds)
    _remove_leftovers(folder)
    on_event("finished", stage)


def perform(stage: Node, work: Work) -> None:
    """Runs a stage. Faults in a kind of a user's own are said as such."""
    kind = type(stage)
    with own_faults(f"{kind.__module__}:{kind.__qualname__} failed") if kind.own else nullcontext():
        stage.run(work)


def _call(stage: Node, runs: Path, placement: Placement | None, on_event: Event, workers: Executor | None) -> float:
    """Runs a stage, notes that it has returned, and returns the seconds it took."""
    partial = working_folder(stage.folder(runs))
    scratch = partial / SCRATCH
    (scratch / RETURNED).unlink(missing_ok=True)
    resumes = scratch.is_dir() and any(scratch.iterdir())
    _remove_output(partial)
    scratch.mkdir(parents=True, exist_ok=True)
    folders = {before.fingerprint: before.folder(runs) for before in stage.inputs.values()}
    work = Work(folders=folders, output=partial, scratch=scratch, placement=placement or Placement())
    on_event("resuming" if resumes else "running", stage)
    started = time.time()
    try:
        with _machine_faults_in_one_line(partial):  # looks at the disk before the output is removed
            if workers is None:
                perform(stage, work)
            else:
                workers.submit(perform, stage, work).result()
            seconds = round(time.time() - started, 3)
            stage_record.write_returned(partial, seconds)
    except BaseException:
        _remove_output(partial)
        if not scratch.is_dir() or not any(scratch.iterdir()):
            shutil.rmtree(partial)  # nothing in it to go on from
        raise
    return seconds


def _remove_output(partial: Path) -> None:
    for path in partial.iterdir() if partial.is_dir() else ():
        if path.name != SCRATCH:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def resume_point(stage: Node, runs: Path) -> str | None:
    """Where an interrupted stage goes on, in words; empty where it begins again, None where that is not known."""
    partial = working_folder(stage.folder(runs))
    if stage_record.read_returned(partial) is not None:
        return "at its end"
    return stage.resume_point(partial / SCRATCH)


def is_running(stage: Node, runs: Path) -> bool:
    """Whether a process works on the stage now."""
    path = _lock_file(stage, runs)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written to; no run works there
        return False


def _lock_file(stage: Node, runs: Path) -> Path:
    return runs / "stages" / ".locks" / f"{stage.folder_name}.lock"


def _finish(stage: Node, partial: Path, folder: Path, seconds: float, adopted: Mapping[str, str] | None = None) -> None:
    """Writes the record and puts the folder into its place: from here on the stage is done."""
    inputs = {name: needed.folder_name for name, needed in sorted(stage.inputs.items())}
    record = {
        "fingerprint": stage.fingerprint, "identity": stage.identity, "inputs": inputs, "adopted_from": None,
        "command": redacted_command(sys.argv), "finished": time.time(), "seconds": seconds, **(adopted or {}),
    }  # fmt: skip
    stage_record.write_record(partial, record)
    partial.rename(folder)
    stage_record.sync(folder.parent)


def _remove_leftovers(folder: Path) -> None:
    """Removes what a stage that has just been finished needs no more. Whoever calls this holds its lock."""
    for path in (folder / SCRATCH, working_folder(folder), _adopting(folder)):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _lock(stage: Node, runs: Path, on_event: Event) -> Iterator[None]:
    """Keeps two runs off one stage; the system frees the lock of a process that was killed."""
    path = _lock_file(stage, runs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = f"cannot write to the folder of runs {runs}: {error.strerror}"
        raise StageError(f"{where}; give another with --runs") from error
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_event("waiting", stage)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _machine_faults_in_one_line(folder: Path) -> Iterator[None]:
    """A worker that was killed, and a full disk, which libraries report in many ways, become one line."""
    try:
        yield
    except QAlignError:
        raise
    except EOFError as error:  # which the command line takes for Ctrl-C
        raise StageError(f"a file that is read ends too early ({error}); fetch or make it again") from error
    except BrokenExecutor as error:
        raise StageError("a worker process was killed, maybe for lack of memory; go on with fewer --jobs") from error
    except Exception as error:
        free_bytes = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
        messages = ("No space left", "File too large")
        full = getattr(error, "errno", None) in _DISK_FULL or any(message in str(error) for message in messages)
        if full or free_bytes < 2**20:
            raise StageError(
                f"the disk is full ({free_bytes / 2**20:.0f} MiB free at {folder.parent}); free some space or choose another "
                "folder with --runs, then run the same command again: what was finished is kept"
            ) from error
        raise


def _adopting(folder: Path) -> Path:
    return folder.with_name(folder.name + ".adopting")


# --- explaining -------------------------------------------------------------------------------------------------------


def explain(stage: Node, runs: Path) -> list[str]:
    """Why the stage is new: the fields in which it differs from the finished stage of the same name that is nearest."""
    if status(stage, runs) == "done":
        return [f"{stage.folder_name} is done"]
    compared = [
        (list(_differences("", to_builtins(other.identity), stage.identity)), -other.finished, other)
        for other in _finished(stage.name, runs)
    ]
    if not compared:
        return [f"{stage.folder_name} is new: no stage named {stage.name} has been run"]
    lines, _, other = min(compared, key=lambda row: (len(row[0]), row[1]))
    return [f"{stage.folder_name} is new versus {stage.name}-{other.fingerprint[:8]}: {line}" for line in lines]


def of_earlier_versions(stages: Iterable[Node], runs: Path) -> list[str]:
    """The finished folders that earlier versions of the package made of stages with these names. Their results are not used
    any more: the kind of stage has another form or a higher version now."""
    return [
        f"{name}-{other.fingerprint[:8]}"
        for name, stage in {stage.name: stage for stage in stages}.items()
        for other in _finished(name, runs)
        if other.identity.kind is None
        or other.identity.version < stage.version
        or stage.outdates(other.identity.config)
    ]


def _finished(name: str, runs: Path) -> list[Record]:
    """The records of the finished stages of a name."""
    paths = sorted((runs / "stages").glob(f"{name}-????????/{RECORD}"))
    return [
        record for record in (stage_record.read_record(path.parent) for path in paths) if record.identity.name == name
    ]


def _differences(where: str, before: object, now: object) -> Iterator[str]:
    """A line for each value that differs; `where` is the path of both in the identity."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            name = f"{where}.{key}" if where else key
            if key not in now:
                yield f"{name} is gone (was {_short(before[key])})"
            elif key not in before:
                yield f"{name} is added ({_short(now[key])})"
            else:
                yield from _differences(name, before[key], now[key])
    elif canonical(before) != canonical(now):
        if where.startswith("inputs."):
            yield f"its input {where[7:]} is another ({before!s:.8} -> {now!s:.8})"
        else:
            yield f"{where} {_short(before)} -> {_short(now)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
