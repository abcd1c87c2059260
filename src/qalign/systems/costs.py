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
from ..training.config import STEPS_PER_REPORT, Adapter, TrainingConfig
from ..training.memory import (
    ON_CPU,
    SHARE,
    STEP,
    SUPERVISED,
    Shape,
    Workload,
    adapter_parameters,
    choose,
    predict,
    shape_of,
)
from ..wording import in_bytes
from . import amounts
from .amounts import Amount
from .artifacts import Model
from .ask import Ask
from .bases import FetchModel, MakeTinyModel
from .kinds import MakeExamples, ReadCorpus, Train, rows_of
from .known import BASES, Base
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a training stage lies on a device."""

    bytes: float
    """The peak; of a stage that does not fit, the least that it would need."""
    tokens: int
    """Tokens at once."""
    recomputing: bool
    """Whether activations are recomputed."""
    fault: str = ""
    """Why it does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage costs; None where it is not known."""

    stage: Node
    left: float = 0.0
    """Bytes of the disk that stay."""
    most: float = 0.0
    """Bytes of the disk while it runs."""
    tokens: float | None = None
    fit: Fit | None = None
    seconds: float | None = None
    """Seconds without waiting."""
    amount: Amount | None = None


def base_of(model: Stage[Model], runs: Path) -> Base | None:
    """The model that training starts from: its folder, the shape that `tiny` will have, or a row of well-known bases."""
    first, folder = first_model(model), origin(model, runs)
    if folder is not None:
        with suppress(ModelError):  # it is said when the model is opened
            if held := parameters(folder):
                return Base(shape_of(json.loads((folder / "config.json").read_text(encoding="utf-8"))), held)
        return None
    if isinstance(first, MakeTinyModel):
        tiny = first.tiny
        hidden, inner = tiny.hidden_size, tiny.intermediate_size
        return Base(Shape(hidden=hidden, inner=inner, blocks=tiny.layers, vocabulary=tiny.vocabulary), tiny.parameters)
    return BASES.get(first.hub) if isinstance(first, FetchModel) else None


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
    compiled = (not machine.cpu and launch.shards == 1) if placement.compile is None else placement.compile
    work = Workload(
        parameters=base.parameters,
        trained=trained_weights(base, config.adapter),
        precision=config.precision,
        optimizer=config.optimizer,
        supervised=supervised,
        shards=launch.shards,
    )
    whole, again = (
        predict(base.shape, work, compiled=compiled, checkpointing=checkpointing) for checkpointing in (False, True)
    )
    held = float(LIBRARIES) if machine.cpu else 0.0
    if launch.shards > 1 and not launch.gathers:  # gathered weights stay
        held += 2.0 * base.parameters
    whole, again = (replace(one, fixed=one.fixed + held) for one in (whole, again))
    wanted, fits = placement.activation_checkpointing, True
    tokens = placement.tokens_per_micro_batch or (ON_CPU if machine.cpu else None)
    if tokens is not None:
        recomputing = bool(wanted) or (not machine.cpu and whole.at(tokens) > SHARE * machine.memory)
    else:
        try:
            tokens, recomputing = choose(whole, again, machine.memory, wanted)
        except ModelError:
            tokens, recomputing, fits = STEP, wanted is not False, False
    used = (again if recomputing else whole).at(tokens)
    fault = "" if fits and used <= machine.memory else _too_large(used, machine)
    return Fit(bytes=used, tokens=tokens, recomputing=recomputing, fault=fault)


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


def checkpoints_written(steps: int, seconds: float | None, seconds_per_checkpoint: float) -> int:
    """How many checkpoints a training writes, which it does at reports only.

    Without its seconds, it is the most that there may be.
    """
    reports = (steps - 1) // STEPS_PER_REPORT
    if seconds_per_checkpoint == math.inf:
        return 0
    if not seconds:
        return reports
    return reports // max(1, math.ceil(seconds_per_checkpoint * steps / (STEPS_PER_REPORT * seconds)))


# --- disk -------------------------------------------------------------------------------------------------------------


def most_disk(stage: Train, base: Base, cost: Cost, placement: Placement, reads: bool = True) -> float:
    """Bytes of the disk while a stage trains: checkpoints, one more while it is written, tokens, the model.

    Where the number of steps is unknown, files that may be read leave room for all checkpoints.
    """
    config, amount, every = stage.training, cost.amount, placement.seconds_per_checkpoint
    wide = base.shape is None or base.shape.vocabulary >= 2**16
    steps = config.steps(amount.examples) if amount else None
    tokens = (amount.tokens * (4 if wide else 2) + 16 * amount.examples) if amount else 0.0
    written: float = checkpoints_written(steps, cost.seconds, every) if steps else 0
    if steps is None and reads and every < math.inf:
        written = math.inf
    trained = trained_weights(base, config.adapter)
    held = base.parameters + (trained if config.adapter else 0)
    checkpoint = FLOAT32 * held + STATE_BYTES[config.optimizer] * trained
    kept = min(written, checkpoints.KEPT)
    return tokens + max(min(written, checkpoints.KEPT + 1) * checkpoint, kept * checkpoint + cost.left)


# --- stages -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Costing:
    """What decides on the costs of stages, other than the stages."""

    runs: Path
    machine: Machine
    launch: Launch
    placement: Placement
    reads: bool
    """Whether the user's own files are read."""

    def of(self, stage: Node) -> Cost:
        """What one stage costs that has still to run."""
        if isinstance(stage, Train):
            return self._training(stage)
        if isinstance(stage, Ask):
            return self._answers(stage)
        if isinstance(stage, MakeExamples):  # the texts of a mixture twice: as the corpora leave them, and as examples
            amount = amounts.mixed(stage, self.runs, self.reads)
            size = amount.utf8_bytes + RECORD_BYTES * amount.examples if amount else 0.0
            waiting = any(status(corpus, self.runs) != "done" for corpus in stage.corpora)
            return Cost(stage=stage, left=size * (2 if waiting else 1), most=size * (2 if waiting else 1))
        if isinstance(stage, MakeTinyModel):
            size = FLOAT32 * stage.tiny.parameters + TOKENIZER_BYTES * stage.tiny.vocabulary
            return Cost(stage=stage, left=size, most=size)
        return Cost(stage=stage)

    def _training(self, stage: Train) -> Cost:
        config, base = stage.training, base_of(stage.model, self.runs)
        amount = amounts.trained_on(stage, self.runs, self.reads)
        steps = config.steps(amount.examples) if amount else None
        tokens = seconds = None
        if amount is not None and steps is not None:
            tokens = amount.tokens * steps / max(1, -(-amount.examples // config.global_batch_size))
        if base is None:
            return Cost(stage=stage, tokens=tokens)
        supervised = amount.supervised if amount else SUPERVISED
        fit = fit_of(base, config, self.machine, self.launch, self.placement, supervised)
        if fit is not None and tokens is not None:
            seconds = training_seconds(base, config, tokens, fit, self.machine, self.launch)
        known_tokens = base.shape.vocabulary if base.shape else 0
        left = BYTES_SAVED[config.saved_precision] * base.parameters + TOKENIZER_BYTES * known_tokens
        left += METRIC_BYTES * (steps or 0)
        cost = Cost(stage=stage, left=left, tokens=tokens, fit=fit, seconds=seconds, amount=amount)
        return replace(cost, most=most_disk(stage, base, cost, self.placement, self.reads))

    def _answers(self, stage: Ask) -> Cost:
        asked, base, kind = questions(stage, self.runs, self.reads), base_of(stage.model, self.runs), self.machine.kind
        if asked is None:
            return Cost(stage=stage)
        amount = amounts.trained_on(stage.model, self.runs, self.reads)
        mean = amount.tokens * amount.supervised / amount.examples if amount and amount.examples else ANSWER_TOKENS
        tokens = asked * min(mean, stage.decoding.max_new_tokens)
        size = PREDICTION_BYTES * asked + ANSWER_BYTES * tokens
        seconds = None
        if base is not None and kind is not None:  # the rate is that of a 7B model
            seconds = tokens * base.parameters / (kind.generation * BASES["meta-llama/Llama-2-7b-hf"].parameters)
        return Cost(stage=stage, left=size, most=size, tokens=tokens, seconds=seconds)


def questions(stage: Ask, runs: Path, reads: bool = True) -> int | None:
    """How many questions a stage asks: each problem as often as it is sampled. None if they are unread."""
    counts, _ = rows_of(stage.records, runs)
    if not counts and reads:
        with suppress(QAlignError):  # listed with what is known to fail
            limit = stage.records.problems_per_language if isinstance(stage.records, ReadCorpus) else None
            own = amounts.own_counts(stage.records)
            counts = {code: count if limit is None else min(count, limit) for code, count in own.items()}
    return sum(counts.values()) * stage.decoding.samples or None


def costs(
    waiting: Sequence[Node], runs: Path, machine: Machine, launch: Launch, placement: Placement, reads: bool = True
) -> list[Cost]:
    """What each of the stages costs, in their order. With `reads`, the user's own files are read."""
    costing = _Costing(runs=runs, machine=machine, launch=launch, placement=placement, reads=reads)
    return [costing.of(stage) for stage in waiting]


def disk(found: Sequence[Cost], runs: Path, jobs: int = 1) -> tuple[float, float]:
    """Bytes that stay, and the most at one time.

    As many of the largest trainings are taken at once as there are jobs.

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
