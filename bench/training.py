"""Training speed: the package beside the reference's way and beside trl, in useful tokens a second, on the same examples.

    python bench/training.py --data FOLDER                         # models of 1M, 20M and 100M parameters, on the CPU
    python bench/training.py --data FOLDER --profile               # where the package's time goes

Every side takes the same optimiser steps (the same 128 examples each, 64 for the 100M model) from the same weights, in
turns; trl, where it packs, cuts other steps from the same examples; litgpt, where `--litgpt` names the Python of an
environment that has it (`litgpt_side.py`), starts from random weights of its own. Useful tokens are those of the examples,
prompt and response, without padding. Arithmetic is counted on useful tokens (`models.Shape.training_flops`), for the package
also without what it reads once for many examples, and set against the rate of the same machine in plain matrix products of
the model's sizes, measured between the sides. All sides keep the memory that they free (`keep_freed_memory`): the package
does so by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import common
import data

import models
from qalign.models.opening import load_tokenizer_as_saved
from qalign.placement import Placement
from qalign.records import Example, write_jsonl
from qalign.training.accelerator import keep_freed_memory
from qalign.training.batches import GlobalBatches, micro_batches
from qalign.training.config import METRICS, TrainingConfig
from qalign.training.loop import Job, finetune
from qalign.training.memory import ON_CPU
from qalign.training.tokens import TokenizedExamples, tokenize

REFERENCE = "reference's way"
PACKAGE = "qalign"
TRL = {
    "trl, micro-batch 2": {},
    "trl, padding-free": {"padding_free": True},
    "trl, packed to 2,048": {"packing": True, "max_length": 2048},
}
LIMIT = "matrix products"
STEPS = {"1m": 4, "20m": 2, "100m": 2}
ROUNDS = {"1m": 3, "20m": 2, "100m": 1}
EXAMPLES = {"1m": 128, "20m": 128, "100m": 64}
"""Of a step: fewer for the largest, so that a round ends."""
LITGPT = "litgpt, micro-batch 2"
PARTS = {
    "matrix products": ("::mm", "::addmm", "::bmm", "mkldnn"),
    "attention": ("scaled_dot_product", "flash_attention"),
    "cross-entropy": ("CrossEntropy", "::exp_", "log_softmax", "nll_loss"),
    "zeroing, copies, gathering": (
        "zero",
        "fill",
        "copy",
        "clone",
        "cat",
        "index",
        "select",
        "embedding",
        "scatter",
        "pad",
    ),
    "optimizer and norm": ("adam", "Adam", "norm", "foreach"),
    "element by element": ("add", "mul", "div", "silu", "rsqrt", "pow", "mean", "sum", "neg", "sub", "sigmoid"),
}
"""Kinds of operators by parts of their names; what several would fit is of the first."""


class Trial:
    """One model on one dataset: the steps that every side takes."""

    def __init__(self, shape: models.Shape, base: Path, examples: Sequence[Example], steps: int, scratch: Path) -> None:
        self.shape, self.base, self.scratch = shape, base, scratch
        self.config = TrainingConfig(
            learning_rate=1e-3,
            warmup_ratio=0.0,  # from the first step on, so that losses tell whether sides learn the same
            max_steps=steps,
            epochs=1,
            precision="float32",
            max_length=1024,
            too_long="drop",
            global_batch_size=EXAMPLES[shape.name],
        )
        self.examples = scratch / "examples.jsonl"
        self.tokenizer = load_tokenizer_as_saved(base)
        whole = tokenize(examples[: self.config.global_batch_size * steps], self.tokenizer, self.config)
        write_jsonl(self.examples, examples[: self.config.global_batch_size * steps])
        self.tokenized: TokenizedExamples = whole
        batches = GlobalBatches(len(whole), self.config)
        self.order = [index for step in range(steps) for index in batches[step]]
        self.flops = shape.training_flops(whole.lengths, sum(whole.supervised))
        self.tokens = sum(whole.lengths)
        shared = whole.common_prefix
        spared = sum(
            len(rows) - 1
            for step in range(steps)
            for rows in micro_batches(batches[step], whole.lengths, ON_CPU, shared=shared)[0]
        )
        self.performed = self.flops - spared * shape.training_flops([shared], 0)

    def rows(self) -> list[tuple[list[int], int]]:
        """The examples as tokens with the length of their prompts, in the order that they are trained on."""
        whole = self.tokenized
        return [
            (whole.ids[whole.starts[i] : whole.starts[i + 1]].tolist(), int(whole.prompt_tokens[i])) for i in self.order
        ]

    def package(self) -> common.Measured:
        """`qalign.training` as a run uses it."""
        output, scratch = self.scratch / "trained", self.scratch / "work"
        for folder in (output, scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        placement = Placement(runs=self.scratch, device="cpu", trackers=(), quiet=True)
        job = Job(
            title="bench",
            model=self.base,
            examples=self.examples,
            output=output,
            scratch=scratch,
            config=self.config,
            placement=placement,
        )
        finetune(job)
        metrics = [json.loads(line) for line in (output / METRICS).read_text(encoding="utf-8").splitlines()]
        seconds = sum(row["step_tokens"] / row["tokens_per_second"] for row in metrics)
        measured = self._measured(seconds, [row["loss"] for row in metrics])
        return measured | {"performed_gflops": self.performed / seconds / 1e9}

    def reference(self) -> common.Measured:
        """transformers' Trainer: micro-batches of 2, each padded to its longer row, logits at every position."""
        import torch
        from transformers import AutoModelForCausalLM, DataCollatorForSeq2Seq, Trainer, TrainingArguments

        rows = [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * prompt + ids[prompt:]}
            for ids, prompt in self.rows()
        ]
        arguments = TrainingArguments(
            **self._arguments(),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=self.config.global_batch_size // 2,
        )
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        return self._run(
            _in_order(Trainer)(
                model,
                arguments,
                train_dataset=rows,
                data_collator=DataCollatorForSeq2Seq(self.tokenizer),
                processing_class=self.tokenizer,
            )
        )

    def trl(self, **options: Any) -> common.Measured:
        """trl's SFTTrainer on the same tokens. Packed, a step takes as many packs as hold its examples."""
        import torch
        from datasets import Dataset
        from transformers import AutoModelForCausalLM
        from trl import SFTConfig, SFTTrainer

        rows = self.rows()
        dataset = Dataset.from_list(
            [{"input_ids": ids, "completion_mask": [0] * prompt + [1] * (len(ids) - prompt)} for ids, prompt in rows]
        )
        steps = self.config.max_steps or 1
        packs = -(-self.tokens // (steps * 2048))
        packed = options.get("packing", False)
        config = SFTConfig(
            **self._arguments(),
            per_device_train_batch_size=1 if packed else 2,
            gradient_accumulation_steps=packs if packed else self.config.global_batch_size // 2,
            completion_only_loss=True,
            shuffle_dataset=False,
            **{"max_length": None, **options},
        )
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        trainer = _in_order(SFTTrainer)(model, config, train_dataset=dataset, processing_class=self.tokenizer)
        return self._run(trainer)

    def litgpt(self, python: str) -> common.Measured:
        """litgpt's full fine-tuning on the same tokens, in a process of its own."""
        asked = self.scratch / "litgpt.json"
        told = {
            "rows": self.rows(),
            "shape": dataclasses.asdict(self.shape),
            "tokenizer": str(self.base),
            "batch": self.config.global_batch_size,
            "micro_batch": 2,
            "steps": self.config.max_steps,
        }
        asked.write_text(json.dumps(told), encoding="utf-8")
        command = [python, str(Path(__file__).with_name("litgpt_side.py")), str(asked)]
        keeps = {"MALLOC_TRIM_THRESHOLD_": str(2**62), "MALLOC_MMAP_MAX_": "0"}  # the memory that is freed, as here
        on_cpu = {**os.environ, **keeps, "CUDA_VISIBLE_DEVICES": ""}
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=on_cpu).stdout.splitlines()
        seconds = json.loads(printed[-1])["seconds"]
        return {"tokens_per_second": self.tokens / seconds, "gflops": self.flops / seconds / 1e9}

    def profile(self) -> dict[str, float]:
        """The share of each of `PARTS` in the time that operators of the package take, and of all others."""
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            self.package()
        spent = dict.fromkeys([*PARTS, "others"], 0.0)
        for operator in profiler.key_averages():
            part = next(
                (part for part, names in PARTS.items() if any(name in operator.key for name in names)), "others"
            )
            spent[part] += operator.self_cpu_time_total
        whole = sum(spent.values())
        return {part: time / whole for part, time in spent.items()}

    def _arguments(self) -> dict[str, Any]:
        config = self.config
        return {
            "output_dir": str(self.scratch / "trainer"),
            "max_steps": config.max_steps,
            "learning_rate": config.learning_rate,
            "lr_scheduler_type": "cosine",
            "warmup_steps": config.warmup_ratio,
            "weight_decay": config.weight_decay,
            "max_grad_norm": config.max_grad_norm,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
            "bf16": False,
            "gradient_checkpointing": False,  # trl's default is to compute activations again
            "seed": config.seed,
        }

    def _run(self, trainer: Any) -> common.Measured:
        trainer.train()
        history = trainer.state.log_history
        seconds = next(row["train_runtime"] for row in reversed(history) if "train_runtime" in row)
        return self._measured(seconds, [row["loss"] for row in history if "loss" in row])

    def _measured(self, seconds: float, losses: Sequence[float]) -> common.Measured:
        by_step = {f"loss_{step}": loss for step, loss in enumerate(losses, start=1)}
        return {"tokens_per_second": self.tokens / seconds, "gflops": self.flops / seconds / 1e9} | by_step

    def limit(self) -> common.Measured:
        """The machine's rate in the model's products, at 4,096 tokens of which as many are supervised as of the examples."""
        supervised = round(4096 * sum(self.tokenized.supervised) / self.tokens)
        rate = matrix_product_rate(products(self.shape, 4096, supervised))
        return {"gflops": rate / 1e9, "tokens_per_second": self.tokens * rate / self.performed}


