"""Some steps of training and some answers, to measure a machine: `qalign plan --measure`.

The tokens are random, as long as those of the stage. A process of its own takes the steps, so that its memory is that of
training alone: `python -m qalign.systems.trial TRIAL.json` prints a JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ModelError
from ..generation import DecodingConfig, Request
from ..placement import Placement
from ..records import write_json
from ..terminal import say
from ..training.config import TrainingConfig
from ..training.memory import Shape
from ..untrusted import parse_json, printable
from .amounts import first_model
from .costs import Cost, base_of
from .fit import origin
from .stages import training_config

if TYPE_CHECKING:
    from ..training.batches import TokenizedExamples

SECONDS, FEWEST, MOST = 5.0, 2, 40
"""Steps are taken for so many seconds, but so many at the fewest and at the most."""
WARM_UP = 4
"""The examples of the first steps, whose time says how many a step may have for two to be taken in that time."""
SHARED = 37
"""The tokens that all prompts begin with, as those of GSM8K under LLaMA's tokenizer."""
SPREAD = 0.35
"""The standard deviation of lengths, over their mean, in the published corpora."""
QUESTIONS, PROMPT, ANSWER = 256, 120, 48
"""Of the answers that are measured: how many, and the tokens of a prompt and of an answer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: a model folder, or (None) random weights of a shape; examples of a mean length.

    `decoding` None measures training only.
    """

    model: Path | None
    shape: Shape
    config: TrainingConfig
    placement: Placement
    tokens: float
    supervised: float
    decoding: DecodingConfig | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second of training and of answers (None: not measured), and the bytes of the peak of training."""

    training: float
    generation: float | None
    bytes: float


def measure(trial: Trial) -> Rates:
    """The rates of this machine.

    Raises:
        ModelError: the trial failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.json"
        write_json(path, json.loads(json.dumps(dataclasses.asdict(trial), default=str)))
        done = subprocess.run([sys.executable, "-m", __name__, str(path)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        said = printable((done.stderr.strip().splitlines() or ["nothing was said"])[-1])
        raise ModelError(f"measuring failed ({said}); leave out --measure")
    return msgspec.convert(parse_json(lines[-1].encode(), "the measured rates"), Rates)


def measured(found: Sequence[Cost], runs: Path, placement: Placement) -> list[Cost]:
    """The costs with the seconds that this machine takes, each kind of training tried once; a line says so."""
    rates: dict[str, Rates] = {}
    decoding = {
        first_model(cost.stage.inputs["model"]).fingerprint: DecodingConfig(**cost.stage.config["decoding"])
        for cost in found
        if cost.stage.name.startswith("generate-")
    }
    timed = []
    for cost in found:
        if not cost.stage.name.startswith("train-") or cost.amount is None or cost.fit is None or cost.fit.fault:
            timed.append(cost)
            continue
        base = base_of(cost.stage.inputs["model"], runs)
        assert base is not None and base.shape is not None and cost.tokens is not None, "it has been found to fit"
        first = first_model(cost.stage).fingerprint
        say(f"qalign: measuring {cost.stage.folder_name} on this machine")
        trial = Trial(
            origin(cost.stage.inputs["model"], runs), base.shape, training_config(cost.stage.config), placement,
            cost.amount.tokens / cost.amount.examples, cost.amount.supervised, decoding.pop(first, None),
        )  # fmt: skip
        found_rates = measure(trial)
        if found_rates.generation is not None:
            rates[first] = found_rates
        timed.append(replace(cost, seconds=cost.tokens / found_rates.training))
    return [_answered(cost, rates) for cost in timed]


def _answered(cost: Cost, rates: Mapping[str, Rates]) -> Cost:
    if not cost.stage.name.startswith("generate-") or cost.tokens is None:
        return cost
    rate = rates.get(first_model(cost.stage.inputs["model"]).fingerprint)
    return replace(cost, seconds=cost.tokens / rate.generation) if rate and rate.generation else cost


def _main() -> None:
    values = parse_json(Path(sys.argv[1]).read_bytes(), sys.argv[1])
    trial = msgspec.convert(values, Trial, dec_hook=lambda kind, value: kind(value))
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(dataclasses.asdict(_measured(trial, Path(scratch)))), flush=True)


def _measured(trial: Trial, scratch: Path) -> Rates:
    from ..models.attention import without_planned_attention
    from ..training.accelerator import keep_freed_memory, make_accelerator

    keep_freed_memory()
    without_planned_attention()
    placement = replace(trial.placement, trackers=(), quiet=True)
    accelerator = make_accelerator(trial.config, placement, scratch / "out", scratch)
    rate, used = _training(trial, placement, accelerator, scratch)
    generation = None if trial.decoding is None else _generation(trial, placement, str(accelerator.device.type))
    return Rates(rate, generation, used)


def _training(trial: Trial, placement: Placement, accelerator: Any, scratch: Path) -> tuple[float, float]:
    """Tokens a second, and the bytes of the peak."""
    import torch

    from ..training import prefix
    from ..training.accelerator import compile_blocks
    from ..training.adapter import with_adapter
    from ..training.loop import Job, one_step
    from ..training.loss import SupervisedLoss
    from ..training.memory import settle
    from ..training.optimizer import make_optimizer

    model, config = _model(trial, torch.float32), trial.config
    data = _examples(trial, config.global_batch_size)
    if data.common_prefix >= prefix.FEWEST and prefix.share(model, max(data.lengths)):
        data.shared = data.common_prefix
    if config.adapter is not None:
        model = with_adapter(model, config.adapter)
    placement = settle(placement, accelerator, model, config, data.supervised_share, data.repeated_share)
    if placement.activation_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    if placement.compile:
        compile_blocks(model, accelerator.device)
    loss = SupervisedLoss(model)
    model, optimizer = accelerator.prepare(model, make_optimizer(model, config))
    job = Job("trial", Path(), Path(), scratch, scratch, config, placement)
    cuda = accelerator.device.type == "cuda"

    def step(count: int) -> float:
        """Takes a step over the first so many examples; returns its seconds."""
        begun = time.perf_counter()
        supervised = sum(data.supervised[:count])
        one_step(accelerator, model, optimizer, loss, data, data.lengths, range(count), supervised, job, 0)
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    few = min(WARM_UP, len(data))
    step(few)  # kernels are planned
    count = min(len(data), max(few, int(few * SECONDS / FEWEST / step(few))))
    seconds = [step(count)]
    while len(seconds) < FEWEST or (sum(seconds) < SECONDS and len(seconds) < MOST):
        seconds.append(step(count))
    used = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10
    loss.remove()
    return len(seconds) * sum(data.lengths[:count]) / sum(seconds), float(used)


def _generation(trial: Trial, placement: Placement, device: str) -> float:
    """Tokens a second of answers to random prompts, all of the same length."""
    import torch

    from ..generation.local import Local, device_memory, loops_at_once, rows_at_once

    assert trial.decoding is not None
    model = _model(trial, getattr(torch, trial.decoding.precision)).to(device)
    model.generation_config.eos_token_id = None
    rows = placement.batch_size or rows_at_once(model, trial.decoding.max_new_tokens, device_memory(device))
    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(3, trial.shape.vocabulary, (QUESTIONS, PROMPT), generator=draw).tolist()
    backend = Local(
        model, _Numbers(prompts), DecodingConfig(ANSWER, precision=trial.decoding.precision), rows, loops_at_once(model)
    )
    backend.ends = [trial.shape.vocabulary]  # no token: answers go on to the limit
    requests = [Request(str(place), str(place)) for place in range(QUESTIONS)]
    for _ in backend.generate(requests[:8]):  # to warm up
        pass
    begun = time.perf_counter()
    tokens = sum(answer.tokens for answer in backend.generate(requests))
    return tokens / (time.perf_counter() - begun)


class _Numbers:
    """As much of a tokenizer as answers need that nobody reads: a text is the number of its prompt."""

    eos_token_id, bos_token_id, pad_token_id, name_or_path = 2, 1, 0, "numbers"

    def __init__(self, prompts: Sequence[list[int]]) -> None:
        self.prompts = prompts

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        keys = (text.partition("### Instruction:\n")[2].partition("\n")[0] for text in texts)
        return {"input_ids": [self.prompts[int(key)] for key in keys]}

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))


