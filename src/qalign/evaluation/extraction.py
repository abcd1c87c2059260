"""Which number an answer gives, by two rules, and whether it is right.

`paper` decides as the published evaluation does, faults included (NJUNLP/QAlign, `evaluate/scripts/mgsm_test.py`). It
takes the last number without signs, drops commas between digits, and reads 0 where there is no number. `strict` reads
as a person who knows the language. It knows announced answers, separators, signs, fractions and percentages.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from ..languages import LANGUAGES, Language
from ..numbers import Number, parse_gold, plain_number
from ..records import Finish, Outcome, Reading
from .announcements import Announcement, Answer, announced, announcements, preferred, refuses, stated_result
from .equations import equations, holds_an_unknown, text_numbers

RULES_VERSION = 3
"""The version of judging: raised with every change that may change a judgement, so that old scores are not reused."""

TOLERANCE = Fraction(1, 1000)
"""How far from the gold number a right answer may be, as published."""

NOTHING = Reading(value=None, text="", start=0, end=0, by="none", right=False)


def _reading(text: str, span: tuple[int, int], *, value: str, by: str, right: bool) -> Reading:
    start, end = span
    return Reading(value=value, text=text[start:end], start=start, end=end, by=by, right=right)


def paper(text: str, gold: str) -> Reading:
    """The published rule, which reads gold too. An answer without a number is right if gold is 0."""
    target, _ = _last_digits(gold)
    read, span = _last_digits(text)
    right = abs(float(target or 0) - float(read or 0)) < float(TOLERANCE)
    if read is None:
        return replace(NOTHING, right=right)
    return _reading(text, span, value=read, by="last-number", right=right)


def _last_digits(text: str) -> tuple[str | None, tuple[int, int]]:
    """The last `digits(.digits)` without commas, and its span in the text as given."""
    # One pass from the left, as re.sub makes it: of the commas in 1,2,3 the second stays, for its digit is used up.
    dropped = [match.start() + 1 for match in re.finditer(r"\d,\d", text)]
    without = re.sub(r"(\d),(\d)", r"\1\2", text)
    found = list(re.finditer(r"\d+(?:\.\d+)?", without))
    if not found:
        return None, (0, 0)
    last = found[-1]
    digits = "".join(character if character == "." else str(unicodedata.decimal(character)) for character in last[0])
    # The n-th comma dropped stood n characters further left in the shortened text.
    places = [comma - index for index, comma in enumerate(dropped)]
    start = last.start() + bisect_right(places, last.start())
    return digits, (start, last.end() + bisect_right(places, last.end() - 1))


def strict(text: str, gold: str, language: Language, finish: Finish) -> Reading:
    r"""The reading of a person who knows the language.

    The answer stands behind all thinking, and before a next question of the model's own. The last announcement with a
    number decides: `####`, `\boxed{}`, or an answer phrase of the language or of English. It may also deny that there
    is an answer. Without an announcement it is the last number of the text, unless a later sentence denies an answer. A
    truncated text has no such last number. Expressions with an unknown are no numbers. 50% is right for 50 and for 0.5,
    2 hours 30 minutes for 2.5 and for 150. Raises DataError where `gold` is no number.
    """
    target = parse_gold(gold)
    number, by = _answer(text, language, finish)
    if number is None:
        return NOTHING
    # 50% is 50 and 0.5, 2 hours 30 minutes are 2.5 hours and 150 minutes.
    values = (number.value, number.value / (100 if number.percent else 1), number.value * (number.parts or 1))
    right = any(abs(value - target) < TOLERANCE for value in values)
    return _reading(text, (number.start, number.end), value=plain_number(number.value), by=by, right=right)


def hashes(text: str, gold: str) -> Reading:
    """The number behind the first `#### `, right where it is gold exactly: the rule of GSM8K's own answers."""
    match = re.search(r"#### (-?[0-9.,]+)", text)
    value = _decimal(match[1]) if match else None
    if match is None or value is None:
        return NOTHING
    return _reading(text, match.span(1), value=str(value), by="marker:####", right=value == _decimal(gold))


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
    begin, end = _answer_span(text)
    numbers = [number for number in text_numbers(text, language) if begin <= number.start and number.end <= end]
    if finish == "length":  # a number at the very end of a text that was cut off may lack its last digits
        numbers = [number for number in numbers if number.end < len(text)]
    found = announcements(text, language, begin, end)[-_MOST_ANNOUNCEMENTS:]
    results = equations(text, numbers)
    if questions := _own_questions(text, begin, end, language):
        starts = [number.start for number in numbers]
        with_number = [a.begin for a in found if bisect_left(starts, a.begin) < bisect_left(starts, a.end)]
        calculated = next((e.right.end for e in results if e.left is not None), None)
        end = _run_on(text, questions, with_number, calculated) or end
        numbers = [number for number in numbers if number.end <= end]
        found = [replace(a, end=min(a.end, end)) for a in found if a.begin < end]
        results = [equation for equation in results if equation.right.end <= end]
    answer = Answer(text, numbers, results, language.no_answer, end)
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


