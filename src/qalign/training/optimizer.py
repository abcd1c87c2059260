"""AdamW and its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import SettingError
from .config import TrainingConfig

if TYPE_CHECKING:
    import torch


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


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of the next step."""
    import torch

    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):  # torchao keeps it so
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate_factor(step: int, total_steps: int, config: TrainingConfig) -> float:
    """The learning rate of a step, as a share of the highest: linear warm-up, then half a cosine, as in transformers."""
    warmup = math.ceil(total_steps * config.warmup_ratio)
    if step < warmup:
        return step / max(warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total_steps - warmup, 1)))