def _model(trial: Trial, dtype: Any) -> Any:
    """The model of the folder, or one of the same shape with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ..models.opening import load_model

    if trial.model is not None:
        return load_model(trial.model, dtype)
    shape = trial.shape
    heads = next(
        heads for heads in (shape.hidden // 128, shape.hidden // 32, 1) if heads and not shape.hidden % (2 * heads)
    )
    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.blocks, num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=4096,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(dtype)


def _examples(trial: Trial, count: int) -> TokenizedExamples:
    """Random tokens, the first of them the same in all examples; lengths spread about the mean."""
    import numpy as np

    from ..training.batches import TokenizedExamples

    draw, limit = np.random.default_rng(0), trial.config.max_length
    drawn = draw.normal(trial.tokens, SPREAD * trial.tokens, count)
    shared = min(SHARED, max(1, int(trial.tokens / 2)))
    lengths = np.clip(drawn * (trial.tokens / max(drawn.mean(), 1)), shared + 3, max(limit, shared + 3)).astype(
        np.int64
    )
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = draw.integers(3, trial.shape.vocabulary, int(starts[-1])).astype(np.int32)
    prompts = np.clip(np.round((1 - trial.supervised) * lengths), shared + 1, lengths - 1).astype(np.int32)
    for start in starts[:-1]:
        ids[start : start + shared] = 7
    return TokenizedExamples(ids, starts, prompts)


if __name__ == "__main__":
    _main()
