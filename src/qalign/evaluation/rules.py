"""The answer rules: each reads the answer out of a text. A further rule is one function and one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..languages import Language
from ..records import Finish, Reading
from .extraction import paper, strict

MAIN = "strict"
"""The rule that decides between right, wrong and unanswered."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to read an answer: what tables call it, what it reads in a sentence, and how.

    `read` takes a text, the gold answer, the language, and why the text ended.
    """

    title: str
    description: str
    read: Callable[[str, str, Language, Finish], Reading]


RULES: dict[str, Rule] = {
    MAIN: Rule("strict rule", "Numbers as the language writes them, a marked answer first.", strict),
    "paper": Rule(
        "paper rule",
        "The last number, as the published evaluation reads it.",
        lambda text, gold, language, finish: paper(text, gold),
    ),
}
"""The rules by name, in the order of the tables."""
