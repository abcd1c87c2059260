"""How much text a stage will see: examples, tokens, bytes; counted where its data are there, else estimated.

In this order: the lengths that an earlier look counted, the examples of a finished stage, the user's own files, the
published sizes. No torch.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpora import CORPORA, Source, read
from ..errors import QAlignError
from ..fingerprints import canonical
from ..language_file import language_from
from ..pipeline import Stage
from ..records import Example
from ..terminal import announce
from ..training.config import TrainingConfig
from ..training.lengths import Lengths
from . import fit
from .artifacts import Examples, Model, Records
from .kinds import MakeExamples, MakeTinyModel, ReadCorpus, Train, examples_of, records_for
from .known import LENGTHS
from .lineage import first_model, origin

BYTES_PER_TOKEN, TINY_BYTES_PER_TOKEN = 3.0, 1.6
"""UTF-8 bytes of a token: of LLaMA's tokenizer on mathematical texts, and of the tiny base's, which knows 4,096 tokens."""
PROMPT_TOKENS = 44
"""The tokens of the prompt prefix and suffix under LLaMA's tokenizer."""
SUPERVISED = 0.5
SAMPLE = 300
"""Examples of a language whose tokens are counted where a tokenizer is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Of one epoch: examples and tokens within the limit. `utf8_bytes` are those of all texts; `longest` is in tokens."""

    examples: int
    tokens: float
    supervised: float
    utf8_bytes: float
    counted: bool
    by_language: Mapping[str, int]


def trained_on(stage: Train, runs: Path, reads: bool = True) -> Amount | None:
    """What a training stage sees in one epoch; None where the size of its data is not known. With `reads`, the user's own
    files are read."""
    config, base, folder = stage.training, first_model(stage), origin(stage.model, runs)
    if (examples := stage.examples.result(runs)) is not None:
        total = sum(row.utf8_bytes for row in examples.mixture())
        if folder is not None:
            with suppress(QAlignError, ImportError):  # said elsewhere; bytes tell enough
                return _of_lengths(fit.lengths_of(folder, stage.examples, runs), config, total)
        counts = examples.by_language()
        tokens = total / _bytes_per_token(base) + PROMPT_TOKENS * sum(counts.values())
        return Amount(
            examples=sum(counts.values()),
            tokens=tokens,
            supervised=SUPERVISED,
            utf8_bytes=total,
            counted=False,
            by_language=counts,
        )
    return _of_parts(stage.examples, base, folder, runs, config, reads)


def mixed(examples: MakeExamples, runs: Path, reads: bool = True) -> Amount | None:
    """The examples of a mixture that has not been made, whatever the limit."""
    return _of_parts(examples, None, None, runs, TrainingConfig(max_length=2**20), reads)


def _bytes_per_token(base: Stage[Model] | None) -> float:
    return TINY_BYTES_PER_TOKEN if isinstance(base, MakeTinyModel) else BYTES_PER_TOKEN


def _of_lengths(lengths: Lengths, config: TrainingConfig, utf8_bytes: float) -> Amount:
    """The examples that training keeps, their tokens cut at the limit."""
    limit, counts, tokens = config.max_length, Counter[str](), 0
    everything = sum(n * count for counts_of in lengths.examples.values() for n, count in counts_of.items())
    prompts = sum(n * count for n, count in lengths.prompts.items())
    for code, of_language in lengths.examples.items():
        for n, count in of_language.items():
            if n <= limit or config.too_long != "drop":
                counts[code] += count
                tokens += min(n, limit) * count
    supervised = max(0.0, 1 - prompts / max(everything, 1))
    return Amount(
        examples=sum(counts.values()),
        tokens=tokens,
        supervised=supervised,
        utf8_bytes=utf8_bytes,
        counted=True,
        by_language=counts,
    )


def _of_parts(
    examples: Stage[Examples],
    base: Stage[Model] | None,
    folder: Path | None,
    runs: Path,
    config: TrainingConfig,
    reads: bool,
) -> Amount | None:
    """The sum over the corpora of a mixture that has not been made yet; None for examples of a user's own kind."""
    if not isinstance(examples, MakeExamples):
        return None
    counts, tokens, supervised, total = Counter[str](), 0.0, 0.0, 0.0
    for corpus, weight in zip(examples.corpora, examples.weights, strict=True):
        held = _held(corpus, examples, runs, base, folder, config, reads)
        if held is None:
            return None
        by_language, length = held
        for code, kept in examples.kept(by_language, weight).items():
            counts[code] += kept
            tokens += kept * length[code].tokens
            supervised += kept * length[code].tokens * length[code].supervised
            total += kept * length[code].utf8_bytes
    return (
        Amount(
            examples=sum(counts.values()),
            tokens=tokens,
            supervised=supervised / max(tokens, 1),
            utf8_bytes=total,
            counted=False,
            by_language=counts,
        )
        if counts
        else None
    )


