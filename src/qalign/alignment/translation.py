"""Stage 1, question alignment, and its ablations: one task, five variants.

The method translates questions from each language X into English. The ablations of the study change only the direction
or the kind of text: arXiv 2401.07817, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ..languages import Language, language
from ..records import Example, Pair, PairKind
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
            instruction, response = translation_instruction(name, english, pair.text), pair.text_en
        else:
            instruction, response = translation_instruction(english, name, pair.text_en), pair.text
        yield Example(
            id=pair.id, language=pair.language, source=pair.source, instruction=instruction, response=response
        )
