"""Scales: the one dial between a trial and the published study. The recipes are the same functions at every scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..errors import SettingError
from ..options import known_fields
from ..training.config import TrainingConfig
from ..training.policy import ReinforceConfig

PAPER_TRAINING = TrainingConfig(too_long="cut")
"""The published hyper-parameters. As in the published code, an example over 512 tokens loses its end; here the tables of a
run count those examples. `--set training.too_long=error` stops the run instead."""

SAMPLE_TRAINING = replace(
    PAPER_TRAINING, epochs=2, learning_rate=2e-3, warmup_ratio=0.1, global_batch_size=32, max_length=1024,
    too_long="drop", precision="float32",
)  # fmt: skip
"""An example over the limit is left out; the tables of a run count it."""

TOY_TRAINING = replace(
    PAPER_TRAINING, learning_rate=2e-3, warmup_ratio=0.05, adam_beta2=0.95, adam_epsilon=1e-4, global_batch_size=8,
    max_length=512, too_long="error", precision="float32",
)  # fmt: skip
"""For the base of the embedded world, of a million parameters; what was tried is in docs/dev/log.md. With an epsilon of 1e-8
a small model unlearns each word that is no answer's in training, so English answers fall apart out of domain."""

PAPER_REINFORCE = ReinforceConfig(problems_per_step=128, beta=1e-3)
"""Our choice, for the original's were not published. Rate and divergence are those of later work (docs/method.md)."""

SMALL_REINFORCE = ReinforceConfig(
    steps=100, problems_per_step=16, samples=16, learning_rate=1e-4, max_new_tokens=160, precision="float32"
)
"""For small models on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How much of the data is used. None is all of it."""

    examples_per_language: int | None = None
    """The size of a random sample of the multilingual training examples, in each language. `none` takes all."""
    english_examples: int | None = None
    """The size of a random sample of the English instruction data. `none` takes all."""
    problems_per_language: int | None = None
    """The first N problems of each test set, the same in every language. `--limit N` is short for it."""
    drop_invalid: bool = False
    """Invalid rows are left out, counted and listed. Without it they stop the run."""
    max_repetition: float = 4.0
    """How often a mixture of corpora may repeat one of them at most."""

    def __post_init__(self) -> None:
        for name in ("examples_per_language", "english_examples", "problems_per_language"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise SettingError(f"{name} is {count}; give 1 or more, or none for all")
        if self.max_repetition < 1:
            raise SettingError(f"max_repetition is {self.max_repetition:g}; give 1 or more")


@known_fields("Scale")
@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Which corpora, how much of them, and how training goes by default: `training`, or what `stages` has for a stage."""

    name: str
    title: str
    questions: str = "gsm8kinstruct"
    multilingual: str = "gsm8kinstruct"
    crossed: str = "gsm8kinstruct-cross"
    """English questions with answers in all languages."""
    english: str = "metamathqa"
    supervised: str = "gsm8k"
    programs: str = "mathinstruct"
    evolved: str | None = None
    """Problems made of the supervised ones, for WizardMath; none were published."""
    general: str = "flores"
    benchmarks: tuple[str, ...] = ("mgsm", "msvamp")
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = PAPER_TRAINING
    stages: Mapping[str, TrainingConfig] = field(default_factory=dict)
    reinforce: ReinforceConfig = PAPER_REINFORCE
    max_new_tokens: int | None = None
    samples: int = 100
    """Answers to each question in rejection sampling."""
    samples_per_language: int = 25
    """The same where the questions are in all languages."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"


SCALES: Mapping[str, Scale] = {
    row.name: row
    for row in (
        Scale(name="paper", title="the published datasets and hyper-parameters"),
        Scale(
            name="sample", title="a sample of the published datasets for a small model on a CPU, in minutes",
            english="gsm8k", general="ntrex", samples_per_language=2,
            data=DataConfig(examples_per_language=350, english_examples=2000, problems_per_language=40),
            training=SAMPLE_TRAINING, reinforce=SMALL_REINFORCE, max_new_tokens=160, samples=4, precision="float32",
        ),
        Scale(
            name="toy",
            title="the embedded world: nothing to download, a base of a million parameters, a CPU, minutes",
            questions="world-gsm8kinstruct", multilingual="world-gsm8kinstruct", crossed="world-gsm8kinstruct-cross",
            english="world-metamathqa", supervised="world-gsm8k", programs="world-mathinstruct",
            evolved="world-evolved", general="world-flores",
            benchmarks=("world-mgsm", "world-msvamp"),
            training=TOY_TRAINING,
            stages={
                "question-alignment": replace(TOY_TRAINING, epochs=2),
                "response-alignment": replace(TOY_TRAINING, learning_rate=1e-3, max_steps=1800),
            },
            reinforce=SMALL_REINFORCE, samples=8, samples_per_language=4, precision="float32",
        ),
    )
}  # fmt: skip
