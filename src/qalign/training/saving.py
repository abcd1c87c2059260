"""Saving a model as an ordinary Hugging Face folder: what transformers and vLLM open, and what the next stage starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ..alignment.prompts import end_of_sequence, set_chat_template
from ..records import usual_permissions
from .models import embeddings_of, greedy, no_bars, pad_id

Precision = Literal["bfloat16", "float32"]


def save(
    model: Any, tokenizer: Any, output: Path, precision: Precision = "float32", weights: dict[str, Any] | None = None
) -> None:
    """Writes safetensors, configuration, tokenizer with the chat template, and a greedy generation config.

    The weights are cast in place, one tensor at a time: the model has the saved precision afterwards.

    Args:
        precision: of the saved weights; `config.json` names it.
        weights: those of the whole model, where the model itself holds FSDP shards.
    """
    import torch

    dtype = getattr(torch, precision)
    set_chat_template(tokenizer)
    end = end_of_sequence(tokenizer)
    model.generation_config = greedy(end, tokenizer.bos_token_id, pad_id(tokenizer, embeddings_of(model)))
    if hasattr(model.config, "task_specific_params"):  # an old place for sampling options, which pipelines read
        model.config.task_specific_params = None
    if weights is None:
        for parameter in model.parameters():
            parameter.data = _cast(parameter.data, dtype)
    else:
        cast: dict[int, Any] = {}  # by place in memory: tied weights have two names, and stay one tensor
        for name, _ in model.named_parameters(remove_duplicate=False):
            if name in weights:
                weight = weights.pop(name)
                weights[name] = cast.setdefault(weight.data_ptr(), _cast(weight, dtype))
    with no_bars():
        model.save_pretrained(output, state_dict=weights)
        tokenizer.save_pretrained(output)
    for config in (model.config, *(getattr(model.config, name) for name in model.config.sub_configs)):
        config.dtype = dtype
    model.config.save_pretrained(output)  # again: of FSDP shards transformers names the precision of training
    usual_permissions(output)


def _cast(tensor: Any, dtype: Any) -> Any:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
