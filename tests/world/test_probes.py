"""The probes of a base: what they say is right, and none is a problem that a system is measured on."""

from __future__ import annotations

import re
from collections import Counter

from reading_back import read_back

from qalign.languages import STUDY
from qalign.world.grammar import Grammar, grammar
from qalign.world.probes import ASKED_OF_ENGLISH, TITLES, Probe, probes

COUNT = 12
ASKED = list(probes(list(STUDY), COUNT))
OPERATION = re.compile(r"([\d.]+) ([-+×÷]) ([\d.]+) = ([\d.]+)\.")


def of_kind(kind: str, code: str = "en") -> list[Probe]:
    return [one for one in ASKED if (one.kind, one.language) == (kind, code)]


def test_each_kind_is_asked_in_each_language_and_reasoning_in_english() -> None:
    languages = {kind: ["en"] if kind in ASKED_OF_ENGLISH else list(STUDY) for kind in TITLES}
    assert Counter((one.kind, one.language) for one in ASKED) == {
        (kind, code): COUNT for kind, codes in languages.items() for code in codes
    }
    assert list(probes(list(STUDY), COUNT)) == ASKED


def test_the_operations_are_right() -> None:
    for kind in ASKED_OF_ENGLISH:
        for one in of_kind(kind):
            asked = f"{one.before.split('. ')[-1]}{one.after}" if kind == "sums" else one.after.strip()
            left, sign, right, result = OPERATION.fullmatch(asked).groups()  # type: ignore[union-attr]
            value = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "×": lambda a, b: a * b, "÷": lambda a, b: a / b}
            assert value[sign](float(left), float(right)) == float(result), one


def test_a_later_step_stands_after_the_earlier_one() -> None:
    assert all(not OPERATION.search(one.before) for one in of_kind("first step"))
    assert all(len(OPERATION.findall(one.before)) == 1 for one in of_kind("second step"))


def test_a_story_is_told_again_or_told_in_english() -> None:
    for code in STUDY:
        for one in of_kind("retold", code):
            assert one.before.endswith(f"{one.after}\n") and len(one.before) > len(one.after) + 1
        for one in of_kind("in English", code):
            assert read_back(one.before.strip(), code) == read_back(one.after, "en"), one


def test_a_word_is_that_of_the_sentence_before() -> None:
    for code in STUDY:
        spoken, english = grammar(code), grammar("en")
        for one in of_kind("word", code):
            (thing,) = [key for key, forms in english.things.items() if forms[1] == one.after.strip()]
            assert mentions(spoken, thing, one.before), one


def mentions(spoken: Grammar, thing: str, text: str) -> bool:
    """Whether a text holds the beginning of some form of a thing."""
    entry = spoken.things[thing]
    forms = [entry] if isinstance(entry, str) else [form for form in entry if isinstance(form, str)]
    return any(form[:2].lower() in text.lower() for form in forms if form)