def products(shape: models.Shape, tokens: int, supervised: int) -> list[tuple[int, int, int, int]]:
    """The products of all blocks and of the projection: tokens, width of what goes in, of what comes out, and how many."""
    layers, hidden, inner = shape.layers, shape.hidden, shape.intermediate
    return [
        (tokens, hidden, hidden, 4 * layers),
        (tokens, hidden, inner, 2 * layers),
        (tokens, inner, hidden, layers),
        (supervised, hidden, shape.vocabulary, 1),
    ]


def matrix_product_rate(sizes: Sequence[tuple[int, int, int, int]], seconds: float = 2.0) -> float:
    """Floating-point operations a second of x @ w and of the two products of its gradient, for `products`."""
    import time

    import torch

    keep_freed_memory()
    flops = spent = 0.0
    operands = [
        (torch.randn(tokens, rows), torch.randn(rows, columns), torch.randn(tokens, columns), times)
        for tokens, rows, columns, times in sizes
    ]
    for x, w, gradient, _ in operands:  # once, to warm up
        x @ w, gradient @ w.T, x.T @ gradient
    while spent < seconds:
        begun = time.perf_counter()
        for x, w, gradient, times in operands:
            for _ in range(times):
                x @ w, gradient @ w.T, x.T @ gradient
        spent += time.perf_counter() - begun
        flops += sum(6.0 * tokens * rows * columns * times for tokens, rows, columns, times in sizes)
    return flops / spent


