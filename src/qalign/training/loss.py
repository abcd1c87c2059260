"""The loss: cross-entropy summed over supervised tokens, the vocabulary projected at their positions only.

Most positions of an example are prompt. A hook on the model's output embedding hands on the hidden states of the
supervised positions and nothing else, so whatever a model does with its logits (scaling, soft caps) still happens.
With padding on the right and causal attention, no attention mask is needed: no real position sees a padded one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .batches import MicroBatch

if TYPE_CHECKING:
    import torch


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
        from torch.nn.functional import cross_entropy

        self._selected = batch.selected
        try:
            logits = model(input_ids=batch.ids, use_cache=False).logits  # (1, supervised, vocabulary)
        finally:
            self._selected = None
        return cross_entropy(logits[0].float(), batch.targets, reduction="sum")

    def remove(self) -> None:
        """Takes the hook off, so that the model projects every position again."""
        self._handle.remove()

    def _select(self, head: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._selected is None:
            return None
        return (arguments[0][self._selected].unsqueeze(0), *arguments[1:])
