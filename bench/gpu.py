"""One call for a machine with one accelerator, under eight minutes: LLaMA-2-7B's shape with random weights, trained and asked.

    python bench/gpu.py                          # needs some 130 GiB of device memory for the 7B shape
    python bench/gpu.py --shape 13b --optimizer adamw8bit --package-only     # as much, for the 13B shape
    python bench/gpu.py --generation-only        # 15 GiB and as much again for caches, some minutes
    python bench/gpu.py --shape 1m --device cpu  # the same on a CPU, to see that it runs

Training: full fine-tuning with AdamW in bfloat16, global batches of 128, on random tokens with the lengths of the real
question-alignment data and of GSM8K under a vocabulary of 32,000, and with as many in common at the beginning
(`bench/lengths.json`; `--lengths-from FOLDER` makes it again). Beside it the reference's way: micro-batches of 2, padded,
logits at every position; and trl's SFTTrainer where it is installed, packed to 2,048. Utilisation counts useful tokens only
(those of each example, also what the package reads once for many) and is set against the rate of 8,192-wide bfloat16
matrix products on the same device; the peak of memory stands beside what `qalign.training.memory` predicts.

Generation: see `bench/gpu_generation.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import gpu_generation

import models
from qalign.models.opening import without_planned_attention
from qalign.placement import Placement
from qalign.training import prefix
from qalign.training.batches import Batch
from qalign.training.config import TrainingConfig
from qalign.training.memory import predict, shape_of, workload
from qalign.training.tokens import TokenizedExamples
from qalign.training.trainer import Trainer

LENGTHS = Path(__file__).parent / "lengths.json"
PACKAGE, REFERENCE, TRL = "qalign", "reference's way", "trl, packed"


def write_lengths(folder: Path) -> None:
    """What 1,024 examples of each dataset have in common, and their lengths (prompt, whole), in tokens."""
    import data

    from qalign.models.opening import load_tokenizer_as_saved
    from qalign.training.tokens import tokenize

    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        prepared = data.examples(folder, scratch / "runs")
        model = models.make_tokenizer(data.texts(prepared), 32000, scratch / "tokenizer")
        base = models.make_base(models.Shape("empty", 32000, 8, 8, 1, 1), model, scratch / "base")
        tokenizer = load_tokenizer_as_saved(base)
        found = {}
        for name, examples in prepared.items():
            made = tokenize(random.Random(0).sample(examples, 1024), tokenizer, TrainingConfig(max_length=4096))
            found[name] = {
                "in_common": made.common_prefix,
                "lengths": [[int(prompt), all] for prompt, all in zip(made.prompt_tokens, made.lengths, strict=True)],
            }
    LENGTHS.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


def examples_of(lengths: Sequence[tuple[int, int]], vocabulary: int, in_common: int = 0) -> TokenizedExamples:
    """Random tokens of these lengths, the first `in_common` the same everywhere."""
    import numpy as np

    starts = np.concatenate([[0], np.cumsum([length for _, length in lengths])]).astype(np.int64)
    ids = np.random.default_rng(0).integers(3, vocabulary, int(starts[-1])).astype(np.int32)
    for start in starts[:-1]:
        ids[start : start + in_common] = ids[:in_common]
    return TokenizedExamples(
        ids=ids, starts=starts, prompt_tokens=np.asarray([prompt for prompt, _ in lengths], dtype=np.int32)
    )


class Sides:
    """A model with its optimizer, and two ways to take a step over the same examples."""

    def __init__(
        self, shape: models.Shape, placement: Placement, optimizer: Any, examples: Sequence[TokenizedExamples]
    ) -> None:
        import torch
        from accelerate import Accelerator
        from transformers import LlamaForCausalLM

        self.shape, self.config = shape, TrainingConfig(learning_rate=1e-5, optimizer=optimizer)
        self.accelerator = Accelerator(mixed_precision="bf16", cpu=placement.device == "cpu")
        with torch.device(self.accelerator.device):
            model = LlamaForCausalLM(models.config_of(shape))
        longest = max(examples, key=lambda data: data.shares[0])
        self.trainer = Trainer(model, self.config, placement, self.accelerator, longest)
        assert longest.shared
        for data in examples:
            data.shared = data.common_prefix
        settled = self.trainer.placement
        self.predicted = predict(
            shape_of(model.config.to_dict()), workload(model, self.config, longest), compiled=bool(settled.compile),
            checkpointing=bool(settled.activation_checkpointing),
        ).at(settled.tokens_per_micro_batch or 0)  # fmt: skip
        without_planned_attention()
        self.model, self.optimizer = self.trainer.model, self.trainer.optimizer

    def package(self, data: TokenizedExamples, indices: Sequence[int]) -> Any:
        """A step of `qalign.training`."""
        return self.trainer.step(Batch(data, indices)).loss

    def as_it_was(self) -> None:
        """What the other sides start from: blocks that are not compiled, torch's own choice of attention."""
        import torch

        for module in self.model.modules():
            module._compiled_call_impl = None
        self.accelerator.unwrap_model(self.model).set_attn_implementation(prefix.ORDINARY)
        torch.backends.cuda.enable_cudnn_sdp(True)

    def reference(self, data: TokenizedExamples, indices: Sequence[int]) -> Any:
        """The same step as `transformers`' Trainer takes it: two examples at a time, padded, masked, every logit."""
        import torch

        supervised, total = sum(data.supervised[i] for i in indices), 0.0
        for start in range(0, len(indices), 2):
            rows = [
                torch.from_numpy(data.ids[data.starts[i] : data.starts[i + 1]]).long()
                for i in indices[start : start + 2]
            ]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
            labels = ids.masked_fill(mask == 0, -100)
            for row, i in enumerate(indices[start : start + 2]):
                labels[row, : data.prompt_tokens[i]] = -100
            ids, mask, labels = (tensor.to(self.accelerator.device) for tensor in (ids, mask, labels))
            loss = self.model(
                input_ids=ids, attention_mask=mask, labels=labels, num_items_in_batch=supervised, use_cache=False
            ).loss
            self.accelerator.backward(loss)
            total = total + loss.detach()
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total