def _in_order(trainer: Any) -> Any:
    """A Trainer's class that takes its rows as they come."""
    from torch.utils.data import SequentialSampler

    class InOrder(trainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    return InOrder


def sides(trial: Trial, with_trl: bool, litgpt: str | None) -> dict[str, Callable[[], common.Measured]]:
    """What takes turns."""
    made: dict[str, Callable[[], common.Measured]] = {
        LIMIT: trial.limit,
        PACKAGE: trial.package,
        REFERENCE: trial.reference,
    }
    if with_trl:
        made |= {name: lambda options=options: trial.trl(**options) for name, options in TRL.items()}
    if litgpt:
        made[LITGPT] = lambda: trial.litgpt(litgpt)
    return made


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with local copies of the corpora")
    parser.add_argument("--models", default="1m,20m,100m", help="of 1m, 20m, 100m (%(default)s)")
    parser.add_argument("--repeats", type=int, help="rounds of each model (3 for 1m, 2 for 20m, 1 for 100m)")
    parser.add_argument("--no-trl", action="store_true", help="leave trl out")
    parser.add_argument("--litgpt", metavar="PYTHON", help="of an environment with litgpt: measure it too")
    parser.add_argument("--profile", action="store_true", help="where the package's time goes, and nothing else")
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        prepared = data.examples(options.data, scratch / "runs")
        for name in options.models.split(","):
            shape = models.SHAPES[name]
            model = models.make_tokenizer(
                data.texts(prepared), shape.vocabulary, scratch / f"tokenizer-{shape.vocabulary}"
            )
            base = models.make_base(shape, model, scratch / f"base-{name}")
            for dataset, examples in prepared.items():
                print(f"\n{name} on {dataset}", flush=True)
                folder = scratch / f"{name}-{dataset.replace(' ', '-')}"
                folder.mkdir()
                shuffled = _shuffled(examples)
                trial = Trial(shape, base, shuffled, STEPS[name], folder)
                if options.profile:
                    results[f"{name} on {dataset}"] = trial.profile()
                    continue
                rounds = common.take_turns(
                    sides(trial, not options.no_trl, options.litgpt), options.repeats or ROUNDS[name]
                )
                results[f"{name} on {dataset}"] = {
                    "tokens": trial.tokens,
                    "flops_per_token": trial.flops / trial.tokens,
                    "rounds": rounds,
                }
    name, text = ("training-profile", profile_table(results)) if options.profile else ("training", tables(results))
    if options.no_publish:
        print(text)
    else:
        common.publish(name, {"results": results}, text)


def _shuffled(examples: Sequence[Example]) -> list[Example]:
    import random

    return random.Random(0).sample(list(examples), len(examples))


def tables(results: dict[str, Any]) -> str:
    """Useful tokens a second by side, ratios; then the share of the machine's rate, and losses."""
    names = list(next(iter(results.values()))["rounds"])
    others = [name for name in names if name not in (LIMIT, PACKAGE)]
    speeds, uses = [], []
    for trial, found in results.items():
        rounds = found["rounds"]
        middle = common.medians(rounds)
        speeds.append(
            [
                trial,
                f"**{middle[PACKAGE]['tokens_per_second']:,.0f}**",
                *(
                    f"{middle[other]['tokens_per_second']:,.0f} "
                    f"({common.ratio(rounds, 'tokens_per_second', PACKAGE, other):.2f}x)"
                    for other in others
                ),
            ]
        )
        ours, theirs = middle[PACKAGE], middle[REFERENCE]
        steps = [figure for figure in ours if figure.startswith("loss_")]
        uses.append(
            [
                trial,
                f"{middle[LIMIT]['gflops']:,.0f} GFLOP/s",
                f"{common.ratio(rounds, 'gflops', PACKAGE, LIMIT):.0%}",
                f"{common.ratio(rounds, 'performed_gflops', PACKAGE, LIMIT, 'gflops'):.0%}",
                f"{common.ratio(rounds, 'tokens_per_second', LIMIT, REFERENCE):.1f}x",
                " ".join(f"{ours[step]:.4f}" for step in steps),
                f"{max(abs(ours[step] / theirs[step] - 1) for step in steps):.1e}",
            ]
        )
    used = ["model and data", "limit", "used, by useful tokens", "used, by arithmetic done"]
    used += ["lead over the reference at the limit", "losses", "farthest from the reference's"]
    first = common.table(["useful tokens a second", PACKAGE, *others], speeds)
    return f"{first}\n\n{common.table(used, uses)}"


def profile_table(results: dict[str, dict[str, float]]) -> str:
    """The shares by model and data."""
    rows = [[trial, *(f"{share:.0%}" for share in found.values())] for trial, found in results.items()]
    return common.table(["share of the time", *next(iter(results.values()))], rows)


if __name__ == "__main__":
    main()
