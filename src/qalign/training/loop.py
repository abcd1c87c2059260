"""The training loop, on accelerate.

A step: the global batch of the recipe, cut into micro-batches; the loss summed over the supervised tokens of all of them
and all ranks, divided by their number; the gradient clipped; AdamW; a cosine schedule with warm-up. The same seed gives
the same batches on any number of devices and after a resume.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..models.attention import without_planned_attention
from ..models.opening import (
    check_length,
    check_vocabulary,
    embeddings_of,
    load_model,
    load_tokenizer_as_saved,
    pad_id,
    resolve,
)
from ..models.saving import save
from ..placement import Placement
from ..progress import Bar
from ..records import Example, read_jsonl, write_json
from ..terminal import log
from . import checkpoints, manifest, prefix
from .accelerator import compile_blocks, is_sharded, keep_freed_memory, make_accelerator, reset
from .adapter import with_adapter
from .batches import GlobalBatches, TokenizedExamples, collate, micro_batches, tokenize
from .config import METRICS, SUMMARY, TrainingConfig
from .loss import SupervisedLoss
from .memory import ON_CPU, settle
from .optimizer import learning_rate_factor, make_optimizer, set_learning_rate

if TYPE_CHECKING:
    import torch

STEPS_PER_REPORT = 10
TOKENS = "tokens"
"""The folder beside the checkpoints with the tokenised examples."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training stage: what to train, on what, how, and where to put it. `title` is for people."""

    title: str
    model: Path
    examples: Path
    output: Path
    scratch: Path
    config: TrainingConfig
    placement: Placement


def finetune(job: Job) -> None:
    """Trains, or goes on from the last checkpoint, and leaves an ordinary Hugging Face folder with the stage's metrics.

    On several processes every one calls this; each does its share.

    Raises:
        ModelError, DataError, SettingError: the base, the examples or a value cannot be used.
    """
    import torch
    from accelerate.utils import set_seed

    config = job.config
    keep_freed_memory()
    without_planned_attention()
    accelerator = make_accelerator(job.config, job.placement, job.output, job.scratch)
    set_seed(config.seed)
    folder = resolve(job.model)
    check_vocabulary(folder)
    tokenizer = load_tokenizer_as_saved(folder)
    model = load_model(folder, torch.float32)  # first: a base that cannot be opened leaves nothing behind
    data = _tokenized(job, tokenizer, accelerator)
    pad = pad_id(tokenizer, embeddings_of(model))
    longest = max(data.lengths)
    check_length(model, longest, f"set {job.title}.max_length lower, with {job.title}.too_long=drop or cut")
    common = data.common_prefix
    drops = config.adapter is not None and config.adapter.dropout > 0  # each row draws its own
    if common >= prefix.FEWEST and not drops and prefix.share(model, longest):
        data.shared = common
    if config.adapter is not None:
        model = with_adapter(model, config.adapter)
    settled = settle(job.placement, accelerator, model, config, data.supervised_share, data.repeated_share)
    job = replace(job, placement=settled)
    if job.placement.activation_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    if job.placement.compile:
        compile_blocks(model, accelerator.device)

    loss = SupervisedLoss(model)
    total_steps = config.steps(len(data))
    model, optimizer = accelerator.prepare(model, make_optimizer(model, config))
    progress = _resumed(job, accelerator, model, optimizer)
    progress = _steps(job, accelerator, model, optimizer, loss, data, progress, total_steps, pad)

    loss.remove()
    accelerator.wait_for_everyone()
    trained = accelerator.unwrap_model(model)
    if data.shared:
        prefix.undo(trained)
    if config.adapter is not None:
        trained = trained.merge_and_unload()
    whole = accelerator.get_state_dict(model) if is_sharded(accelerator) else None  # all ranks give their parts
    if accelerator.is_main_process:
        save(trained, tokenizer, job.output, config.saved_precision, whole)
        shutil.copyfile(job.scratch / METRICS, job.output / METRICS)
        write_json(job.output / SUMMARY, _summary(job, data, progress))
    accelerator.wait_for_everyone()  # a process that ends while another one saves can take it down
    accelerator.end_training()
    reset()


def _tokenized(job: Job, tokenizer: Any, accelerator: Any) -> TokenizedExamples:
    """The examples as tokens: made once, by the first process, and kept for the others and for a resume."""
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


def _resumed(job: Job, accelerator: Any, model: Any, optimizer: Any) -> dict[str, int]:
    """Puts back the state of the last good checkpoint, if there is one; returns what was counted up to there."""
    checkpoint = checkpoints.agreed(accelerator, job.scratch, manifest.digest(job.scratch / TOKENS))
    if checkpoint is not None:
        return checkpoints.load(accelerator, model, optimizer, checkpoint)
    if accelerator.is_main_process:
        (job.scratch / METRICS).unlink(missing_ok=True)
    return {"step": 0, "tokens": 0, "supervised": 0}


