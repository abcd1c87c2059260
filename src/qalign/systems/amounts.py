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
from ..pipeline import Stage, status
from ..records import Example
from ..terminal import announce
from ..training.config import TrainingConfig
from ..training.lengths import Lengths
from . import fit
from .known import LENGTHS
from .outputs import corpus_counts, mixture
from .stages import RECORDS, examples_in, examples_of, training_config

BYTES_PER_TOKEN, TINY_BYTES_PER_TOKEN = 3.0, 1.6
"""UTF-8 bytes of a token: of LLaMA's tokenizer on mathematical texts, and of the tiny base's, which knows 4,096 tokens."""
PROMPT_TOKENS = 44
"""The tokens of the prompt prefix and suffix under LLaMA's tokenizer."""
SUPERVISED = 0.5
SAMPLE = 300
"""Examples of a language whose tokens are counted where a tokenizer is there."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Of one epoch: examples and tokens within the limit. `utf8_bytes` are those of all texts; `longest` is in tokens."""

    examples: int
    tokens: float
    supervised: float
    utf8_bytes: float
    counted: bool
    by_language: Mapping[str, int]


def trained_on(stage: Stage, runs: Path, reads: bool = True) -> Amount | None:
    """What a training stage sees in one epoch; None where the size of its data is not known. With `reads`, the user's own
    files are read."""
    config, examples = training_config(stage.config), stage.inputs["examples"]
    base = first_model(stage)
    if status(examples, runs) == "done":
        rows = mixture(examples.folder(runs))
        total = sum(row["utf8_bytes"] for row in rows)
        folder = fit.origin(stage.inputs["model"], runs)
        if folder is not None:
            with suppress(QAlignError, ImportError):  # said elsewhere; bytes tell enough
                return _of_lengths(fit.lengths_of(folder, examples, runs), config, total)
        counts = Counter[str]()
        for row in rows:
            counts[row["language"]] += row["examples"]
        tokens = total / _bytes_per_token(base) + PROMPT_TOKENS * sum(counts.values())
        return Amount(sum(counts.values()), tokens, SUPERVISED, total, False, counts)
    return _of_parts(examples, base, fit.origin(stage.inputs["model"], runs), runs, config, reads)


def mixed(examples: Stage, runs: Path, reads: bool = True) -> Amount | None:
    """The examples of a mixture that has not been made, whatever the limit."""
    return _of_parts(examples, examples, None, runs, TrainingConfig(max_length=2**20), reads)


def first_model(stage: Stage) -> Stage:
    """The base that a chain of training stages starts from."""
    while stage.name.startswith("train-"):
        stage = stage.inputs["model"]
    return stage


def _bytes_per_token(base: Stage) -> float:
    return TINY_BYTES_PER_TOKEN if base.name == "base-tiny" else BYTES_PER_TOKEN


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
    return Amount(sum(counts.values()), tokens, supervised, utf8_bytes, True, counts)


def _of_parts(
    examples: Stage, base: Stage, folder: Path | None, runs: Path, config: TrainingConfig, reads: bool
) -> Amount | None:
    """The sum over the corpora of a mixture that has not been made yet."""
    limit = examples.config["examples_per_language"]
    counts, tokens, supervised, total = Counter[str](), 0.0, 0.0, 0.0
    for name, corpus in examples.inputs.items():
        held = _held(corpus, examples, runs, base, folder, config, reads)
        if held is None:
            return None
        by_language, length = held
        for code, count in by_language.items():
            kept = round(examples.config["weights"][name] * (count if limit is None else min(count, limit)))
            counts[code] += kept
            tokens += kept * length[code].tokens
            supervised += kept * length[code].tokens * length[code].supervised
            total += kept * length[code].utf8_bytes
    return Amount(sum(counts.values()), tokens, supervised / max(tokens, 1), total, False, counts) if counts else None


@dataclass(frozen=True, slots=True)
class _Mean:
    """Of an example of one language, on average."""

    tokens: float
    supervised: float
    utf8_bytes: float


def _held(
    corpus: Stage, examples: Stage, runs: Path, base: Stage, folder: Path | None, config: TrainingConfig, reads: bool
) -> tuple[Mapping[str, int], Mapping[str, _Mean]] | None:
    """The records of a corpus by language, and what an example of each language has on average; None if nobody knows."""
    source = corpus.local.get("source")
    name, task = corpus.config["source"]["corpus"], examples.config["task"]
    known, done = LENGTHS.get((name, task)), status(corpus, runs) == "done"
    if known is not None and (done or published(corpus)):
        counts = corpus_counts(corpus.folder(runs))["kept"] if done else published(corpus)
        tokens = known.tokens
        if base.name == "base-tiny" and CORPORA[name].world is None:  # of the world: as many as its base has
            tokens = known.utf8_bytes / TINY_BYTES_PER_TOKEN + PROMPT_TOKENS
        mean = _Mean(min(tokens, config.max_length), known.supervised, known.utf8_bytes)
        return counts, dict.fromkeys(counts, mean)
    if not isinstance(source, Source) or not (done or (reads and source.kind == "files")):
        return None
    try:
        made = list(_own_examples(corpus, source, examples, runs))
    except QAlignError:  # listed with what is known to fail
        return None
    counts = Counter(example.language for example in made)
    return counts, _means(made, base, folder, config)


def published(corpus: Stage) -> dict[str, int]:
    """The published rows of a corpus by language; none for a user's own."""
    name = corpus.config["source"]["corpus"]
    found = CORPORA[name].published if name in CORPORA else {}
    return {code: found[code] for code in corpus.config["languages"] if code in found}


def _own_examples(corpus: Stage, source: Source, examples: Stage, runs: Path) -> Iterable[Example]:
    """The examples that a mixture makes of a user's own files, which are read where their stage is not done."""
    task, named = examples.config["task"], {**corpus.config["languages"], **examples.config["languages"]}
    rows = {code: language_from(row, code) for code, row in named.items()}
    if status(corpus, runs) == "done":
        return examples_in(task, corpus.folder(runs) / RECORDS, rows)
    return examples_of(task, _records(source, canonical(corpus.config)), rows)


def own_counts(corpus: Stage) -> dict[str, int]:
    """The records of a user's own files by language; none where the corpus is no such files."""
    source = corpus.local.get("source")
    if not isinstance(source, Source) or source.kind != "files":
        return {}
    return dict(Counter(record.language for record in _records(source, canonical(corpus.config))))


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
    examples: Iterable[Example], base: Stage, folder: Path | None, config: TrainingConfig
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
