"""One run of litgpt's full fine-tuning on prepared rows. `bench/training.py` starts it with the Python of an environment of its
own, for litgpt and this package do not want the same versions:

    python -m venv ENV && ENV/bin/pip install torch==2.13.0 litgpt==0.5.13
    python bench/training.py --data FOLDER --litgpt ENV/bin/python

Reads a JSON file (`rows`: token ids and prompt length of each; the shape; `batch`, `micro_batch`, `steps`; `tokenizer`, a
folder) and prints a line of JSON: the seconds that all steps took. The model has litgpt's own random weights, none of them
tied, and its learning rate does not change.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from litgpt.args import EvalArgs, TrainArgs
from litgpt.config import Config
from litgpt.data import DataModule
from litgpt.data.base import get_sft_collate_fn
from litgpt.finetune import full
from litgpt.model import GPT
from litgpt.prompts import Alpaca
from torch.utils.data import DataLoader


class Prepared(DataModule):
    """Rows that are token ids already, in their order."""

    def __init__(self, rows: list[tuple[list[int], int]], batch: int) -> None:
        super().__init__()
        self.rows = [self._row(torch.tensor(ids), prompt) for ids, prompt in rows]
        self.batch, self.prompt_style = batch, Alpaca()

    @staticmethod
    def _row(ids: torch.Tensor, prompt: int) -> dict[str, Any]:
        labels = ids.clone()
        labels[:prompt] = -100
        return {
            "input_ids": ids,
            "labels": labels,
            "token_counts": dict.fromkeys(("raw", "raw_plus_prompt_template"), len(ids)),
        }

    def connect(self, **_: Any) -> None:
        """Nothing is left to be tokenised."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.rows, batch_size=self.batch, shuffle=False, collate_fn=get_sft_collate_fn())  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.rows[: self.batch], batch_size=self.batch, collate_fn=get_sft_collate_fn())  # type: ignore[arg-type]


def main() -> None:
    """Trains, and prints the seconds."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    shape = asked["shape"]
    with tempfile.TemporaryDirectory() as temporary:
        base, output = Path(temporary) / "base", Path(temporary) / "trained"
        base.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Path(asked["tokenizer"]) / name, base)
        settings = {
            "name": shape["name"],
            "block_size": 1024,
            "vocab_size": shape["vocabulary"],
            "padded_vocab_size": shape["vocabulary"],
            "n_layer": shape["layers"],
            "n_head": shape["heads"],
            "n_embd": shape["hidden"],
            "intermediate_size": shape["intermediate"],
            "rotary_percentage": 1.0,
            "parallel_residual": False,
            "bias": False,
            "norm_class_name": "RMSNorm",
            "mlp_class_name": "LLaMAMLP",
        }
        (base / "model_config.yaml").write_text(yaml.dump(settings), encoding="utf-8")
        torch.manual_seed(0)
        torch.save(GPT(Config(**settings)).state_dict(), base / "lit_model.pth")
        full.save_hyperparameters = lambda *_: None  # they would be read from the command line
        full.get_lr_scheduler = lambda optimizer, **_: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        full.setup(
            base,
            out_dir=output,
            precision="32-true",
            data=Prepared(asked["rows"], asked["micro_batch"]),
            train=TrainArgs(
                save_interval=None,
                global_batch_size=asked["batch"],
                micro_batch_size=asked["micro_batch"],
                lr_warmup_steps=1,
                epochs=2,
                max_steps=asked["steps"],
                max_seq_length=1024,
            ),
            eval=EvalArgs(
                interval=10**9, max_iters=1, max_new_tokens=1, initial_validation=False, final_validation=False
            ),
        )
        [metrics] = output.rglob("metrics.csv")
        with metrics.open(encoding="utf-8", newline="") as file:
            seconds = sum(float(row["iter_time"]) for row in csv.DictReader(file) if row["iter_time"])
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
