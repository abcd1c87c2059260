"""The attention of a model: what its layers look at, and which of torch's kernels computes it."""

from __future__ import annotations

from typing import Any

ORDINARY = "sdpa"
"""The attention that transformers gives a model: torch's own."""
KINDS = {"full_attention", "sliding_attention", "chunked_attention"}
WINDOWS = ("sliding_window", "attention_chunk_size")


def looks_at_all_before(model: Any, longest: int) -> bool:
    """Whether all that looks across tokens in a model is, as far as its config says and for rows of up to `longest` tokens,
    causal attention over all tokens before, by torch's kernels through transformers' interface."""
    from transformers import PreTrainedModel

    config = model.config.get_text_config()
    parts = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    windows = [getattr(config, name, None) for name in WINDOWS]
    return (
        all(part.config._attn_implementation == ORDINARY for part in parts)
        and bool(model._supports_attention_backend)
        and not is_recurrent(model)
        and set(getattr(config, "layer_types", None) or KINDS) <= KINDS
        and all(window is None or window >= longest for window in windows)
    )


def is_recurrent(model: Any) -> bool:
    """Whether a model keeps a state instead of the keys and values of each token (Mamba and its like)."""
    return bool(getattr(model, "_is_stateful", False))


def without_planned_attention() -> None:
    """Leaves cuDNN's attention out: it plans each new shape anew, and no two micro-batches or steps of an answer have the
    same. What torch has of its own is as fast once it runs."""
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)
