"""How hard prose is to read: words and marks a sentence. Tables, headings, code and comments are no prose."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, code in it as one word."""

    text: str

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def marks(self) -> int:
        """Semicolons and opening parentheses."""
        return len(re.findall(r"[;(]", self.text))


def paragraphs(markdown: str) -> list[str]:
    """The paragraphs and items of lists of a Markdown document, links by their words."""
    text = re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not re.match(r"\s*(\||#|>|!\[)", line)]
        found += re.split(r"\n\s*(?:[-*]|\d+\.)\s+", "\n" + "\n".join(lines))
    whole = (re.sub(r"\s+", " ", part).strip() for part in found)
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", part) for part in whole if part]


def sentences(paragraph: str) -> list[Sentence]:
    """The sentences of a paragraph; one or two words are none."""
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z(`\"])", re.sub(r"`[^`]*`", "CODE", paragraph))
    return [Sentence(part) for part in parts if len(part.split()) > 2]


def faults(found: list[Sentence]) -> list[str]:
    """What is too hard to read about sentences: their mean length, their marks, and each that is over-long."""
    if not found:
        return []
    words = sum(sentence.words for sentence in found) / len(found)
    marks = sum(sentence.marks for sentence in found) / len(found)
    faults = [f"{sentence.words} words: {sentence.text}" for sentence in found if sentence.words > 40]
    if words > 16:
        faults.append(f"{words:.1f} words a sentence; at most 16")
    if marks > 0.2:
        faults.append(f"{marks:.2f} semicolons or parentheses a sentence; at most 0.2")
    return faults
