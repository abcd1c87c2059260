"""Exact global batches, cut into micro-batches under a token budget.

Every optimizer step sees the randomly drawn examples that the recipe asks for, whatever the devices. Only within the step
are they sorted by length, cut into micro-batches and dealt out to the ranks, so almost no token is padding. All of this
follows from the lengths and the seed, so ranks need not talk.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import DataError
from .config import TrainingConfig
from .prefix import positions
from .tokens import TokenizedExamples

if TYPE_CHECKING:
    import torch

PADDING = 0  # fills sequences on the right, and nothing reads it


class GlobalBatches:
    """The examples of each step. The seed decides the order of each epoch."""

    def __init__(self, examples: int, config: TrainingConfig) -> None:
        self.examples, self.size, self.seed = examples, config.global_batch_size, config.seed
        self.steps_per_epoch = -(-examples // self.size)
        self._epoch, self._order = -1, list[int]()

    def __getitem__(self, step: int) -> list[int]:
        """The indices of the examples of a step (counted from 0)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = list(range(self.examples))
            random.Random(f"{self.seed}/{epoch}").shuffle(self._order)
            self._epoch = epoch
        return self._order[position * self.size : (position + 1) * self.size]


@dataclass(frozen=True, slots=True)
class Batch:
    """The examples of a step or of a micro-batch, with weights."""

    examples: TokenizedExamples
    """All examples that the batch is drawn from."""
    indices: Sequence[int]
    """The places of the batch's examples among them."""
    weights: Sequence[float] | None = None
    """A weight for each index. None is a weight of 1 for all. An example of weight 0 is left out."""

    def __post_init__(self) -> None:
        weights, examples = self.weights, len(self.indices)
        if weights is not None and len(weights) != examples:
            raise DataError(f"a batch has {examples} examples and {len(weights)} weights; give each example a weight")
        if faults := [weight for weight in weights or () if not math.isfinite(weight)]:
            raise DataError(f"a batch has the weight {faults[0]}; weights are finite numbers")

    @property
    def tokens(self) -> int:
        """The tokens of the examples that count."""
        return sum(self._length(index) for index, _ in self._entries())

    @property
    def supervised(self) -> int:
        """The supervised tokens of the examples that count."""
        return sum(self._supervised(index) for index, _ in self._entries())

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all supervised tokens, each without its sign."""
        return float(sum(abs(weight) * self._supervised(index) for index, weight in self._entries()))

    def micro_batches(self, budget: int, ranks: int = 1) -> list[list[Batch]]:
        """The batch cut under a token budget, by rank. See the function `micro_batches`."""
        entries = self._entries()
        lengths = [self._length(index) for index, _ in entries]
        cut = micro_batches(range(len(entries)), lengths, budget, ranks, self.examples.shared)
        return [[self._part([entries[place] for place in places]) for places in share] for share in cut]

    def _part(self, entries: list[tuple[int, float]]) -> Batch:
        weights = None if self.weights is None else [weight for _, weight in entries]
        return replace(self, indices=[index for index, _ in entries], weights=weights)

    def _entries(self) -> list[tuple[int, float]]:
        """Index and weight of each example that counts, ordered by index."""
        weights = [1.0] * len(self.indices) if self.weights is None else self.weights
        return sorted((index, weight) for index, weight in zip(self.indices, weights, strict=True) if weight)

    def _length(self, index: int) -> int:
        return int(self.examples.starts[index + 1] - self.examples.starts[index])

    def _supervised(self, index: int) -> int:
        return self._length(index) - int(self.examples.prompt_tokens[index])


def micro_batches(
    indices: Sequence[int], lengths: Sequence[int], tokens_per_micro_batch: int, ranks: int = 1, shared: int = 0
) -> list[list[list[int]]]:
    """The step's examples by rank and micro-batch, each sorted by length.

    A micro-batch stays within the budget of tokens, padding included. An example longer than that stands alone. Ranks get
    nearly equal numbers of tokens, and the same number of micro-batches, for they wait for each other with each. Some are
    empty where there are too few examples. A micro-batch holds the tokens of the `shared` prefix once.
    """

    def tokens(batch: Sequence[int]) -> int:
        return _tokens(len(batch), lengths[batch[0]], shared) if batch else 0

    ordered = sorted(indices, key=lambda i: (-lengths[i], i))
    batches = _cut(ordered, lengths, tokens_per_micro_batch, shared)
    if ranks > 1:
        batches = _cut_evenly(ordered, lengths, tokens_per_micro_batch, shared, -(-len(batches) // ranks) * ranks)
    shares: list[list[int]] = [[] for _ in range(ranks)]
    filled = [0] * ranks
    by_size = sorted(range(len(batches)), key=lambda place: -tokens(batches[place]))
    for begin in range(0, len(batches), ranks):  # in each turn the largest goes to who has least
        least_first = sorted(range(ranks), key=filled.__getitem__)
        for rank, place in zip(least_first, by_size[begin : begin + ranks], strict=True):
            shares[rank].append(place)
            filled[rank] += tokens(batches[place])
    return [[batches[place] for place in sorted(share)] for share in shares]


def _cut_evenly(
    ordered: Sequence[int], lengths: Sequence[int], budget: int, shared: int, count: int
) -> list[list[int]]:
    """Exactly `count` micro-batches: cut under the smallest budget that allows as few, then the largest halved, or empty."""
    enough = bisect_left(range(budget), True, key=lambda tried: len(_cut(ordered, lengths, tried, shared)) <= count)
    batches = _cut(ordered, lengths, enough, shared)
    while len(batches) < count:
        largest = max(range(len(batches)), key=lambda place: len(batches[place]), default=-1)
        if largest < 0 or len(batches[largest]) < 2:
            batches.append([])
        else:
            whole = batches[largest]
            batches[largest : largest + 1] = [whole[: len(whole) // 2], whole[len(whole) // 2 :]]
    return batches


def _cut(ordered: Sequence[int], lengths: Sequence[int], budget: int, shared: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for index in ordered:  # longest first: the first of a batch sets its width
        if batches and _tokens(len(batches[-1]) + 1, lengths[batches[-1][0]], shared) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _tokens(sequences: int, longest: int, shared: int) -> int:
    """The tokens that a model reads in a micro-batch, padding included."""
    return sequences * (longest - shared) + shared


@dataclass(slots=True, kw_only=True)
class MicroBatch:
    """Sequences padded on the right, as tensors. All numbers but weights are int64.

    With a shared prefix, `ids` and `positions` are (1, prefix + rows x rest). They hold the prefix once, and then the rest
    of each sequence.
    """

    ids: torch.Tensor
    """(rows, length): the tokens."""
    selected: torch.Tensor
    """(supervised,): the places in the flattened sequences whose next token is supervised, ascending."""
    targets: torch.Tensor
    """(supervised,): those next tokens."""
    positions: torch.Tensor | None = None
    """The place of each token in its sequence. None without a shared prefix."""
    prefix: int = 0
    """The tokens of the shared prefix."""
    rows: int = 1
    """The number of sequences behind the prefix."""
    weights: torch.Tensor | None = None
    """(supervised,) float32: the weight of each target. None is 1."""
    values: torch.Tensor | None = None
    """(2, supervised) float32: advantage and the reference's log probability of each target, of sampled answers."""

    def to(self, device: torch.device) -> MicroBatch:
        """The same on a device. CUDA copies from pinned memory while it works on."""
        moved = {}
        for name in ("ids", "selected", "targets", "positions", "weights", "values"):
            if (tensor := getattr(self, name)) is not None:
                tensor = tensor.pin_memory() if device.type == "cuda" else tensor
                moved[name] = tensor.to(device, non_blocking=True)
        return replace(self, **moved)


