"""A key-value cache with room for more tokens.

The cache of transformers grows by concatenation: every token copies all earlier ones. For a small model on a CPU that
takes longer than the model's arithmetic. Here a token is written into free room. So are the prompts that replace finished
sequences. A copy is made only every `ROOM` tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import Cache
    from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens of new room in a layer."""

NARROW = 64
"""Dimensions of a head up to which the keys of two are faster together, though half of the products have zeros."""


@functools.cache
def roomy_layer() -> type[DynamicLayer]:
    """The class of a layer with room, built on first use."""
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
        """A layer of the cache, made from one of shape (sequences, heads, tokens, width).

        Its buffers hold the tokens from `_first` up to `_used`. After them is room, before them are discarded tokens. The memory
        layout is that of transformers, or the fastest one for a single token per sequence. In that layout `beside` heads are
        adjacent, and keys have the shape (sequences, heads / beside, tokens, beside * width). Values have each dimension's
        numbers adjacent.
        """

        def __init__(self, layer: DynamicLayer, beside: int) -> None:
            super().__init__()
            self.lazy_initialization(layer.keys, layer.values)
            self._beside = beside
            self._buffers: tuple[torch.Tensor, ...] = (self._laid(layer.keys), layer.values)
            self._first, self._used = 0, layer.keys.shape[-2]
            self.rearrange()

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Appends the new tokens, and returns all keys and all values."""
            tokens = key_states.shape[-2]
            if self._used + tokens > self._buffers[0].shape[-2]:
                self.rearrange(room=tokens + ROOM)
            for buffer, states in zip(self._buffers, (self._laid(key_states), value_states), strict=True):
                buffer[..., self._used : self._used + tokens, :] = states
            self._used += tokens
            return self._view()

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            """Keeps these sequences, in this order. Only those that move are copied."""
            moved = (indices != indices.new_tensor(range(len(indices)))).nonzero()[:, 0]
            for buffer in self._buffers:
                held = buffer[..., self._first : self._used, :]
                held[moved] = held[indices[moved]]
            self._buffers = tuple(buffer[: len(indices)] for buffer in self._buffers)
            self._view()

        def leave_out(self, tokens: int) -> None:
            """Discards the first `tokens` tokens. Nothing is copied."""
            self._first += tokens
            self._view()

        def put(self, rows: torch.Tensor, other: DynamicLayer) -> None:
            """Overwrites sequences with those of a transformers layer, aligned on the right.

            If theirs are longer, the other sequences get arbitrary finite numbers on the left.
            """
            tokens = other.keys.shape[-2]
            if tokens > self._used:
                self.rearrange(zeros=tokens - (self._used - self._first))
            self._first = min(self._first, self._used - tokens)
            for buffer, theirs in zip(self._buffers, (self._laid(other.keys), other.values), strict=True):
                buffer[rows, :, self._used - tokens : self._used] = theirs
            self._view()

        def rearrange(self, zeros: int = 0, room: int = ROOM) -> None:
            """Copies the tokens held to new buffers, with room after and zeros before them."""
            held = (buffer[..., self._first : self._used, :] for buffer in self._buffers)
            self._buffers = tuple(
                _copied(states, zeros, room, across)
                for states, across in zip(held, (False, self._beside > 0), strict=True)
            )
            self._first, self._used = zeros, zeros + self._used - self._first
            self._view()

        def _laid(self, keys: torch.Tensor) -> torch.Tensor:
            if self._beside < 2:
                return keys
            rows, _, tokens, width = keys.shape
            return keys.reshape(rows, -1, self._beside, tokens, width).transpose(2, 3).flatten(3)

        def _view(self) -> tuple[torch.Tensor, torch.Tensor]:
            self.keys, self.values = (buffer[..., self._first : self._used, :] for buffer in self._buffers)
            return self.keys, self.values

    return RoomyLayer


def give_room(cache: Cache, read_by: int = 0) -> None:
    """Gives room to the layers of a transformers cache that hold all tokens.

    Other layers, such as sliding windows and states, do not change. `read_by` is the number of heads that read a layer with
    this package's attention: it decides the memory layout, see `RoomyLayer`.
    """
    from transformers.cache_utils import DynamicLayer

    for place, layer in enumerate(getattr(cache, "layers", [])):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[place] = roomy_layer()(layer, _beside(layer.keys, read_by) if read_by else 0)


def has_room(cache: Cache) -> bool:
    """Whether every layer of the cache has room, so sequences can be replaced."""
    return all(isinstance(layer, roomy_layer()) for layer in cache.layers)


def repeated(cache: Cache, rows: int) -> Cache:
    """A cache with `rows` copies of the one sequence of a cache with room."""
    return _chosen(cache, lambda states: states.expand(rows, -1, -1, -1))


def spread(cache: Cache, rows: torch.Tensor) -> Cache:
    """A cache with these sequences of another, in this order. Repeats are allowed."""
    if any(isinstance(layer, roomy_layer()) for layer in cache.layers):
        return _chosen(cache, lambda states: states[rows])
    cache.batch_select_indices(rows)
    return cache


def _chosen(cache: Cache, choose: Callable[[torch.Tensor], torch.Tensor]) -> Cache:
    """A new cache with room, with the sequences that `choose` gives of keys and of values."""
    from transformers import DynamicCache

    copies = DynamicCache()
    for place, layer in enumerate(cache.layers):
        copies.update(choose(layer.keys), choose(layer.values), place)
    give_room(copies)
    return copies


def joined(caches: Sequence[Cache]) -> Cache:
    """One cache with the sequences of all caches, padded with zeros on the left."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    if len(caches) == 1:
        return caches[0]
    whole = DynamicCache()
    length = max(cache.get_seq_length() for cache in caches)
    for place, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        states = [
            torch.cat([pad(held, (0, 0, length - held.shape[2], 0)) for held in parts])
            for parts in ([layer.keys for layer in layers], [layer.values for layer in layers])
        ]
        whole.update(*states, place)
    return whole


def _beside(keys: torch.Tensor, read_by: int) -> int:
    """How many heads of keys to make adjacent: two if they are narrow."""
    _, heads, _, width = keys.shape
    return 2 if width <= NARROW and heads % 2 == 0 and read_by <= 2 * heads else 1


def _copied(states: torch.Tensor, zeros: int, room: int, across: bool) -> torch.Tensor:
    """Keys or values in a new tensor, from (sequences, heads, tokens, width)."""
    rows, heads, tokens, width = states.shape
    length = zeros + tokens + room
    if across:
        buffer = states.new_empty(rows, heads, width, length).transpose(2, 3)
    else:
        buffer = states.new_empty(rows, heads, length, width)
    buffer[..., :zeros, :] = 0
    buffer[..., zeros : zeros + tokens, :] = states
    return buffer
