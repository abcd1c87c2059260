"""The values that decide what a training stage makes; all of them are part of its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import SettingError

SUMMARY = "training.json"
"""The file in a stage's folder that says what it was trained on."""
METRICS = "metrics.jsonl"
"""The file in a stage's folder with a row a step: loss, gradient norm, learning rate, speed."""
SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank adaptation (LoRA, arXiv 2106.09685): rank, scaling, dropout, and the modules that are adapted.

    With dropout the draws depend on how a step is cut into micro-batches, so runs under other budgets or on other numbers
    of devices agree in distribution only; the same holds for bases that have dropout of their own, such as GPT-2.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise SettingError(f"the adapter's rank is {self.rank}; it must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise SettingError(f"the adapter's dropout is {self.dropout}; give a share, 0 or more and below 1")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Hyper-parameters of one stage. The defaults are the study's (NJUNLP/QAlign, training_scripts/finetune.sh).

    `global_batch_size` counts examples a step, over all devices and micro-batches. `max_length` counts tokens of an
    example, prompt and response together; `too_long` says what becomes of longer ones: "error", "drop" (left out and
    counted) or "cut" (the response loses its end, counted). `max_steps` ends training early; the schedule is that of
    the shorter run. `adapter` None is full fine-tuning. `optimizer` "adamw8bit" keeps AdamW's moments in 8 bits (arXiv
    2110.02861): ten bytes a weight instead of sixteen, and not quite the same steps. `save_precision` is that of the saved
    weights, from which the next stage starts: None is that of training. Checkpoints keep the float32 weights.
    """

    epochs: int = 3
    learning_rate: float = 2e-5
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    global_batch_size: int = 128
    max_length: int = 512
    too_long: Literal["error", "drop", "cut"] = "error"
    max_steps: int | None = None
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    seed: int = 1234
    adapter: Adapter | None = None
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    save_precision: Literal["bfloat16", "float32"] | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch_size", "max_length", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.seed < SEEDS:
            raise SettingError(f"seed is {self.seed}; give 0 or more and below {SEEDS}")
        if self.max_steps is not None and self.max_steps < 1:
            raise SettingError(f"max_steps is {self.max_steps}; give 1 or more, or none")
        for name in ("warmup_ratio", "adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; give 0 or more and below 1")
        for name in ("weight_decay", "adam_epsilon"):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be 0 or more")

    @property
    def saved_precision(self) -> Literal["bfloat16", "float32"]:
        """The precision of the saved weights."""
        return self.save_precision or self.precision

    def steps(self, examples: int) -> int:
        """Optimiser steps for so many examples; the last batch of an epoch may be smaller."""
        total = self.epochs * -(-examples // self.global_batch_size)
        return total if self.max_steps is None else min(total, self.max_steps)
