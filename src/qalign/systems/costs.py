"""What the stages of a comparison cost on a machine: memory of a device, time, disk. Estimates; nothing runs.

Memory is that of `training.memory`. Disk counts what stages leave, and what the largest one needs while it runs: the
checkpoints that are kept, the one that is being written, and the tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ModelError, QAlignError
from ..models.opening import parameters
from ..pipeline import Node, Stage, status
from ..placement import Placement
from ..training import checkpoints
from ..training.config import Adapter, TrainingConfig
from ..training.memory import ON_CPU, SHARE, Memory, Shape, Workload, adapter_parameters, choose, predict, shape_of
from ..training.metrics import STEPS_PER_REPORT
from ..wording import in_bytes
from . import amounts
from .amounts import Amount
from .artifacts import Model
from .ask import Ask
from .kinds import FetchModel, MakeExamples, MakeTinyModel, ReadCorpus, Train
from .known import BASES
from .lineage import first_model, origin
from .machines import Launch, Machine

STATE_BYTES = {"adamw": 8, "adamw8bit": 2}
"""Of the optimizer, a trained weight."""
FLOAT32 = 4
BYTES_SAVED = {"bfloat16": 2, "float32": 4}
"""Of a model's folder, a weight."""
RECORD_BYTES, PREDICTION_BYTES, METRIC_BYTES, TOKENIZER_BYTES = 75, 460, 200, 22
"""Of the files of stages: of a record next to its text, of an answer with its judgement, of a step, of a known token."""
ANSWER_TOKENS, ANSWER_BYTES = 135, 3
"""The mean length of the answers of a published 7B model, and the bytes of a token of them."""
LIBRARIES = 550 * 2**20
"""Bytes that Python, torch and transformers hold on a CPU before a model is there, and what a run keeps of its data."""
WITH_CHECKPOINTING = 4 / 3
"""Work with activation checkpointing over work without."""
ADAPTER_WORK = 2 / 3
"""Work of an adapter over that of full fine-tuning: no gradients of the frozen weights."""


@dataclass(frozen=True, slots=True)
class Base:
    """The shape of a model and its parameters; `shape` is None where its config names no widths."""

    shape: Shape | None
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a training stage lies on a device: bytes at its peak, tokens at once, whether activations are recomputed.

    `fault` says why it does not fit; then `bytes` are the least it would need.
    """

    bytes: float
    tokens: int
    recomputing: bool
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage costs; None where it is not known. `left` and `most` are bytes of the disk, `seconds` without waiting."""

    stage: Node
    left: float
    most: float
    tokens: float | None = None
    fit: Fit | None = None
    seconds: float | None = None
    amount: Amount | None = None