def collate(batch: Batch) -> MicroBatch:
    """The sequences of a micro-batch as tensors. An empty batch becomes padding."""
    import torch

    examples, indices = batch.examples, batch.indices
    prefix = examples.shared if indices else 0
    rows = [examples.ids[examples.starts[i] + prefix : examples.starts[i + 1]] for i in indices]
    length = max((len(row) for row in rows), default=2)
    ids = torch.full((max(len(rows), 1), length), PADDING, dtype=torch.long)
    none = torch.zeros(0, dtype=torch.long)
    selected, targets = [none], [none]
    for place, (index, row) in enumerate(zip(indices, rows, strict=True)):
        tokens = torch.from_numpy(row.astype("int64"))
        ids[place, : len(row)] = tokens
        first = int(examples.prompt_tokens[index]) - prefix
        selected.append(torch.arange(first - 1, len(row) - 1) + prefix + place * length)
        targets.append(tokens[first:])
    micro_batch = MicroBatch(ids=ids, selected=torch.cat(selected), targets=torch.cat(targets))
    if batch.weights is not None:
        counts = torch.tensor([len(part) for part in targets[1:]], dtype=torch.long)
        micro_batch.weights = torch.tensor(batch.weights, dtype=torch.float32).repeat_interleave(counts)
    if examples.values is not None:
        spans = [(examples.starts[i] + examples.prompt_tokens[i], examples.starts[i + 1]) for i in indices]
        parts = [torch.from_numpy(examples.values[:, first:end]) for first, end in spans]
        micro_batch.values = torch.cat([torch.zeros(2, 0), *parts], 1)
    if prefix:
        start = int(examples.starts[indices[0]])
        read_once = torch.from_numpy(examples.ids[start : start + prefix].astype("int64"))
        micro_batch.ids = torch.cat([read_once, ids.flatten()])[None]
        micro_batch.positions = positions(prefix, len(rows), length)
        micro_batch.prefix, micro_batch.rows = prefix, len(rows)
    return micro_batch
