"""The examples of a stage as tokens: rendered once, checked against the length limit, kept as flat arrays."""

from __future__ import annotations

import shutil
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.prompts import Rendered, prompt, render_after, render_texts
from ..errors import DataError
from ..records import Example, write_json
from ..untrusted import parse_json
from ..wording import counted
from . import manifest
from .config import TrainingConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

CHUNK = 2048
"""The number of examples that are tokenized at once. It bounds the memory for texts."""
ARRAYS = ("ids", "starts", "prompt_tokens")
COUNTED = ("mixture", "too_long")
COUNTS = "counts.json"


@dataclass(slots=True)
class Lengths:
    """The tokens of examples, counted."""

    examples: dict[str, dict[int, int]] = field(default_factory=dict)
    """Language -> tokens of an example, prompt and response -> number of such examples."""
    prompts: dict[int, int] = field(default_factory=dict)
    """Tokens of a prompt -> number of such prompts."""

    def add(self, language: str, tokens: int, prompt_tokens: int) -> None:
        """Counts one example."""
        for counts, length in ((self.examples.setdefault(language, {}), tokens), (self.prompts, prompt_tokens)):
            counts[length] = counts.get(length, 0) + 1

    @property
    def longest(self) -> int:
        """The tokens of the longest example; 0 without examples."""
        return max((tokens for counts in self.examples.values() for tokens in counts), default=0)

    def trained(self, config: TrainingConfig) -> int:
        """The tokens of the longest sequence under the limit of `config`, 0 if none is left."""
        limit = config.max_length
        counts = [row for of_language in self.examples.values() for row in of_language.items() if row[0] <= limit]
        with_room = sum(count for tokens, count in self.prompts.items() if tokens < limit)
        if config.too_long == "cut" and with_room > sum(count for _, count in counts):
            return limit  # some are longer, and their prompts leave room for a response
        return max((tokens for tokens, _ in counts), default=0)

    def check(self, config: TrainingConfig, stages: Sequence[str]) -> None:
        """Refuses examples over the limit where `too_long` is "error", and a limit that leaves no example of `stages`."""
        limit = config.max_length
        over = {code: sum(n for tokens, n in row.items() if tokens > limit) for code, row in self.examples.items()}
        if config.too_long == "error" and (total := sum(over.values())):
            counts = ", ".join(f"{code} {count}" for code, count in sorted(over.items()) if count)
            are, them, their = ("is", "it", "it") if total == 1 else ("are", "them", "their ends")
            raise DataError(
                f"{counted(total, 'example')} {are} longer than max_length={limit} tokens ({counts}; the longest has "
                f"{self.longest}); give {settings(stages, 'too_long=drop')} to leave {them} out, "
                f"{settings(stages, 'too_long=cut')} to truncate {their}, or raise {stages[0]}.max_length"
            )
        if not self.trained(config):
            left = f"no example is left to train on ({self.longest} tokens is the longest, max_length={limit})"
            raise DataError(f"{left}; raise {stages[0]}.max_length")


def settings(stages: Sequence[str], value: str) -> str:
    """A value for some stages, as the command line takes it."""
    return " ".join(f"--set {stage}.{value}" for stage in stages)


