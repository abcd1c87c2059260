"""Some steps of training and some answers, to measure a machine: `qalign plan --measure`.

The tokens are random, as long as those of the stage. A process of its own takes the steps, so that its memory is that of
training alone: `python -m qalign.systems.trial` reads and prints a JSON object.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import ModelError
from ..generation import DecodingConfig, Request
from ..placement import Placement
from ..resources import cores, cores_by_affinity
from ..terminal import say
from ..training.config import TrainingConfig
from ..training.memory import Shape
from ..untrusted import printable
from .ask import Ask
from .bases import WORLD_FOLDER, MakeTinyModel, first_model, origin
from .costs import Cost, checkpoints_written, most_disk, questions
from .kinds import Training

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from ..training.tokens import TokenizedExamples
    from ..training.trainer import Trainer

BEGUN = time.perf_counter()
SECONDS, FEWEST, MOST = 5.0, 2, 40
"""Steps are taken for so many seconds, but so many at the fewest and at the most."""
WARM_UP = 4
"""The examples of the first steps, whose time says how many a step may have for two to be taken in that time."""
SHARED = 37
"""The tokens that all prompts begin with, under LLaMA's tokenizer, which stands for one that is not there."""
SPREAD = 0.35
"""The standard deviation of lengths, over their mean, in the published corpora."""
QUESTIONS, ANSWER = 512, 48
"""The most answers that are measured, and the most tokens of one."""
WHOLE = 2**30
"""Bytes up to which a checkpoint is written to be timed; the time of a larger one follows from that of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: a model folder, or random weights of the shape; without decoding, training only."""

    model: Path | None
    shape: Shape
    config: TrainingConfig
    placement: Placement
    tokens: float
    """The mean tokens of an example."""
    supervised: float
    decoding: DecodingConfig | None = None
    questions: int = QUESTIONS
    answer: int = ANSWER
    heads: int | None = None
    """Those of random weights: of width 128 where None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What was measured: tokens a second of training, and of answers where these were asked for."""

    training: float
    generation: float | None
    start: float
    """Seconds from the start of the process to the end of the first step: libraries, model, optimizer, compiling."""
    checkpoint: float
    opening: float = 0.0
    """Seconds to open the model and its tokenizer before it answers; those of a checkpoint are to write it."""


def measure(trial: Trial) -> Rates:
    """The rates of this machine. Raises ModelError where the trial failed."""
    command, given = [sys.executable, "-m", __name__], msgspec.json.encode(trial, enc_hook=str)
    done = subprocess.run(command, input=given, capture_output=True, env=_environment(trial.placement))
    try:
        return msgspec.json.decode((done.stdout.splitlines() or [b""])[-1], type=Rates)
    except ValueError as error:
        said = printable((done.stderr.decode(errors="replace").strip().splitlines() or ["nothing was said"])[-1])
        raise ModelError(f"measuring failed ({said}); leave out --measure") from error


