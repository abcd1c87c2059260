"""Saves a model as an ordinary Hugging Face folder, which transformers and vLLM open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..alignment.prompts import end_of_sequence, set_chat_template
from ..records import usual_permissions
from .opening import greedy, no_bars, pad_id

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")
Precision = Literal["bfloat16", "float32"]


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    output: Path,
    precision: Precision = "float32",
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Writes a model with its tokenizer, the chat template, and a greedy generation config.

    The weights are cast in place, one tensor at a time, so the model has the saved precision afterwards. They are `weights`
    where the model holds FSDP shards.
    """
    import torch
    from transformers import GenerationConfig

    dtype = getattr(torch, precision)
    set_chat_template(tokenizer)
    tokenizer.clean_up_tokenization_spaces = False  # answers are read as the model wrote them
    end, embeddings = end_of_sequence(tokenizer), model.get_input_embeddings().weight.shape[0]
    model.generation_config = greedy(end, tokenizer.bos_token_id, pad_id(tokenizer, embeddings))
    configs = [model.config, *(getattr(model.config, name) for name in model.config.sub_configs)]
    for config in configs:  # older versions of transformers kept decoding values in it
        of_the_model = {*(field.name for field in dataclasses.fields(config)), *SPECIAL}
        for name in vars(config).keys() & {*vars(GenerationConfig()), "task_specific_params"} - of_the_model:
            delattr(config, name)
    if weights is None:
        for parameter in model.parameters():
            parameter.data = _cast(parameter.data, dtype)
    else:
        kept = {name for name, _ in model.named_parameters()}
        for name, _ in model.named_parameters(remove_duplicate=False):
            weight = weights.pop(name)
            if name in kept:  # of tied weights, the first; the others would be written as well
                weights[name] = _cast(weight, dtype)
    with no_bars():
        model.save_pretrained(output, state_dict=weights)
        tokenizer.save_pretrained(output)
    for config in configs:
        config.dtype = dtype
    model.config.save_pretrained(output)  # again: of FSDP shards transformers names the precision of training
    usual_permissions(output)


def save_adapter(model: PeftModel, output: Path, precision: Precision) -> None:
    """Writes an adapter before it is merged, in the layout of peft."""
    import torch

    dtype = getattr(torch, precision)
    trained = {name: _cast(weight.detach(), dtype) for name, weight in model.named_parameters() if weight.requires_grad}
    # The embeddings stay as they were, and peft would ask the hub about them.
    model.save_pretrained(str(output), state_dict=trained, save_embedding_layers=False)
    (output / "README.md").unlink(missing_ok=True)  # peft's, with nothing filled in


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