def timed(step: Any, data: TokenizedExamples, shape: models.Shape, steps: int, cuda: bool) -> common.Measured:
    """Steps of 128 examples, all of them once before, to warm up: blocks are compiled, and kernels planned, by shapes."""
    import torch

    size = min(128, len(data) // steps)
    batches = [list(range(start * size, (start + 1) * size)) for start in range(steps)]
    for batch in batches:
        step(data, batch)
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    for batch in batches:
        loss = step(data, batch)
    loss = float(loss)
    seconds = time.perf_counter() - begun
    lengths = [data.lengths[i] for batch in batches for i in batch]
    supervised = sum(data.supervised[i] for batch in batches for i in batch)
    return {
        "tokens_per_second": sum(lengths) / seconds,
        "tflops": shape.training_flops(lengths, supervised) / seconds / 1e12,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0,
        "last_loss": loss,
    }


def trl(
    model: Any, data: TokenizedExamples, shape: models.Shape, steps: int, scratch: Path, cuda: bool
) -> common.Measured:
    """trl's SFTTrainer over as many packs a step as hold 128 examples, the first step to warm up."""
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if cuda:
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    size = min(128, len(data) // (steps + 1))
    used = range(size * (steps + 1))
    tokens, supervised = sum(data.lengths[i] for i in used), sum(data.supervised[i] for i in used)
    rows = [
        {
            "input_ids": data.ids[data.starts[i] : data.starts[i + 1]].tolist(),
            "completion_mask": [0] * int(data.prompt_tokens[i]) + [1] * data.supervised[i],
        }
        for i in used
    ]
    config = SFTConfig(
        output_dir=str(scratch), max_steps=steps + 1, per_device_train_batch_size=1, packing=True, max_length=2048,
        gradient_accumulation_steps=-(-tokens // ((steps + 1) * 2048)), completion_only_loss=True, shuffle_dataset=False,
        learning_rate=1e-5, bf16=True, gradient_checkpointing=False, save_strategy="no", report_to=[], use_cpu=not cuda,
        disable_tqdm=True, optim="adamw_torch_fused", logging_steps=1, dataset_num_proc=1,
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_words(), eos_token="</s>", pad_token="<unk>", unk_token="<unk>", bos_token="<s>"
    )
    clock = Clock()
    trainer = SFTTrainer(
        model, config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[clock]
    )
    trainer.train()
    seconds = clock.times[-1] - clock.times[0]
    share = steps / (steps + 1)
    return {
        "tokens_per_second": share * tokens / seconds,
        "tflops": share * shape.training_flops([data.lengths[i] for i in used], supervised) / seconds / 1e12,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0,
        "last_loss": next(row["loss"] for row in reversed(trainer.state.log_history) if "loss" in row),
    }


def _words() -> Any:
    """A tokenizer that trl can hold while it trains on tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    return Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))


def product_rate(device: Any, cuda: bool) -> common.Measured:
    """The rate of dense bfloat16 products on the device, in TFLOP/s."""
    import torch

    width = 8192 if cuda else 1024
    a, b = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    times = 50 if cuda else 3
    if cuda:
        torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(times):
        a @ b
    if cuda:
        torch.cuda.synchronize()
    return {"tflops": 2 * width**3 * times / (time.perf_counter() - begun) / 1e12}


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="7b", choices=models.SHAPES, help="(%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, or cpu (%(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="steps measured (%(default)s)")
    parser.add_argument("--tokens-per-micro-batch", type=int, help="what fits, by default")
    parser.add_argument("--activation-checkpointing", action="store_true", help="less memory, a third more work")
    parser.add_argument("--no-compile", action="store_true", help="blocks as they are")
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "adamw8bit"], help="(%(default)s)")
    parser.add_argument("--no-trl", action="store_true", help="leave trl out")
    parser.add_argument("--package-only", action="store_true", help="training by the package, and nothing else")
    parser.add_argument("--generation-only", action="store_true", help="generation, and no training")
    parser.add_argument("--sequences", type=int, nargs="+", default=[64, 256], help="answered at once (%(default)s)")
    parser.add_argument("--lengths-from", type=Path, help="make bench/lengths.json from a data folder, and end")
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    options = parser.parse_args()
    if options.lengths_from:
        write_lengths(options.lengths_from)
        return

    import torch

    cuda = options.device != "cpu" and torch.cuda.is_available()
    if not cuda and options.device != "cpu":
        parser.error("there is no CUDA device here; give --device cpu to try it out")
    shape = models.SHAPES[options.shape]
    lengths = json.loads(LENGTHS.read_text(encoding="utf-8"))
    results: dict[str, Any] = {"shape": options.shape, "options": vars(options)}
    if options.generation_only:
        prompts = [prompt for prompt, _ in lengths["GSM8K"]["lengths"]]
        device, in_common = "cuda" if cuda else "cpu", lengths["GSM8K"]["in_common"]
        asked = gpu_generation.generation(shape, device, prompts, in_common, options.sequences)
        publish("gpu-generation", {**results, "generation": asked}, gpu_generation.table(asked), options)
        return
    examples = {
        dataset: examples_of(found["lengths"], shape.vocabulary, found["in_common"])
        for dataset, found in lengths.items()
    }
    placement = Placement(
        device=options.device,
        tokens_per_micro_batch=options.tokens_per_micro_batch,
        activation_checkpointing=options.activation_checkpointing or None,
        compile=False if options.no_compile else None,
    )
    sides = Sides(shape, placement, options.optimizer, list(examples.values()))
    print(f"at once: {sides.trainer.placement}; predicted {sides.predicted / 2**30:.1f} GiB", flush=True)
    settled = dataclasses.asdict(sides.trainer.placement)
    limit = product_rate(sides.accelerator.device, cuda)
    print("matrix products:", limit, flush=True)
    training: dict[str, dict[str, common.Measured]] = {}
    for dataset, made in examples.items():
        training[dataset] = {PACKAGE: timed(sides.package, made, shape, options.steps, cuda)}
        training[dataset][PACKAGE]["predicted_gib"] = sides.predicted / 2**30
        print(dataset, PACKAGE, training[dataset][PACKAGE], flush=True)
    if not options.package_only:
        others(sides, examples, training, options, cuda)
    results |= {"placement": settled, "limit": limit, "training": training}
    publish("gpu", results, table(options.shape, limit, training), options)


def publish(name: str, results: dict[str, Any], text: str, options: argparse.Namespace) -> None:
    """Writes or prints results, under the name of the shape where it is not 7b."""
    if options.no_publish:
        print(text)
    else:
        name = name if options.shape == "7b" else f"{name}-{options.shape}"
        common.publish(name, json.loads(json.dumps(results, default=str)), text)


def others(
    sides: Sides,
    examples: dict[str, TokenizedExamples],
    training: dict[str, dict[str, common.Measured]],
    options: argparse.Namespace,
    cuda: bool,
) -> None:
    """The other sides of training, into `training`."""
    import torch

    shape = sides.shape
    sides.trainer.loss.remove()
    sides.as_it_was()
    for dataset, made in examples.items():
        training[dataset][REFERENCE] = timed(sides.reference, made, shape, options.steps, cuda)
        print(dataset, REFERENCE, training[dataset][REFERENCE], flush=True)
    model = sides.accelerator.unwrap_model(sides.model)
    sides.accelerator.free_memory()
    sides.model = sides.optimizer = sides.trainer = None
    _empty(model)
    if not options.no_trl and importlib.util.find_spec("trl"):
        with tempfile.TemporaryDirectory() as scratch:
            for dataset, made in examples.items():
                try:
                    training[dataset][TRL] = trl(model, made, shape, options.steps, Path(scratch), cuda)
                    print(dataset, TRL, training[dataset][TRL], flush=True)
                except torch.OutOfMemoryError as error:
                    print(dataset, TRL, "does not fit:", str(error)[:200], flush=True)
                _empty(model)


def _empty(model: Any) -> None:
    """Gives back what a side's optimizer and gradients held."""
    import gc

    import torch

    for parameter in model.parameters():
        parameter.grad = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def table(shape: str, limit: common.Measured, training: dict[str, dict[str, common.Measured]]) -> str:
    """Useful tokens a second, utilisation and memory."""
    rows = [
        [
            f"{shape} on {dataset}, {name}",
            f"{found['tokens_per_second']:,.0f}",
            f"{found['tflops']:,.0f}",
            f"{found['tflops'] / limit['tflops']:.0%} of {limit['tflops']:,.0f}",
            f"{found['peak_gib']:.1f} GiB"
            + (f" ({found['predicted_gib']:.1f} predicted)" if "predicted_gib" in found else ""),
        ]
        for dataset, sides in training.items()
        for name, found in sides.items()
    ]
    return common.table(["training", "useful tokens/s", "TFLOP/s", "of the rate of products", "peak memory"], rows)


if __name__ == "__main__":
    main()
