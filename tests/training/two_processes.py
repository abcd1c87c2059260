"""Run under torchrun: the loss and gradient of one step in several processes, written down by the first of them.

    python -m torch.distributed.run --standalone --nproc-per-node=2 two_processes.py MODEL EXAMPLES OUTPUT CASES

CASES is JSON, a list of [examples, tokens per micro-batch, whether a prefix is shared]; each case's numbers go to
OUTPUT/CASE.pt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator

from qalign.models.opening import embeddings_of, load_model, load_tokenizer, pad_id
from qalign.placement import Placement
from qalign.records import Example, read_jsonl
from qalign.training import prefix
from qalign.training.batches import tokenize
from qalign.training.config import TrainingConfig
from qalign.training.loop import backward
from qalign.training.loss import SupervisedLoss


def main(base: Path, examples: Path, output: Path, cases: list[tuple[int, int, bool]]) -> None:
    accelerator = Accelerator(cpu=True)
    tokenizer = load_tokenizer(base)
    data = tokenize(read_jsonl(examples, Example), tokenizer, TrainingConfig())
    model = load_model(base, torch.float32)
    loss = SupervisedLoss(model)
    prepared = accelerator.prepare(model)
    for place, (size, budget, shared) in enumerate(cases):
        prepared.zero_grad()
        data.shared = data.common_prefix if shared else 0
        assert not shared or (data.shared >= prefix.FEWEST and prefix.share(model, max(data.lengths)))
        supervised = sum(data.supervised[:size])
        summed = backward(
            accelerator, prepared, loss, data, data.lengths, range(size), supervised,
            Placement(tokens_per_micro_batch=budget), pad_id(tokenizer, embeddings_of(model)),
        )  # fmt: skip
        if shared:
            prefix.undo(model)
        mean = accelerator.reduce(summed, "sum") / supervised
        if accelerator.is_main_process:
            gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
            torch.save({"loss": mean, "processes": accelerator.num_processes, **gradients}, output / f"{place}.pt")
    accelerator.wait_for_everyone()
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
