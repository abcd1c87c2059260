"""Exact global batches, cut into micro-batches under a token budget.

Every optimiser step sees the randomly drawn examples that the recipe asks for, whatever the devices. Only within the
step are they sorted by length, cut into micro-batches and dealt out to the ranks, so that the sum of the step is the
same and almost no token is padding. All of this follows from the lengths and the seed alone: ranks need not talk.
"""

from __future__ import annotations

import random
import shutil
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..alignment.prompts import Rendered, render, render_texts
from ..errors import DataError
from ..records import Example, atomic_file, write_json
from ..untrusted import parse_json
from . import manifest
from .config import TrainingConfig
from .lengths import Lengths
from .prefix import positions

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 2048
"""How many examples are tokenised at once: the memory for texts stays small whatever their number."""


ARRAYS = ("ids", "starts", "prompt_tokens")
COUNTED = ("examples_by_language", "tokens_by_language", "mixture", "too_long")
COUNTS = "counts.json"


@dataclass(slots=True)
class TokenizedExamples:
    """All examples of a stage as flat arrays.

    `ids` (tokens,) uint16 or int32, by the vocabulary, holds them one after the other; `starts` (examples + 1,) int64
    says where; `prompt_tokens` (examples,) int32 says where supervision begins within each. `tokens_by_language` counts
    tokens that are trained on; `mixture` counts examples, tokens and supervised tokens of an epoch by source and
    language; `too_long` counts by language the examples that were dropped or cut. `shared` is how many tokens that all
    examples begin with are read once a micro-batch: none, unless the model can (`training.prefix`).
    """

    ids: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    prompt_tokens: np.ndarray[Any, Any]
    examples_by_language: dict[str, int] = field(default_factory=dict)
    tokens_by_language: dict[str, int] = field(default_factory=dict)
    mixture: list[dict[str, Any]] = field(default_factory=list)
    too_long: dict[str, dict[str, int]] = field(default_factory=dict)
    shared: int = 0

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def save(self, folder: Path) -> None:
        """Writes a folder that `load` reads; it is there whole or not at all."""
        import numpy as np

        building = folder.with_name(f"{folder.name}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        for name in ARRAYS:
            with atomic_file(building / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, getattr(self, name))
        write_json(building / COUNTS, {name: getattr(self, name) for name in COUNTED})
        manifest.seal(building)
        building.rename(folder)

    @classmethod
    def load(cls, folder: Path) -> TokenizedExamples:
        """What `save` wrote, the arrays mapped into memory: processes of one machine share them.

        Raises:
            DataError: the folder holds something else.
        """
        import numpy as np

        try:
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
            counts = parse_json((folder / COUNTS).read_bytes(), str(folder / COUNTS))
            return cls(**arrays, **{name: counts[name] for name in COUNTED})
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} cannot be read as tokenized examples; remove it: rm -r {folder}") from error

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example, prompt and response."""
        return [int(length) for length in self.starts[1:] - self.starts[:-1]]

    @property
    def supervised(self) -> list[int]:
        """Supervised tokens of each example."""
        return [length - int(prompt) for length, prompt in zip(self.lengths, self.prompt_tokens, strict=True)]

    @property
    def supervised_share(self) -> float:
        """Supervised tokens for each token that a model works on: those of a shared prefix are hardly any."""
        return float((self.starts[-1] - self.prompt_tokens.sum()) / self._own)

    @property
    def repeated_share(self) -> float:
        """Tokens of the shared prefix, counted for each example, for each token that a model works on."""
        return float(self.shared * len(self) / self._own)

    @property
    def _own(self) -> int:
        return int(self.starts[-1]) - self.shared * len(self)

    @property
    def common_prefix(self) -> int:
        """How many tokens all examples begin with: of their prompts, whose last token is left to each."""
        starts = self.starts[:-1]
        for place in range(most := int(self.prompt_tokens.min()) - 1):
            tokens = self.ids[starts + place]
            if (tokens != tokens[0]).any():
                return place
        return most


def tokenize(
    examples: Iterable[Example], tokenizer: Any, config: TrainingConfig, stage: str = "training"
) -> TokenizedExamples:
    """Renders examples once, in chunks, and applies the length limit. `stage` is what `--set` calls their stage.

    Raises:
        DataError: there are no examples, or some exceed the limit and `too_long` is "error" (the message counts them by
            language and names the ways on).
    """
    import numpy as np

    # Grows in place: no second copy of all tokens at the end, and two bytes each where they suffice.
    ids = array("H" if max(tokenizer.get_vocab().values()) < 2**16 else "i")
    kind = np.dtype(ids.typecode)
    lengths, prompt_tokens = [], []
    kept: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    outcome: dict[str, Counter[str]] = {"error": Counter(), "drop": Counter(), "cut": Counter()}
    all_lengths = Lengths()
    for chunk, whole in _ahead(_chunks(examples), lambda chunk: _rendered(chunk, tokenizer)):
        for example, rendered in zip(chunk, whole, strict=True):
            sequence = rendered.ids
            all_lengths.add(example.language, len(sequence), rendered.prompt_tokens)
            if len(sequence) > config.max_length:
                # A prompt that fills the limit leaves nothing to supervise: cutting cannot save it.
                what = (
                    "drop"
                    if config.too_long == "cut" and rendered.prompt_tokens >= config.max_length
                    else config.too_long
                )
                outcome[what][example.language] += 1
                if what != "cut":
                    continue
                sequence = sequence[: config.max_length]
            ids.frombytes(sequence.astype(kind).tobytes())
            lengths.append(len(sequence))
            prompt_tokens.append(rendered.prompt_tokens)
            kept[example.language] += 1
            tokens[example.language] += len(sequence)
            row = rows[example.source, example.language]
            row["examples"] += 1
            row["tokens"] += len(sequence)
            row["supervised_tokens"] += len(sequence) - rendered.prompt_tokens
    all_lengths.check(config, [stage])
    return TokenizedExamples(
        ids=np.asarray(ids),
        starts=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)]),
        prompt_tokens=np.asarray(prompt_tokens, dtype=np.int32),
        examples_by_language=dict(kept),
        tokens_by_language=dict(tokens),
        mixture=[{"source": source, "language": code, **counts} for (source, code), counts in sorted(rows.items())],
        too_long={what: dict(counts) for what, counts in outcome.items() if counts},
    )


def measure(examples: Iterable[Example], tokenizer: Any) -> Lengths:
    """The lengths of examples as `tokenize` sees them, whatever the limit."""
    found = Lengths()
    for chunk, whole in _ahead(_chunks(examples), lambda chunk: _rendered(chunk, tokenizer)):
        for example, rendered in zip(chunk, whole, strict=True):
            found.add(example.language, len(rendered.ids), rendered.prompt_tokens)
    return found


def _rendered(chunk: list[Example], tokenizer: Any) -> list[Rendered]:
    """Each example of a chunk: an instruction with its response, or plain text."""
    framed = [(e.instruction, e.response) for e in chunk if e.instruction is not None]
    answered = iter(render([instruction for instruction, _ in framed], [response for _, response in framed], tokenizer))
    plain = iter(render_texts([e.response for e in chunk if e.instruction is None], tokenizer))
    return [next(plain if e.instruction is None else answered) for e in chunk]


def _ahead(
    chunks: Iterator[list[Example]], work: Callable[[list[Example]], list[Rendered]]
) -> Iterator[tuple[Any, Any]]:
    """Each chunk with what `work` makes of it, that of the next one made meanwhile: tokenizers work outside of Python."""
    with ThreadPoolExecutor(1) as pool:
        pending: tuple[list[Example], Future[list[Rendered]]] | None = None
        for chunk in chunks:
            following = chunk, pool.submit(work, chunk)
            if pending:
                yield pending[0], pending[1].result()
            pending = following
        if pending:
            yield pending[0], pending[1].result()


def _chunks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    iterator = iter(examples)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class GlobalBatches:
    """The examples of each step: one permutation an epoch, from the seed; the same on every rank and after a resume."""

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


def micro_batches(
    indices: Sequence[int], lengths: Sequence[int], tokens_per_micro_batch: int, ranks: int = 1, shared: int = 0
) -> list[list[list[int]]]:
    """The step's examples by rank and micro-batch, each sorted by length.

    Rows times the longest row, the first `shared` tokens counted once, stay within `tokens_per_micro_batch` (an example
    longer than that stands alone). Ranks get nearly equal numbers of tokens, padding included, and the same number of
    micro-batches, which may be empty where there are too few examples: ranks that wait for each other must call forward
    equally often. Micro-batches are cut from the whole step and then dealt out: from a rank's share of the examples, which
    are farther apart in length, they would have more padding with each rank.
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
    """`count` micro-batches within a budget that allows that many or fewer: under the smallest budget that still does, and
    the largest halved, or empty ones, where that leaves too few."""
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


