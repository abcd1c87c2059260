"""Names for people, of systems, benchmarks and languages apart: a test set that is named as a system is not one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..languages import LANGUAGES


@dataclass(frozen=True, slots=True)
class Titles:
    """By kind, the titles of what has one; anything else is shown by its name."""

    systems: Mapping[str, str] = field(default_factory=dict)
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)
    """Of languages that the table of languages lacks."""
    short: Mapping[str, str] = field(default_factory=dict)
    """Of systems whose names are long: what tells them apart."""

    def system(self, name: str) -> str:
        """The title of a system."""
        return self.short.get(name) or self.systems.get(name, name)

    def shortened(self, names: Iterable[str]) -> Titles:
        """The same with short names for those systems without a title of their own."""
        taken = {text.casefold() for text in (*self.systems, *self.systems.values())}
        short = short_names([name for name in names if name not in self.systems])
        return self if taken & {text.casefold() for text in short.values()} else replace(self, short=short)

    def benchmark(self, name: str) -> str:
        """The title of a benchmark, or the name of an own test set."""
        return self.benchmarks.get(name, name)

    def language(self, code: str) -> str:
        """The name of a language: the one given, or the table's, or its code."""
        row = LANGUAGES.get(code)
        return self.languages.get(code) or (row.name if row else code)

    def language_and_code(self, code: str) -> str:
        """`Bengali (bn)`, or the code alone where there is no name."""
        name = self.language(code)
        return code if name == code else f"{name} ({code})"


LONG = 20
"""Characters above which a name makes a table hard to read."""


def short_names(names: Sequence[str]) -> dict[str, str]:
    """For names of which one is long, the words in which they differ; nothing where that would not tell them apart.

    `train-response-alignment-06eb40d6` next to `train-response-alignment-95dab294` is `06eb40d6`. A number keeps the word
    before it, such as `checkpoint-200`.
    """
    if len(names) < 2 or max(map(len, names)) <= LONG:
        return {}
    ends = [name.rpartition("/")[2] for name in names]
    pieces = [re.split(r"([-_/.: ]+)", name) for name in names]
    common = set.intersection(*(set(words[::2]) for words in pieces))
    candidates = [[_different(words, common) for words in pieces], ends]
    if max(map(len, ends)) <= LONG:
        candidates.reverse()
    for short in candidates:
        if all(short) and len({name.casefold() for name in short}) == len(names):
            return {name: part for name, part in zip(names, short, strict=True) if part != name}
    return {}


def _different(words: Sequence[str], common: set[str]) -> str:
    """The words of a name that not all names have. Words stand at even places, what separates them between."""
    kept = [place for place in range(0, len(words), 2) if words[place] not in common]
    if kept and words[kept[0]].isdecimal() and kept[0] > 0:
        kept.insert(0, kept[0] - 2)
    return "".join(words[place] if place == kept[0] else words[place - 1] + words[place] for place in kept)
