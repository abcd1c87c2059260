"""Reads back what a text of the world says, from its words alone: which events, among whom, with which numbers.

This is the way back from `Grammar.say`, and so a second opinion about it: it knows phrases and word lists, and nothing of plots
and signatures. What it finds does not depend on the language, the phrasing, the names, the things and the places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import permutations
from typing import NamedTuple

from qalign.world.grammar import Amount, Grammar, Slots, grammar
from qalign.world.languages.en import TOTAL
from qalign.world.plots import QUESTIONS, STATEMENTS, Event
from qalign.world.text import Document

NUMBER = r"\d+(?:[.,]\d+)?"
STATED_TOTAL = re.escape(TOTAL).replace(r"\{n\}", r"([\d.]+)")
"""The sentence that says what a story that is worked out comes to."""
OPERATION = rf"{NUMBER} [-+×÷] {NUMBER} = {NUMBER}"
X = "x"
"""How an unknown number is written."""


class Told(NamedTuple):
    """One event. People are numbered in the order in which the story brings them in; -1 stands for nobody."""

    kind: str
    who: int
    other: int
    n: Fraction | None
    k: Fraction | None


Tale = tuple[Told, ...]


def read_back(text: str, *codes: str, unknown: Fraction | None = None) -> Tale:
    """The events of a text in a language, or in several that change within it; operations among them are passed over. `unknown`
    is what x stands for.

    Raises:
        ValueError: a part of the text is no sentence of the languages, or may be two different ones.
    """
    readers = [_reader(code) for code in codes]
    people: dict[str, int] = {}
    found: list[Told] = []
    position = 0
    while position < len(text):
        operations = [match.end() for reader in readers if (match := reader.operation.match(text, position))]
        if operations:
            end = max(operations)
        else:
            one, end = _longest(readers, text, position, people, unknown)
            found.append(one)
        position = end + len(text[end:]) - len(text[end:].lstrip())
    return tuple(found)


def told(events: tuple[Event, ...]) -> Tale:
    """What reading back must give of a story that says these events."""
    people: dict[str, int] = {}
    return tuple(
        Told(event.kind, *(_number_of(name, people) for name in (event.who, event.other)), event.n, event.k)
        for event in events
    )


def statements(tale: Tale) -> Tale:
    """A tale without its question."""
    return tuple(one for one in tale if one.kind not in QUESTIONS)


def _number_of(name: str, people: dict[str, int]) -> int:
    return people.setdefault(name, len(people)) if name else -1


def _longest(
    readers: list[_Reader], text: str, position: int, people: dict[str, int], unknown: Fraction | None
) -> tuple[Told, int]:
    """The longest sentence that begins here, and where it ends: in Thai, one may be the beginning of another."""
    found = [(reader, kind, match) for reader in readers for kind, match in reader.sentences(text, position)]
    end = max((match.end() for _, _, match in found), default=0)
    longest = [one for one in found if one[2].end() == end]
    if len({kind for _, kind, _ in longest}) != 1:
        kinds = " or ".join(kind for _, kind, _ in longest) or "nothing known"
        raise ValueError(f"{[reader.code for reader in readers]}: {kinds} begins '{text[position:][:80]}'")
    reader, kind, match = longest[0]
    return reader.told(kind, match, people, unknown), end


@cache
def _reader(code: str) -> _Reader:
    return _Reader(grammar(code))


class _Reader:
    """The sentences of one language as patterns."""

    def __init__(self, spoken: Grammar) -> None:
        self.code = spoken.code
        self._forms, self._names = _forms(spoken)
        self._patterns = [
            (kind, re.compile(self._pattern(template)))
            for kind in (*STATEMENTS, *QUESTIONS)
            for template in spoken.phrases[kind]
        ]
        operation = spoken.equation.format(left="{}", sign="{}", right="{}", result="{}").split("{} {} {} = {}")
        self.operation = re.compile(OPERATION.join(map(re.escape, operation)))

    def sentences(self, text: str, position: int) -> list[tuple[str, re.Match[str]]]:
        """All readings of what begins here."""
        return [(kind, match) for kind, pattern in self._patterns if (match := pattern.match(text, position))]

    def told(self, kind: str, match: re.Match[str], people: dict[str, int], unknown: Fraction | None) -> Told:
        fields = match.groupdict()

        def person(role: str) -> int:
            known = [self._names.get((role, name, form)) for name, form in fields.items()]
            named = {key for key in known if key is not None}
            if len(named) > 1:
                raise ValueError(f"{self.code}: {role} is {' and '.join(sorted(named))} in '{match[0]}'")
            return _number_of(named.pop() if named else "", people)

        def number(name: str) -> Fraction | None:
            if name not in fields:
                return None
            return unknown if fields[name] == X else Fraction(fields[name].replace(",", "."))

        return Told(kind, person("who"), person("other"), number("n"), number("k"))

    def _pattern(self, template: str) -> str:
        """A template, each field being the choice of its forms; a field that comes again is not named again."""
        parts: list[str] = []
        seen: set[str] = set()
        for part in re.split(r"(\{\w+\})", template[:1].upper() + template[1:]):
            if not part.startswith("{"):
                parts.append(re.escape(part))
                continue
            name = part[1:-1]
            forms = sorted(map(re.escape, self._forms[name]), key=len, reverse=True)
            choice = f"{NUMBER}|{X}" if name in ("n", "k") else "|".join(forms)
            parts.append(f"(?:{choice})" if name in seen else f"(?P<{name}>{choice})")
            seen.add(name)
        return "".join(parts)


def _forms(spoken: Grammar) -> tuple[dict[str, set[str]], dict[tuple[str, str, str], str]]:
    """What each field of the language's phrases can be; and for those that name one person: (role, field, form) -> who."""
    forms: dict[str, set[str]] = {}
    named: dict[tuple[str, str], dict[str, set[str]]] = {}
    for who, other, slots in _all_slots(spoken):
        for name, text in spoken.fields(slots).items():
            for form in (text, text[:1].upper() + text[1:]):
                forms.setdefault(name, set()).add(form)
                for role, key in (("who", who), ("other", other)):
                    named.setdefault((role, name), {}).setdefault(form, set()).add(key)
    # A field names the person if each of its forms is of one person and not all are of the same.
    telling = {
        at: keys for at, keys in named.items() if len(keys) > 1 and all(len(of_form) == 1 for of_form in keys.values())
    }
    return forms, {(*at, form): min(keys) for at, by_form in telling.items() for form, keys in by_form.items()}


