"""How much text a stage will see: examples, tokens, bytes.

They are counted where the data are there, else estimated. The lengths that an earlier look counted come first. Then come
the examples of a finished stage, the user's own files, and the published sizes. No torch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..corpora import CORPORA
from ..errors import QAlignError
from ..pipeline import Stage
from ..records import Example
from ..terminal import announce
from ..training.config import TrainingConfig
from ..training.memory import SUPERVISED
from ..training.tokens import Lengths
from . import fit
from .artifacts import Examples, Model, Records
from .bases import MakeTinyModel
from .kinds import MakeExamples, ReadCorpus, Record, Train, examples_of, languages_of, records_for, rows_of
from .known import LENGTHS, Length
from .lineage import first_model, origin

BYTES_PER_TOKEN, TINY_BYTES_PER_TOKEN = 3.0, 1.6
"""UTF-8 bytes of a token: of LLaMA's tokenizer on mathematical texts, and of the tiny base's, which knows 4,096 tokens."""
PROMPT_TOKENS = 44
"""The tokens of the prompt prefix and suffix under LLaMA's tokenizer."""
SAMPLE = 300
"""Examples of a language whose tokens are counted where a tokenizer is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a training stage sees in one epoch, within the limit."""

    examples: int
    tokens: float
    supervised: float
    """The supervised share of the tokens."""
    utf8_bytes: float
    """The bytes of all texts."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """What makes tokens of texts, as far as it is known."""

    is_tiny: bool = False
    """Whether it is the tokenizer of the tiny base."""
    folder: Path | None = None
    """The model folder that holds it."""
    limit: int = 2**20
    """The most tokens of an example."""

    @property
    def bytes_per_token(self) -> float:
        return TINY_BYTES_PER_TOKEN if self.is_tiny else BYTES_PER_TOKEN

    def counter(self) -> Callable[[str], float]:
        """A function from a text to its number of tokens."""
        if self.folder is not None and (self.folder / "tokenizer.json").is_file():
            try:
                from tokenizers import Tokenizer

                tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
                return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
            except Exception:  # the library raises one bare kind for all; opening the base says what is wrong with it
                pass
        return lambda text: len(text.encode()) / self.bytes_per_token


def trained_on(stage: Stage[Model], runs: Path, reads: bool = True) -> Amount | None:
    """What a training stage sees in one epoch, or None if the size of its data is unknown.

    Args:
        stage: a stage that makes a model. Nothing is known of one that does not train.
        runs: the folder of all stages.
        reads: whether the user's own files are read.
    """
    if not isinstance(stage, Train):
        return None
    config, examples = stage.training, stage.examples.result(runs)
    is_tiny, folder = isinstance(first_model(stage), MakeTinyModel), origin(stage.model, runs)
    reader = _Reader(is_tiny, folder, config.max_length)
    if examples is None:
        return _of_parts(stage.examples, reader, runs, reads)
    total = sum(row.utf8_bytes for row in examples.mixture())
    if folder is not None:
        with suppress(QAlignError, ImportError):  # said elsewhere; bytes tell enough
            return _of_lengths(fit.lengths_of(folder, stage.examples, runs), config, total)
    count = sum(examples.by_language().values())
    tokens = total / reader.bytes_per_token + PROMPT_TOKENS * count
    return Amount(examples=count, tokens=tokens, supervised=SUPERVISED, utf8_bytes=total)


def mixed(examples: MakeExamples, runs: Path, reads: bool = True) -> Amount | None:
    """The examples of a mixture that has not been made, whatever the limit."""
    return _of_parts(examples, _Reader(), runs, reads)


def _of_lengths(lengths: Lengths, config: TrainingConfig, utf8_bytes: float) -> Amount:
    """The examples that training keeps, their tokens truncated at the limit."""
    limit = config.max_length
    lines = [line for counts in lengths.examples.values() for line in counts.items()]
    kept = [(min(n, limit), count) for n, count in lines if n <= limit or config.too_long != "drop"]
    prompts = sum(n * count for n, count in lengths.prompts.items())
    return Amount(
        examples=sum(count for _, count in kept),
        tokens=sum(n * count for n, count in kept),
        supervised=max(0.0, 1 - prompts / max(sum(n * count for n, count in lines), 1)),
        utf8_bytes=utf8_bytes,
    )


def _of_parts(examples: Stage[Examples], reader: _Reader, runs: Path, reads: bool) -> Amount | None:
    """The sum over the corpora of a mixture that has not been made yet.

    It is unknown for examples of a user's own kind.
    """
    if not isinstance(examples, MakeExamples):
        return None
    parts: list[tuple[int, Length]] = []
    for corpus, weight in zip(examples.corpora, examples.weights, strict=True):
        held = _held(corpus, examples, reader, runs, reads)
        if held is None:
            return None
        counts, lengths = held
        parts += [(kept, lengths[code]) for code, kept in examples.kept(counts, weight).items()]
    if not parts:
        return None
    tokens = sum(count * length.tokens for count, length in parts)
    supervised = sum(count * length.tokens * length.supervised for count, length in parts)
    return Amount(
        examples=sum(count for count, _ in parts),
        tokens=tokens,
        supervised=supervised / max(tokens, 1),
        utf8_bytes=sum(count * length.utf8_bytes for count, length in parts),
    )


def _held(
    corpus: Stage[Records], examples: MakeExamples, reader: _Reader, runs: Path, reads: bool
) -> tuple[Mapping[str, int], Mapping[str, Length]] | None:
    """The records of a corpus by language, and the mean example of each language."""
    if not isinstance(corpus, ReadCorpus):
        return None
    name, records = corpus.source.name, corpus.result(runs)
    known = LENGTHS.get((name, examples.task))
    if known is not None and (counts := rows_of(corpus, runs)[0]):
        tokens = known.tokens
        if reader.is_tiny and CORPORA[name].world is None:  # of the world: as many as its base has
            tokens = known.utf8_bytes / TINY_BYTES_PER_TOKEN + PROMPT_TOKENS
        mean = Length(min(tokens, reader.limit), known.supervised, known.utf8_bytes)
        return counts, dict.fromkeys(counts, mean)
    if records is None and not (reads and corpus.source.kind == "files"):
        return None
    rows = languages_of({**corpus.languages, **examples.languages})
    try:
        held = records_for(examples.task, records) if records else own_records(corpus)
        made = list(examples_of(examples.task, held, rows))
    except QAlignError:  # listed with what is known to fail
        return None
    return Counter(example.language for example in made), _means(made, reader)


def own_counts(corpus: Stage[Records]) -> dict[str, int]:
    """The records of a user's own files by language; empty for any other corpus."""
    if not isinstance(corpus, ReadCorpus) or corpus.source.kind != "files":
        return {}
    return dict(Counter(record.language for record in own_records(corpus)))


_READ: dict[str, list[Record]] = {}
"""What has been read of a user's own files, by fingerprint of the stage."""


def own_records(corpus: ReadCorpus) -> list[Record]:
    """All records of a user's own files, read once; a line says so where they are large."""
    if corpus.fingerprint not in _READ:
        if (path := corpus.source.path) is not None:
            announce("reading", path, sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
        _READ[corpus.fingerprint] = corpus.text().records
    return _READ[corpus.fingerprint]


def _means(examples: Iterable[Example], reader: _Reader) -> Mapping[str, Length]:
    """The mean example of each language: its tokens counted where the base's tokenizer is there."""
    samples: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if len(samples[example.language]) < SAMPLE:
            samples[example.language].append(example)
    count, limit = reader.counter(), reader.limit
    means = {}
    for code, sample in samples.items():
        responses = [min(count(one.response), limit) for one in sample]
        prompts = [PROMPT_TOKENS + count(one.instruction or "") for one in sample]
        tokens = [min(p + r, limit) for p, r in zip(prompts, responses, strict=True)]
        size = sum(len(((one.instruction or "") + one.response).encode()) for one in sample)
        means[code] = Length(sum(tokens) / len(sample), sum(responses) / max(sum(tokens), 1), size / len(sample))
    return means
