"""What can be known to fail, before the first stage is trained: packages, the hub, the model and its texts, the disk."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..corpora import CORPORA
from ..corpora.local import parts
from ..corpora.table import OPTIONS
from ..errors import QAlignError, SettingError, StageError
from ..huggingface import Repository, refusal
from ..pipeline import Node, needed
from ..placement import Placement
from ..revisions import UNKNOWN
from ..wording import in_bytes
from . import amounts, costs, machines, ways
from .ask import Ask
from .evaluated import Evaluated, scores_of
from .fit import misfits
from .keep import Keep, RejectionSampling
from .kinds import FetchModel, MakeTinyModel, ReadCorpus, Train

TRAIN = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")
EXTRAS = {
    **dict.fromkeys((*TRAIN, "scipy"), "train"),
    **dict.fromkeys(("datasets", "huggingface_hub", "pyarrow"), "data"),
    "rapidfuzz": "train",
    "peft": "lora",
    "torchao": "8bit",
    "openai": "endpoint",
}
"""The extra of this package that brings a package; others are installed by their own names."""
BACKENDS = {"transformers": TRAIN, "vllm": ("vllm", "transformers"), "endpoint": ("openai",)}


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the disk that holds the runs: what the stages leave, what they need at the most, and what is free."""

    left: int
    most: int
    free: int

    def __str__(self) -> str:
        return (
            f"the run takes up to {in_bytes(self.most)} of the disk while it trains, {in_bytes(self.left)} stay; "
            f"{in_bytes(self.free)} are free"
        )


def check(comparison: Sequence[Evaluated], runs: Path, placement: Placement) -> None:
    """Refuses to go on if something is known to fail.

    Raises:
        QAlignError: the first problem, and how many more there are.
    """
    found = problems(comparison, runs, placement)
    if found:
        more = {0: "", 1: "; 1 more problem was found"}.get(
            len(found) - 1, f"; {len(found) - 1} more problems were found"
        )
        raise type(found[0])(f"{found[0]}{more}")


def problems(
    comparison: Sequence[Evaluated], runs: Path, placement: Placement, elsewhere: bool = False
) -> list[QAlignError]:
    """What is known to fail in the stages that have still to run, as errors that are not raised; each message is one line.

    The more stages are done, the more is known: data that have been read, a base that has been fetched.

    Args:
        comparison: the systems.
        runs: the folder of all stages.
        placement: how they are run.
        elsewhere: whether they run on another machine, so that packages, disk and access to the hub are not judged.
    """
    waiting = needed(scores_of(comparison), runs)
    missing = list(_missing_packages(comparison, waiting, placement))
    found = [] if elsewhere else [*missing, *_not_to_be_had(waiting)]
    if not missing:
        found += misfits(comparison, {stage.fingerprint for stage in waiting}, runs)
    if not elsewhere:
        found += ways.refusals(waiting, runs, placement)
    room = None if elsewhere else disk(waiting, runs, placement)
    if room is not None and room.most > room.free:
        found.append(
            StageError(
                f"too little room in {runs}: {room}; free some, choose another folder with --runs, or do without checkpoints: "
                "--seconds-per-checkpoint inf"
            )
        )
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
        for package in _packages(stage, placement):
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
    except ValueError:  # a module that a recipe made itself, say
        return True


def _packages(stage: Node, placement: Placement) -> Iterator[str]:
    """The packages that a stage imports."""
    if isinstance(stage, Train):
        config = stage.training
        yield from TRAIN
        yield from ["peft"] if config.adapter is not None else []
        yield from ["torchao"] if config.optimizer == "adamw8bit" else []
        yield from (name for name in placement.trackers if name != "tensorboard")
    elif isinstance(stage, Ask):
        yield from BACKENDS.get(stage.decoding.backend, ())
    elif isinstance(stage, MakeTinyModel):
        yield from TRAIN
    elif isinstance(stage, Keep):
        yield from ["rapidfuzz"] if isinstance(stage.filter, RejectionSampling) else []
    elif isinstance(stage, FetchModel):
        yield "huggingface_hub"
    elif isinstance(stage, ReadCorpus):
        source = stage.source
        if source.kind in ("hub", "clone"):
            hub = CORPORA[source.name].hub
            assert hub is not None, "what is read in the hub's layout has one"
            yield from ["datasets"] if hub.layout != "tsv" else []
            yield from ["huggingface_hub"] if source.kind == "hub" else []
        elif source.kind == "files" and source.path is not None and source.path.is_dir():  # a file was opened before
            found = parts(source.path, source.role, list(stage.languages))
            yield from ["pyarrow"] if any(file.suffix == ".parquet" for part in found for file in part.files) else []


# --- the hub ----------------------------------------------------------------------------------------------------------


def _not_to_be_had(waiting: Sequence[Node]) -> Iterator[QAlignError]:
    """Models and corpora that are neither in the cache nor to be had from the hub."""
    for stage in waiting:
        if isinstance(stage, FetchModel):
            repository, commit = Repository("model", stage.hub), stage.revision
        elif isinstance(stage, ReadCorpus) and (source := stage.source).hub is not None and source.revision is not None:
            repository, commit = Repository("dataset", source.hub, OPTIONS[source.role]), source.revision
        else:
            continue
        if commit != UNKNOWN and (reason := refusal(repository, commit)) is not None:
            yield repository.error(f"{repository.name}: {reason}")


# --- the disk ---------------------------------------------------------------------------------------------------------


def disk(waiting: Sequence[Node], runs: Path, placement: Placement) -> Disk | None:
    """What the stages need of the disk; None where no size is known, or nothing is trained.

    This counts data and checkpoints as far as they are known.
    """
    found = costs.costs(waiting, runs, machines.UNKNOWN, machines.Launch(), placement, reads=False)
    if not any(cost.left for cost in found if isinstance(cost.stage, Train)):
        return None
    left, most = costs.disk(found, runs, placement.jobs)
    place = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    return Disk(int(left), int(most), shutil.disk_usage(place).free)
