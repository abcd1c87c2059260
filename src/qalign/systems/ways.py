"""What makes a training fit its device that does not, and what is said of it before a run starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ModelError, SettingError
from ..pipeline import Node
from ..placement import Placement
from ..training.config import Adapter
from ..training.memory import SHARE
from ..wording import in_bytes
from . import costs
from .amounts import SUPERVISED
from .costs import Cost, Fit
from .kinds import Train
from .machines import Launch, Machine, launch_of, machine_of

MARGIN = 1.05
"""What a training needs over what it can have, from which on it is sure not to fit: the estimate is as good as that."""
FSDP = "--launcher 'accelerate launch --config_file examples/fsdp2.yaml'"


def ways_on(cost: Cost, runs: Path, machine: Machine, placement: Placement) -> Iterator[str]:
    """What would make a training stage fit that does not, a line each; only what does."""
    assert isinstance(cost.stage, Train)
    config, base = cost.stage.training, costs.base_of(cost.stage.model, runs)
    if base is None:
        return
    asked = replace(placement, tokens_per_micro_batch=None)
    free = replace(asked, activation_checkpointing=None)

    def fit(devices: int, settings: Any, how: Placement, shards: int = 1) -> Fit | None:
        return costs.fit_of(base, settings, machine, Launch(devices, shards), how, SUPERVISED)

    plain = replace(config, adapter=None, optimizer="adamw")
    tries = [
        ("leave out --no-activation-checkpointing and --tokens-per-micro-batch", fit(1, config, free)),
        (
            "8-bit optimizer states: --set training.optimizer=adamw8bit",
            fit(1, replace(config, adapter=None, optimizer="adamw8bit"), free),
        ),
        ("an adapter: --set training.adapter=on", fit(1, replace(config, optimizer="adamw", adapter=Adapter()), free)),
    ]
    for devices in sorted({machine.devices, 2, 4, 8, 16, 32, 64}):
        if devices >= max(2, machine.devices) and (sharded := fit(devices, plain, free, devices)) and not sharded.fault:
            words = f"FSDP over {devices} devices: {FSDP}"
            tries.insert(0, (words if devices == 8 else f"{words} (num_processes: {devices})", sharded))
            break
    for words, found in tries:
        if found is not None and not found.fault:
            yield f"{words} ({in_bytes(found.bytes)})"


def refusals(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[ModelError]:
    """The trainings that are sure not to fit this machine's device, as errors that are not raised."""
    yield from (ModelError(line) for line, sure in _unfit(waiting, runs, placement) if sure)


def warnings(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[str]:
    """The trainings that may not fit: memory of a CPU is an estimate, and a launcher may start them elsewhere."""
    try:
        yield from (line for line, sure in _unfit(waiting, runs, placement) if not sure)
    except SettingError as error:  # a launcher that cannot be read here may be right where it starts
        yield f"whether training fits is unknown: {error}"


def _unfit(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[tuple[str, bool]]:
    """What is wrong with each training that does not fit, in a line with the ways on, and whether that is sure.

    It is where training itself would refuse: on devices of this machine, with as few tokens at once as there may be.
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
