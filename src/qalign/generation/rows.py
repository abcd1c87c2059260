"""Prompts that are being answered side by side: what a step needs of them, and how rows leave and join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cache import join_caches, joinable

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Rows:
    """Sequences of different lengths, padded on the left.

    `places` says which prompt a row answers, `answers` what it has generated. `ids` and `positions` (rows, new tokens) go
    into the next step; `mask` (rows, tokens) is 1 where a token is, those of the next step included; `cache` holds keys
    and values of the tokens before. `draws` are the rows' sources of chance, none where nothing is drawn.
    """

    places: list[int]
    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    answers: list[list[int]]
    cache: Any = None
    draws: list[torch.Generator] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def can_be_joined(self) -> bool:
        """Whether rows can be added: the cache holds all tokens of all layers."""
        return joinable(self.cache)

    def advance(self, chosen: torch.Tensor) -> None:
        """Makes the tokens that were chosen (rows,) those of the next step."""
        import torch

        self.ids, self.positions = chosen[:, None], self.positions[:, -1:] + 1
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(chosen), 1)], dim=1)

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows stay."""
        import torch

        self.places, self.answers = [self.places[row] for row in rows], [self.answers[row] for row in rows]
        self.draws = [self.draws[row] for row in rows] if self.draws else []
        kept = torch.tensor(rows, dtype=torch.long, device=self.ids.device)
        self.ids, self.positions, self.mask = self.ids[kept], self.positions[kept], self.mask[kept]
        if rows:
            self.cache.batch_select_indices(kept)

    def join(self, fresh: Rows) -> None:
        """Takes in rows that have made their first step."""
        import torch
        from torch.nn.functional import pad

        if not fresh.places:
            return
        used = self.mask.shape[1] - int(self.mask.sum(1).max())  # columns on the left that no row uses any more
        self.mask = self.mask[:, used:]
        join_caches(self.cache, fresh.cache, used)
        length = max(self.mask.shape[1], fresh.mask.shape[1])
        self.mask = torch.cat([pad(mask, (length - mask.shape[1], 0)) for mask in (self.mask, fresh.mask)])
        self.ids, self.positions = torch.cat([self.ids, fresh.ids]), torch.cat([self.positions, fresh.positions])
        self.places, self.answers = self.places + fresh.places, self.answers + fresh.answers
        self.draws = self.draws + fresh.draws


def begin(places: Sequence[int], prompts: Sequence[Sequence[int]], filler: int, device: torch.device) -> Rows:
    """Rows that have still to read their prompts."""
    import torch

    length = max(len(ids) for ids in prompts)
    ids = torch.full((len(prompts), length), filler, dtype=torch.long)
    mask = torch.zeros((len(prompts), length), dtype=torch.long)
    for row, tokens in enumerate(prompts):
        ids[row, length - len(tokens) :] = torch.tensor(tokens)
        mask[row, length - len(tokens) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    return Rows(list(places), ids, (mask.cumsum(-1) - 1).clamp(min=0), mask, [[] for _ in prompts])
