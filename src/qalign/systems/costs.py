"""What the stages of a comparison cost on a machine: memory of a device, time, disk. Estimates; nothing runs.

Memory is that of `training.memory`. Disk counts what stages leave, and what the largest one needs while it runs: the
checkpoints that are kept, the one that is being written, and the tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ModelError, QAlignError
from ..models.opening import parameters
from ..pipeline import Node, Stage, status
from ..pipeline.cluster import Needs
from ..placement import Placement
from ..training import checkpoints, memory
from ..training.config import STEPS_PER_REPORT, Adapter, TrainingConfig
from ..training.memory import Shape, Workload
from ..wording import in_bytes
from . import amounts
from .amounts import ANSWER_TOKENS, Amount
from .artifacts import Model
from .ask import Ask
from .bases import FetchModel, MakeTinyModel, first_model, origin
from .kinds import MakeExamples, ReadCorpus, Train, Training, rows_of
from .known import BASES, Base
from .machines import UNKNOWN, Launch, Machine, machine_of
from .reinforce import Reinforce

STATE_BYTES = {"adamw": 8, "adamw8bit": 2}
"""Of the optimizer, a trained weight."""
FLOAT32 = 4
BYTES_SAVED = {"bfloat16": 2, "float32": 4}
"""Of a model's folder, a weight."""
RECORD_BYTES, PREDICTION_BYTES, METRIC_BYTES, TOKENIZER_BYTES = 75, 460, 200, 22
"""Of the files of stages: of a record next to its text, of an answer with its judgement, of a step, of a known token."""
ANSWER_BYTES = 3
"""Of a token of an answer."""
LIBRARIES = 550 * 2**20
"""Bytes that Python, torch and transformers hold on a CPU before a model is there, and what a run keeps of its data."""
ROOM = 4 * 2**30
"""Bytes of a job's memory besides those of its model."""
ADAPTER_WORK = 2 / 3
"""Work of an adapter over that of full fine-tuning: no gradients of the frozen weights."""
MARGIN = 1.05
"""What a training needs over what it can have, from which on it is sure not to fit: the estimate is as good as that."""
FSDP = "--launcher 'accelerate launch --config_file examples/fsdp2.yaml'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a training stage lies on a device: bytes at its peak, tokens at once, whether activations are recomputed. With a
    `fault`, which says why it does not fit, the bytes are the least that it would need."""

    bytes: float
    tokens: int
    recomputing: bool
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage costs; None where it is not known. Bytes of the disk that stay are `left`, those while it runs `most`."""

    stage: Node
    left: float = 0.0
    most: float = 0.0
    tokens: float | None = None
    sampled: float = 0.0
    """Tokens of answers that a training samples itself."""
    fit: Fit | None = None
    seconds: float | None = None
    amount: Amount | None = None
    base: Base | None = None
    to_the_limit: float = 1.0
    """How many times as long answers take that all go on to the limit, as those of a model do that has learnt little."""


def base_of(model: Stage[Model], runs: Path) -> Base | None:
    """The model that training starts from: its folder, the shape that `tiny` will have, or a row of well-known bases."""
    first, folder = first_model(model), origin(model, runs)
    if folder is not None:
        with suppress(ModelError):  # it is said when the model is opened
            if held := parameters(folder):
                return Base(memory.shape_of(json.loads((folder / "config.json").read_text(encoding="utf-8"))), held)
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
    return memory.adapter_parameters(base.shape, adapter.rank) if base.shape else 0


# --- memory -----------------------------------------------------------------------------------------------------------


