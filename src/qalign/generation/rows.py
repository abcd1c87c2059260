"""A batch of sequences during generation, and how new ones replace finished ones.

The cache of transformers grows by concatenation: every token copies all earlier ones. Here a token is written into free
room, and so are the prompts that replace finished sequences. A copy is made only every `ROOM` tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel
    from transformers.cache_utils import DynamicLayer


ROOM = 64
"""Tokens of new room in a layer."""


@functools.cache
def roomy_layer() -> type[DynamicLayer]:
    """The class of a layer with room, built on first use."""
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
        """A layer of the cache, made from one of shape (sequences, heads, tokens, width).

        Its buffers hold the tokens from `_first` up to `_used`. After them is room, before them are discarded tokens.
        """

        def __init__(self, layer: DynamicLayer) -> None:
            super().__init__()
            self.lazy_initialization(layer.keys, layer.values)
            self._buffers: tuple[torch.Tensor, ...] = (layer.keys, layer.values)
            self._first, self._used = 0, layer.keys.shape[-2]
            self.rearrange()

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Appends the new tokens, and returns all keys and all values."""
            tokens = key_states.shape[-2]
            if self._used + tokens > self._buffers[0].shape[-2]:
                self.rearrange(room=tokens + ROOM)
            for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
                buffer[..., self._used : self._used + tokens, :] = states
            self._used += tokens
            return self._view()

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            """Keeps these sequences, in this order."""
            self._buffers = tuple(buffer[indices] for buffer in self._buffers)
            self._view()

        def leave_out(self, tokens: int) -> None:
            """Discards the first `tokens` tokens. Nothing is copied."""
            self._first += tokens
            self._view()

        def put(self, rows: torch.Tensor, other: DynamicLayer) -> None:
            """Overwrites sequences with those of a longer or shorter layer, aligned on the right. The rest is finite."""
            tokens = other.keys.shape[-2]
            if tokens > self._used:
                self.rearrange(zeros=tokens - (self._used - self._first))
            self._first = min(self._first, self._used - tokens)
            for buffer, theirs in zip(self._buffers, (other.keys, other.values), strict=True):
                buffer[rows, :, self._used - tokens : self._used] = theirs
            self._view()

        def rearrange(self, zeros: int = 0, room: int = ROOM) -> None:
            """Copies the tokens held to new buffers, with room after and zeros before them."""
            from torch.nn.functional import pad

            held = (buffer[..., self._first : self._used, :] for buffer in self._buffers)
            self._buffers = tuple(pad(states, (0, 0, zeros, room)) for states in held)
            self._first, self._used = zeros, zeros + self._used - self._first
            self._view()

        def _view(self) -> tuple[torch.Tensor, torch.Tensor]:
            self.keys, self.values = (buffer[..., self._first : self._used, :] for buffer in self._buffers)
            return self.keys, self.values

    return RoomyLayer


def give_room(cache: Cache) -> None:
    """Gives room to the layers of a cache that hold all tokens. Sliding windows and states stay as they are."""
    from transformers.cache_utils import DynamicLayer

    for place, layer in enumerate(getattr(cache, "layers", [])):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[place] = roomy_layer()(layer)


@dataclass(slots=True)
class Slot:
    """One sequence of a batch."""

    place: int
    """The index of its prompt."""
    prompt_tokens: int
    answer: list[int] = field(default_factory=list)
    """The tokens generated so far."""
    random_state: torch.Generator | None = None  # for greedy decoding


