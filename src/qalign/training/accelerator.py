"""The devices of a training stage, by way of accelerate."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..models.opening import check_device, first_line, without_planned_attention
from ..placement import Placement
from .config import TrainingConfig

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from transformers import PreTrainedModel


def make_accelerator(config: TrainingConfig, placement: Placement) -> Accelerator:
    """The devices of one training, as accelerate sees them."""
    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedType

    bfloat16 = config.precision == "bfloat16"
    if bfloat16 and torch.cuda.is_available() and placement.device != "cpu" and not torch.cuda.is_bf16_supported():
        raise SettingError("this device has no bfloat16; set precision=float32")
    check_device(placement.device)
    keep_freed_memory()
    without_planned_attention()
    reset()
    # Explicit, for otherwise several processes on a machine without accelerators would each train alone.
    on_cpu = placement.device == "cpu" or not torch.accelerator.is_available()
    accelerator = Accelerator(mixed_precision="bf16" if bfloat16 else "no", cpu=on_cpu)
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise SettingError("DeepSpeed is not supported; shard with FSDP2 (fsdp_version: 2 in accelerate's config)")
    if is_sharded(accelerator):
        if not accelerator.is_fsdp2:
            raise SettingError("only FSDP2 is supported; set fsdp_version: 2 in accelerate's config")
        if config.adapter is not None or config.optimizer != "adamw":
            raise SettingError(
                "adapters and 8-bit optimizers are not trained on FSDP shards; leave FSDP out of the config"
            )
        if bfloat16:  # gradients are summed in float32
            from torch.distributed.fsdp import MixedPrecisionPolicy

            accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.bfloat16
            )
    return accelerator


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether each device holds only a part of the model, by FSDP."""
    from accelerate.utils import DistributedType

    return bool(accelerator.distributed_type == DistributedType.FSDP)


def reset() -> None:
    """Lets the next stage choose its precision, which accelerate keeps in a global."""
    import torch
    from accelerate.state import AcceleratorState

    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    AcceleratorState._reset_state(reset_partial_state=not distributed)


def keep_freed_memory() -> None:
    """Has glibc keep freed memory for the next step: new pages take longer than much of the arithmetic."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
        mallopt(-4, 0)  # M_MMAP_MAX: never


def compile_blocks(model: PreTrainedModel, device: torch.device) -> None:
    """Compiles the blocks of a model with `torch.compile`, once for all shapes. SettingError if no compiler works here."""
    import torch

    try:
        torch.compile(torch.nn.functional.silu)(torch.ones(64, device=device))
    except Exception as error:  # each backend and each compiler fails in its own way
        reason = f"torch.compile does not work on {device} here ({first_line(error)})"
        raise SettingError(f"{reason}; install a C++ compiler, or give --no-compile") from error
    kinds = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in kinds:
            module.compile(dynamic=True)
