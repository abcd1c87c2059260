"""The trainer: a model with its optimizer, its devices and a budget of tokens.

A step is one update of the weights from one batch, which is cut into micro-batches under the budget and dealt out to the
ranks. No cut of a batch changes a step, and no number of devices.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import asdict

from ..errors import DataError, ModelError, SettingError
from ..models.folders import ADAPTER_FOLDER
from ..models.opening import first_line, save, save_adapter
from ..pipeline.stage_record import sync
from ..placement import Placement
from ..records import usual_permissions, write_json
from ..untrusted import printable
from . import manifest, prefix, state
from .accelerator import compile_blocks, is_sharded, reset
from .batches import Batch, collate
from .config import Adapter, TrainingConfig
from .loss import SupervisedLoss
from .memory import ON_CPU, settle
from .state import Progress
from .tokens import TokenizedExamples

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Step(NamedTuple):
    """The mean loss of a batch's supervised tokens, and the norm before clipping. Reading one waits for the device."""

    loss: torch.Tensor
    gradient_norm: torch.Tensor


class Trainer:
    """A model in training: it takes steps, is saved, resumed, and exported at the end.

    Each of several processes has a trainer, and all call the same methods with the same arguments.

    Attributes:
        model: the model, wrapped for the devices.
        placement: the execution settings, with the budget of tokens and all else that was left open decided.
        progress: what the steps so far have seen.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        config: TrainingConfig,
        placement: Placement,
        accelerator: Accelerator,
        examples: TokenizedExamples | None = None,
    ) -> None:
        """Prepares a model for steps: its adapter, its memory, its devices, its optimizer.

        Args:
            model: a model in float32, as `load_model` opens it. The trainer changes it.
            examples: the examples of all steps, where they are known. Memory is planned by them. Where the model can, the
                prefix that they share is encoded once per micro-batch.
        """
        from accelerate.utils import set_seed

        set_seed(config.seed)  # for dropout, and for the first weights of an adapter
        self.config, self.accelerator = config, accelerator
        self._shares = examples is not None and _share_prefix(model, config, examples)
        if config.adapter is not None:
            model = with_adapter(model, config.adapter)
        self.placement = settle(placement, accelerator, model, config, examples)
        if self.placement.activation_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
        if self.placement.compile:
            compile_blocks(model, accelerator.device)
        self.loss = SupervisedLoss(model)
        self.model, self.optimizer = accelerator.prepare(model, make_optimizer(model, config))
        self.progress = Progress()

    def step(self, batch: Batch, learning_rate: float | None = None) -> Step:
        """Takes one optimizer step on a batch, the examples of all ranks.

        The loss is the weighted sum of the losses of all supervised tokens, divided by the sum of their weights. A token
        has the weight of its example. An example of weight 0 changes nothing. A negative weight lowers the probability of
        its example, and counts without its sign in the divisor. Without a learning rate the config's is taken.
        """
        import torch

        total_weight = batch.total_weight
        if not total_weight:
            raise DataError("no example of a batch has a weight other than 0; give one that counts")
        for group in self.optimizer.param_groups:
            rate = self.config.learning_rate if learning_rate is None else learning_rate
            group["lr"] = torch.full_like(group["lr"], rate) if isinstance(group["lr"], torch.Tensor) else rate
        summed = self.backward(batch)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress = self.progress.after(batch)
        return Step(self.accelerator.reduce(summed, "sum") / total_weight, torch.as_tensor(norm))

    def backward(self, batch: Batch) -> torch.Tensor:
        """Adds a batch's gradient. Returns the weighted sum of this rank's losses."""
        import torch

        accelerator = self.accelerator
        budget, ranks = self.placement.tokens_per_micro_batch or ON_CPU, accelerator.num_processes
        scale = ranks / batch.total_weight  # gradients are averaged over ranks: undone here
        share = batch.micro_batches(budget, ranks)[accelerator.process_index]
        summed = torch.zeros((), device=accelerator.device)
        for place, part in enumerate(share):
            micro_batch = collate(part).to(accelerator.device)
            last = place == len(share) - 1
            # FSDP shards reduce with each micro-batch: a gradient that waits is whole, on every rank.
            with nullcontext() if last or is_sharded(accelerator) else accelerator.no_sync(self.model):
                loss = self.loss(self.model, micro_batch)
                accelerator.backward(loss * scale)
            summed += loss.detach()
        return summed

    def save(self, folder: Path, examples: str = "", files: Sequence[Path] = ()) -> None:
        """Writes a new folder from which `resume` goes on, with copies of `files`. It is there whole, or not at all.

        `examples` is what the examples of the steps are known by.
        """
        accelerator, building = self.accelerator, folder.with_name("building")
        if accelerator.is_main_process:
            if folder.exists():
                raise SettingError(f"{printable(str(folder))} exists already; name a new folder for the state")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
        accelerator.wait_for_everyone()
        state.write(accelerator, self.model, self.optimizer, building)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            for file in files:
                shutil.copyfile(file, building / file.name)
            seen = {**asdict(self.progress), "sharded": is_sharded(accelerator), "examples": examples}
            write_json(building / state.PROGRESS, seen)
            usual_permissions(building)
            manifest.seal(building)
            building.rename(folder)
            sync(folder.parent)
        accelerator.wait_for_everyone()

    def resume(self, folder: Path, checked: bool = False) -> None:
        """Restores a saved state: weights, optimizer, random states, progress. The number of ranks may be another.

        Files whose hashes were `checked` already are not hashed again. Raises ModelError where the folder is damaged or
        belongs to another model, or only one of the two is sharded.
        """
        if not checked and (fault := manifest.fault(folder)) is not None:
            raise ModelError(f"the state in {printable(str(folder))} cannot be used, for {fault}; begin again")
        saved = state.read_progress(folder)
        if saved.sharded != is_sharded(self.accelerator):
            kind = "was sharded (FSDP)" if saved.sharded else "was not sharded (FSDP)"
            advice = "go on with a launcher of that kind, or remove that folder to begin again"
            raise ModelError(f"{folder} was written by a training that {kind}; {advice}")
        state.read(self.accelerator, self.model, self.optimizer, folder)
        self.progress = Progress(saved.step, saved.tokens, saved.supervised)

    def export(self, tokenizer: PreTrainedTokenizerBase, output: Path) -> None:
        """Writes the model as a Hugging Face folder, the adapter merged and kept next to it. No step can follow."""
        self.loss.remove()
        self.accelerator.wait_for_everyone()
        trained = self.accelerator.unwrap_model(self.model)
        if self._shares:
            trained.set_attn_implementation(prefix.ORDINARY)
        if self.config.adapter is not None:
            if self.accelerator.is_main_process:
                save_adapter(trained, output / ADAPTER_FOLDER, self.config.saved_precision)
            trained = trained.merge_and_unload()
        # All ranks give their parts.
        whole = self.accelerator.get_state_dict(self.model) if is_sharded(self.accelerator) else None
        if self.accelerator.is_main_process:
            save(trained, tokenizer, output, self.config.saved_precision, whole)

    def close(self) -> None:
        """Releases the devices once all ranks are done and saved."""
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        reset()


def _share_prefix(model: PreTrainedModel, config: TrainingConfig, examples: TokenizedExamples) -> bool:
    """Sets up shared-prefix attention where that pays. Returns whether it did."""
    common = examples.common_prefix
    drops = config.adapter is not None and config.adapter.dropout > 0  # each sequence has its own
    if common < prefix.FEWEST or drops or not prefix.share(model, max(examples.lengths)):
        return False
    examples.shared = common
    return True


def with_adapter(model: PreTrainedModel, adapter: Adapter) -> PeftModel:
    """The model with a trainable low-rank adapter by way of peft, its own weights frozen."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError("an adapter needs peft; install it: pip install 'qalign[lora]'") from error
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.modules if isinstance(adapter.modules, str) else list(adapter.modules),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:  # peft's word for modules that the model does not have
        raise ModelError(f"the adapter does not fit the model: {first_line(error)}") from error


def make_optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Fused AdamW (arXiv 1711.05101) over the trained weights, or torchao's with 8-bit states (arXiv 2110.02861)."""
    import torch

    kind: Callable[..., torch.optim.Optimizer] = partial(torch.optim.AdamW, fused=True)
    if config.optimizer == "adamw8bit":
        try:
            from torchao.optim import AdamW8bit
        except ImportError as error:
            raise SettingError("an 8-bit optimizer needs torchao; install it: pip install 'qalign[8bit]'") from error
        kind = AdamW8bit
    return kind(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
    )


def learning_rate_factor(step: int, total_steps: int, config: TrainingConfig) -> float:
    """The learning rate of a step, as a share of the highest: linear warm-up, then half a cosine, as in transformers."""
    warmup = math.ceil(total_steps * config.warmup_ratio)
    if step < warmup:
        return step / max(warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total_steps - warmup, 1)))
