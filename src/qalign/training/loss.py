"""The loss: weighted cross-entropy summed over supervised tokens.

Most positions of an example are prompt, so the vocabulary is projected at supervised positions only. A hook on the model's
output embedding passes on their hidden states and no others. Padding is on the right and attention is causal, so no
attention mask is needed.

Logits are the largest tensor of a training step. Their cross-entropy is taken some rows at a time, so that intermediate
values fit a processor's cache. Their gradient is the only other tensor of that size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .batches import MicroBatch
from .prefix import LAYOUT

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

NUMBERS_AT_ONCE, MANY_NUMBERS = {"cpu": 2**19}, 2**26
"""Logits that are worked on at once, by kind of device, and on others. A processor's cache holds as many."""


class SupervisedLoss:
    """Sums the loss of micro-batches of one model."""

    def __init__(self, model: PreTrainedModel) -> None:
        head = model.get_output_embeddings()
        if head is None:
            raise ModelError(f"{type(model).__name__} has no output embedding; give a causal language model")
        self.summed: Callable[[torch.Tensor, MicroBatch], torch.Tensor] = lambda logits, batch: cross_entropy(
            logits, batch.targets, batch.weights
        )
        """The loss of a micro-batch by its logits (supervised, vocabulary), summed. Another objective replaces it."""
        self._selected: torch.Tensor | None = None
        self._handle = head.register_forward_pre_hook(self._select)

    def __call__(self, model: torch.nn.Module, batch: MicroBatch) -> torch.Tensor:
        """The summed loss, a float32 scalar, of a model that may be wrapped for several devices."""
        self._selected = batch.selected
        LAYOUT.set(batch.prefix, batch.rows)
        placed = {} if batch.positions is None else {"position_ids": batch.positions}
        try:
            logits = model(input_ids=batch.ids, use_cache=False, **placed).logits  # (1, supervised, vocabulary)
        finally:
            self._selected = None
        # A view of the logits: `logits[0]` would copy their gradient.
        return self.summed(logits.flatten(0, 1), batch)

    def remove(self) -> None:
        """Removes the hook. The model projects every position again, and reads sequences as usual."""
        self._handle.remove()
        LAYOUT.set()

    def _select(self, head: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        if self._selected is None:
            return None
        hidden = arguments[0].flatten(0, 1).index_select(0, self._selected)  # by number: a mask makes a device wait
        return (hidden.unsqueeze(0), *arguments[1:])


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Weighted cross-entropy summed over rows, computed in float32: a scalar.

    Logits are (rows, vocabulary) in any floating type, targets (rows,) int64, weights (rows,) float32 or None for 1.
    """
    return _summed_cross_entropy()(logits, targets, weights)


@functools.cache
def _summed_cross_entropy() -> Callable[..., torch.Tensor]:
    """The autograd function, built at its first use, for torch takes seconds to import."""
    import torch

    class SummedCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
        ) -> torch.Tensor:
            normalizers = torch.cat([part.float().logsumexp(-1) for part in _parts(logits, logits)])
            ctx.save_for_backward(logits, targets, normalizers, weights)
            right = logits.gather(-1, targets[:, None])[:, 0].float()
            losses = normalizers - right
            return (losses if weights is None else losses * weights).sum()

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
            logits, targets, normalizers, weights = ctx.saved_tensors
            scales = gradients[0].expand(len(targets)) if weights is None else gradients[0] * weights
            result = torch.empty_like(logits)
            tensors = (result, logits, targets, normalizers, scales)
            for out, part, target, normalizer, scale in zip(
                *(_parts(tensor, logits) for tensor in tensors), strict=True
            ):
                probabilities = (part.float() - normalizer[:, None]).exp_()
                probabilities.scatter_add_(-1, target[:, None], probabilities.new_full((len(target), 1), -1.0))
                out.copy_(probabilities.mul_(scale[:, None]))
            return result, None, None

    return SummedCrossEntropy.apply


def _parts(tensor: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A tensor cut into the rows that are worked on at once with those of logits (rows, vocabulary)."""
    import torch

    numbers = NUMBERS_AT_ONCE.get(logits.device.type, MANY_NUMBERS)
    return torch.split(tensor, max(1, numbers // logits.shape[-1]))
