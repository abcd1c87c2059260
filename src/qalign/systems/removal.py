"""Removing runs: what that frees, and the removal itself. Only folders within the folder of runs are ever removed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import QAlignError, SettingError, nearest
from .inventory import Inventory, Run, StageFolder, inventory, is_within, size
from .run_records import FOLDER

LOCKS = ".locks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What is to be removed."""

    runs: list[Run]
    stages: list[StageFolder]
    results: list[Path]
    """Folders of results within the folder of runs."""
    kept_results: list[Path]
    """Folders of results elsewhere, which stay."""

    @property
    def bytes(self) -> int:
        """What is freed."""
        return sum(stage.bytes for stage in self.stages) + sum(map(size, self.results))


def removal(found: Inventory, names: Sequence[str], unneeded: bool) -> Removal:
    """What is removed with some runs: their records, their results, and the stages that no other run needs.

    Args:
        names: of runs, or the folders of their results.
        unneeded: with all stages that no remaining run needs.

    Raises:
        SettingError: a name is unknown, a run is running, or it cannot be known what a remaining run needs.
    """
    chosen = [_named(found, name) for name in dict.fromkeys(names)]
    gone = {run.name for run in chosen}
    for run in chosen:
        if run.running:
            raise SettingError(f"{run.name} is running; stop it first, or wait until it is done")
    for run in found.runs:
        if run.stages is None and run.name not in gone:
            raise SettingError(
                f"it cannot be known which stages {run.name} needs ({run.fault}); remove it too, or put its file back"
            )
    needed = found.needed(gone)
    own = set().union(*(run.stages or () for run in chosen)) if chosen else set()
    done = {stage.stage for stage in found.stages if stage.is_done}
    stages = []
    for stage in found.stages:
        is_left = stage.is_leftover or (not stage.is_done and stage.stage in done)
        if (stage.stage not in needed or is_left) and (stage.stage in own or unneeded):
            stages.append(stage)
    _check_recorded(found, stages)
    inside = [run.results for run in chosen if is_within(run.results, found.folder / "results")]
    kept = [run.results for run in chosen if run.results not in inside and run.results.is_dir()]
    return Removal(runs=chosen, stages=stages, results=[path for path in inside if path.is_dir()], kept_results=kept)


def _named(found: Inventory, name: str) -> Run:
    """The run of a name, or of a folder of results."""
    for run in found.runs:
        if name == run.name or Path(name).resolve() == run.results.resolve():
            return run
    raise SettingError(f"there is no run '{name}' in {found.folder}: {nearest(name, (run.name for run in found.runs))}")


def _check_recorded(found: Inventory, stages: Sequence[StageFolder]) -> None:
    """Refuses to remove stages while a stage of no recorded run is being made: what it needs is not known."""
    recorded = {name for run in found.runs for name in run.stages or ()}
    for lock in sorted((found.folder / "stages" / LOCKS).glob("*.lock")) if stages else ():
        if lock.stem not in recorded and _is_locked(lock):
            raise SettingError(f"{lock.stem} is being made now, by a command other than run; wait until it is done")


def _is_locked(lock: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def remove(told: Removal, found: Inventory, names: Sequence[str], unneeded: bool) -> tuple[int, list[str]]:
    """Removes what was told and is still not needed; returns the bytes that were freed, and what was kept, with the reason.

    No run begins meanwhile.

    Raises:
        SettingError: as `removal`.
    """
    from filelock import FileLock

    folder = found.folder / FOLDER
    folder.mkdir(exist_ok=True)
    kept, freed = [], 0
    with FileLock(folder / ".lock"):
        now = removal(inventory(found.folder), names, unneeded)  # a run may have begun since
        still = {stage.path for stage in now.stages}
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
    from filelock import FileLock, Timeout

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
