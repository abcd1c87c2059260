"""Attention for generation on a CPU, with a shared prompt prefix.

A step of generation multiplies one query per sequence and head by all keys and values of that sequence. torch's kernel
works head by head. Two batched products take about half of its time where keys and values are laid out for them, as
`cache.give_room` does. The keys and values of the prompt prefix are the same for all sequences. They are multiplied by all
queries at once, as matrices, and are not part of the sequences' cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..models.attention import ORDINARY, looks_at_all_before
from .cache import has_room
from .rows import begin

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle
    from transformers import Cache, PreTrainedModel
    from transformers.cache_utils import CacheLayerMixin

ATTENTION = "qalign_rows"
"""The name of this attention in transformers."""


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    shared_prefix: Cache | None = None,
    scaling: float | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Attention over the keys and values of each sequence and of a shared prefix.

    For one new token per sequence, the keys of some heads may be adjacent: see `cache.RoomyLayer`.

    Args:
        module: the attention layer.
        query: (sequences, heads, new tokens, width).
        key: (sequences, key heads, tokens, width).
        value: (sequences, key heads, tokens, width).
        attention_mask: (sequences, 1, new tokens, tokens), added to the scores.
        shared_prefix: the cache of the prompt prefix, one sequence for all.
        scaling: the factor of the scores.
        options: further arguments of transformers.

    Returns:
        (sequences, new tokens, heads, width), and None for the weights.
    """
    import torch
    from torch.nn.functional import pad
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    before = shared_prefix.layers[module.layer_idx] if shared_prefix is not None else None
    new = query.shape[2]
    if new == 1:
        return _of_one_token(query, key, value, attention_mask, before, scaling), None
    if before is not None:
        if attention_mask is None:
            visible = torch.ones(new, key.shape[2], dtype=torch.bool).tril(key.shape[2] - new)
            attention_mask = _added(visible[None, None], query.dtype)
        attention_mask = pad(attention_mask, (before.keys.shape[2], 0))
        key, value = (
            torch.cat([held.expand(len(query), -1, -1, -1), states], 2)
            for held, states in ((before.keys, key), (before.values, value))
        )
    return sdpa_attention_forward(  # type: ignore[no-any-return]
        module, query, key.contiguous(), value.contiguous(), attention_mask, scaling=scaling, **options
    )


def _of_one_token(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    added: torch.Tensor | None,
    before: CacheLayerMixin | None,
    scaling: float | None,
) -> torch.Tensor:
    """Attention for one new token per sequence. `group` heads share the same keys."""
    import torch

    (rows, heads, _, width), (_, key_heads, tokens, _) = query.shape, value.shape
    group, beside = heads // key_heads, key_heads // key.shape[1]
    queries = (query * (width**-0.5 if scaling is None else scaling)).reshape(rows * key_heads, group, width)
    of_own = torch.bmm(key.flatten(0, 1), _apart(queries, beside).transpose(1, 2)).transpose(1, 2)
    parts = [of_own.view(rows, -1, beside * group, tokens)]
    if before is not None:
        queries = queries.view(rows, key_heads, group, width).transpose(0, 1).flatten(1, 2)
        of_all = torch.bmm(queries, before.keys[0].transpose(1, 2)).view(key_heads, rows, group, -1)
        parts.insert(0, of_all.transpose(0, 1).reshape(rows, -1, beside * group, of_all.shape[-1]))
    scores = torch.cat(parts, -1)
    if added is not None:
        scores[..., -tokens:] += added
    weights = scores.softmax(-1).view(rows, key_heads, group, -1)
    own = weights[..., -tokens:].flatten(0, 1).transpose(1, 2)
    output = torch.bmm(value.transpose(2, 3).flatten(0, 1), own).transpose(1, 2).reshape(rows, key_heads, group, -1)
    if before is not None:
        of_all = torch.bmm(weights[..., :-tokens].transpose(0, 1).flatten(1, 2), before.values[0])
        output += of_all.view(key_heads, rows, group, -1).transpose(0, 1)
    return output.reshape(rows, 1, heads, -1)


def _apart(queries: torch.Tensor, beside: int) -> torch.Tensor:
    """Queries for keys of `beside` adjacent heads, with zeros for the other heads.

    From (sequences * key heads, group, width) to (sequences * key heads / beside, beside * group, beside * width).
    """
    import torch

    if beside == 1:
        return queries
    _, group, width = queries.shape
    own = torch.eye(beside)[:, None, :, None]
    return (queries.view(-1, beside, group, 1, width) * own).view(-1, beside * group, beside * width)


def mask(dtype: torch.dtype, **options: object) -> torch.Tensor | None:
    """The mask of a step, built once for all layers. None where nothing is masked."""
    from transformers.masking_utils import sdpa_mask

    visible = sdpa_mask(dtype=dtype, **options)
    return None if visible is None else _added(visible, dtype)


def _added(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A boolean mask, true where a token is visible, as one to add to scores."""
    import torch

    return torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)


def suits(model: PreTrainedModel) -> bool:
    """Whether this attention gives a model's logits: in float32 on a CPU, by a trial."""
    import torch

    return (
        model.device.type == "cpu"
        and model.dtype == torch.float32
        and looks_at_all_before(model, 0)
        and _answers_the_same(model)
    )


@contextmanager
def used(model: PreTrainedModel, longest: int) -> Iterator[bool]:
    """Sets this attention within the block, if it fits. Yields whether it does.

    Args:
        longest: the tokens of the longest sequence.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    if not looks_at_all_before(model, longest):
        yield False
        return
    AttentionInterface.register(ATTENTION, attention)
    AttentionMaskInterface.register(ATTENTION, mask)
    last = _only_at_the_end(model)
    try:
        model.set_attn_implementation(ATTENTION)
        yield True
    finally:
        model.set_attn_implementation(ORDINARY)
        if last:
            last.remove()


def _only_at_the_end(model: PreTrainedModel) -> RemovableHandle | None:
    """Lets the last feed-forward part see only the last token, which decides.

    The result is added to all tokens, of which only the last is right. None if the model names its parts otherwise.
    """
    layers = getattr(model.get_decoder(), "layers", None)
    part = getattr(layers[-1], "mlp", None) if layers else None
    return None if part is None else part.register_forward_pre_hook(lambda _, states: (states[0][:, -1:], *states[1:]))


def _answers_the_same(model: PreTrainedModel) -> bool:
    """Whether a trial gives the model's own logits: two short prompts and one token."""
    import torch

    shared, lengths = 3, (5, 8)
    drawn = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.get_text_config().vocab_size, (2, max(lengths) + 1), generator=drawn)
    ids[1, :shared] = ids[0, :shared]
    prompts = [row[:length] for row, length in zip(ids.tolist(), lengths, strict=True)]
    following = [row[length] for row, length in zip(ids.tolist(), lengths, strict=True)]
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits
        try:
            prefix = model(input_ids=ids[:1, :shared], use_cache=True).past_key_values
            with used(model, 0):
                rows = begin([0, 1], prompts, 0, model.device, True, prefix)
                logits = [rows.read(model)]
                rows.make_room(model)
                if not has_room(rows.cache):
                    return False
                for slot, token in zip(rows.slots, following, strict=True):
                    slot.answer.append(token)
                rows.advance(torch.tensor(following))
                logits.append(rows.read(model))
        except Exception:  # of any kind in a model of another kind: it then runs unchanged, and reports its own faults
            return False
    places = [[length - 1 + more for length in lengths] for more in range(2)]
    expected = torch.stack([whole[[0, 1], place] for place in places])
    return bool(torch.allclose(torch.stack(logits), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())))
