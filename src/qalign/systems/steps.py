"""Trainings of few optimizer steps, because there are few examples: what is said of them, and what gives more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..pipeline import Node
from ..training.config import FEW_STEPS, TrainingConfig
from ..wording import counted
from .kinds import Train

ENOUGH = 200
"""The steps that the advice leads to: enough for the warm-up and for a loss that falls."""
SMALLEST_BATCH = 8
"""Examples of a step that the advice goes down to before it takes more epochs."""


def advice(config: TrainingConfig, stage: str, examples: int) -> str | None:
    """A line about a training of few steps, with the settings that give about 200; None where it takes more.

    Args:
        config: the hyper-parameters.
        stage: the name that `--set` knows it by.
        examples: the examples of one epoch.
    """
    free = replace(config, max_steps=None)
    if examples < 1 or free.steps(examples) >= FEW_STEPS:
        return None
    batch = min(config.global_batch_size, max(SMALLEST_BATCH, config.epochs * examples // ENOUGH))
    epochs = max(config.epochs, round(ENOUGH / -(-examples // batch)))
    settings = {"global_batch_size": batch, "epochs": epochs}
    changed: dict[str, Any] = {name: value for name, value in settings.items() if value != getattr(config, name)}
    if config.max_steps is not None and config.max_steps < ENOUGH:
        changed["max_steps"] = ENOUGH
    words = " ".join(f"--set {stage}.{name}={value}" for name, value in changed.items())
    taken = replace(config, **changed).steps(examples)
    return (
        f"{stage} takes only {counted(config.steps(examples), 'optimizer step')}, few to learn from "
        f"({counted(examples, 'example')}, {counted(config.epochs, 'epoch')}, {config.global_batch_size} a step); "
        f"{taken} steps with {words}"
    )


def few_steps(trainings: Iterable[tuple[Train, int]]) -> Iterator[str]:
    """The lines about trainings of few steps; each stage is given with its examples."""
    for stage, examples in trainings:
        line = advice(stage.training, stage.title, examples)
        if line is not None:
            yield line


def with_examples(waiting: Iterable[Node], runs: Path) -> Iterator[tuple[Train, int]]:
    """The training stages whose examples are made, with how many these are."""
    for stage in waiting:
        if isinstance(stage, Train) and (examples := stage.examples.result(runs)) is not None:
            yield stage, sum(examples.by_language().values())
