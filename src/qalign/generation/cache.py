"""A cache of keys and values with room for what is to come.

transformers' own grows by concatenation: every token copies all that came before, which for a small model on a CPU takes
longer than the model's arithmetic. Here a token is written where there is room; only every `ROOM` tokens a copy is made.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROOM = 64
"""Tokens that a layer makes room for at once."""


@functools.cache
def roomy_layer() -> Any:
    """The class of a layer with room, made when it is first wanted: transformers takes seconds to import."""
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
        """A layer of the cache, taken over from one that has keys and values of (rows, heads, tokens, width)."""

        def __init__(self, layer: DynamicLayer) -> None:
            super().__init__()
            self.lazy_initialization(layer.keys, layer.values)
            self._used = 0
            self._buffers: tuple[torch.Tensor, ...] = (layer.keys[..., :0, :], layer.values[..., :0, :])
            self.update(layer.keys, layer.values)

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Appends the new tokens; returns all keys and all values, which later calls do not change."""
            start, self._used = self._used, self._used + key_states.shape[-2]
            self._buffers = tuple(
                _written(buffer, states, start)
                for buffer, states in zip(self._buffers, (key_states, value_states), strict=True)
            )
            return self._view()

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            """Keeps these rows."""
            self._buffers = tuple(buffer[indices] for buffer in self._buffers)
            self._view()

        def join(self, other: RoomyLayer, unused: int) -> None:
            """Puts the rows of another layer below these, after leaving out the first `unused` tokens of these; the shorter
            rows have zeros on the left."""
            ours = [buffer[..., unused : self._used, :] for buffer in self._buffers]
            theirs = [buffer[..., : other._used, :] for buffer in other._buffers]
            self._used = max(self._used - unused, other._used)
            self._buffers = tuple(_stacked(pair, self._used) for pair in zip(ours, theirs, strict=True))
            self._view()

        def _view(self) -> tuple[torch.Tensor, torch.Tensor]:
            self.keys, self.values = (buffer[..., : self._used, :] for buffer in self._buffers)
            return self.keys, self.values

    return RoomyLayer


def give_room(cache: Any) -> None:
    """Takes over the layers of a transformers cache that hold all tokens; others (sliding windows, states) stay as they are."""
    from transformers.cache_utils import DynamicLayer

    for place, layer in enumerate(getattr(cache, "layers", [])):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[place] = roomy_layer()(layer)


def joinable(cache: Any) -> bool:
    """Whether every layer of the cache has room, so that rows of another such cache can be added."""
    return all(isinstance(layer, roomy_layer()) for layer in cache.layers)


def join_caches(cache: Any, other: Any, unused: int) -> None:
    """Adds the rows of another cache to this one, whose first `unused` tokens are left out."""
    for layer, theirs in zip(cache.layers, other.layers, strict=True):
        layer.join(theirs, unused)


def _stacked(parts: Sequence[torch.Tensor], used: int) -> torch.Tensor:
    """Keys or values of (rows, heads, tokens, width) below each other, aligned at token `used`, with room behind it."""
    _, heads, _, width = parts[0].shape
    stacked = parts[0].new_zeros(sum(len(part) for part in parts), heads, used + ROOM, width)
    row = 0
    for part in parts:
        stacked[row : row + len(part), :, used - part.shape[-2] : used] = part
        row += len(part)
    return stacked


def _written(buffer: torch.Tensor, states: torch.Tensor, start: int) -> torch.Tensor:
    """The buffer with the states written from token `start` on, with more room if it has too little."""
    end = start + states.shape[-2]
    if end > buffer.shape[-2]:
        rows, heads, _, width = states.shape
        larger = states.new_empty(rows, heads, end + ROOM, width)
        larger[..., :start, :] = buffer[..., :start, :]
        buffer = larger
    buffer[..., start:end, :] = states
    return buffer