@dataclass(slots=True, kw_only=True)
class TokenizedExamples:
    """All examples of a stage as flat arrays."""

    ids: NDArray[np.uint16 | np.int32]
    """The tokens of all examples, one after the other. (tokens,) uint16 or int32, by the size of the vocabulary."""
    starts: NDArray[np.int64]
    """Where each example starts in `ids`, and where the last one ends. (examples + 1,)"""
    prompt_tokens: NDArray[np.int32]
    """Where supervision begins within each example. (examples,)"""
    mixture: list[dict[str, str | int]] = field(default_factory=list)
    """Examples, tokens and supervised tokens of an epoch, by source and language."""
    too_long: dict[str, dict[str, int]] = field(default_factory=dict)
    """The examples that were dropped or truncated, by language."""
    shared: int = 0
    """The tokens of the shared prefix that are encoded once per micro-batch. The `Trainer` sets it where its model can."""
    values: NDArray[np.float32] | None = None
    """Of sampled answers: advantage and the reference's log probability of each token. (2, tokens)"""

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def save(self, folder: Path) -> None:
        """Writes a folder that `load` reads. It is there whole or not at all."""
        import numpy as np

        building = folder.with_name(f"{folder.name}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        for name in ARRAYS:
            np.save(building / f"{name}.npy", getattr(self, name))
        write_json(building / COUNTS, {name: getattr(self, name) for name in COUNTED})
        manifest.seal(building)
        building.rename(folder)

    @classmethod
    def load(cls, folder: Path) -> TokenizedExamples:
        """The examples that `save` wrote. Processes of one machine share the arrays in memory."""
        import numpy as np

        try:
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
            counts = parse_json((folder / COUNTS).read_bytes(), str(folder / COUNTS))
            return cls(**arrays, **{name: counts[name] for name in COUNTED})
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} cannot be read as tokenized examples; remove it: rm -r {folder}") from error

    def by_language(self, name: str) -> dict[str, int]:
        """The `examples` or `tokens` of the mixture, by language."""
        counts = Counter[str]()
        for row in self.mixture:
            counts[str(row["language"])] += int(row[name])
        return dict(sorted(counts.items()))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example, prompt and response."""
        return [int(length) for length in self.starts[1:] - self.starts[:-1]]

    @property
    def supervised(self) -> list[int]:
        """Supervised tokens of each example."""
        return [length - int(prompt) for length, prompt in zip(self.lengths, self.prompt_tokens, strict=True)]

    @property
    def shares(self) -> tuple[float, float]:
        """Supervised tokens, and those of the shared prefix in all examples, for each other token that a model works on."""
        tokens, repeated = int(self.starts[-1]), self.shared * len(self)
        return float(tokens - self.prompt_tokens.sum()) / (tokens - repeated), repeated / (tokens - repeated)

    @property
    def common_prefix(self) -> int:
        """The number of tokens that all prompts begin with, never a whole prompt."""
        starts = self.starts[:-1]
        for place in range(most := int(self.prompt_tokens.min()) - 1):
            tokens = self.ids[starts + place]
            if (tokens != tokens[0]).any():
                return place
        return most


def tokenize(
    examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase, config: TrainingConfig, stage: str = "training"
) -> TokenizedExamples:
    """Renders the examples of a stage once, in chunks, and applies the length limit: see `Lengths.check`."""
    import numpy as np

    # Grows in place: no second copy of all tokens at the end, and two bytes each where they suffice.
    ids = array("H" if max(tokenizer.get_vocab().values()) < 2**16 else "i")
    kind = np.dtype(ids.typecode)
    lengths, prompt_tokens = [], []
    rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    outcome: dict[str, Counter[str]] = {"error": Counter(), "drop": Counter(), "cut": Counter()}
    all_lengths = Lengths()
    for example, rendered in _rendered(examples, tokenizer):
        sequence = rendered.ids
        all_lengths.add(example.language, len(sequence), rendered.prompt_tokens)
        if len(sequence) > config.max_length:
            # A prompt that fills the limit leaves nothing to supervise: cutting cannot save it.
            what = "drop" if rendered.prompt_tokens >= config.max_length else config.too_long
            outcome[what][example.language] += 1
            if what != "cut":
                continue
            sequence = sequence[: config.max_length]
        ids.frombytes(sequence.astype(kind).tobytes())
        lengths.append(len(sequence))
        prompt_tokens.append(rendered.prompt_tokens)
        supervised = len(sequence) - rendered.prompt_tokens
        rows[example.source, example.language].update(examples=1, tokens=len(sequence), supervised_tokens=supervised)
    all_lengths.check(config, [stage])
    return TokenizedExamples(
        ids=np.asarray(ids),
        starts=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)]),
        prompt_tokens=np.asarray(prompt_tokens, dtype=np.int32),
        mixture=[{"source": source, "language": code, **counts} for (source, code), counts in sorted(rows.items())],
        too_long={what: dict(counts) for what, counts in outcome.items() if counts},
    )


def measure(examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> Lengths:
    """The lengths of examples as `tokenize` sees them, whatever the limit."""
    lengths = Lengths()
    for example, rendered in _rendered(examples, tokenizer):
        lengths.add(example.language, len(rendered.ids), rendered.prompt_tokens)
    return lengths


def _rendered(examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[Example, Rendered]]:
    """Each example with its tokens. The next chunk is rendered meanwhile, outside of Python."""
    iterator = iter(examples)
    chunks = chain(iter(lambda: list(islice(iterator, CHUNK)), []), [[]])
    with ThreadPoolExecutor(1) as pool:
        work = ((chunk, pool.submit(_rendered_chunk, chunk, tokenizer)) for chunk in chunks)
        for (chunk, result), _ in pairwise(work):
            yield from zip(chunk, result.result(), strict=True)


def _rendered_chunk(chunk: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[Rendered]:
    """The examples of a chunk, rendered: instructions with responses, or plain texts."""
    framed = [(e.prompt or prompt(e.instruction), e.response) for e in chunk if e.instruction is not None]
    answered = iter(render_after([before for before, _ in framed], [response for _, response in framed], tokenizer))
    plain = iter(render_texts([e.response for e in chunk if e.instruction is None], tokenizer))
    return [next(plain if e.instruction is None else answered) for e in chunk]
