"""Stage 2, response alignment: instruction data in English or many languages.

English data alone is the paper's monolingual supervision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import DataError
from ..records import Document, Example, Problem


def response_examples(problems: Iterable[Problem]) -> Iterator[Example]:
    """Examples with the question as instruction and its worked answer as response."""
    for problem in problems:
        if problem.answer is None:
            raise DataError(
                f"problem {problem.id} ({problem.language}) of {problem.source} has no worked answer to learn from"
            )
        yield Example(
            id=problem.id,
            language=problem.language,
            source=problem.source,
            instruction=problem.question,
            response=problem.answer,
        )


def text_examples(documents: Iterable[Document]) -> Iterator[Example]:
    """Plain text without an instruction, to train a base model on."""
    for document in documents:
        yield Example(
            id=document.id, language=document.language, source=document.source, instruction=None, response=document.text
        )
