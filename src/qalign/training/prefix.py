"""What all examples of a stage begin with (the instruction's frame) is read once a micro-batch instead of once a row.

The rows of a micro-batch are laid out one after the other behind their common beginning, as one row of (beginning + rows x
rest) tokens. All that a causal model does to each token alone (projections, norms, the inner layer) is then done once for
the beginning. Only attention looks across tokens: there the rows are put together again, each behind the beginning, so that
the same kernels see the same keys. The beginning's gradient is the sum over the rows; loss and gradients are those of
whole rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.attention import ORDINARY, looks_at_all_before

if TYPE_CHECKING:
    import torch

ATTENTION = "qalign_shared_prefix"
"""The name that transformers knows this attention by. No function for masks has that name, so it gets none."""
FEWEST = 8
"""Tokens that examples must have in common for it to pay."""


class Layout:
    """How the tokens of the micro-batch under way lie: so many rows behind so many tokens, or (no tokens) as usual. The numbers
    travel as the sizes of an empty tensor, because `torch.compile` takes those to change, and plain ones to be constants."""

    sizes: torch.Tensor | None = None

    def set(self, prefix: int = 0, rows: int = 1) -> None:
        """What holds from here on, also for activations that are computed again in the backward pass."""
        import torch

        self.sizes = torch.empty(rows, prefix, 0) if prefix else None


LAYOUT = Layout()
"""A process trains one model at a time, and attention is called from deep within it."""


def attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any = None, **options: Any
) -> tuple[torch.Tensor, None]:
    """Causal attention over queries, keys and values of (1, heads, tokens, width), laid out as `LAYOUT` says; the result is
    (1, tokens, heads, width). Without a prefix it is torch's own."""
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


def share(model: Any, longest: int) -> bool:
    """Gives a model that is not wrapped yet this attention, if it can read rows of up to `longest` tokens so: all that
    looks across tokens in it is causal attention through transformers' interface, and nothing is dropped, which each row
    draws for itself. Whether it can is also tried."""
    import torch
    from transformers import AttentionInterface

    config = model.config.get_text_config()
    if (
        not looks_at_all_before(model, longest)
        or getattr(config, "attention_dropout", None)
        or any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in model.modules())
    ):
        return False
    AttentionInterface.register(ATTENTION, attention)
    if _reads_the_same(model):
        model.set_attn_implementation(ATTENTION)
        return True
    return False


def undo(model: Any) -> None:
    """Gives a model torch's own attention again."""
    model.set_attn_implementation(ORDINARY)


def _reads_the_same(model: Any) -> bool:
    """Whether two short rows give the same logits as the model is, and behind what they begin with by this attention."""
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
        undo(model)
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
