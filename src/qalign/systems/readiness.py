"""What is known to fail before the first stage is trained.

Packages, the hub, the model, its texts and the disk are looked at.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import QAlignError, SettingError, StageError
from ..huggingface import UNKNOWN, refusal
from ..pipeline import Node, needed
from ..placement import Placement
from ..wording import counted, in_bytes
from . import amounts, costs, machines, ways
from .evaluated import Evaluated, scores_of
from .fit import misfits
from .kinds import TRAIN, ReadCorpus, Train

EXTRAS = {
    **dict.fromkeys((*TRAIN, "scipy"), "train"),
    **dict.fromkeys(("datasets", "huggingface_hub", "pyarrow"), "data"),
    "rapidfuzz": "train",
    "peft": "lora",
    "torchao": "8bit",
    "openai": "endpoint",
}
"""The extra of this package that brings a package; others are installed by their own names."""


def check(comparison: Sequence[Evaluated], runs: Path, placement: Placement) -> None:
    """Refuses to go on if something is known to fail.

    Raises:
        QAlignError: the first problem, and how many more there are.
    """
    found = problems(comparison, runs, placement)
    if found:
        others = counted(len(found) - 1, "more problem")
        more = f"; {others} {'was' if len(found) == 2 else 'were'} found" if len(found) > 1 else ""
        raise type(found[0])(f"{found[0]}{more}")


def problems(
    comparison: Sequence[Evaluated], runs: Path, placement: Placement, elsewhere: bool = False
) -> list[QAlignError]:
    """What is known to fail in the stages that have still to run, as errors that are not raised.

    Each message is one line. The more stages are done, the more is known.

    Args:
        comparison: the systems.
        runs: the folder of all stages.
        placement: how they are run.
        elsewhere: whether they run on another machine. Then packages, disk and the hub are not judged.
    """
    waiting = needed(scores_of(comparison), runs)
    missing = list(_missing_packages(comparison, waiting, placement))
    found = [] if elsewhere else [*missing, *_not_to_be_had(waiting)]
    if not missing:
        found += misfits(comparison, {stage.fingerprint for stage in waiting}, runs)
    if not elsewhere:
        found += [*ways.refusals(waiting, runs, placement), *_too_little_room(waiting, runs, placement)]
    return list({str(error): error for error in found}.values())


def unreadable(waiting: Sequence[Node]) -> Iterator[QAlignError]:
    """What is wrong with the user's own files, as errors that are not raised. All of them are read."""
    for stage in waiting:
        if isinstance(stage, ReadCorpus):
            try:
                amounts.own_counts(stage)
            except QAlignError as error:
                yield error


# --- packages ---------------------------------------------------------------------------------------------------------


def _missing_packages(
    comparison: Sequence[Evaluated], waiting: Sequence[Node], placement: Placement
) -> Iterator[QAlignError]:
    reasons: dict[str, str] = {}
    for stage in waiting:
        for package in stage.packages(placement):
            reasons.setdefault(package, stage.folder_name)
    if len({system.name for system in comparison}) > 1:
        reasons.setdefault("scipy", "comparing systems")
    for package, reason in reasons.items():
        if not _is_there(package):
            extra = EXTRAS.get(package)
            install = f"'qalign[{extra}]'" if extra else package.replace("_", "-")
            yield SettingError(f"{reason} needs {package}, which is not installed: pip install {install}")


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # what it is a part of is not there
        return False
    except ValueError:  # a module that a recipe made itself, say
        return True


# --- the hub and the disk ---------------------------------------------------------------------------------------------


def _not_to_be_had(waiting: Sequence[Node]) -> Iterator[QAlignError]:
    """Models and corpora that are neither in the cache nor to be had from the hub."""
    for stage in waiting:
        if stage.fetched is not None:
            repository, commit = stage.fetched
            if commit != UNKNOWN and (reason := refusal(repository, commit)) is not None:
                yield repository.error(f"{repository.name}: {reason}")


def _too_little_room(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[QAlignError]:
    """Says that the stages need more of the disk than is free, as far as their sizes are known."""
    found = costs.costs(waiting, runs, machines.UNKNOWN, machines.Launch(), placement, reads=False)
    left, most = costs.disk(found, runs, placement.jobs)
    place = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if most > free and any(cost.left for cost in found if isinstance(cost.stage, Train)):
        yield StageError(
            f"too little room in {runs}: the run takes up to {in_bytes(most)} of the disk while it trains, "
            f"{in_bytes(left)} stay; {in_bytes(free)} are free; free some, choose another folder with --runs, or do without "
            "checkpoints: --seconds-per-checkpoint inf"
        )