@dataclass(frozen=True, slots=True)
class _Mean:
    """Of an example of one language, on average."""

    tokens: float
    supervised: float
    utf8_bytes: float


def _held(
    corpus: Stage[Records],
    examples: MakeExamples,
    runs: Path,
    base: Stage[Model] | None,
    folder: Path | None,
    config: TrainingConfig,
    reads: bool,
) -> tuple[Mapping[str, int], Mapping[str, _Mean]] | None:
    """The records of a corpus by language, and what an example of each language has on average; None if nobody knows."""
    if not isinstance(corpus, ReadCorpus):
        return None
    source, name, task, records = corpus.source, corpus.source.name, examples.task, corpus.result(runs)
    known = LENGTHS.get((name, task))
    if known is not None and (records or corpus.published):
        counts = records.counts().kept if records else corpus.published
        tokens = known.tokens
        if isinstance(base, MakeTinyModel) and CORPORA[name].world is None:  # of the world: as many as its base has
            tokens = known.utf8_bytes / TINY_BYTES_PER_TOKEN + PROMPT_TOKENS
        mean = _Mean(min(tokens, config.max_length), known.supervised, known.utf8_bytes)
        return counts, dict.fromkeys(counts, mean)
    if records is None and not (reads and source.kind == "files"):
        return None
    try:
        made = list(_own_examples(corpus, examples, records))
    except QAlignError:  # listed with what is known to fail
        return None
    counts = Counter(example.language for example in made)
    return counts, _means(made, base, folder, config)


def _own_examples(corpus: ReadCorpus, examples: MakeExamples, records: Records | None) -> Iterable[Example]:
    """The examples that a mixture makes of a corpus. A user's own files are read where their stage is not done."""
    named = {**corpus.languages, **examples.languages}
    rows = {code: language_from(row, code) for code, row in named.items()}
    held = records_for(examples.task, records) if records else _records(corpus.source, canonical(corpus.config))
    return examples_of(examples.task, held, rows)


def own_counts(corpus: Stage[Records]) -> dict[str, int]:
    """The records of a user's own files by language; none where the corpus is no such files."""
    if not isinstance(corpus, ReadCorpus) or corpus.source.kind != "files":
        return {}
    return dict(Counter(record.language for record in _records(corpus.source, canonical(corpus.config))))


@functools.cache
def _records(source: Source, identity: str) -> list[Any]:
    """The records of a user's own files, read once; a line says so where they are large. `identity` is the corpus's config
    as JSON."""
    config = json.loads(identity)
    if source.path is not None:
        announce("reading", source.path, _size(source.path))
    rows = {code: language_from(row, code) for code, row in config["languages"].items()}
    return list(read(source, list(rows), rows, drop_invalid=config["drop_invalid"]).records)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _means(
    examples: Iterable[Example], base: Stage[Model] | None, folder: Path | None, config: TrainingConfig
) -> Mapping[str, _Mean]:
    """What an example has on average, by language: its tokens counted where the base's tokenizer is there."""
    taken: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if len(taken[example.language]) < SAMPLE:
            taken[example.language].append(example)
    count = _tokens_by(folder, _bytes_per_token(base))
    found = {}
    for code, sample in taken.items():
        responses = [min(count(one.response), config.max_length) for one in sample]
        prompts = [PROMPT_TOKENS + count(one.instruction or "") for one in sample]
        tokens = [min(p + r, config.max_length) for p, r in zip(prompts, responses, strict=True)]
        size = sum(len(((one.instruction or "") + one.response).encode()) for one in sample)
        found[code] = _Mean(sum(tokens) / len(sample), sum(responses) / max(sum(tokens), 1), size / len(sample))
    return found


def _tokens_by(folder: Path | None, bytes_per_token: float) -> Any:
    """A function from a text to its number of tokens."""
    if folder is not None and (folder / "tokenizer.json").is_file():
        try:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
        except Exception:  # the library raises one bare kind for all; opening the base says what is wrong with it
            pass
    return lambda text: len(text.encode()) / bytes_per_token
