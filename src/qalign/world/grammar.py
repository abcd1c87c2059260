"""How a language tells events: words, phrasings and rules, one file per language.

The files are in `languages/`. A sentence is a template. The language itself fills its fields, because only it knows its
cases, classes and counters.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

from ..errors import SettingError
from ..languages import LANGUAGES, Language
from ..numbers import plain_number
from .plots import GENERAL, QUESTIONS, STATEMENTS, Event, Step, Story

KINDS = (*STATEMENTS, *QUESTIONS, *GENERAL)
PHRASINGS = 2
"""Phrasings of an event. The first is the plain one, which worked answers use."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a sentence."""

    value: Fraction | None
    """None for the unknown x."""
    text: str
    """The number as written."""

    @property
    def whole(self) -> int:
        """The value for rules of counting.

        The unknown and decimal fractions count as many.
        """
        return int(self.value) if self.value is not None and self.value.denominator == 1 else 5


@dataclass(frozen=True, slots=True)
class Slots:
    """The content of an event: entries of a language's word lists, and amounts."""

    n: Amount
    k: Amount
    who: Any
    other: Any
    item: Any
    stuff: Any
    container: Any
    place: Any


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language."""

    code: str
    people: Mapping[str, Any]
    """Entries by id, as for all word lists. `fields` decides the form of an entry."""
    things: Mapping[str, Any]
    stuff: Mapping[str, Any]
    containers: Mapping[str, Any]
    places: Mapping[str, Any]
    phrases: Mapping[str, tuple[str, str]]
    """The two phrasings of each kind of event: templates over the names that `fields` returns."""
    equation: str
    """A template over left, sign, right and result."""
    answer: str
    """A template over n."""
    fields: Callable[[Slots], Mapping[str, str]]
    """The fields of a template for an event."""
    word: Callable[[Any], str]
    """The dictionary form of an entry of `things`, `stuff` or `places`."""
    join: str = " "
    """The text between sentences."""
    row: Language | None = None

    @property
    def language(self) -> Language:
        """The row of the language table: digits and separators."""
        return self.row or LANGUAGES[self.code]

    def number(self, value: Fraction, native: bool = False) -> str:
        """A number as the language writes it, with native digits if `native` is set."""
        text = plain_number(value).replace(".", self.language.decimal)
        zero = self.language.zero
        return "".join(chr(ord(zero) + int(c)) if c.isdigit() else c for c in text) if native and zero else text

    def say(self, event: Event, native: bool = False) -> str:
        """One sentence."""

        def amount(value: Fraction | None) -> Amount:
            return Amount(value, "x" if value is None else self.number(value, native))

        slots = Slots(
            amount(event.n),
            amount(event.k),
            self.people.get(event.who),
            self.people.get(event.other),
            self.things.get(event.item),
            self.stuff.get(event.stuff),
            self.containers.get(event.container),
            self.places.get(event.place),
        )
        text = self.phrases[event.kind][event.phrasing].format_map(self.fields(slots))
        return text[:1].upper() + text[1:]

    def question(self, story: Story) -> str:
        """The problem: all events and the question."""
        return self.join.join(self.say(event, story.native_digits) for event in story.events)

    def solution(self, story: Story) -> str:
        """The worked answer: the plain facts, their operations, and the result."""
        return self.join.join([*self.worked(story), self.conclude(story.answer, story.native_digits)])

    def worked(self, story: Story) -> Iterator[str]:
        """Each fact in plain words, followed by its operations."""
        for place, event in enumerate(story.events):
            if event.kind not in QUESTIONS:
                yield self.say(plain(event), story.native_digits)
            yield from (self.compute(step, story.native_digits) for step in story.steps if step.event == place)

    def compute(self, step: Step, native: bool = False) -> str:
        """One operation."""
        left, right, result = (self.number(value, native) for value in (step.left, step.right, step.result))
        return self.equation.format(left=left, sign=step.sign, right=right, result=result)

    def conclude(self, answer: Fraction, native: bool = False) -> str:
        """The sentence that states the answer."""
        return self.answer.format(n=self.number(answer, native))


def plain(event: Event) -> Event:
    """The event in its first phrasing."""
    return replace(event, phrasing=0)


@cache
def grammar(code: str) -> Grammar:
    """The grammar of a language. To add a language, add a file to `languages/`.

    Raises:
        SettingError: there is no such file.
    """
    if not code.isidentifier():
        raise SettingError(f"'{code}' is not a language code; the world speaks those of qalign/world/languages")
    try:
        module = importlib.import_module(f"{__package__}.languages.{code}")
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the world does not speak '{code}': add the file qalign/world/languages/{code}.py"
        ) from error
    made: Grammar = module.GRAMMAR
    return made
