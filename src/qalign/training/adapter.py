"""A model with a trainable low-rank adapter, by way of peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from ..models.opening import first_line
from .config import Adapter

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def with_adapter(model: PreTrainedModel, adapter: Adapter) -> PeftModel:
    """The model with a trainable low-rank adapter, its own weights frozen."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError("an adapter needs peft; install it: pip install 'qalign[lora]'") from error

    modules = adapter.modules if isinstance(adapter.modules, str) else list(adapter.modules)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:  # peft's word for modules that the model does not have
        raise ModelError(f"the adapter does not fit the model: {first_line(error)}") from error
