"""A batch of sequences during generation, and how new ones replace finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cache import give_room, has_room, joined, repeated, spread

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel

PROMPT_TOKENS_AT_ONCE = 2048
"""With this package's attention, about this many prompt tokens are encoded at once. The activations of a layer then fit the
CPU caches, and short prompts are not padded to the longest."""


@dataclass(slots=True)
class Slot:
    """One sequence of a batch."""

    place: int
    """The index of its prompt."""
    prompt_tokens: int
    """The number of columns of the cache that the prompt takes."""
    answer: list[int] = field(default_factory=list)
    """The tokens generated so far."""
    random_state: torch.Generator | None = None
    """None for greedy decoding."""


@dataclass(slots=True, kw_only=True)
class Rows:
    """Sequences of different lengths, padded on the left, with an optional prefix."""

    slots: list[Slot]
    """The sequences."""
    ids: torch.Tensor
    """The tokens of the next step, (sequences, new tokens)."""
    positions: torch.Tensor
    """The positions of `ids`, of the same shape."""
    mask: torch.Tensor
    """1 where a token is, those of the next step included, (sequences, tokens)."""
    own_attention: bool
    """Whether this package's attention is used. The prefix then stays in `prefix`, else each sequence has a copy."""
    prefix: Cache | None = None
    """The cache of the prefix, one sequence."""
    cache: Any = None
    """The keys and values of all earlier tokens."""
    free: list[int] = field(default_factory=list)
    """Slots whose sequence has finished. They are computed, and ignored, until refilled or dropped."""
    copies: list[int] = field(default_factory=list)
    """Before the first step: which row has read the prompt of each answer, where some answer the same prompt."""

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
        """Whether free slots can be refilled: every cache layer holds all tokens."""
        return has_room(self.cache)

    def read(self, model: PreTrainedModel) -> torch.Tensor:
        """The next-token logits, one sequence per answer. Adds this step to the cache."""
        logits = self._logits(model)
        return self._spread(logits) if self.copies else logits

    def _spread(self, logits: torch.Tensor) -> torch.Tensor:
        """Gives each answer its own sequence, a copy of the one that read its prompt."""
        import torch

        rows = torch.tensor(self.copies, device=self.ids.device)
        self.ids, self.positions, self.mask = self.ids[rows], self.positions[rows], self.mask[rows]
        self.cache, self.copies = spread(self.cache, rows), []
        return logits[rows]

    def _logits(self, model: PreTrainedModel) -> torch.Tensor:
        import torch

        if self.cache is not None or not self.own_attention:
            logits, self.cache = self._read(model, slice(None), 0)
            return logits
        columns, parts = self.ids.shape[1], []
        at_once = max(1, PROMPT_TOKENS_AT_ONCE // columns)
        for first in range(0, len(self.ids), at_once):
            part = slice(first, first + at_once)
            parts.append(self._read(model, part, columns - int(self.mask[part].sum(-1).max())))
        self.cache = joined([cache for _, cache in parts])
        return torch.cat([logits for logits, _ in parts])

    def _read(self, model: PreTrainedModel, rows: slice, unused: int) -> tuple[torch.Tensor, Cache]:
        """The logits and cache of some sequences, without their `unused` first columns."""
        shared = {"shared_prefix": self.prefix} if self.prefix is not None else {}
        out = model(
            input_ids=self.ids[rows, unused:],
            attention_mask=self.mask[rows, unused:],
            position_ids=self.positions[rows, unused:],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
            **shared,
        )
        return out.logits[:, -1], out.past_key_values

    def make_room(self, model: PreTrainedModel) -> None:
        """Gives the cache room, after the first step."""
        give_room(self.cache, model.config.get_text_config().num_attention_heads if self.own_attention else 0)

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
        """Drops free slots. The last unfinished sequences move into them."""
        import torch

        rows = list(range(len(self)))
        last = iter([row for row in self.answering if row >= len(self)])
        for row in self.free:
            if row < len(self):
                rows[row] = next(last)
        self.free = []
        self.slots = [self.slots[row] for row in rows]
        kept = torch.tensor(rows, dtype=torch.long, device=self.ids.device)
        self.ids, self.positions, self.mask = self.ids[kept], self.positions[kept], self.mask[kept]
        if rows:
            self.cache.batch_select_indices(kept)

    def replace(self, fresh: Rows) -> None:
        """Refills free slots with sequences that have made their first step."""
        import torch
        from torch.nn.functional import pad

        if fresh.free:
            fresh.drop_free()
        if not fresh.slots:
            return
        free, self.free = self.free[: len(fresh)], self.free[len(fresh) :]
        rows = torch.tensor(free, dtype=torch.long, device=self.ids.device)
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


def begin(
    places: Sequence[int],
    prompts: Sequence[Sequence[int]],
    filler: int,
    device: torch.device,
    own_attention: bool,
    prefix: Cache | None = None,
) -> Rows:
    """Sequences that have not read their prompts yet.

    Equal prompts next to each other are read once.

    Args:
        places: the indices of the prompts.
        prompts: token ids of all prompts.
        filler: the padding token.
        device: the device of the tensors.
        own_attention: whether the prefix stays in its own cache, else each sequence has a copy.
        prefix: the cache of one sequence that has read the common prompt prefix.
    """
    import torch

    read = prefix.get_seq_length() if prefix is not None else 0
    rests: list[Sequence[int]] = []
    copies = []
    for place, ids_of_prompt in enumerate(prompts):
        if not place or ids_of_prompt != prompts[place - 1]:
            rests.append(ids_of_prompt[read:])
        copies.append(len(rests) - 1)
    length = max(len(ids) for ids in rests)
    ids = torch.full((len(rests), length), filler, dtype=torch.long)
    mask = torch.zeros((len(rests), length), dtype=torch.long)
    for row, tokens in enumerate(rests):
        ids[row, length - len(tokens) :] = torch.tensor(tokens)
        mask[row, length - len(tokens) :] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0) + read
    columns, cache = list(map(len, rests)), None
    if read and not own_attention:
        mask = torch.cat([mask.new_ones(len(rests), read), mask], dim=1)
        columns, cache = [read + length] * len(rests), repeated(prefix, len(rests))
    return Rows(
        slots=[Slot(place=place, prompt_tokens=columns[copy]) for place, copy in zip(places, copies, strict=True)],
        ids=ids.to(device),
        positions=positions.to(device),
        mask=mask.to(device),
        own_attention=own_attention,
        prefix=prefix if own_attention else None,
        cache=cache,
        copies=copies if len(rests) < len(prompts) else [],
    )
