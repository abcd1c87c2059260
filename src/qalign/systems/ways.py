"""Advice on trainings that do not fit their device or take few steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ModelError, SettingError
from ..pipeline import Node
from ..placement import Placement
from ..training.config import FEW_STEPS, Adapter, TrainingConfig
from ..training.memory import SHARE, SUPERVISED
from ..wording import counted, in_bytes
from . import costs
from .costs import Cost, Fit
from .kinds import Train
from .machines import Launch, Machine, launch_of, machine_of

MARGIN = 1.05
"""What a training needs over what it can have, from which on it is sure not to fit: the estimate is as good as that."""
FSDP = "--launcher 'accelerate launch --config_file examples/fsdp2.yaml'"
ENOUGH = 200
"""The steps that the advice leads to: enough for the warm-up and for a loss that falls."""
SMALLEST_BATCH = 8
"""Examples of a step that the advice goes down to before it takes more epochs."""

# --- memory -----------------------------------------------------------------------------------------------------------


def ways_on(cost: Cost, runs: Path, machine: Machine, placement: Placement) -> Iterator[str]:
    """What would make a training stage fit, a line each."""
    assert isinstance(cost.stage, Train)
    config, base = cost.stage.training, costs.base_of(cost.stage.model, runs)
    if base is None:
        return
    free = replace(placement, tokens_per_micro_batch=None, activation_checkpointing=None)

    def fit(settings: TrainingConfig, devices: int = 1) -> Fit | None:
        return costs.fit_of(base, settings, machine, Launch(devices, devices), free, SUPERVISED)

    plain = replace(config, adapter=None, optimizer="adamw")
    tries: list[tuple[str, Fit | None]] = []
    for devices in sorted({machine.devices, 2, 4, 8, 16, 32, 64}):
        if devices >= max(2, machine.devices) and (sharded := fit(plain, devices)) and not sharded.fault:
            words = f"FSDP over {devices} devices: {FSDP}"
            tries.append((words if devices == 8 else f"{words} (num_processes: {devices})", sharded))
            break
    tries += [
        ("leave out --no-activation-checkpointing and --tokens-per-micro-batch", fit(config)),
        ("8-bit optimizer states: --set training.optimizer=adamw8bit", fit(replace(plain, optimizer="adamw8bit"))),
        ("an adapter: --set training.adapter=on", fit(replace(plain, adapter=Adapter()))),
    ]
    for words, found in tries:
        if found is not None and not found.fault:
            yield f"{words} ({in_bytes(found.bytes)})"


def refusals(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[ModelError]:
    """The trainings that are sure not to fit this machine's device, as errors that are not raised."""
    yield from (ModelError(line) for line, sure in _unfit(waiting, runs, placement) if sure)


def warnings(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[str]:
    """The trainings that may not fit.

    Memory of a CPU is an estimate, and a launcher may start them elsewhere.
    """
    try:
        yield from (line for line, sure in _unfit(waiting, runs, placement) if not sure)
    except SettingError as error:  # a launcher that cannot be read here may be right where it starts
        yield f"whether training fits is unknown: {error}"


def _unfit(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[tuple[str, bool]]:
    """A line on each training that does not fit, with the ways on, and whether that is sure.

    It is sure where training itself would refuse: on a device here, with as few tokens at once as there may be.
    """
    trainings = [stage for stage in waiting if isinstance(stage, Train)]
    if not trainings:
        return
    machine = machine_of(placement, None, None, None)
    sure = not (machine.cpu or placement.launcher or placement.tokens_per_micro_batch)
    for cost in costs.costs(trainings, runs, machine, launch_of(placement, 1), placement, reads=False):
        if cost.fit is not None and cost.fit.fault:
            ways = "; ".join(ways_on(cost, runs, machine, placement)) or "take more or larger devices"
            clearly = cost.fit.bytes > MARGIN * SHARE * machine.memory
            yield f"{cost.stage.folder_name} {cost.fit.fault}; ways on: {ways}", sure and clearly


# --- steps ------------------------------------------------------------------------------------------------------------


def advice(config: TrainingConfig, stage: str, examples: int) -> str | None:
    """A line about a training of few steps, with settings that give about 200.

    A training of enough steps has none.

    Args:
        config: the hyper-parameters.
        stage: the name that `--set` knows it by.
        examples: the examples of one epoch.
    """
    if examples < 1 or replace(config, max_steps=None).steps(examples) >= FEW_STEPS:
        return None
    batch = min(config.global_batch_size, max(SMALLEST_BATCH, config.epochs * examples // ENOUGH))
    better = replace(
        config,
        global_batch_size=batch,
        epochs=max(config.epochs, round(ENOUGH / -(-examples // batch))),
        max_steps=None if config.max_steps is None else max(config.max_steps, ENOUGH),
    )
    words = " ".join(
        f"--set {stage}.{name}={getattr(better, name)}"
        for name in ("global_batch_size", "epochs", "max_steps")
        if getattr(better, name) != getattr(config, name)
    )
    return (
        f"{stage} takes only {counted(config.steps(examples), 'optimizer step')}, few to learn from "
        f"({counted(examples, 'example')}, {counted(config.epochs, 'epoch')}, {config.global_batch_size} a step); "
        f"{better.steps(examples)} steps with {words}"
    )


def few_steps(trainings: Iterable[tuple[Train, int]]) -> Iterator[str]:
    """The lines about trainings of few steps. Each stage comes with its number of examples."""
    for stage, examples in trainings:
        if (line := advice(stage.training, stage.title, examples)) is not None:
            yield line


def with_examples(waiting: Iterable[Node], runs: Path) -> Iterator[tuple[Train, int]]:
    """The training stages whose examples are made, with how many these are."""
    for stage in waiting:
        if isinstance(stage, Train) and (examples := stage.examples.result(runs)) is not None:
            yield stage, sum(examples.by_language().values())
