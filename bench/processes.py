"""Two training processes beside one: useful tokens a second of one process of one thread and of two, the same steps.

    python bench/processes.py --data FOLDER

A 20M model on real question-alignment data, on the CPU; gradients are exchanged over gloo, once a step. Beside it what two
processes that exchange nothing gain on this machine: plain matrix products of the model's sizes, and passes over memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import data
import models

from qalign.placement import Placement
from qalign.records import write_jsonl
from qalign.training.config import METRICS, TrainingConfig
from qalign.training.launch import launch
from qalign.training.loop import Job

SHAPE = models.SHAPES["20m"]
NAMES = {1: "one process of one thread", 2: "two processes of one thread"}


def side(processes: int, base: Path, examples: Path, config: TrainingConfig, scratch: Path) -> common.Measured:
    """The stage as a run launches it; the steps' own clock, without the start of processes."""
    output, work = scratch / "trained", scratch / "work"
    for folder in (output, work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    placement = Placement(runs=scratch, device="cpu", trackers=(), quiet=True, processes=processes)
    launch(Job("bench", base, examples, output, work, config, placement))
    rows = [json.loads(line) for line in (output / METRICS).read_text(encoding="utf-8").splitlines()]
    seconds = sum(row["step_tokens"] / row["tokens_per_second"] for row in rows)
    return {"tokens_per_second": rows[-1]["tokens"] / seconds, "last_loss": rows[-1]["loss"]}


def apart(processes: int) -> common.Measured:
    """What so many processes of one thread do at once, each for itself: arithmetic, and bytes read and written."""
    command = [sys.executable, __file__, "--apart"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    found = [json.loads(process.communicate()[0]) for process in started]
    return {name: sum(one[name] for one in found) for name in found[0]}


def by_itself(seconds: float = 5.0) -> common.Measured:
    """The rates of this process."""
    import torch

    from training import matrix_product_rate, products

    torch.set_num_threads(1)
    gflops = matrix_product_rate(products(SHAPE, tokens=4096, supervised=1024), seconds) / 1e9
    there, passes = torch.zeros(2**26), 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        there.add_(1.0)
        passes += 1
    return {"gflops": gflops, "gib": passes * 2 * there.nbytes / 2**30 / (time.perf_counter() - begun)}


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with local copies of the corpora")
    parser.add_argument("--steps", type=int, default=2, help="of 128 examples (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.apart:
        print(json.dumps(by_itself()))
        return
    if options.data is None:
        parser.error("give --data")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes; this one counts before torch is there

    import torch

    torch.set_num_threads(1)
    config = TrainingConfig(
        learning_rate=1e-3, warmup_ratio=0.0, epochs=1, max_steps=options.steps, precision="float32", max_length=1024,
        too_long="drop",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        prepared = data.examples(options.data, scratch / "runs")
        vocabulary = models.make_tokenizer(data.texts(prepared), SHAPE.vocabulary, scratch / "tokenizer")
        base = models.make_base(SHAPE, vocabulary, scratch / "base")
        examples = scratch / "examples.jsonl"
        rows = prepared["question alignment"]
        write_jsonl(examples, random.Random(0).sample(rows, config.global_batch_size * options.steps))
        rounds = common.take_turns(
            {
                name: lambda count=count: side(count, base, examples, config, scratch) | apart(count)
                for count, name in NAMES.items()
            },
            options.repeats,
        )
    middle = common.medians(rounds)
    figures = {"tokens_per_second": "useful tokens/s", "gflops": "plain products", "gib": "passes over memory"}
    rows = [
        [
            name,
            f"{found['tokens_per_second']:,.0f}",
            f"{found['last_loss']:.5f}",
            f"{found['gflops']:,.0f} GFLOP/s",
            f"{found['gib']:,.1f} GiB/s",
        ]
        for name, found in middle.items()
    ]
    gained = [f"{common.ratio(rounds, figure, NAMES[2], NAMES[1]):.2f}" for figure in figures]
    rows.append(["ratio", gained[0], "", *gained[1:]])
    words = list(figures.values())
    text = common.table(["", words[0], "last loss", *words[1:]], rows)
    if options.no_publish:
        print(text)
    else:
        common.publish("processes", {"rounds": rounds}, text)


if __name__ == "__main__":
    main()