def fit_of(
    base: Base, config: TrainingConfig, machine: Machine, placement: Placement, supervised: float = memory.SUPERVISED,
    held: float = 0.0,
) -> Fit | None:  # fmt: skip
    """How a training stage lies on a device of a machine, which holds some bytes beside; None where the shape is not known."""
    if base.shape is None:
        return None
    shape, shards = base.shape, machine.launch.shards
    held += LIBRARIES if machine.cpu else 0
    if shards > 1 and not machine.launch.gathers:  # gathered weights stay
        held += 2.0 * base.parameters
    work = Workload(
        parameters=base.parameters, trained=trained_weights(base, config.adapter), precision=config.precision,
        optimizer=config.optimizer, supervised=supervised, held=held, shards=shards,
    )  # fmt: skip
    wanted, fits = placement.activation_checkpointing, True
    if placement.compile is None:
        placement = replace(placement, compile=not machine.cpu and shards == 1)
    if machine.cpu:
        tokens = placement.tokens_per_micro_batch or memory.ON_CPU
        placement = replace(placement, tokens_per_micro_batch=tokens, activation_checkpointing=bool(wanted))
    try:
        tokens, recomputing, needs = memory.fitting(shape, work, placement, machine.memory)
    except ModelError:
        least = replace(placement, tokens_per_micro_batch=memory.STEP, activation_checkpointing=wanted is not False)
        (tokens, recomputing, needs), fits = memory.fitting(shape, work, least, machine.memory), False
    used = needs.at(tokens)
    fault, needed, there = "", in_bytes(used), in_bytes(machine.memory)
    if not fits or used > machine.memory:
        usable = in_bytes(memory.SHARE * machine.memory)
        fault = f"does not fit: a device needs {needed} at least, and {usable} of its {there} can be used"
        if machine.cpu:
            fault = f"does not fit: training needs about {needed}, and this machine has {there}"
    return Fit(bytes=used, tokens=tokens, recomputing=recomputing, fault=fault)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoints_written(steps: int, seconds: float | None, seconds_per_checkpoint: float) -> int:
    """How many checkpoints a training writes, which it does at reports only. Without its seconds, it is the most that there
    may be."""
    reports = (steps - 1) // STEPS_PER_REPORT
    if seconds_per_checkpoint == math.inf:
        return 0
    if not seconds:
        return reports
    return reports // max(1, math.ceil(seconds_per_checkpoint * steps / (STEPS_PER_REPORT * seconds)))


def most_disk(cost: Cost, config: TrainingConfig, placement: Placement, reads: bool = True) -> float:
    """Bytes of the disk while a stage trains: checkpoints, one more while it is written, tokens, the model. Where the number
    of steps is unknown, files that may be read leave room for all checkpoints."""
    base, amount, every = cost.base, cost.amount, placement.seconds_per_checkpoint
    assert base is not None
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


def costs(
    waiting: Sequence[Node], runs: Path, machine: Machine, placement: Placement, reads: bool = True
) -> list[Cost]:
    """What each of the stages costs, in their order. With `reads`, the user's own files are read."""
    found = []
    for stage in waiting:
        if isinstance(stage, Training):
            cost = _training(stage, runs, machine, placement, reads)
        elif isinstance(stage, Ask):
            cost = _answers(stage, runs, machine, reads)
        else:
            size = _size(stage, runs, reads)
            cost = Cost(stage=stage, left=size, most=size)
        found.append(cost)
    return found


def _size(stage: Node, runs: Path, reads: bool) -> float:
    """Bytes of what a stage leaves that neither trains nor answers."""
    if isinstance(stage, MakeTinyModel):
        return FLOAT32 * stage.tiny.parameters + TOKENIZER_BYTES * stage.tiny.vocabulary
    if not isinstance(stage, MakeExamples) or (amount := amounts.mixed(stage, runs, reads)) is None:
        return 0.0
    waiting = any(status(corpus, runs) != "done" for corpus in stage.corpora)
    texts = 2 if waiting else 1  # as the corpora leave them, and as examples
    return texts * (amount.utf8_bytes + RECORD_BYTES * amount.examples)