def _steps(
    job: Job,
    accelerator: Any,
    model: Any,
    optimizer: Any,
    loss: SupervisedLoss,
    data: TokenizedExamples,
    progress: dict[str, int],
    total_steps: int,
    pad: int,
) -> dict[str, int]:
    """Runs the steps that are left; returns what was counted over all of them."""
    batches = GlobalBatches(len(data), job.config)
    lengths, supervised = data.lengths, data.supervised
    examples = manifest.digest(job.scratch / TOKENS)
    pending: list[tuple[dict[str, Any], torch.Tensor, torch.Tensor]] = []
    saved_at = reported_at = time.monotonic()
    with Bar(
        job.title, total_steps, progress["step"], quiet=job.placement.quiet or not accelerator.is_main_process
    ) as bar:
        for step in range(progress["step"], total_steps):
            indices = batches[step]
            step_supervised = sum(supervised[i] for i in indices)
            step_tokens = sum(lengths[i] for i in indices)
            rate = job.config.learning_rate * learning_rate_factor(step, total_steps, job.config)
            set_learning_rate(optimizer, rate)
            step_loss, norm = one_step(
                accelerator, model, optimizer, loss, data, lengths, indices, step_supervised, job, pad
            )
            progress = {
                "step": step + 1,
                "tokens": progress["tokens"] + step_tokens,
                "supervised": progress["supervised"] + step_supervised,
            }
            row = {**progress, "learning_rate": rate, "step_tokens": step_tokens}
            pending.append((row, step_loss, norm))
            if (step + 1) % STEPS_PER_REPORT == 0 or step + 1 == total_steps:
                now = time.monotonic()
                text = _report(job, accelerator, pending, now - reported_at)
                bar.advance(len(pending), text)
                pending, reported_at = [], now
                if step + 1 < total_steps and _due(accelerator, now - saved_at, job.placement.seconds_per_checkpoint):
                    checkpoints.save(accelerator, model, optimizer, job.scratch, progress, examples)
                    saved_at = reported_at = time.monotonic()
    return progress


def one_step(
    accelerator: Any,
    model: Any,
    optimizer: Any,
    loss: SupervisedLoss,
    data: TokenizedExamples,
    lengths: Sequence[int],
    indices: Sequence[int],
    supervised: int,
    job: Job,
    pad: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One optimiser step over the examples `indices`; returns the loss (mean over the step's `supervised` tokens of all
    ranks) and the gradient's norm before clipping, both float32 scalars on the device."""
    import torch

    summed = backward(accelerator, model, loss, data, lengths, indices, supervised, job.placement, pad)
    norm = accelerator.clip_grad_norm_(model.parameters(), job.config.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    return accelerator.reduce(summed, "sum") / supervised, torch.as_tensor(norm)


def backward(
    accelerator: Any,
    model: Any,
    loss: SupervisedLoss,
    data: TokenizedExamples,
    lengths: Sequence[int],
    indices: Sequence[int],
    supervised: int,
    placement: Placement,
    pad: int,
) -> torch.Tensor:
    """Accumulates the gradient of the mean loss over the step's `supervised` tokens in this rank's share of the
    micro-batches; returns this rank's summed loss. Gradients are exchanged once, with the last micro-batch; on shards with
    each."""
    import torch

    ranks = accelerator.num_processes
    budget = placement.tokens_per_micro_batch or ON_CPU
    mine = micro_batches(indices, lengths, budget, ranks, data.shared)[accelerator.process_index]
    summed = torch.zeros((), device=accelerator.device)
    for place, part in enumerate(mine):
        batch = collate(data, part, pad).to(accelerator.device)
        last = place == len(mine) - 1
        # Shards reduce with each micro-batch: a gradient that waits is whole, on every rank.
        with nullcontext() if last or is_sharded(accelerator) else accelerator.no_sync(model):
            part_loss = loss(model, batch)
            accelerator.backward(part_loss * (ranks / supervised))  # gradients are averaged over ranks: undone here
        summed += part_loss.detach()
    return summed


def _report(job: Job, accelerator: Any, pending: list[tuple[Any, Any, Any]], seconds: float) -> str:
    """Writes the metrics of the steps since the last report; returns a word for the bar."""
    tokens_per_second = sum(row["step_tokens"] for row, _, _ in pending) / max(seconds, 1e-9)
    rows = [
        {
            **row,
            "loss": float(step_loss),
            "gradient_norm": float(norm),
            "tokens_per_second": round(tokens_per_second, 1),
        }
        for row, step_loss, norm in pending
    ]
    for row in rows:
        if not (math.isfinite(row["loss"]) and math.isfinite(row["gradient_norm"])):
            raise ModelError(
                f"training diverged at step {row['step']} (loss {row['loss']:.4g}, gradient norm {row['gradient_norm']:.4g}); "
                f"lower the learning_rate of {job.title} (it is {job.config.learning_rate:g}), or set precision=float32"
            )
    if accelerator.is_main_process:
        with (job.scratch / METRICS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        for row in rows:
            accelerator.log({name: row[name] for name in ("loss", "learning_rate", "gradient_norm")}, step=row["step"])
    return f"loss {rows[-1]['loss']:.3f}  {tokens_per_second:,.0f} tokens/s"


def _due(accelerator: Any, seconds: float, limit: float) -> bool:
    """Whether it is time for a checkpoint; all ranks go by the first one's clock."""
    if accelerator.num_processes == 1:
        return seconds >= limit
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([seconds >= limit])[0])


def _summary(job: Job, data: TokenizedExamples, progress: dict[str, Any]) -> dict[str, Any]:
    """What the stage was trained on, for `results.json` and for people."""
    losses = [json.loads(line)["loss"] for line in (job.scratch / METRICS).read_text(encoding="utf-8").splitlines()]
    edge = max(1, min(10, len(losses) // 4))
    return {
        "title": job.title,
        "examples": len(data),
        "examples_by_language": dict(sorted(data.examples_by_language.items())),
        "tokens_by_language": dict(sorted(data.tokens_by_language.items())),
        "mixture": data.mixture,
        "too_long": data.too_long,
        "steps": progress["step"],
        "tokens": progress["tokens"],
        "supervised_tokens": progress["supervised"],
        "first_loss": round(sum(losses[:edge]) / edge, 4),
        "last_loss": round(sum(losses[-edge:]) / edge, 4),
        "config": asdict(job.config),
    }