def _tokens(rows: int, longest: int, shared: int) -> int:
    """What a micro-batch makes the model read, padding included."""
    return rows * (longest - shared) + shared


@dataclass(slots=True)
class MicroBatch:
    """Rows padded on the right. `ids` (rows, length); `selected` (supervised,) are the places in the flattened rows whose next
    token is supervised, ascending; `targets` (supervised,) are those next tokens. All int64.

    With a `prefix` that all rows begin with, `ids` (1, prefix + rows x rest) holds it once and then the rest of each row, and
    `positions` (1, prefix + rows x rest) says where in its row a token stands; without one, `positions` is None.
    """

    ids: torch.Tensor
    selected: torch.Tensor
    targets: torch.Tensor
    positions: torch.Tensor | None = None
    prefix: int = 0
    rows: int = 1

    def to(self, device: torch.device) -> MicroBatch:
        """The same on a device. CUDA takes it from pinned memory, while it works on."""

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            pinned = tensor.pin_memory() if device.type == "cuda" else tensor
            return pinned.to(device, non_blocking=True)

        positions = None if self.positions is None else moved(self.positions)
        return replace(
            self, ids=moved(self.ids), selected=moved(self.selected), targets=moved(self.targets), positions=positions
        )


def collate(data: TokenizedExamples, indices: Sequence[int], pad_id: int) -> MicroBatch:
    """The rows of a micro-batch as tensors on the CPU. An empty one becomes a single padded row without supervision."""
    import torch

    prefix = data.shared if indices else 0
    rows = [data.ids[data.starts[i] + prefix : data.starts[i + 1]] for i in indices]
    length = max((len(row) for row in rows), default=2)
    ids = torch.full((max(len(rows), 1), length), pad_id, dtype=torch.long)
    none = torch.zeros(0, dtype=torch.long)
    selected, targets = [none], [none]
    for place, (index, row) in enumerate(zip(indices, rows, strict=True)):
        tokens = torch.from_numpy(row.astype("int64"))
        ids[place, : len(row)] = tokens
        first = int(data.prompt_tokens[index]) - prefix
        selected.append(torch.arange(first - 1, len(row) - 1) + prefix + place * length)
        targets.append(tokens[first:])
    made = MicroBatch(ids, torch.cat(selected), torch.cat(targets))
    if prefix:
        start = int(data.starts[indices[0]])
        read_once = torch.from_numpy(data.ids[start : start + prefix].astype("int64"))
        made.ids = torch.cat([read_once, ids.flatten()])[None]
        made.positions = positions(prefix, len(rows), length)
        made.prefix, made.rows = prefix, len(rows)
    return made
