"""The attention of a model: its kind, and the kernel that computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ORDINARY = "sdpa"
"""The attention that transformers gives a model: torch's own."""
KINDS = {"full_attention", "sliding_attention", "chunked_attention"}
WINDOWS = ("sliding_window", "attention_chunk_size")


def looks_at_all_before(model: PreTrainedModel, longest: int) -> bool:
    """Whether each token sees all earlier ones, and nothing but attention looks across tokens.

    The attention must be torch's, through transformers' interface. The model's config decides.

    Args:
        longest: the tokens of the longest sequence.
    """
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


def is_recurrent(model: PreTrainedModel) -> bool:
    """Whether a model keeps a state instead of keys and values, as Mamba does."""
    return bool(getattr(model, "_is_stateful", False))


def without_planned_attention() -> None:
    """Turns cuDNN's attention off, for it makes a plan for each new shape.

    Hardly two micro-batches or decoding steps have the same shape. Torch's own kernels are as fast.
    """
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)
