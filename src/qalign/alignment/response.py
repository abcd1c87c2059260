"""Stage 2, response alignment: instruction data, English (monolingual supervision) or in many languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import DataError
from ..records import Document, Example, Problem


def response_examples(problems: Iterable[Problem]) -> Iterator[Example]:
    """The question as it stands is the instruction; the worked answer, in the question's language, the response."""
    for problem in problems:
        if problem.answer is None:
            raise DataError(
                f"problem {problem.id} ({problem.language}) of {problem.source} has no worked answer to learn from"
            )
        yield Example(problem.id, problem.language, problem.source, problem.question, problem.answer)


def text_examples(documents: Iterable[Document]) -> Iterator[Example]:
    """Plain text, without an instruction: what a base model learns from before either stage."""
    for document in documents:
        yield Example(document.id, document.language, document.source, None, document.text)
