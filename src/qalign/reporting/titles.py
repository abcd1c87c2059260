"""Names for people, of systems, benchmarks and languages apart: a test set that is named as a system is not one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..languages import LANGUAGES


@dataclass(frozen=True, slots=True)
class Titles:
    """By kind, the titles of what has one; anything else is shown by its name."""

    systems: Mapping[str, str] = field(default_factory=dict)
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)
    """Of languages that the table of languages lacks."""

    def system(self, name: str) -> str:
        """The title of a system."""
        return self.systems.get(name, name)

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

    def group(self, group: str) -> str:
        """The name of what a score is over: `average`, `non_english`, or a language."""
        return {AVERAGE: "Average", NON_ENGLISH: "Non-English"}.get(group) or self.language(group)

    def with_arrows(self) -> Titles:
        """The same with arrows that no line is broken in."""
        return Titles(_with_arrows(self.systems), _with_arrows(self.benchmarks), _with_arrows(self.languages))


def _with_arrows(titles: Mapping[str, str]) -> dict[str, str]:
    return {name: title.replace("->", "\N{RIGHTWARDS ARROW}") for name, title in titles.items()}
