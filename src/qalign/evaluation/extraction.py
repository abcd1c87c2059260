"""Which number an answer gives, by two rules, and whether it is right.

`paper` decides as the published evaluation does, faults included (NJUNLP/QAlign, `evaluate/scripts/mgsm_test.py`). It
takes the last number without signs, drops commas between digits, and reads 0 where there is no number. `strict` reads
as a person who knows the language. It knows announced answers, separators, signs, fractions and percentages.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import replace
from fractions import Fraction

from ..languages import Language
from ..numbers import Number, parse_gold, plain_number
from ..records import Finish, Outcome, Reading
from .announcements import (
    Announcement,
    Answer,
    announced,
    announcements,
    answer_of,
    preferred,
    refuses,
    stated_result,
)
from .equations import equations, holds_an_unknown, text_numbers
from .passages import answer_span, own_questions, run_on

RULES_VERSION = 3
"""The version of judging: raised with every change that may change a judgement, so that old scores are not reused."""

TOLERANCE = Fraction(1, 1000)
"""How far from the gold number a right answer may be, as published."""


def paper(text: str, gold: str) -> Reading:
    """The published rule.

    Without a number, `value` is None, `by` is "none", and the answer is right if gold is 0.

    Args:
        text: an answer.
        gold: the benchmark's number, read by the same rule.
    """
    target, _, _ = _last_digits(gold)
    read, start, end = _last_digits(text)
    right = abs(float(target or 0) - float(read or 0)) < float(TOLERANCE)
    return Reading(
        value=read,
        text=text[start:end],
        start=start,
        end=end,
        by="none" if read is None else "last-number",
        right=right,
    )


def _last_digits(text: str) -> tuple[str | None, int, int]:
    """The last `digits(.digits)` without commas, and its span in the text as given."""
    # One pass from the left, as re.sub makes it: of the commas in 1,2,3 the second stays, for its digit is used up.
    dropped = [match.start() + 1 for match in re.finditer(r"\d,\d", text)]
    without = re.sub(r"(\d),(\d)", r"\1\2", text)
    found = list(re.finditer(r"\d+(?:\.\d+)?", without))
    if not found:
        return None, 0, 0
    last = found[-1]
    digits = "".join(character if character == "." else str(unicodedata.decimal(character)) for character in last[0])
    # The n-th comma dropped stood n characters further left in the shortened text.
    places = [comma - index for index, comma in enumerate(dropped)]
    start = last.start() + bisect_right(places, last.start())
    return digits, start, last.end() - 1 + bisect_right(places, last.end() - 1) + 1


def strict(text: str, gold: str, language: Language, finish: Finish) -> Reading:
    r"""The reading of a person who knows the language.

    The answer stands behind all thinking, and before a next question of the model's own. The last announcement with a
    number decides: `####`, `\boxed{}`, or an answer phrase of the language or of English. It may also deny that there
    is an answer. Without an announcement it is the last number of the text, unless a later sentence denies an answer. A
    truncated text has no such last number. Expressions with an unknown are no numbers. 50% is right for 50 and for 0.5,
    2 hours 30 minutes for 2.5 and for 150.

    Raises:
        DataError: `gold` is no number.
    """
    target = parse_gold(gold)
    number, by = _answer(text, language, finish)
    if number is None:
        return Reading(value=None, text="", start=0, end=0, by="none", right=False)
    # 50% is 50 and 0.5, 2 hours 30 minutes are 2.5 hours and 150 minutes.
    values = (number.value, number.value / (100 if number.percent else 1), number.value * (number.parts or 1))
    right = any(abs(value - target) < TOLERANCE for value in values)
    return Reading(
        value=plain_number(number.value),
        text=text[number.start : number.end],
        start=number.start,
        end=number.end,
        by=by,
        right=right,
    )


def hashes(text: str, gold: str) -> Reading:
    """The number behind the first `#### `, right where it is gold exactly: the rule of GSM8K's own answers."""
    match = re.search(r"#### (-?[0-9.,]+)", text)
    value = _decimal(match[1]) if match else None
    if match is None or value is None:
        return Reading(value=None, text="", start=0, end=0, by="none", right=False)
    return Reading(
        value=str(value),
        text=match[1],
        start=match.start(1),
        end=match.end(1),
        by="marker:####",
        right=value == _decimal(gold),
    )


def _decimal(digits: str) -> float | None:
    """The value of digits with commas between them; None for dots and commas alone."""
    try:
        return float(digits.replace(",", ""))
    except ValueError:
        return None


def outcome(reading: Reading, finish: Finish) -> Outcome:
    """The outcome of an answer, by what the main rule read."""
    if reading.right:
        return "correct"
    if finish == "length":
        return "cut_off"
    return "unanswered" if reading.value is None else "wrong"


_MOST_ANNOUNCEMENTS = 500  # are looked at, the last of a text: a model that repeats itself makes thousands


def _answer(text: str, language: Language, finish: Finish) -> tuple[Number | None, str]:
    """The number that a text gives as its answer, and how it was found."""
    begin, end = answer_span(text)
    numbers = [number for number in text_numbers(text, language) if begin <= number.start and number.end <= end]
    if finish == "length":  # a number at the very end of a text that was cut off may lack its last digits
        numbers = [number for number in numbers if number.end < len(text)]
    found = announcements(text, language, begin, end)[-_MOST_ANNOUNCEMENTS:]
    results = equations(text, numbers)
    if questions := own_questions(text, begin, end, language):
        starts = [number.start for number in numbers]
        with_number = [a.begin for a in found if bisect_left(starts, a.begin) < bisect_left(starts, a.end)]
        calculated = next((e.right.end for e in results if e.left is not None), None)
        end = run_on(text, questions, with_number, calculated) or end
        numbers = [number for number in numbers if number.end <= end]
        found = [replace(a, end=min(a.end, end)) for a in found if a.begin < end]
        results = [equation for equation in results if equation.right.end <= end]
    answer = answer_of(text, numbers, results, language.no_answer, end)
    for index in reversed(range(len(found))):
        said = announced(answer, found[index])
        if said is not None:
            number = said.number and (_in_percent(answer, said.number, found[:index]) or said.number)
            return number, f"marker:{found[index].by}"
    last = preferred(numbers, last=True) if numbers and finish != "length" else None
    if last is None or holds_an_unknown(text, last) or refuses(answer, last, end):
        return None, "none"
    if result := stated_result(answer, last, language.result_markers):
        return result, "marker:phrase"
    return last, "last-number"


def _in_percent(answer: Answer, number: Number, earlier: list[Announcement]) -> Number | None:
    """The same quantity in percent, if it was announced before: 25% for 1/4."""
    if number.percent or not any(other.percent for other in answer.numbers):
        return None
    for announcement in reversed(earlier):
        said = announced(answer, announcement)
        if said and said.number and said.number.percent and said.number.value == 100 * number.value:
            return said.number
    return None
