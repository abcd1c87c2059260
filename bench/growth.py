"""How time and memory grow: a training step with its tokens and with their length, generation with the number of questions.

    python bench/growth.py

Random tokens and random weights: a LLaMA of 20M parameters takes steps, one of 1M answers, each size in a process of its
own. Memory is the most that the process held, less what it held before. Beside the memory of a step stands what
`qalign.training.memory` predicts for it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import common

import models

TRAINING, GENERATION = "20m", "1m"
LENGTH, TOKENS = 256, 8192
STEPS = [(tokens, LENGTH) for tokens in (512, 2048, 8192, 16384)] + [(TOKENS, length) for length in (64, 1024, 4096)]
QUESTIONS = (256, 512, 1024, 2048)
ROWS = 128


def step(tokens: int, length: int) -> common.Measured:
    """Forward and backward over one micro-batch of rows of one length, half of it supervised."""
    import torch
    from accelerate import Accelerator
    from gpu import examples_of
    from transformers import LlamaForCausalLM

    from qalign.placement import Placement
    from qalign.training.accelerator import keep_freed_memory
    from qalign.training.batches import Batch
    from qalign.training.config import TrainingConfig
    from qalign.training.memory import BYTES_PER_FROZEN, predict, shape_of, workload
    from qalign.training.trainer import Trainer

    keep_freed_memory()
    shape = models.SHAPES[TRAINING]
    model = LlamaForCausalLM(models.config_of(shape))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    config = TrainingConfig(precision="float32")
    work = workload(model, config)
    trainer = Trainer(model, config, Placement(tokens_per_micro_batch=tokens), Accelerator(cpu=True))
    data = examples_of([(length // 2, length)] * (tokens // length), shape.vocabulary)
    batch = Batch(data, range(len(data)))
    trainer.backward(Batch(examples_of([(16, 32)], shape.vocabulary), [0]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    trainer.backward(batch)
    first = time.perf_counter() - begun
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        trainer.backward(batch)
        seconds.append(time.perf_counter() - begun)
    needed = predict(shape_of(model.config.to_dict()), work, compiled=False, checkpointing=False)
    return {
        "tokens": tokens,
        "length": length,
        "seconds": min(first, *seconds),
        "mib": held / 2**10,
        "predicted_mib": tokens * needed.per_token / 2**20,
        "weights_mib": parameters * BYTES_PER_FROZEN / 2**20,
    }


def answers(questions: int) -> common.Measured:
    """Answers of 8 to 64 tokens to prompts of 32 to 128."""
    import torch
    from gpu_generation import NumberTokenizer
    from transformers import LlamaForCausalLM

    from generation import OfGivenLengths
    from qalign.generation.local import Local
    from qalign.generation.protocol import DecodingConfig, Request

    shape, draw = models.SHAPES[GENERATION], random.Random(0)
    torch.manual_seed(0)
    model = LlamaForCausalLM(models.config_of(shape))
    prompts = {
        f"q{place}": [draw.randrange(3, shape.vocabulary) for _ in range(draw.randint(32, 128))]
        for place in range(questions)
    }
    lengths = {key: draw.randint(8, 64) for key in prompts}
    backend = OfGivenLengths(Local(model, NumberTokenizer(prompts), DecodingConfig(max_new_tokens=65), ROWS), lengths)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    made = sum(1 for _ in backend.generate([Request(key, key) for key in prompts]))
    seconds = time.perf_counter() - begun
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"questions": made, "seconds": seconds, "mib": held / 2**10}


def one(*arguments: object) -> common.Measured:
    """Measures in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--one", *map(str, arguments)]
    found: common.Measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(found, flush=True)
    return found


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sizes = [int(value) for value in options.one]
        print(json.dumps(step(*sizes) if len(sizes) == 2 else answers(*sizes)))
        return
    steps = [one(tokens, length) for tokens, length in STEPS]
    answered = [one(questions) for questions in QUESTIONS]
    text = tables(steps, answered)
    if options.no_publish:
        print(text)
    else:
        common.publish("growth", {"steps": steps, "answers": answered}, text)


def tables(steps: list[common.Measured], answered: list[common.Measured]) -> str:
    """A table of steps and one of answers."""
    first = common.table(
        ["tokens at once", "sequence length", "time", "a token", "memory", "predicted"],
        [
            [
                f"{row['tokens']:,}",
                f"{row['length']:,}",
                f"{row['seconds']:.2f} s",
                f"{row['seconds'] / row['tokens'] * 1e6:,.0f} µs",
                f"{row['mib']:,.0f} MiB",
                f"{row['predicted_mib']:,.0f} MiB",
            ]
            for row in steps
        ],
    )
    second = common.table(
        ["questions", "time", "a question", "memory"],
        [
            [
                f"{row['questions']:,}",
                f"{row['seconds']:.1f} s",
                f"{row['seconds'] / row['questions'] * 1e3:.1f} ms",
                f"{row['mib']:,.0f} MiB",
            ]
            for row in answered
        ],
    )
    return f"{first}\n\n{second}"


if __name__ == "__main__":
    main()