def _training(stage: Training, runs: Path, machine: Machine, placement: Placement, reads: bool) -> Cost:
    config, base, amount = stage.hyper_parameters, base_of(stage.model, runs), amounts.trained_on(stage, runs, reads)
    steps, tokens, seconds, sampled, held = 0, None, None, 0.0, 0.0
    if amount is not None:
        steps = config.steps(amount.examples)
        tokens = amount.tokens * steps / max(1, -(-amount.examples // config.global_batch_size))
    if isinstance(stage, Reinforce) and amount is not None:  # its amount is that of a step, in one process
        machine, tokens = replace(machine, launch=Launch()), amount.tokens * steps
        sampled = tokens * amount.supervised
        held = float(FLOAT32 * base.parameters) if base and stage.reinforce.beta else 0.0
    if base is None:
        return Cost(stage=stage, tokens=tokens)
    fit = fit_of(base, config, machine, placement, amount.supervised if amount else memory.SUPERVISED, held)
    if fit is not None and tokens is not None and machine.kind is not None:
        rate = machine.kind.recomputing if fit.recomputing else machine.kind.training
        work = 6.0 * base.parameters * tokens * (ADAPTER_WORK if config.adapter else 1.0)
        seconds = work / (rate * min(machine.launch.processes, machine.devices)) + _seconds(sampled, base, machine)
    known_tokens = base.shape.vocabulary if base.shape else 0
    left = BYTES_SAVED[config.saved_precision] * base.parameters + TOKENIZER_BYTES * known_tokens + METRIC_BYTES * steps
    cost = Cost(
        stage=stage, left=left, tokens=tokens, sampled=sampled, fit=fit, seconds=seconds, amount=amount, base=base
    )
    return replace(cost, most=most_disk(cost, config, placement, reads))


def _answers(stage: Ask, runs: Path, machine: Machine, reads: bool) -> Cost:
    asked, base = questions(stage, runs, reads), base_of(stage.model, runs)
    if asked is None:
        return Cost(stage=stage)
    amount = amounts.trained_on(stage.model, runs, reads)
    mean = amount.tokens * amount.supervised / amount.examples if amount and amount.examples else ANSWER_TOKENS
    limit = stage.decoding.max_new_tokens
    tokens = asked * min(mean, limit)
    size, seconds = PREDICTION_BYTES * asked + ANSWER_BYTES * tokens, None
    if base is not None and machine.kind is not None and stage.decoding.backend in ("transformers", "vllm"):
        seconds = _seconds(tokens, base, machine)  # vLLM's own rate is higher; that of a server is not known
    longer = max(1.0, limit / mean) if mean else 1.0
    return Cost(stage=stage, left=size, most=size, tokens=tokens, seconds=seconds, to_the_limit=longer)


def _seconds(tokens: float, base: Base, machine: Machine) -> float:
    """Seconds to answer with so many tokens. The rate of a kind of machine is that of a 7B model."""
    assert machine.kind is not None
    return tokens * base.parameters / (machine.kind.generation * BASES["meta-llama/Llama-2-7b-hf"].parameters)


def to_the_limit(cost: Cost) -> Cost:
    """The cost where no answer ends before the limit."""
    return replace(cost, seconds=None if cost.seconds is None else cost.seconds * cost.to_the_limit)


def needs(stage: Node, runs: Path, machine: Machine, placement: Placement, gpus: bool) -> Needs:
    """What the job of a stage needs, generously: Slurm ends a job that takes more. `gpus` says whether there are some."""
    if not isinstance(stage, Training | Ask):
        return Needs(gpus=int(gpus and stage.on_device))
    cost, base = costs([stage], runs, machine, placement, reads=False)[0], base_of(stage.model, runs)
    processes = placement.processes if isinstance(stage, Train) else 1
    wanted = placement.gpus_per_stage if isinstance(stage, Ask) and stage.decoding.backend == "vllm" else processes
    most = 2 * FLOAT32 * base.parameters if base else 0.0  # weights are read whole, and gathered at the end
    if cost.fit is not None and not gpus:
        most = max(most, cost.fit.bytes)
    seconds = 3600 + 2 * cost.seconds if cost.seconds else 0.0
    launched = bool(placement.launcher) and isinstance(stage, Train)
    return Needs(wanted * gpus, most and ROOM + processes * most, seconds, launched)


def questions(stage: Ask, runs: Path, reads: bool = True) -> int | None:
    """How many questions a stage asks: each problem as often as it is sampled. None if they are unread."""
    counts, _ = rows_of(stage.records, runs)
    if not counts and reads:
        with suppress(QAlignError):  # listed with what is known to fail
            limit = stage.records.problems_per_language if isinstance(stage.records, ReadCorpus) else None
            own = amounts.own_counts(stage.records)
            counts = {code: count if limit is None else min(count, limit) for code, count in own.items()}
    return sum(counts.values()) * stage.decoding.samples or None


def disk(found: Sequence[Cost], runs: Path, jobs: int = 1) -> tuple[float, float]:
    """Bytes that stay, and the most at one time. As many of the largest trainings are taken at once as there are jobs. What an
    interrupted stage has written already is not counted again."""
    left = most = 0.0
    extras: list[float] = []
    for cost in found:
        partial = cost.stage.folder(runs).with_name(f"{cost.stage.folder_name}.partial")
        written = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        extras = sorted([*extras, cost.most - written])[-jobs:] if jobs > 1 else [cost.most - written]
        most = max(most, left + sum(extras))
        left += cost.left
    return left, max(most, left)


# --- what does not fit ------------------------------------------------------------------------------------------------


def ways_on(cost: Cost, machine: Machine, placement: Placement) -> list[str]:
    """What would make a training stage fit, a line each."""
    assert isinstance(cost.stage, Training) and cost.base is not None
    base, config = cost.base, cost.stage.hyper_parameters
    plain = replace(config, adapter=None, optimizer="adamw")
    eight_bit = replace(plain, optimizer="adamw8bit")
    name, whole = (*cost.stage.groups, cost.stage.title)[0], isinstance(cost.stage, Train)  # others take one process
    free = replace(placement, tokens_per_micro_batch=None, activation_checkpointing=None)

    def way(words: str, settings: TrainingConfig, devices: int = 1) -> str:
        fit = fit_of(base, settings, replace(machine, launch=Launch(devices, devices)), free)
        return f"{words} ({in_bytes(fit.bytes)})" if fit is not None and not fit.fault else ""

    over = [count for count in sorted({machine.devices, 2, 4, 8, 16, 32, 64}) if count >= max(2, machine.devices)]
    shards = (way(f"FSDP over {n} devices: {FSDP}{'' if n == 8 else f' (num_processes: {n})'}", plain, n) for n in over)
    ways = [
        next(filter(None, shards), "") if whole else "",
        way("leave out --no-activation-checkpointing and --tokens-per-micro-batch", config),
        way("8-bit optimizer states: --set training.optimizer=adamw8bit", eight_bit) if whole else "",
        way(f"an adapter: --set {name}.adapter=on", replace(plain, adapter=Adapter())),
    ]
    return [line for line in ways if line]


def unfit(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[tuple[str, bool]]:
    """A line on each training that does not fit this machine, with the ways on, and whether that is sure. It is sure where
    training itself would refuse: on a device here, with as few tokens at once as there may be. Memory of a CPU is an estimate,
    and a launcher may start trainings elsewhere."""
    trainings = [stage for stage in waiting if isinstance(stage, Training) and not placement.cluster]
    machine = machine_of(placement) if trainings else UNKNOWN
    may_be_sure = not (machine.cpu or placement.launcher or placement.tokens_per_micro_batch)
    for cost in costs(trainings, runs, machine, placement, reads=False):
        if cost.fit is not None and cost.fit.fault:
            ways = "; ".join(ways_on(cost, machine, placement)) or "take more or larger devices"
            clearly = cost.fit.bytes > MARGIN * memory.SHARE * machine.memory
            yield f"{cost.stage.folder_name} {cost.fit.fault}; ways on: {ways}", may_be_sure and clearly
