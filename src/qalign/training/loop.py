"""The training of a stage: a step for each global batch with a row of metrics, then a folder with the model.

A training that was interrupted goes on from its last checkpoint. The same seed gives the same batches on any number of
devices and after a resume.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import asdict as to_values

from ..errors import ModelError
from ..models.opening import check_length, check_vocabulary, load_model, load_tokenizer_as_saved, resolve
from ..placement import Placement
from ..progress import Bar
from ..records import Example, read_jsonl, write_json
from ..terminal import log
from . import manifest
from .accelerator import make_accelerator
from .batches import Batch, GlobalBatches
from .checkpoints import Checkpoints, Interruption
from .config import METRICS, STEPS_PER_REPORT, SUMMARY, TrainingConfig
from .reports import Reports, reports_of
from .state import Progress
from .tokens import TokenizedExamples, tokenize
from .trainer import Step, Trainer, learning_rate_factor

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedTokenizerBase

TOKENS = "tokens"
"""The folder in the scratch folder with the tokenized examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training stage."""

    title: str
    """The name of the stage, for people and for `--set`."""
    model: Path
    """The folder of the base."""
    examples: Path
    """The JSONL file of the examples."""
    output: Path
    """The folder for the trained model."""
    scratch: Path
    """The folder for tokens, metrics and checkpoints. It outlives an interruption."""
    config: TrainingConfig
    placement: Placement


def finetune(job: Job) -> Trainer:
    """Trains a model and writes it as an ordinary Hugging Face folder, with its metrics. Returns the trainer, closed.

    An interruption of the only process writes a checkpoint, if that takes seconds. Of several processes, each calls this.

    Raises:
        ModelError, DataError, SettingError: the base, the examples or a value cannot be used.
    """
    import torch

    config = job.config
    accelerator = make_accelerator(config, job.placement)
    title, quiet = job.placement.titled(job.title, job.scratch), job.placement.quiet or not accelerator.is_main_process
    if not quiet:
        log(f"  {title}: opens the model and encodes the examples")
    folder = resolve(job.model)
    check_vocabulary(folder)
    tokenizer = load_tokenizer_as_saved(folder)
    model = load_model(folder, torch.float32)  # before the tokens: a base that cannot be opened leaves nothing behind
    examples = _tokenized(job, tokenizer, accelerator)
    advice = f"set {job.title}.max_length lower, with {job.title}.too_long=drop or cut"
    check_length(model, max(examples.lengths), advice)
    trainer = Trainer(model, config, job.placement, accelerator, examples)
    checkpoints = Checkpoints(trainer, job.scratch, manifest.digest(job.scratch / TOKENS))
    checkpoints.resume()
    batches, steps = GlobalBatches(len(examples), config), config.steps(len(examples))
    with (
        closing(reports_of(job.placement, job.scratch, asdict(config), accelerator.is_main_process)) as reports,
        Bar(title, steps, trainer.progress.step, quiet=quiet) as bar,
        Interruption(title, checkpoints.seconds_to_save) as interruption,
    ):
        bar.advance(0, "the first steps are slow")
        metrics = Metrics(job, trainer, bar, reports)
        for step in range(trainer.progress.step, steps):
            rate = config.learning_rate * learning_rate_factor(step, steps, config)
            metrics.add(trainer.step(Batch(examples, batches[step]), rate), rate)
            if (step + 1) % STEPS_PER_REPORT == 0 or step + 1 == steps or interruption.asked:
                metrics.write()
                asked = bool(interruption.asked)
                if (step + 1 < steps or asked) and checkpoints.save_if_due(at_once=asked):
                    metrics.since = time.monotonic()  # a checkpoint is no part of the speed
                if asked:
                    interruption.end()
    trainer.export(tokenizer, job.output)
    if accelerator.is_main_process:
        shutil.copyfile(job.scratch / METRICS, job.output / METRICS)
        write_json(job.output / SUMMARY, _summary(job, trainer, examples))
    trainer.close()
    return trainer


def _tokenized(job: Job, tokenizer: PreTrainedTokenizerBase, accelerator: Accelerator) -> TokenizedExamples:
    """The examples as tokens, made once by the first process, for the others and for a resume."""
    kept = job.scratch / TOKENS
    if accelerator.is_main_process:
        if os.path.lexists(kept) and (fault := manifest.fault(kept)) is not None:
            log(f"the tokenized examples in {kept} are made again, for {fault}")
            manifest.remove(kept)
        if not kept.is_dir():
            tokenize(read_jsonl(job.examples, Example), tokenizer, job.config, job.title).save(kept)
    accelerator.wait_for_everyone()
    return TokenizedExamples.load(kept)


class Metrics:
    """The rows of one training, in `metrics.jsonl`, on the bar and in trackers. Reading a loss waits for the device."""

    def __init__(self, job: Job, trainer: Trainer, bar: Bar, reports: Reports) -> None:
        self.job, self.trainer, self.bar, self.reports = job, trainer, bar, reports
        self.since, self._tokens = time.monotonic(), trainer.progress.tokens
        self._pending: list[tuple[Step, Progress, float]] = []

    def add(self, result: Step, learning_rate: float) -> None:
        """Keeps the step that the trainer just took for the next report, and moves the bar."""
        self._pending.append((result, self.trainer.progress, learning_rate))
        self.bar.advance(1)

    def write(self) -> None:
        """Writes the rows of the steps since the last report, and shows the loss. ModelError if it is not finite."""
        now = time.monotonic()
        tokens_per_second = (self.trainer.progress.tokens - self._tokens) / max(now - self.since, 1e-9)
        rows = [self._row(*step, round(tokens_per_second, 1)) for step in self._pending]
        if self.trainer.accelerator.is_main_process:
            with (self.job.scratch / METRICS).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            self.reports.report(rows)
        self.bar.advance(0, f"loss {rows[-1]['loss']:.3f}  {tokens_per_second:,.0f} tokens/s")
        self._pending, self.since = [], now

    def _row(self, result: Step, seen: Progress, rate: float, tokens_per_second: float) -> dict[str, float]:
        loss, norm = float(result.loss), float(result.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ModelError(
                f"training diverged at step {seen.step} (loss {loss:.4g}, gradient norm {norm:.4g}); lower the "
                f"learning_rate of {self.job.title} (it is {self.job.config.learning_rate:g}), or set precision=float32"
            )
        of_step, self._tokens = seen.tokens - self._tokens, seen.tokens
        return {
            **to_values(seen),
            "learning_rate": rate,
            "step_tokens": of_step,
            "loss": loss,
            "gradient_norm": norm,
            "tokens_per_second": tokens_per_second,
        }


def _summary(job: Job, trainer: Trainer, examples: TokenizedExamples) -> dict[str, object]:
    """What a stage was trained on, for `results.json` and for people."""
    losses = [json.loads(line)["loss"] for line in (job.scratch / METRICS).read_text(encoding="utf-8").splitlines()]
    edge = max(1, min(10, len(losses) // 4))
    return {
        "title": job.title,
        "examples": len(examples),
        "examples_by_language": examples.by_language("examples"),
        "tokens_by_language": examples.by_language("tokens"),
        "mixture": examples.mixture,
        "too_long": examples.too_long,
        "steps": trainer.progress.step,
        "tokens": trainer.progress.tokens,
        "supervised_tokens": trainer.progress.supervised,
        "first_loss": round(sum(losses[:edge]) / edge, 4),
        "last_loss": round(sum(losses[-edge:]) / edge, 4),
        "config": asdict(job.config),
    }
