"""Shared-prefix attention: a prompt prefix is encoded once per micro-batch.

A micro-batch is laid out as one sequence: the prefix common to all examples, then the rest of each of its sequences. All
layers but attention work on each token alone, so they run once for the prefix. In attention the sequences are put together
again, each behind the prefix, so that the same kernels see the same keys. Loss and gradients are those of whole sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

ORDINARY = "sdpa"
"""The attention that transformers gives a model: torch's own."""
KINDS = {"full_attention", "sliding_attention", "chunked_attention"}
WINDOWS = ("sliding_window", "attention_chunk_size")
ATTENTION = "qalign_shared_prefix"
"""The name that transformers knows this attention by. No mask function has that name, so there is no mask."""
FEWEST = 8
"""The fewest common tokens for which it pays."""


class Layout:
    """The layout of the current micro-batch, as sizes of a tensor: `torch.compile` takes plain numbers for constants."""

    sizes: torch.Tensor | None = None
    """(sequences, prefix, 0). None without a prefix."""

    def set(self, prefix: int = 0, rows: int = 1) -> None:
        """Sets the layout from here on, also for activations that the backward pass recomputes."""
        import torch

        self.sizes = torch.empty(rows, prefix, 0) if prefix else None


LAYOUT = Layout()
"""A process trains one model at a time, and attention is called from deep within it."""


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention under the current `LAYOUT`. Without a prefix it is torch's own.

    Queries, keys and values are (1, heads, tokens, width). The result is (1, tokens, heads, width).
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if LAYOUT.sizes is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)  # type: ignore[no-any-return]
    rows, prefix, _ = LAYOUT.sizes.shape

    def whole(states: torch.Tensor) -> torch.Tensor:
        heads, width = states.shape[1], states.shape[3]
        rest = states[0, :, prefix:].view(heads, rows, -1, width).transpose(0, 1)
        return torch.cat([states[:, :, :prefix].expand(rows, -1, -1, -1), rest], 2)

    out, _ = sdpa_attention_forward(module, whole(query), whole(key), whole(value), attention_mask, **options)
    return laid_out(out, prefix), None


def share(model: PreTrainedModel, longest: int) -> bool:
    """Gives a model this attention, if the model can use it. Returns whether it did.

    It can if only causal attention through transformers' interface looks across tokens, without dropout, for each
    sequence has its own. A small trial follows as well. The longest sequence has `longest` tokens.
    """
    import torch
    from transformers import AttentionInterface, PreTrainedModel

    config, modules = model.config.get_text_config(), list(model.modules())
    suits = (
        all(part.config._attn_implementation == ORDINARY for part in modules if isinstance(part, PreTrainedModel))
        and model._supports_attention_backend
        and not getattr(model, "_is_stateful", False)  # a state looks across tokens too
        and set(getattr(config, "layer_types", None) or KINDS) <= KINDS
        and all((getattr(config, name, None) or longest) >= longest for name in WINDOWS)
        and not getattr(config, "attention_dropout", None)
        and not any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in modules)
    )
    if suits:
        AttentionInterface.register(ATTENTION, attention)
        suits = _reads_the_same(model)
    if suits:
        model.set_attn_implementation(ATTENTION)
    return bool(suits)


def _reads_the_same(model: PreTrainedModel) -> bool:
    """Whether two short sequences have the same logits with and without this attention."""
    import torch

    prefix, rest = 3, 4
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.get_text_config().vocab_size, (2, prefix + rest), generator=drawn).to(model.device)
    ids[1, :prefix] = ids[0, :prefix]
    places = positions(prefix, 2, rest).to(model.device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            apart = model(input_ids=ids, use_cache=False).logits
            model.set_attn_implementation(ATTENTION)
            LAYOUT.set(prefix, 2)
            together = model(input_ids=laid_out(ids, prefix), position_ids=places, use_cache=False).logits
    except (RuntimeError, ValueError, TypeError):  # what a model that lays its tokens out otherwise stumbles over
        return False
    finally:
        LAYOUT.set()  # also what a training that broke off has left
        model.set_attn_implementation(ORDINARY)
        model.train(training)
    return bool(torch.allclose(together, laid_out(apart, prefix), rtol=1e-3, atol=1e-3 * float(apart.abs().max())))


def laid_out(rows: torch.Tensor, prefix: int) -> torch.Tensor:
    """(rows, prefix + rest, ...) as (1, prefix + rows x rest, ...)."""
    import torch

    return torch.cat([rows[:1, :prefix], rows[:, prefix:].flatten(0, 1)[None]], 1)


def positions(prefix: int, rows: int, rest: int) -> torch.Tensor:
    """The positions of tokens that are laid out so: (1, prefix + rows x rest), int64."""
    import torch

    return torch.cat([torch.arange(prefix), torch.arange(prefix, prefix + rest).repeat(rows)])[None]