def base_of(model: Stage[Model], runs: Path) -> Base | None:
    """The model that training starts from: its folder, the shape that `tiny` will have, or a row of well-known bases."""
    first = first_model(model)
    folder = origin(model, runs)
    if folder is not None:
        try:
            held = parameters(folder)
        except ModelError:  # it is said when the model is opened
            return None
        shape = shape_of(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        return Base(shape, held) if held else None
    if isinstance(first, MakeTinyModel):
        tiny = first.tiny
        return Base(
            Shape(
                hidden=tiny.hidden_size, inner=tiny.intermediate_size, blocks=tiny.layers, vocabulary=tiny.vocabulary
            ),
            tiny.parameters,
        )
    row = BASES.get(first.hub) if isinstance(first, FetchModel) else None
    return Base(row.shape, row.parameters) if row else None


def trained_weights(base: Base, adapter: Adapter | None) -> int:
    """The weights that training changes."""
    if adapter is None:
        return base.parameters
    return adapter_parameters(base.shape, adapter.rank) if base.shape else 0


# --- memory -----------------------------------------------------------------------------------------------------------


def fit_of(
    base: Base, config: TrainingConfig, machine: Machine, launch: Launch, placement: Placement, supervised: float
) -> Fit | None:
    """How a training stage lies on a device under a launch; None where the shape is not known."""
    if base.shape is None:
        return None
    trained, cuda = trained_weights(base, config.adapter), not machine.cpu
    compiled = (cuda and launch.shards == 1) if placement.compile is None else placement.compile
    work = Workload(
        parameters=base.parameters,
        trained=trained,
        precision=config.precision,
        optimizer=config.optimizer,
        supervised=supervised,
        shards=launch.shards,
    )
    whole, again = (
        predict(base.shape, work, compiled=compiled, checkpointing=checkpointing) for checkpointing in (False, True)
    )
    if launch.shards > 1 and not launch.gathers:  # gathered weights stay
        kept = 2.0 * base.parameters
        whole, again = (replace(one, fixed=one.fixed + kept) for one in (whole, again))
    if machine.cpu:
        return _on_cpu(whole, again, machine, placement)
    asked = placement.tokens_per_micro_batch
    if asked is not None:
        recomputing = bool(placement.activation_checkpointing) or whole.at(asked) > SHARE * machine.memory
        used = (again if recomputing else whole).at(asked)
        return Fit(
            bytes=used,
            tokens=asked,
            recomputing=recomputing,
            fault="" if used <= machine.memory else _too_large(used, machine),
        )
    try:
        tokens, recomputing = choose(whole, again, machine.memory, placement.activation_checkpointing)
    except ModelError:
        least = (whole if placement.activation_checkpointing is False else again).at(256)
        return Fit(
            bytes=least,
            tokens=256,
            recomputing=placement.activation_checkpointing is not False,
            fault=_too_large(least, machine),
        )
    return Fit(bytes=(again if recomputing else whole).at(tokens), tokens=tokens, recomputing=recomputing)


def _on_cpu(whole: Memory, again: Memory, machine: Machine, placement: Placement) -> Fit:
    tokens = placement.tokens_per_micro_batch or ON_CPU
    recomputing = bool(placement.activation_checkpointing)
    used = LIBRARIES + (again if recomputing else whole).at(tokens)
    return Fit(
        bytes=used,
        tokens=tokens,
        recomputing=recomputing,
        fault="" if used <= machine.memory else _too_large(used, machine),
    )


def _too_large(least: float, machine: Machine) -> str:
    needed, held = in_bytes(least), in_bytes(machine.memory)
    if machine.cpu:
        return f"does not fit: training needs about {needed}, and this machine has {held}"
    usable = in_bytes(SHARE * machine.memory)
    return f"does not fit: a device needs {needed} at least, and {usable} of its {held} can be used"


# --- time -------------------------------------------------------------------------------------------------------------


def training_seconds(
    base: Base, config: TrainingConfig, tokens: float, fit: Fit, machine: Machine, launch: Launch
) -> float | None:
    """Seconds of a training stage by the machine's row of rates; None where it has none."""
    if machine.kind is None:
        return None
    rate = machine.kind.recomputing if fit.recomputing else machine.kind.training
    work = 6.0 * base.parameters * tokens * (ADAPTER_WORK if config.adapter else 1.0)
    return work / (rate * min(launch.processes, machine.devices))


def generation_seconds(base: Base, tokens: float, machine: Machine) -> float | None:
    """Seconds of answers on one device by the machine's row of rates, which is that of a 7B model."""
    if machine.kind is None:
        return None
    return tokens * base.parameters / (machine.kind.generation * BASES["meta-llama/Llama-2-7b-hf"].parameters)


# --- stages -----------------------------------------------------------------------------------------------------------


def cost_of(
    stage: Node, runs: Path, machine: Machine, launch: Launch, placement: Placement, reads: bool = True
) -> Cost:
    """What one stage costs that has still to run."""
    if isinstance(stage, Train):
        return _training(stage, runs, machine, launch, placement, reads)
    if isinstance(stage, Ask):
        return _generation(stage, runs, machine, reads)
    if isinstance(stage, MakeExamples):
        return _examples(stage, runs, reads)
    if isinstance(stage, MakeTinyModel):
        size = FLOAT32 * stage.tiny.parameters + TOKENIZER_BYTES * stage.tiny.vocabulary
        return Cost(stage=stage, left=size, most=size)
    return Cost(stage=stage, left=0, most=0)


def _training(stage: Train, runs: Path, machine: Machine, launch: Launch, placement: Placement, reads: bool) -> Cost:
    config, base = stage.training, base_of(stage.model, runs)
    amount = amounts.trained_on(stage, runs, reads)
    steps = config.steps(amount.examples) if amount else None
    tokens = seconds = None
    if amount is not None and steps is not None:
        tokens = amount.tokens * steps / max(1, -(-amount.examples // config.global_batch_size))
    if base is None:
        return Cost(stage=stage, left=0, most=0, tokens=tokens)
    fit = fit_of(base, config, machine, launch, placement, amount.supervised if amount else amounts.SUPERVISED)
    if fit is not None and tokens is not None:
        seconds = training_seconds(base, config, tokens, fit, machine, launch)
    known_tokens = base.shape.vocabulary if base.shape else 0
    left = (
        BYTES_SAVED[config.saved_precision] * base.parameters
        + TOKENIZER_BYTES * known_tokens
        + METRIC_BYTES * (steps or 0)
    )
    return Cost(
        stage=stage,
        left=left,
        most=_most(base, config, placement, steps, seconds, left, amount, reads),
        tokens=tokens,
        fit=fit,
        seconds=seconds,
        amount=amount,
    )


def _most(
    base: Base, config: TrainingConfig, placement: Placement, steps: int | None, seconds: float | None, left: float,
    amount: Amount | None, reads: bool,
) -> float:  # fmt: skip
    """Bytes of the disk while a stage trains: its checkpoints, one more while it is written, its tokens, its model.

    Where the number of steps is not known, files that may be read leave room for all checkpoints; else there are none.
    """
    wide = base.shape is None or base.shape.vocabulary >= 2**16
    tokens = (amount.tokens * (4 if wide else 2) + 16 * amount.examples) if amount else 0.0
    written: float = checkpoints_written(steps, seconds, placement.seconds_per_checkpoint) if steps else 0
    if steps is None and reads and placement.seconds_per_checkpoint < math.inf:
        written = math.inf
    trained = trained_weights(base, config.adapter)
    held = base.parameters + (trained if config.adapter else 0)
    checkpoint = FLOAT32 * held + STATE_BYTES[config.optimizer] * trained
    kept = min(written, checkpoints.KEPT)
    return tokens + max(min(written, checkpoints.KEPT + 1) * checkpoint, kept * checkpoint + left)


def checkpoints_written(steps: int, seconds: float | None, seconds_per_checkpoint: float) -> int:
    """How many checkpoints a training writes, which it does at reports only; the most there may be without its seconds."""
    reports = (steps - 1) // STEPS_PER_REPORT
    if seconds_per_checkpoint == math.inf:
        return 0
    if not seconds:
        return reports
    return reports // max(1, math.ceil(seconds_per_checkpoint * steps / (STEPS_PER_REPORT * seconds)))


def _examples(stage: MakeExamples, runs: Path, reads: bool) -> Cost:
    """The texts of a mixture, twice: as the corpora leave them, and as examples."""
    amount = amounts.mixed(stage, runs, reads)
    size = amount.utf8_bytes + RECORD_BYTES * amount.examples if amount else 0.0
    waiting = any(status(corpus, runs) != "done" for corpus in stage.corpora)
    return Cost(stage=stage, left=size * (2 if waiting else 1), most=size * (2 if waiting else 1))


def problems(stage: Ask, runs: Path, reads: bool = True) -> int | None:
    """How many problems a stage asks; None where they have not been read."""
    counts, _ = stage.estimate(runs)
    if not counts and reads:
        with suppress(QAlignError):  # listed with what is known to fail
            limit = stage.records.problems_per_language if isinstance(stage.records, ReadCorpus) else None
            own = amounts.own_counts(stage.records)
            counts = {code: count if limit is None else min(count, limit) for code, count in own.items()}
    return sum(counts.values()) or None


def _answer_tokens(model: Stage[Model], runs: Path, reads: bool) -> float:
    """The mean length of an answer: as a model was trained, else that of a published model."""
    amount = amounts.trained_on(model, runs, reads) if isinstance(model, Train) else None
    return amount.tokens * amount.supervised / amount.examples if amount and amount.examples else ANSWER_TOKENS


def _generation(stage: Ask, runs: Path, machine: Machine, reads: bool) -> Cost:
    asked, base = problems(stage, runs, reads), base_of(stage.model, runs)
    if asked is None:
        return Cost(stage=stage, left=0, most=0)
    answer = min(_answer_tokens(stage.model, runs, reads), stage.decoding.max_new_tokens)
    size = asked * (PREDICTION_BYTES + ANSWER_BYTES * answer)
    seconds = generation_seconds(base, asked * answer, machine) if base else None
    return Cost(stage=stage, left=size, most=size, tokens=asked * answer, fit=None, seconds=seconds)


def costs(
    waiting: Sequence[Node], runs: Path, machine: Machine, launch: Launch, placement: Placement, reads: bool = True
) -> list[Cost]:
    """What each of the stages costs, in their order. With `reads`, the user's own files are read."""
    return [cost_of(stage, runs, machine, launch, placement, reads) for stage in waiting]


def disk(found: Sequence[Cost], runs: Path, jobs: int = 1) -> tuple[float, float]:
    """Bytes that stay, and the most at one time: with as many of the largest trainings at once as there are jobs.

    What an interrupted stage has written already is not counted again.
    """
    left = most = 0.0
    extras: list[float] = []
    for cost in found:
        partial = cost.stage.folder(runs).with_name(f"{cost.stage.folder_name}.partial")
        written = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        extras = sorted([*extras, cost.most - written])[-jobs:] if jobs > 1 else [cost.most - written]
        most = max(most, left + sum(extras))
        left += cost.left
    return left, max(most, left)
