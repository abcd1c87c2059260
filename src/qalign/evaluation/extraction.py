r"""Which number an answer gives, and whether it is the right one, by two rules.

`paper` decides as the published evaluation does (NJUNLP/QAlign, `evaluate/scripts/mgsm_test.py`), faults and all, so
that published figures can be compared: the last number, no signs, every comma between digits dropped, and 0 where
there is no number. `strict` reads as a person who knows the language would: the announced answer before the last
number, the language's separators, signs, fractions, percentages, and no number as no answer.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from operator import itemgetter

from ..languages import LANGUAGES, Language
from ..numbers import Number, find_numbers, parse_gold, plain_number
from ..records import Finish, Outcome, Reading

TOLERANCE = Fraction(1, 1000)
"""How far from the gold number a right answer may be, as published."""


def paper(text: str, gold: str) -> Reading:
    """The published rule. `text` is an answer, `gold` the benchmark's number, read by the same rule.

    The published script reads 0 where there is no number; so does this, with `value` None and `by` "none", and the
    answer is then right when gold is 0.
    """
    target, _, _ = _last_digits(gold)
    read, start, end = _last_digits(text)
    right = abs(float(target or 0) - float(read or 0)) < float(TOLERANCE)
    return Reading(read, text[start:end], start, end, "none" if read is None else "last-number", right)


def _last_digits(text: str) -> tuple[str | None, int, int]:
    """The last `digits(.digits)` once commas between digits are gone, and its span in the text as given."""
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

    The last announcement that a number follows decides: `####`, `\boxed{}`, or an answer phrase of the language or of
    English. In its sentence, the number after the last `=` (or `≈`) is meant, else the first. Without an announcement
    it is the last number of the text; an answer that was cut off gets no such guess, for its last number is a step on
    the way. Digits come before the numerals of Chinese. 50% is right where gold is 50 and where it is 0.5.

    Raises:
        DataError: `gold` is no number.
    """
    target = parse_gold(gold)
    numbers = find_numbers(text, language)
    if finish == "length":  # a number at the very end of a text that was cut off may lack its last digits
        numbers = [number for number in numbers if number.end < len(text)]
    number, by = _announced(text, numbers, language)
    if number is None and finish != "length":
        number, by = _preferred(numbers, last=True), "last-number"
    if number is None:
        return Reading(None, "", 0, 0, "none", False)
    right = abs(number.value - target) < TOLERANCE or (number.percent and abs(number.value / 100 - target) < TOLERANCE)
    value = plain_number(number.value)
    return Reading(value, text[number.start : number.end], number.start, number.end, by, right)


def outcome(strict: Reading, finish: Finish) -> Outcome:
    """The one of four outcomes that an answer has under the strict rule."""
    if strict.right:
        return "correct"
    if finish == "length":
        return "cut_off"
    return "unanswered" if strict.value is None else "wrong"


# A full stop ends a sentence only before a space, and not behind Rs. or approx.; inside a number no space follows it.
_SENTENCE_END = re.compile(r"[。！？!?।॥৷\n]|(?<!\bRs)(?<!\bTk)(?<!\bca)(?<!approx)\.(?=[\s*)”»]|$)")
_BLANK = re.compile(r"[\s*_:：]*")


def _announced(text: str, numbers: list[Number], language: Language) -> tuple[Number | None, str]:
    """The number of the last announcement that has one, and which kind of announcement it is."""
    starts = [number.start for number in numbers]
    ends = [match.start() for match in _SENTENCE_END.finditer(text)]
    equals = [match.start() for match in re.finditer("[=＝≈]", text)]
    for begin, end, by in sorted(_announcements(text, language), key=itemgetter(0), reverse=True):
        first = bisect_left(starts, begin)
        if end is None:
            begin = _BLANK.match(text, begin).end()  # type: ignore[union-attr]
            at = bisect_left(ends, begin)
            end = ends[at] if at < len(ends) else len(text)
        within = numbers[first : bisect_left(starts, end)]
        at = bisect_left(equals, end) - 1
        if at >= 0 and equals[at] >= begin and (after := [number for number in within if number.start > equals[at]]):
            within = after
        if number := _preferred(within, last=False):
            return number, f"marker:{by}"
    return None, "none"


def _announcements(text: str, language: Language) -> Iterator[tuple[int, int | None, str]]:
    """Where the text behind each announcement begins, where it ends (None: with its sentence), and its kind."""
    for match in re.finditer("####", text):
        yield match.end(), None, "####"
    for match in _phrases(language.answer_markers).finditer(text):
        yield match.end(), None, "phrase"
    opened: list[tuple[int, bool]] = []
    for match in re.finditer(r"\\boxed\s?\{|\\?[{}]", text):
        if match[0].startswith("\\boxed") or match[0] == "{":
            opened.append((match.end(), len(match[0]) > 1))
        elif match[0] == "}" and opened:
            begin, boxed = opened.pop()
            if boxed:
                yield begin, match.start(), "boxed"


@cache
def _phrases(markers: tuple[str, ...]) -> re.Pattern[str]:
    """The phrases that announce an answer, in any case, with any space, and with a colon of any width."""

    def pattern(marker: str) -> str:
        words = r"\s+".join(re.escape(word) for word in marker.rstrip(":").split())
        return (r"(?<!\w)" if marker[0] < "\u0e00" else "") + words + (r"[\s*_]*[:：]" if marker[-1] == ":" else "")

    known = {marker.casefold(): marker for marker in (*markers, *LANGUAGES["en"].answer_markers)}
    return re.compile("|".join(pattern(marker) for marker in sorted(known, key=len, reverse=True)), re.IGNORECASE)


def _preferred(numbers: list[Number], *, last: bool) -> Number | None:
    """The first or last number, of those in digits if there are any."""
    digits = [number for number in numbers if not number.numeral] or numbers
    return digits[-1 if last else 0] if digits else None
