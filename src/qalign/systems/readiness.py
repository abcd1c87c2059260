"""What can be known to fail, before the first stage is trained: packages, the hub, the model and its texts, the disk."""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpora import CORPORA, Source
from ..corpora.local import parts
from ..errors import ModelError, QAlignError, SettingError, StageError
from ..huggingface import Repository, refusal
from ..pipeline import Stage, needed
from ..placement import Placement
from ..training.loop import STEPS_PER_REPORT
from ..training.models import parameters
from ..training.tiny import TinyConfig
from . import sizes
from .bases import tiny_parameters
from .fit import chain, misfits, origin
from .stages import training_config

if TYPE_CHECKING:
    from .comparison import Evaluated

TRAIN = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")
EXTRAS = {
    **dict.fromkeys((*TRAIN, "scipy"), "train"),
    **dict.fromkeys(("datasets", "huggingface_hub", "pyarrow"), "data"),
    "peft": "lora",
    "torchao": "8bit",
    "openai": "endpoint",
}
"""The extra of this package that brings a package; others are installed by their own names."""
BACKENDS = {"transformers": TRAIN, "vllm": ("vllm", "transformers"), "endpoint": ("openai",)}
STATE_BYTES = {"adamw": 8, "adamw8bit": 2}
"""Of the optimizer, a trained weight."""
FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the disk that holds the runs: what the stages leave, what they need at the most, and what is free."""

    left: int
    most: int
    free: int

    def __str__(self) -> str:
        return (
            f"models take {sizes.in_bytes(self.left)} of the disk, {sizes.in_bytes(self.most)} with checkpoints at the most; "
            f"{sizes.in_bytes(self.free)} are free"
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


def problems(comparison: Sequence[Evaluated], runs: Path, placement: Placement) -> list[QAlignError]:
    """What is known to fail in the stages that have still to run, as errors that are not raised; each message is one line.

    The more stages are done, the more is known: data that have been read, a base that has been fetched.
    """
    waiting = needed([score for system in comparison for score in system.scores.values()], runs)
    missing = list(_missing_packages(comparison, waiting, placement))
    found = [*missing, *_not_to_be_had(waiting)]
    if not missing:
        found += misfits(comparison, {stage.fingerprint for stage in waiting}, runs)
    room = disk(waiting, runs, placement)
    if room is not None and room.most > room.free:
        found.append(
            StageError(
                f"too little room in {runs}: {room}; free some, choose another folder with --runs, or do without checkpoints: "
                "--seconds-per-checkpoint inf"
            )
        )
    return list({str(error): error for error in found}.values())


# --- packages ---------------------------------------------------------------------------------------------------------


def _missing_packages(
    comparison: Sequence[Evaluated], waiting: Sequence[Stage], placement: Placement
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


def _packages(stage: Stage, placement: Placement) -> Iterator[str]:
    """The packages that a stage imports."""
    if stage.name.startswith("train-"):
        config = training_config(stage.config)
        yield from TRAIN
        yield from ["peft"] if config.adapter is not None else []
        yield from ["torchao"] if config.optimizer == "adamw8bit" else []
        yield from (name for name in placement.trackers if name != "tensorboard")
    elif stage.name.startswith("generate-"):
        yield from BACKENDS.get(stage.config["decoding"]["backend"], ())
    elif stage.name == "base-tiny":
        yield from TRAIN
    elif stage.name == "base":
        yield "huggingface_hub"
    elif stage.name.startswith("corpus-"):
        source: Source = stage.local["source"]
        if source.kind in ("hub", "clone"):
            hub = CORPORA[source.name].hub
            assert hub is not None, "what is read in the hub's layout has one"
            yield from ["datasets"] if hub.layout != "tsv" else []
            yield from ["huggingface_hub"] if source.kind == "hub" else []
        elif source.kind == "files" and source.path is not None and source.path.is_dir():  # a file was opened before
            found = parts(source.path, source.role, list(stage.config["languages"]))
            yield from ["pyarrow"] if any(file.suffix == ".parquet" for part in found for file in part.files) else []


# --- the hub ----------------------------------------------------------------------------------------------------------


def _not_to_be_had(waiting: Sequence[Stage]) -> Iterator[QAlignError]:
    """Models and corpora that are neither in the cache nor to be had from the hub."""
    for stage in waiting:
        if stage.name == "base":
            repository, commit = Repository("model", stage.config["hub"]), stage.config["revision"]
        elif stage.name.startswith("corpus-") and (source := stage.local["source"]).kind == "hub":
            repository, commit = Repository("dataset", source.hub), source.revision
        else:
            continue
        if (reason := refusal(repository, commit)) is not None:
            yield repository.error(f"{repository.name}: {reason}")


# --- the disk ---------------------------------------------------------------------------------------------------------


def disk(waiting: Sequence[Stage], runs: Path, placement: Placement) -> Disk | None:
    """What the models of the stages need of the disk; None where no size is known, or nothing is trained.

    This is the least that is needed: stages one after the other, data and answers left out.
    """
    left = most = 0
    for stage in waiting:
        count = _parameters(stage.inputs["model"], runs) if stage.name.startswith("train-") else None
        if count is None:
            continue
        config = training_config(stage.config)
        weights = count * sizes.BYTES_SAVED[config.saved_precision]
        steps = sizes.steps(config, stage.inputs["examples"], runs)
        at_once = weights
        if steps is not None and steps > STEPS_PER_REPORT and placement.seconds_per_checkpoint < math.inf:
            trained = count if config.adapter is None else 0
            at_once = 2 * (
                FLOAT32 * count + STATE_BYTES[config.optimizer] * trained
            )  # the old goes once the new is whole
        partial = stage.folder(runs).with_name(f"{stage.folder_name}.partial")
        written = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        most = max(most, left + max(at_once, weights) - written)
        left += weights
    place = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    return Disk(left, max(most, left), shutil.disk_usage(place).free) if left else None


def _parameters(model: Stage, runs: Path) -> int | None:
    """The parameters of a model that training starts from; None where they are not known."""
    base = ([model] + [stage.inputs["model"] for stage in reversed(chain(model))])[-1]
    folder = origin(model, runs)
    if folder is None:
        return tiny_parameters(TinyConfig(**base.config["tiny"])) if base.name == "base-tiny" else None
    try:
        return parameters(folder)
    except ModelError:  # it is said when the model is opened
        return None
