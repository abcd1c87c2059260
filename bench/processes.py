"""Two training processes beside one: useful tokens a second of one process of one thread and of two, the same steps.

    python bench/processes.py --data FOLDER

A 20M model on real question-alignment data, on the CPU; gradients are exchanged over gloo, once a step. Beside it what two
processes that exchange nothing gain on this machine: the same training by each for itself, plain matrix products of the
model's sizes, and passes over memory.
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
from dataclasses import dataclass
from pathlib import Path

import common
import data

import models
from qalign.placement import Placement
from qalign.records import write_jsonl
from qalign.training.config import METRICS, TrainingConfig
from qalign.training.launch import job_to_json, launch
from qalign.training.loop import Job

SHAPE = models.SHAPES["20m"]
ONE, TWO = "one process of one thread", "two processes of one thread"
UNCONNECTED = "two that exchange nothing"


@dataclass(frozen=True)
class Stage:
    """What is trained, and where."""

    base: Path
    examples: Path
    config: TrainingConfig
    scratch: Path

    def together(self) -> common.Measured:
        """Two processes on the same steps, as a run launches them."""
        job = self._job("together", processes=2)
        launch(job)
        return _measured(job)

    def apart(self, processes: int) -> common.Measured:
        """So many processes at once, each for itself on all of the steps; their rates add up."""
        jobs = [self._job(f"apart-{number}", processes=1) for number in range(processes)]
        running = []
        for job in jobs:
            path = job.scratch / "job.json"
            path.write_text(job_to_json(job), encoding="utf-8")
            running.append(subprocess.Popen([sys.executable, "-m", "qalign.training.launch", str(path)]))
        for process in running:
            if process.wait() != 0:
                raise SystemExit("a process failed; its message stands above")
        found = [_measured(job) for job in jobs]
        return {**found[0], "tokens_per_second": sum(one["tokens_per_second"] for one in found)}

    def _job(self, name: str, processes: int) -> Job:
        output, work = self.scratch / name / "trained", self.scratch / name / "work"
        shutil.rmtree(self.scratch / name, ignore_errors=True)
        for folder in (output, work):
            folder.mkdir(parents=True)
        placement = Placement(runs=self.scratch, device="cpu", trackers=(), quiet=True, processes=processes)
        return Job(
            title="bench",
            model=self.base,
            examples=self.examples,
            output=output,
            scratch=work,
            config=self.config,
            placement=placement,
        )


def _measured(job: Job) -> common.Measured:
    """By the steps' own clock, without the start of processes."""
    rows = [json.loads(line) for line in (job.output / METRICS).read_text(encoding="utf-8").splitlines()]
    seconds = sum(row["step_tokens"] / row["tokens_per_second"] for row in rows)
    return {"tokens_per_second": rows[-1]["tokens"] / seconds, "last_loss": rows[-1]["loss"]}


def probes(processes: int) -> common.Measured:
    """What so many processes of one thread do at once, each for itself: arithmetic, and bytes read and written."""
    command = [sys.executable, __file__, "--probe"]
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
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
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
        stage = Stage(base, examples, config, scratch)
        sides = {
            ONE: lambda: stage.apart(1) | probes(1),
            TWO: lambda: stage.together() | probes(2),
            UNCONNECTED: lambda: stage.apart(2),
        }
        rounds = common.take_turns(sides, options.repeats)
    text = table(rounds)
    if options.no_publish:
        print(text)
    else:
        common.publish("processes", {"rounds": rounds}, text)


def table(rounds: dict[str, list[common.Measured]]) -> str:
    """A row a side, in medians, then what two gained over one in the same round."""
    rows = [
        [
            name,
            f"{found['tokens_per_second']:,.0f}",
            f"{found['last_loss']:.5f}",
            f"{found['gflops']:,.0f} GFLOP/s" if "gflops" in found else "",
            f"{found['gib']:,.1f} GiB/s" if "gib" in found else "",
        ]
        for name, found in common.medians(rounds).items()
    ]

    def gained(figure: str, side: str) -> str:
        return f"{common.ratio(rounds, figure, side, ONE):.2f}"

    rows.append([f"{TWO}, ratio", gained("tokens_per_second", TWO), "", gained("gflops", TWO), gained("gib", TWO)])
    rows.append([f"{UNCONNECTED}, ratio", gained("tokens_per_second", UNCONNECTED), "", "", ""])
    return common.table(["", "useful tokens/s", "last loss", "plain products", "passes over memory"], rows)


if __name__ == "__main__":
    main()