# --- the part of a text that answers: behind thinking, before a next question of the model's own ----------------------

_THINKING = re.compile(
    r"[<\[◁](?P<close>/?)(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis)[>\]▷]", re.IGNORECASE
)
# What chat templates put between turns; the Alpaca template, whose answers this package trains on, begins so too.
_NEXT_TURN = re.compile(
    r"<\|?(?:im_(?:start|end)|eot_id|endoftext|end_of_text|end|user|start_header_id|begin_of_text)\|?>|</s>|<\|EOT\|>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>|Below is an instruction that describes"
)
# Signs of a question where a language writes no question mark.
_ASKS = re.compile(r"[?？؟]|เท่าไร|เท่าไหร่|กี่|อะไร|多少|几|幾|いくつ|いくら|何|কত|কী")
# A line that is a heading, or begins with a numbered word (Step 6:).
_HEADING = re.compile(r"^[ \t]{0,9}(?:#{1,6}|\*\*|[^\s\d:：#*]{1,15} ?\d{1,2}[:：.)])[^\n]{3,300}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question of the model's own: where its header begins and ends, and its number, if it has one."""

    begin: int
    end: int
    number: str
    surely: bool
    """Whether the header is the question itself. Otherwise the text behind it has to be one."""


def _answer_span(text: str) -> tuple[int, int]:
    """The part behind all closed thinking, up to a mark of a chat template."""
    begin, end = 0, len(text)
    for tag in _THINKING.finditer(text):
        if tag["close"]:
            begin, end = tag.end(), len(text)
        elif end == len(text):
            end = tag.start()
    for turn in _NEXT_TURN.finditer(text, begin, end):
        if text[begin : turn.start()].strip():
            return begin, turn.start()
        begin = turn.end()
    return begin, end


def _own_questions(text: str, begin: int, end: int, language: Language) -> list[_Question]:
    """Possible questions of the model's own, in order, such as `Question:`."""
    words = (*language.question_markers, *LANGUAGES["en"].question_markers)
    found = [
        _Question(begin=match.start(), end=match.end(), number=match["number"] or "", surely=False)
        for match in _headers(words).finditer(text, begin, end)
    ]
    for match in _HEADING.finditer(text, begin, end):
        if _ASKS.search(match[0]):
            number = re.search(r"\d+", match[0])
            found.append(
                _Question(begin=match.start(), end=match.end(), number=number[0] if number else "", surely=True)
            )
    return sorted(found, key=lambda question: question.begin)


def _run_on(text: str, questions: list[_Question], answered: list[int], calculated: int | None) -> int | None:
    """Where the first question of the model's own begins after an answer, or None. An answer is an announcement with a number,
    or the end of the first equation for a header with a question mark behind it."""
    listed = False
    for question in questions:
        asks, calculates = _asks(text, question, answered)
        after_announcement = bool(answered) and answered[0] < question.begin
        after_calculation = calculated is not None and calculated <= question.begin
        # Question 1, Question 2: the model takes the problem apart.
        if not (listed and question.number):
            if after_announcement and (asks or calculates):
                return question.begin
            if after_calculation and asks and not question.surely:
                return question.begin
        listed = listed or bool(question.number)
    return None


def _asks(text: str, question: _Question, answered: list[int]) -> tuple[bool, bool]:
    """Whether a question follows a header, and whether numbers do."""
    later = bisect_right(answered, question.end)
    end = min(answered[later] if later < len(answered) else len(text), question.end + 1000)
    said = text[question.end : end]
    return question.surely or bool(_ASKS.search(said)), bool(re.search(r"\d", said))


@cache
def _headers(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for words that head a question: with a colon where a line or a sentence begins, as a heading, or with a number
    alone on a line."""
    forms = {form for word in words for form in (word, word.upper(), word.capitalize())}
    letters = [word for word in forms if len(word) == 1 and word < "\u0e00" and word != "Q"]  # В 18:00 is a time
    names = sorted(forms - set(letters), key=len, reverse=True)
    number = r"[ \t]{0,9}(?:ที่|Nr\.|№|n°|#|no\.|ya|wa|la)?[ \t]{0,9}(?P<number>\d{1,3})"
    word = rf"(?:{'|'.join(map(re.escape, names))})(?:{number})?"
    if letters:
        word = rf"(?:{word}|[{''.join(letters)}](?=[:：]))"
    return re.compile(
        r"(?:^|(?<=[.!?])[ \t]|(?<=[。！？।]))[ \t>_-]{0,9}(?P<mark>#{1,6}|\*\*)?[ \t*_]{0,9}"
        rf"{word}[ \t*_]{{0,9}}(?(mark)(?:[:：]|$)|(?(number)(?:[:：]|$)|[:：]))",
        re.MULTILINE,
    )


MAIN = "strict"
"""The rule that decides between right, wrong and unanswered."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to read an answer: what tables call it, what it reads in a sentence, and how."""

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
