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

from qalign.models.opening import load_model, load_tokenizer
from qalign.placement import Placement
from qalign.records import Example, read_jsonl
from qalign.training import prefix
from qalign.training.batches import Batch
from qalign.training.config import TrainingConfig
from qalign.training.tokens import tokenize
from qalign.training.trainer import Trainer


def main(base: Path, examples: Path, output: Path, cases: list[tuple[int, int, bool]]) -> None:
    accelerator = Accelerator(cpu=True)
    config = TrainingConfig()
    for place, (size, budget, shared) in enumerate(cases):
        data = tokenize(read_jsonl(examples, Example), load_tokenizer(base), config)
        model, placement = load_model(base, torch.float32), Placement(tokens_per_micro_batch=budget)
        trainer = Trainer(model, config, placement, accelerator, data if shared else None)
        assert (data.shared >= prefix.FEWEST) == shared
        summed = trainer.backward(Batch(data, range(size)))
        mean = accelerator.reduce(summed, "sum") / sum(data.supervised[:size])
        if accelerator.is_main_process:
            gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
            torch.save({"loss": mean, "processes": accelerator.num_processes, **gradients}, output / f"{place}.pt")
    accelerator.wait_for_everyone()
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
