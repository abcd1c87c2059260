"""From records to examples, and mixtures of them.

Stage 1, question alignment, translates questions from each language X into English. The ablations of the study change only
the direction or the kind of text: arXiv 2401.07817, section 5. Stage 2, response alignment, learns from instruction data in
English or many languages. English data alone is the paper's monolingual supervision.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import DataError, SettingError
from ..languages import Language, language
from ..records import Document, Example, Pair, PairKind, Problem
from .prompts import translation_instruction


@dataclass(frozen=True, slots=True)
class Variant:
    """A kind of parallel text and a direction."""

    name: str
    kind: PairKind
    direction: Literal["x-en", "en-x"]
    title: str


VARIANTS: Mapping[str, Variant] = {
    row.name: row
    for row in (
        Variant("x-en-questions", "question", "x-en", "X->En questions (the method)"),
        Variant("en-x-questions", "question", "en-x", "En->X questions"),
        Variant("x-en-answers", "answer", "x-en", "X->En answers"),
        Variant("en-x-answers", "answer", "en-x", "En->X answers"),
        Variant("x-en-general", "sentence", "x-en", "X->En general-domain sentences"),
    )
}


def translation_examples(variant: Variant, pairs: Iterable[Pair], table: Mapping[str, Language]) -> Iterator[Example]:
    """The examples that teach a variant, in the order of the pairs."""
    english = language("en", table).name
    for pair in pairs:
        assert pair.kind == variant.kind, f"{variant.name} needs pairs of kind {variant.kind}, not {pair.kind}"
        name = language(pair.language, table).name
        if variant.direction == "x-en":
            yield _example(pair, translation_instruction(name, english, pair.text), pair.text_en)
        else:
            yield _example(pair, translation_instruction(english, name, pair.text_en), pair.text)


def response_examples(problems: Iterable[Problem]) -> Iterator[Example]:
    """Examples with the question as instruction and its worked answer as response."""
    for problem in problems:
        if problem.answer is None:
            name = f"problem {problem.id} ({problem.language}) of {problem.source}"
            raise DataError(f"{name} has no worked answer to learn from")
        yield _example(problem, problem.question, problem.answer)


def text_examples(documents: Iterable[Document]) -> Iterator[Example]:
    """Plain text without an instruction, to train a base model on."""
    return (_example(document, None, document.text) for document in documents)


def _example(record: Pair | Problem | Document, instruction: str | None, response: str) -> Example:
    name, language, source = record.id, record.language, record.source
    return Example(id=name, language=language, source=source, instruction=instruction, response=response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One source of a mixture."""

    examples: Sequence[Example]
    weight: float = 1.0
    """The average number of times that each example occurs. 1.0 is everything once."""
    examples_per_language: int | None = None
    """The size of a random sample of each language. None keeps all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a mixture's table."""

    source: str
    language: str
    examples: int
    repeated: int
    """The number of examples that occur more than once."""
    characters: int
    utf8_bytes: int


def mix(parts: Sequence[Part], seed: int, max_repetition: float = 4.0) -> list[Example]:
    """The examples of all parts, sampled by weight, in the order of the parts. Training shuffles them itself.

    A part with weight w gives w times its number of examples: whole rounds first, the rest a random sample without
    replacement. Raises SettingError for a weight out of range, and DataError if no example is left.
    """
    check_weights([part.weight for part in parts], max_repetition)
    chosen: list[Example] = []
    for number, part in enumerate(parts):
        draw = random.Random(f"{seed}/{number}")
        kept = _sample_by_language(part, draw)
        rounds, rest = divmod(round(part.weight * len(kept)), max(len(kept), 1))
        chosen += [*kept] * rounds + [kept[place] for place in sorted(draw.sample(range(len(kept)), rest))]
    if not chosen:
        raise DataError("the mixture holds no examples; check its sources and weights")
    return chosen


def check_weights(weights: Iterable[float], max_repetition: float) -> None:
    """Raises SettingError for a weight out of range."""
    for number, weight in enumerate(weights, start=1):
        if not 0 < weight <= max_repetition:
            cap = f"a positive one, at most the cap of {max_repetition:g}, or raise max_repetition"
            raise SettingError(f"part {number} of the mixture has weight {weight:g}; give {cap}")


def _sample_by_language(part: Part, draw: random.Random) -> Sequence[Example]:
    if part.examples_per_language is None:
        return part.examples
    places: dict[str, list[int]] = {}
    for place, example in enumerate(part.examples):
        places.setdefault(example.language, []).append(place)
    kept: list[int] = []
    for _, of_language in sorted(places.items()):
        kept += draw.sample(of_language, min(part.examples_per_language, len(of_language)))
    return [part.examples[place] for place in sorted(kept)]


def table(examples: Sequence[Example]) -> list[Row]:
    """The mixture by source and language, largest first within a source."""
    groups: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        groups.setdefault((example.source, example.language), []).append(example)
    rows = []
    for (source, code), group in groups.items():
        texts = [(example.instruction or "") + example.response for example in group]
        row = Row(
            source=source,
            language=code,
            examples=len(group),
            repeated=len(group) - len({example.id for example in group}),
            characters=sum(map(len, texts)),
            utf8_bytes=sum(len(text.encode()) for text in texts),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.source, -row.examples, row.language))