def _all_slots(spoken: Grammar) -> Iterator[tuple[str, str, Slots]]:
    """All that can stand together in a sentence: two people; a number and what it counts."""

    def amount(value: Fraction | None) -> Amount:
        return Amount(value, X if value is None else spoken.number(value))

    keys = list(spoken.people)
    first = [next(iter(part.values())) for part in (spoken.things, spoken.stuff, spoken.containers, spoken.places)]
    plain = Slots(amount(Fraction(2)), amount(Fraction(2)), spoken.people[keys[0]], spoken.people[keys[1]], *first)
    for who, other in permutations(keys, 2):
        yield who, other, replace(plain, who=spoken.people[who], other=spoken.people[other])
    for value in (None, *(Fraction(half, 2) for half in range(2, 200))):
        counted = replace(plain, n=amount(value), k=amount(value))
        for part, entries in (("item", spoken.things), ("stuff", spoken.stuff), ("container", spoken.containers)):
            for entry in entries.values():
                yield keys[0], keys[1], replace(counted, **{part: entry})
    for place in spoken.places.values():
        yield keys[0], keys[1], replace(plain, place=place)


def without_total(text: str) -> str:
    """A story that is worked out, without the sentence that says what it comes to."""
    return re.sub(f" {STATED_TOTAL}$", "", text)


def without_preface(document: Document) -> str:
    """A document of the base's text from where it begins to tell something."""
    return document.text.removeprefix(document.preface)
