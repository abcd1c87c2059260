"""The loss: cross-entropy summed over supervised tokens, the vocabulary projected at their positions only.

Most positions of an example are prompt. A hook on the model's output embedding hands on the hidden states of the
supervised positions and nothing else, so whatever a model does with its logits (scaling, soft caps) still happens.
With padding on the right and causal attention, no attention mask is needed: no real position sees a padded one.

Logits are the largest tensor of a training step. Their cross-entropy is taken some rows at a time, so that what is in
between fits a processor's cache, and their gradient is the only thing of their size that is made.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .batches import MicroBatch
from .prefix import LAYOUT

if TYPE_CHECKING:
    import torch

NUMBERS_AT_ONCE = {"cpu": 2**19}
"""Logits that are worked on at once, by kind of device: what a processor's cache holds; elsewhere `MANY_NUMBERS`."""
MANY_NUMBERS = 2**26


class SupervisedLoss:
    """Sums the loss of micro-batches of one model. Keeps the positions that the hook selects during a call."""

    def __init__(self, model: Any) -> None:
        head = model.get_output_embeddings()
        if head is None:
            raise ModelError(f"{type(model).__name__} has no output embedding; give a causal language model")
        self._selected: torch.Tensor | None = None
        self._handle = head.register_forward_pre_hook(self._select)

    def __call__(self, model: Any, batch: MicroBatch) -> torch.Tensor:
        """The summed loss, a float32 scalar. `model` is the model, possibly wrapped for several devices."""
        self._selected = batch.selected
        LAYOUT.set(batch.prefix, batch.rows)
        placed = {} if batch.positions is None else {"position_ids": batch.positions}
        try:
            logits = model(input_ids=batch.ids, use_cache=False, **placed).logits  # (1, supervised, vocabulary)
        finally:
            self._selected = None
        return cross_entropy(logits.flatten(0, 1), batch.targets)  # a view: `logits[0]` would copy their gradient

    def remove(self) -> None:
        """Takes the hook off, so that the model projects every position again, and reads rows as usual."""
        self._handle.remove()
        LAYOUT.set()

    def _select(self, head: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._selected is None:
            return None
        hidden = arguments[0].flatten(0, 1).index_select(0, self._selected)  # by number: a mask makes a device wait
        return (hidden.unsqueeze(0), *arguments[1:])


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy summed over rows, computed in float32.

    `logits` (rows, vocabulary) in any floating type, `targets` (rows,) int64; a scalar. As torch's own with
    `reduction="sum"` on float32 logits, without a copy of them.
    """
    return _summed_cross_entropy().apply(logits, targets)  # type: ignore[no-any-return]


@functools.cache
def _summed_cross_entropy() -> Any:
    """The autograd function, made when it is first wanted: torch takes seconds to import."""
    import torch

    class SummedCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            normalizers = torch.cat([part.float().logsumexp(-1) for part in _parts(logits, logits)])
            ctx.save_for_backward(logits, targets, normalizers)
            right = logits.gather(-1, targets[:, None])[:, 0].float()
            return (normalizers - right).sum()

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
            logits, targets, normalizers = ctx.saved_tensors
            made = torch.empty_like(logits)
            for out, part, target, normalizer in zip(
                *(_parts(tensor, logits) for tensor in (made, logits, targets, normalizers)), strict=True
            ):
                probabilities = (part.float() - normalizer[:, None]).exp_()
                probabilities.scatter_add_(-1, target[:, None], probabilities.new_full((len(target), 1), -1.0))
                out.copy_(probabilities.mul_(gradients[0]))
            return made, None

    return SummedCrossEntropy


def _parts(tensor: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A tensor with a row for each row of `logits`, cut where the work on those is."""
    import torch

    numbers = NUMBERS_AT_ONCE.get(logits.device.type, MANY_NUMBERS)
    return torch.split(tensor, max(1, numbers // logits.shape[-1]))
