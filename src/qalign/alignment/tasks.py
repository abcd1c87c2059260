"""From records to examples: stage 1, question alignment, with its ablations, and stage 2, response alignment.

Stage 1 translates questions from each language X into English. The ablations of the study change only the direction or the
kind of text: arXiv 2401.07817, section 5. Stage 2 learns from instruction data in English or many languages. English data
alone is the paper's monolingual supervision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import DataError
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
