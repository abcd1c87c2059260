"""The training of a stage: a step for each global batch, then a folder with the model.

A training that was interrupted goes on from its last checkpoint. The same seed gives the same batches on any number of
devices and after a resume.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.opening import check_length, check_vocabulary, load_model, load_tokenizer_as_saved, resolve
from ..placement import Placement
from ..progress import Bar
from ..records import Example, read_jsonl, write_json
from ..terminal import log
from . import manifest
from .accelerator import make_accelerator
from .batches import Batch, GlobalBatches
from .checkpoints import Checkpoints
from .config import METRICS, SUMMARY, TrainingConfig
from .interruption import Interruption
from .metrics import STEPS_PER_REPORT, Metrics, summary
from .optimizer import learning_rate_factor
from .tokens import TokenizedExamples, tokenize
from .trainer import Trainer

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
    """The hyper-parameters."""
    placement: Placement
    """The execution settings."""


def finetune(job: Job) -> None:
    """Trains a model and writes it as an ordinary Hugging Face folder, with its metrics.

    An interrupted training goes on from its last checkpoint. On one process an interruption writes one, if that takes seconds.
    On several processes each of them calls this, and does its share.

    Raises:
        ModelError, DataError, SettingError: the base, the examples or a value cannot be used.
    """
    import torch

    config, metrics_file = job.config, job.scratch / METRICS
    accelerator = make_accelerator(config, job.placement, job.output.name.removesuffix(".partial"))
    title, quiet = job.placement.titled(job.title, job.scratch), job.placement.quiet or not accelerator.is_main_process
    if not quiet:
        log(f"  {title}: opens the model and encodes the examples")
    folder = resolve(job.model)
    check_vocabulary(folder)
    tokenizer = load_tokenizer_as_saved(folder)
    model = load_model(folder, torch.float32)  # before the tokens: a base that cannot be opened leaves nothing behind
    examples = _tokenized(job, tokenizer, accelerator)
    check_length(
        model, max(examples.lengths), f"set {job.title}.max_length lower, with {job.title}.too_long=drop or cut"
    )
    trainer = Trainer(model, config, job.placement, accelerator, examples)
    checkpoints = Checkpoints(trainer, job.scratch, manifest.digest(job.scratch / TOKENS))
    checkpoints.resume()
    batches, steps = GlobalBatches(len(examples), config), config.steps(len(examples))
    with (
        Bar(title, steps, trainer.progress.step, quiet=quiet) as bar,
        Interruption(title, checkpoints.seconds_to_save) as interruption,
    ):
        bar.advance(0, "the first steps are slow")
        metrics = Metrics(job.title, trainer, job.scratch, bar)
        for step in range(trainer.progress.step, steps):
            rate = config.learning_rate * learning_rate_factor(step, steps, config)
            metrics.add(trainer.step(Batch(examples, batches[step]), rate), rate)
            if (step + 1) % STEPS_PER_REPORT == 0 or step + 1 == steps or interruption.asked:
                metrics.write()
                asked = bool(interruption.asked)
                if (step + 1 < steps or asked) and checkpoints.save_if_due(at_once=asked):
                    metrics.restart_clock()
                if asked:
                    interruption.end()
    trainer.export(tokenizer, job.output)
    if accelerator.is_main_process:
        shutil.copyfile(metrics_file, job.output / METRICS)
        write_json(job.output / SUMMARY, summary(job.title, trainer, examples, metrics_file))
    trainer.close()


def _tokenized(job: Job, tokenizer: PreTrainedTokenizerBase, accelerator: Accelerator) -> TokenizedExamples:
    """The examples as tokens.

    The first process makes them once, for the others and for a resume.
    """
    kept = job.scratch / TOKENS
    if accelerator.is_main_process:
        fault = manifest.fault(kept) if os.path.lexists(kept) else None
        if fault is not None:
            log(f"the tokenized examples in {kept} are made again, for {fault}")
            kept.unlink() if kept.is_symlink() or not kept.is_dir() else shutil.rmtree(kept)
        if not kept.is_dir():
            tokenize(read_jsonl(job.examples, Example), tokenizer, job.config, job.title).save(kept)
    accelerator.wait_for_everyone()
    return TokenizedExamples.load(kept)