def _environment(placement: Placement) -> dict[str, str]:
    """The environment of a process that has as many threads as a stage of a run has."""
    threads = str(max(1, cores() // placement.jobs))
    if placement.jobs > 1:
        return {**os.environ, "OMP_NUM_THREADS": threads}
    return dict(os.environ) if cores() == cores_by_affinity() else {"OMP_NUM_THREADS": threads, **os.environ}


def measured(found: Sequence[Cost], runs: Path, placement: Placement) -> list[Cost]:
    """The costs with the seconds that this machine takes, each kind of training tried once; a line says so."""
    asks = {_base(cost): cost for cost in reversed(found) if _by_own_loop(cost)}
    answering: dict[str, Rates] = {}
    timed = []
    here = replace(placement, trackers=(), quiet=True, seconds_per_checkpoint=0.0)
    for cost in found:
        stage, base, amount = cost.stage, cost.base, cost.amount
        if isinstance(stage, Training) and amount and cost.fit and not cost.fit.fault:
            assert base is not None and base.shape is not None and cost.tokens is not None, "it has been found to fit"
            say(f"qalign: measuring {stage.folder_name} on this machine")
            first = first_model(stage.model)
            trial = Trial(
                model=origin(stage.model, runs), shape=base.shape, config=stage.hyper_parameters, placement=here,
                tokens=amount.tokens / amount.examples, supervised=amount.supervised,
                heads=first.tiny.heads if isinstance(first, MakeTinyModel) else None,
            )  # fmt: skip
            rates = measure(_with_answers(trial, asks.pop(_base(cost), None), runs))
            answering.setdefault(_base(cost), rates)  # the first of a base has answers
            # Its start, its steps, its checkpoints, and its model, which is written like one.
            seconds = cost.tokens / rates.training + cost.sampled / (answering[_base(cost)].generation or math.inf)
            every = placement.seconds_per_checkpoint
            written = checkpoints_written(stage.hyper_parameters.steps(amount.examples), seconds, every)
            most = most_disk(replace(cost, seconds=seconds), stage.hyper_parameters, placement)
            cost = replace(cost, seconds=rates.start + seconds + (written + 1) * rates.checkpoint, most=most)
        timed.append(cost)
    for place, cost in enumerate(timed):
        rate = answering.get(_base(cost)) if _by_own_loop(cost) else None
        if rate and rate.generation and cost.tokens is not None:
            timed[place] = replace(cost, seconds=rate.opening + cost.tokens / rate.generation)
    return timed


def _by_own_loop(cost: Cost) -> bool:
    """Whether a stage answers with the package's own loop, which is what is measured."""
    stage = cost.stage
    return isinstance(stage, Ask) and stage.decoding.backend == "transformers" and cost.tokens is not None


def _base(cost: Cost) -> str:
    """By what the base of a stage is known that trains or asks a model."""
    return first_model(cost.stage.model).fingerprint if isinstance(cost.stage, Training | Ask) else ""


def _with_answers(trial: Trial, cost: Cost | None, runs: Path) -> Trial:
    """The trial with answers such as a generation stage wants."""
    if cost is None or not isinstance(cost.stage, Ask) or not (asked := questions(cost.stage, runs)):
        return trial
    answer = max(1, min(round((cost.tokens or 0.0) / asked), ANSWER))
    return replace(trial, decoding=cost.stage.decoding, questions=min(asked, QUESTIONS), answer=answer)


# --- within the process that measures ---------------------------------------------------------------------------------


def _main() -> None:
    trial = msgspec.json.decode(sys.stdin.buffer.read(), type=Trial, dec_hook=lambda kind, value: kind(value))
    with tempfile.TemporaryDirectory() as scratch:
        rates, device = _training(trial, Path(scratch))
    rates = rates if trial.decoding is None else _generation(trial, device, rates)
    print(msgspec.json.encode(rates).decode(), flush=True)


def _training(trial: Trial, scratch: Path) -> tuple[Rates, str]:
    """The rates of training, and the kind of device."""
    import torch

    from ..training.accelerator import make_accelerator
    from ..training.batches import Batch
    from ..training.trainer import Trainer

    accelerator = make_accelerator(trial.config, trial.placement)
    examples = _examples(trial, trial.config.global_batch_size)
    trainer = Trainer(_model(trial, torch.float32), trial.config, trial.placement, accelerator, examples)
    cuda = accelerator.device.type == "cuda"

    def step(count: int) -> float:
        """Takes a step over the first examples. Returns its seconds."""
        begun = time.perf_counter()
        trainer.step(Batch(examples, range(count)))
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    few = min(WARM_UP, len(examples))
    step(few)  # kernels are planned, blocks are compiled
    start = time.perf_counter() - BEGUN
    count = min(len(examples), max(few, int(few * SECONDS / FEWEST / step(few))))
    seconds = [step(count)]
    while len(seconds) < FEWEST or (sum(seconds) < SECONDS and len(seconds) < MOST):
        seconds.append(step(count))
    rate = len(seconds) * sum(examples.lengths[:count]) / sum(seconds)
    rates = Rates(training=rate, generation=None, start=start, checkpoint=_checkpoint(trainer, scratch))
    return rates, str(accelerator.device.type)


def _checkpoint(trainer: Trainer, scratch: Path) -> float:
    """Seconds to write a checkpoint, its hashes included."""
    from ..training import manifest

    states = trainer.optimizer.state.values()
    tensors = [tensor for values in states for tensor in values.values() if hasattr(tensor, "nbytes")]
    size = sum(tensor.nbytes for tensor in (*trainer.model.parameters(), *tensors))
    begun = time.perf_counter()
    if size <= WHOLE:
        trainer.save(scratch / "state")
        return time.perf_counter() - begun
    (scratch / "part").mkdir()
    (scratch / "part" / "file").write_bytes(os.urandom(2**20) * 256)
    manifest.seal(scratch / "part")
    return float((time.perf_counter() - begun) * size / 2**28)


def _generation(trial: Trial, device: str, rates: Rates) -> Rates:
    """The rates with that of answers to random prompts, whose lengths spread as in a corpus behind a shared prefix."""
    import numpy as np
    import torch

    from ..generation.local import Local, captures, device_memory, loops_at_once, rows_at_once
    from ..models.opening import check_vocabulary, load_tokenizer

    assert trial.decoding is not None
    begun = time.perf_counter()
    folder = trial.model or WORLD_FOLDER  # a model that is not there yet has some tokenizer
    check_vocabulary(folder)
    load_tokenizer(folder)
    model = _model(trial, getattr(torch, trial.decoding.precision)).to(device)
    opening = time.perf_counter() - begun
    model.generation_config.eos_token_id = None
    rows = trial.placement.batch_size or rows_at_once(model, trial.decoding.max_new_tokens, device_memory(device))
    length = max(2, round((1 - trial.supervised) * trial.tokens))
    draw, shared = np.random.default_rng(0), min(_shared(trial), length // 2)
    positions = getattr(model.config, "max_position_embeddings", None) or 2 * length
    longest = max(shared + 1, min(2 * length, positions - 2 * trial.answer))
    asked = np.clip(draw.normal(length, SPREAD * length, trial.questions), shared + 1, longest).astype(int)
    prompts = [[7] * shared + draw.integers(3, trial.shape.vocabulary, n - shared).tolist() for n in asked]
    most = min(2 * trial.answer, trial.decoding.max_new_tokens)
    config = DecodingConfig(max_new_tokens=most, precision=trial.decoding.precision)
    spread = draw.normal(trial.answer, SPREAD * trial.answer, QUESTIONS)
    lengths = cycle(np.clip(spread, 1, max(1, most - 1)).tolist())
    wanted: dict[int, float] = {}
    """The length of each answer in the making, by the identity of its list."""

    class Ending(Local):
        """Ends answers at lengths that spread as in a corpus: at the end of a batch, few of its rows still go on."""

        def _stops(self, answer: Sequence[int]) -> bool:
            ends = len(answer) >= wanted.setdefault(id(answer), next(lengths))
            if ends:
                del wanted[id(answer)]
            return ends

    captured = captures(model, trial.placement)
    backend = Ending(model, _Numbers(prompts), config, rows, loops_at_once(model), captured)
    backend.ends = [trial.shape.vocabulary]  # no token: their lengths alone end answers
    requests = [Request(str(place), str(place)) for place in range(trial.questions)]
    list(backend.generate(requests if captured else requests[:8]))  # to warm up, and to capture
    begun = time.perf_counter()
    tokens = sum(answer.tokens for answer in backend.generate(requests))
    return replace(rates, generation=tokens / (time.perf_counter() - begun), opening=opening)


def _shared(trial: Trial) -> int:
    """The tokens that all prompts begin with."""
    from ..alignment.prompts import encode_prompts
    from ..generation.local import in_common
    from ..models.opening import load_tokenizer

    if trial.model is None and trial.heads is None:  # a published model that has not been fetched
        return SHARED
    tokenizer = load_tokenizer(trial.model or WORLD_FOLDER)
    return in_common(encode_prompts([Request(text, text).prompt for text in ("A", "B")], tokenizer))


class _Numbers:
    """As much of a tokenizer as answers need that nobody reads: a text is the number of its prompt."""

    eos_token_id, bos_token_id, pad_token_id, name_or_path = 2, 1, 0, "numbers"

    def __init__(self, prompts: Sequence[list[int]]) -> None:
        self.prompts = prompts

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        keys = (text.partition("### Instruction:\n")[2].partition("\n")[0] for text in texts)
        return {"input_ids": [self.prompts[int(key)] for key in keys]}

    def decode(self, ids: list[int], **_: object) -> str:
        return " ".join(map(str, ids))


def _model(trial: Trial, dtype: torch.dtype) -> PreTrainedModel:
    """The model of the folder, or one of the same shape with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ..models.opening import load_model

    if trial.model is not None:
        return load_model(trial.model, dtype)
    shape = trial.shape
    widths = (shape.hidden // 128, shape.hidden // 32, 1)
    heads = trial.heads or next(n for n in widths if n and not shape.hidden % (2 * n))
    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner, max_position_embeddings=4096,
        num_hidden_layers=shape.blocks, num_attention_heads=heads, num_key_value_heads=heads,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(dtype)


def _examples(trial: Trial, count: int) -> TokenizedExamples:
    """Random tokens, the first of them the same in all examples; lengths spread about the mean."""
    import numpy as np

    from ..training.tokens import TokenizedExamples

    draw = np.random.default_rng(0)
    shared = min(_shared(trial), max(1, int(trial.tokens / 2)))
    drawn = draw.normal(trial.tokens, SPREAD * trial.tokens, count)
    lengths = drawn * (trial.tokens / max(drawn.mean(), 1))
    lengths = np.clip(lengths, shared + 3, max(trial.config.max_length, shared + 3)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = draw.integers(3, trial.shape.vocabulary, int(starts[-1])).astype(np.int32)
    for start in starts[:-1]:
        ids[start : start + shared] = 7
    prompts = np.clip(np.round((1 - trial.supervised) * lengths), shared + 1, lengths - 1).astype(np.int32)
    return TokenizedExamples(ids=ids, starts=starts, prompt_tokens=prompts)


if __name__ == "__main__":
    _main()
