"""The hyper-parameters of training. All of them are part of a stage's fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import SettingError

SUMMARY = "training.json"
"""The file in a stage's folder that says what it was trained on."""
METRICS = "metrics.jsonl"
"""The file in a stage's folder with a row a step: loss, gradient norm, learning rate, speed."""
SEEDS = 2**32
STEPS_PER_REPORT = 10
"""The steps between two rows of reports."""
FEW_STEPS = 50
"""Fewer steps than this teach a model little, whatever the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Low-rank adaptation (LoRA, arXiv 2106.09685).

    With dropout the samples depend on how a step is cut into micro-batches. Runs with other micro-batches or on other numbers
    of devices then agree in distribution only. The same holds for bases that have dropout of their own, such as GPT-2.
    """

    rank: int = 16
    """The rank of the low-rank matrices."""
    alpha: float = 32.0
    """The scaling: the update is multiplied by alpha / rank."""
    dropout: float = 0.0
    """The dropout rate on the input of the adapter."""
    modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """The modules that get an adapter, by name and with commas."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise SettingError(f"the adapter's rank is {self.rank}; it must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise SettingError(f"the adapter's dropout is {self.dropout}; give a share, 0 or more and below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Hyper-parameters of one stage. The defaults are the study's: NJUNLP/QAlign, training_scripts/finetune.sh."""

    epochs: int = 3
    """Passes over the examples."""
    learning_rate: float = 2e-5
    """The highest learning rate, reached after warm-up. It then falls to 0 along a cosine."""
    warmup_ratio: float = 0.03
    """The share of all steps in which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    adam_beta1: float = 0.9
    """AdamW's decay rate of the mean of gradients."""
    adam_beta2: float = 0.999
    """AdamW's decay rate of the mean of squared gradients."""
    adam_epsilon: float = 1e-8
    """AdamW's epsilon, which keeps the division stable."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    global_batch_size: int = 128
    """Examples per step, over all devices and micro-batches."""
    max_length: int = 512
    """The most tokens of an example, prompt and response together."""
    too_long: Literal["error", "drop", "cut"] = "error"
    """What is done with a longer example. `error` stops the run, `drop` leaves it out, `cut` truncates its response. Tables
    show the count of the last two."""
    max_steps: int | None = None
    """Training ends after this number of steps, with the schedule of the shorter run."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """The precision of forward and backward passes. Optimizer and checkpoints keep float32 weights."""
    seed: int = 1234
    """The seed of the order of examples and of dropout."""
    adapter: Adapter | None = None
    """`on` trains a low-rank adapter (LoRA), `none` all weights. Setting one of its fields turns it on."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """`adamw8bit` keeps 8-bit optimizer states (arXiv 2110.02861): 10 bytes per weight instead of 16, with slightly different
    steps."""
    save_precision: Literal["bfloat16", "float32"] | None = None
    """The precision of the saved weights, from which the next stage starts. `none` is the precision of training."""

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch_size", "max_length", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.learning_rate >= 1:
            raise SettingError(f"learning_rate is {self.learning_rate:g}; give one below 1, such as 2e-5")
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
        """Optimizer steps, by the number of examples. The last batch of an epoch may be smaller."""
        total = self.epochs * -(-examples // self.global_batch_size)
        return total if self.max_steps is None else min(total, self.max_steps)

    def examples_seen(self, examples: int) -> int:
        """How many of so many examples the steps see, repetitions counted."""
        epochs, rest = divmod(self.steps(examples), -(-examples // self.global_batch_size))
        return epochs * examples + min(rest * self.global_batch_size, examples)

    def epochs_seen(self, examples: int) -> float:
        """The passes over so many examples that the steps make."""
        return self.examples_seen(examples) / examples
