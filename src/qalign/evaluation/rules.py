"""The answer rules: each reads the answer out of a text. A further rule is one function and one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..languages import Language
from ..records import Finish, Reading
from .extraction import paper, strict

MAIN = "strict"
"""The rule that decides between right, wrong and unanswered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to read an answer."""

    name: str
    title: str
    """What tables and page call it."""
    description: str
    """What it reads, in a sentence."""
    read: Callable[[str, str, Language, Finish], Reading]
    """Text, gold answer, language and why the text ended -> what was read."""


RULES: dict[str, Rule] = {
    row.name: row
    for row in (
        Rule(
            name=MAIN,
            title="strict rule",
            description="Numbers as the language writes them, a marked answer first.",
            read=strict,
        ),
        Rule(
            name="paper",
            title="paper rule",
            description="The last number, as the published evaluation reads it.",
            read=lambda text, gold, language, finish: paper(text, gold),
        ),
    )
}
"""The rules by name, in the order of the tables."""
