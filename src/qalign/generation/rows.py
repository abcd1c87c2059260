"""Prompts that are being answered side by side: what a step needs of them, and how others take the place of those that end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cache import give_room, has_room, joined, repeated, spread

if TYPE_CHECKING:
    import torch

PROMPT_TOKENS_AT_ONCE = 2048
"""With this package's attention, about so many tokens of prompts are read at once: what a layer makes of them stays near the
cores, and short prompts are not padded to the longest."""


@dataclass(slots=True)
class Rows:
    """Sequences of different lengths, padded on the left; behind a prefix that all of them have, if one was read before.

    `places` says which prompt a row answers, `prompt_tokens` how many columns of the cache that takes, `answers` what it has
    generated. `ids` and `positions` (rows, new tokens) go into the next step; `mask` (rows, tokens) is 1 where a token is,
    those of the next step included; `cache` holds keys and values of the tokens before. With this package's `own_attention`,
    those of the prefix stay in `prefix`, the cache of one row; otherwise each row has them. `draws` are the rows' sources of
    chance, none where nothing is drawn. `free` are the rows whose answers have ended: they go on, unread, until others take
    their place or they are dropped.
    """

    places: list[int]
    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    answers: list[list[int]]
    prompt_tokens: list[int]
    own_attention: bool
    prefix: Any = None
    cache: Any = None
    draws: list[torch.Generator] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)
    """Before the first step: which row has read the prompt of each answer, where some answer the same prompt."""

    def __len__(self) -> int:
        """Rows that are being answered."""
        return len(self.places) - len(self.free)

    @property
    def answering(self) -> list[int]:
        """The rows that are being answered, by number."""
        free = set(self.free)
        return [row for row in range(len(self.places)) if row not in free]

    @property
    def can_be_replaced(self) -> bool:
        """Whether others can take the place of free rows: the cache holds all tokens of all layers."""
        return has_room(self.cache)

    def read(self, model: Any) -> torch.Tensor:
        """The logits (rows, vocabulary) of what follows the tokens of this step, whose keys and values are then in the cache.

        After the first step there is a row for each answer.
        """
        logits = self._logits(model)
        return self._spread(logits) if self.copies else logits

    def _spread(self, logits: torch.Tensor) -> torch.Tensor:
        """Gives each answer a row of its own, a copy of the one that has read its prompt."""
        import torch

        rows = torch.tensor(self.copies, device=self.ids.device)
        self.prompt_tokens = [self.prompt_tokens[row] for row in self.copies]
        self.ids, self.positions, self.mask = self.ids[rows], self.positions[rows], self.mask[rows]
        self.cache, self.copies = spread(self.cache, rows), []
        return logits[rows]

    def _logits(self, model: Any) -> torch.Tensor:
        import torch

        if self.cache is not None or not self.own_attention:
            logits, self.cache = self._read(model, slice(None), 0)
            return logits
        columns, parts = self.ids.shape[1], []
        at_once = max(1, PROMPT_TOKENS_AT_ONCE // columns)
        for first in range(0, len(self.ids), at_once):
            part = slice(first, first + at_once)
            parts.append(self._read(model, part, columns - max(self.prompt_tokens[part])))
        self.cache = joined([cache for _, cache in parts])
        return torch.cat([logits for logits, _ in parts])

    def _read(self, model: Any, rows: slice, unused: int) -> tuple[torch.Tensor, Any]:
        """The same for some of the rows, without the first columns, in which they have no token; and the cache of these rows."""
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

    def make_room(self, model: Any) -> None:
        """After their first step: has the cache make room for the next ones, and for others. What takes the place of other
        rows needs none of its own."""
        give_room(self.cache, model.config.get_text_config().num_attention_heads if self.own_attention else 0)

    def advance(self, chosen: torch.Tensor) -> None:
        """Makes the tokens that were chosen (rows,) those of the next step."""
        import torch

        self.ids, self.positions = chosen[:, None], self.positions[:, -1:] + 1
        if self.free:
            self.positions[self.free] = 0  # theirs would leave the positions that the model knows
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(chosen), 1)], dim=1)
        if self.can_be_replaced:
            self._leave_out_what_is_past()

    def drop_free(self) -> None:
        """Only rows that are being answered stay; the last of them move to where others have ended."""
        import torch

        rows = list(range(len(self)))
        last = iter([row for row in self.answering if row >= len(self)])
        for row in self.free:
            if row < len(self):
                rows[row] = next(last)
        self.free = []
        self.places, self.answers = [self.places[row] for row in rows], [self.answers[row] for row in rows]
        self.prompt_tokens = [self.prompt_tokens[row] for row in rows]
        self.draws = [self.draws[row] for row in rows] if self.draws else []
        kept = torch.tensor(rows, dtype=torch.long, device=self.ids.device)
        self.ids, self.positions, self.mask = self.ids[kept], self.positions[kept], self.mask[kept]
        if rows:
            self.cache.batch_select_indices(kept)

    def replace(self, fresh: Rows) -> None:
        """Rows that have made their first step take the place of free ones."""
        import torch
        from torch.nn.functional import pad

        if fresh.free:
            fresh.drop_free()
        if not fresh.places:
            return
        slots, self.free = self.free[: len(fresh)], self.free[len(fresh) :]
        rows = torch.tensor(slots, dtype=torch.long, device=self.ids.device)
        for layer, theirs in zip(self.cache.layers, fresh.cache.layers, strict=True):
            layer.put(rows, theirs)
        length = max(self.mask.shape[1], fresh.mask.shape[1])
        self.mask, new_mask = (pad(mask, (length - mask.shape[1], 0)) for mask in (self.mask, fresh.mask))
        self.mask[rows], self.ids[rows], self.positions[rows] = new_mask, fresh.ids, fresh.positions
        for number, row in enumerate(slots):
            self.places[row], self.answers[row] = fresh.places[number], fresh.answers[number]
            self.prompt_tokens[row] = fresh.prompt_tokens[number]
            if self.draws:
                self.draws[row] = fresh.draws[number]
        self._leave_out_what_is_past()

    def _leave_out_what_is_past(self) -> None:
        """The columns on the left in which no answer has a token any more."""
        longest = max(self.prompt_tokens[row] + len(self.answers[row]) for row in self.answering)
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
    prefix: Any = None,
) -> Rows:
    """Rows that have still to read their prompts, or what of those follows a prefix: `prefix` is the cache of one row that
    has read it. With `own_attention` the rows leave it there, else each has a copy. Equal prompts behind each other are read
    once."""
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
    answers: list[list[int]] = [[] for _ in prompts]
    return Rows(
        list(places),
        ids.to(device),
        positions.to(device),
        mask.to(device),
        answers,
        columns,
        own_attention,
        prefix if own_attention else None,
        cache,
        copies=copies if len(rests) < len(prompts) else [],
    )