@dataclass(slots=True, kw_only=True)
class Rows:
    """Sequences of different lengths, padded on the left."""

    slots: list[Slot]
    ids: torch.Tensor
    """The tokens of the next step, (sequences, new tokens)."""
    positions: torch.Tensor
    """The positions of `ids`, of the same shape."""
    mask: torch.Tensor
    """1 where a token is, those of the next step included, (sequences, tokens)."""
    copies: list[int] | None
    """Before the first step: which row reads the prompt of each slot, where some have the same prompt."""
    cache: Any = None
    free: list[int] = field(default_factory=list)
    """Slots whose sequence has finished. They are computed, and ignored, until refilled or dropped."""

    def __len__(self) -> int:
        """The number of unfinished sequences."""
        return len(self.slots) - len(self.free)

    @property
    def answering(self) -> list[int]:
        """The indices of unfinished sequences."""
        free = set(self.free)
        return [row for row in range(len(self.slots)) if row not in free]

    @property
    def can_be_replaced(self) -> bool:
        """Whether free slots can be refilled: every layer of the cache has room."""
        return all(isinstance(layer, roomy_layer()) for layer in self.cache.layers)

    def read(self, model: PreTrainedModel) -> torch.Tensor:
        """The next-token logits, one sequence per slot. Adds this step to the cache."""
        import torch

        out = model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = out.logits[:, -1]
        self.cache = out.past_key_values
        if self.copies:
            rows = torch.tensor(self.copies, device=self.ids.device)
            self._choose(rows)
            self.copies, logits = None, logits[rows]
        return logits

    def _choose(self, rows: torch.Tensor) -> None:
        self.ids, self.positions, self.mask = self.ids[rows], self.positions[rows], self.mask[rows]
        self.cache.batch_select_indices(rows)

    def advance(self, chosen: torch.Tensor) -> None:
        """Makes the chosen tokens (sequences,) the input of the next step."""
        import torch

        self.ids, self.positions = chosen[:, None], self.positions[:, -1:] + 1
        if self.free:
            self.positions[self.free] = 0  # their own would exceed the model's positions
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(chosen), 1)], dim=1)
        if self.can_be_replaced:
            self._leave_out_what_is_past()

    def drop_free(self) -> None:
        """Drops free slots."""
        import torch

        rows = self.answering
        self.slots, self.free = [self.slots[row] for row in rows], []
        if rows:
            self._choose(torch.tensor(rows, device=self.ids.device))

    def replace(self, fresh: Rows) -> None:
        """Refills free slots with sequences that have made their first step."""
        import torch
        from torch.nn.functional import pad

        fresh.drop_free()
        if not fresh.slots:
            return
        free, self.free = self.free[: len(fresh)], self.free[len(fresh) :]
        rows = torch.tensor(free, device=self.ids.device)
        for layer, theirs in zip(self.cache.layers, fresh.cache.layers, strict=True):
            layer.put(rows, theirs)
        length = max(self.mask.shape[1], fresh.mask.shape[1])
        self.mask, new_mask = (pad(mask, (length - mask.shape[1], 0)) for mask in (self.mask, fresh.mask))
        self.mask[rows], self.ids[rows], self.positions[rows] = new_mask, fresh.ids, fresh.positions
        for row, slot in zip(free, fresh.slots, strict=True):
            self.slots[row] = slot
        self._leave_out_what_is_past()

    def _leave_out_what_is_past(self) -> None:
        """Discards the columns on the left in which no sequence has a token."""
        longest = max(self.slots[row].prompt_tokens + len(self.slots[row].answer) for row in self.answering)
        if unused := self.mask.shape[1] - longest:
            self.mask = self.mask[:, unused:]
            for layer in self.cache.layers:
                layer.leave_out(unused)


def begin(places: Sequence[int], prompts: Sequence[Sequence[int]], filler: int, device: torch.device) -> Rows:
    """Sequences that have not read their prompts yet. Equal prompts next to each other are read once."""
    import torch

    read: list[Sequence[int]] = []
    copies = []
    for prompt in prompts:
        if not read or prompt != read[-1]:
            read.append(prompt)
        copies.append(len(read) - 1)
    length = max(map(len, read))
    ids = torch.tensor([[filler] * (length - len(prompt)) + list(prompt) for prompt in read])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in read])
    return Rows(
        slots=[Slot(place=place, prompt_tokens=len(prompt)) for place, prompt in zip(places, prompts, strict=True)],
        ids=ids.to(device),
        positions=(mask.cumsum(-1) - 1).clamp(min=0).to(device),
        mask=mask.to(device),
        copies=copies if len(read) < len(prompts) else None,
    )
