"""The part of a text that answers the question.

Thinking stands before it. A next question of the model's own may follow.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from ..languages import LANGUAGES, Language

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
class Question:
    """A question of the model's own: where its header begins and ends, and its number, if it has one."""

    begin: int
    end: int
    number: str
    surely: bool
    """Whether the header is the question itself. Otherwise the text behind it has to be one."""


def answer_span(text: str) -> tuple[int, int]:
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


def own_questions(text: str, begin: int, end: int, language: Language) -> list[Question]:
    """Possible questions of the model's own, in order, such as `Question:`."""
    words = (*language.question_markers, *LANGUAGES["en"].question_markers)
    found = [
        Question(begin=match.start(), end=match.end(), number=match["number"] or "", surely=False)
        for match in _headers(words).finditer(text, begin, end)
    ]
    for match in _HEADING.finditer(text, begin, end):
        if _ASKS.search(match[0]):
            number = re.search(r"\d+", match[0])
            found.append(
                Question(begin=match.start(), end=match.end(), number=number[0] if number else "", surely=True)
            )
    return sorted(found, key=lambda question: question.begin)


def run_on(text: str, questions: list[Question], announced: list[int], calculated: int | None) -> int | None:
    """Where the first question of the model's own begins after an answer, or None.

    Args:
        questions: those of `own_questions`.
        announced: where announcements that have a number begin, in order.
        calculated: where the first equation ends. It is an answer too, for a header with a question mark behind it.
    """
    listed = False
    for question in questions:
        asks, calculates = _asks(text, question, announced)
        after_announcement = bool(announced) and announced[0] < question.begin
        after_calculation = calculated is not None and calculated <= question.begin
        # Question 1, Question 2: the model takes the problem apart.
        if not (listed and question.number):
            if after_announcement and (asks or calculates):
                return question.begin
            if after_calculation and asks and not question.surely:
                return question.begin
        listed = listed or bool(question.number)
    return None


def _asks(text: str, question: Question, announced: list[int]) -> tuple[bool, bool]:
    """Whether a question follows a header, and whether numbers do."""
    later = bisect_right(announced, question.end)
    end = min(announced[later] if later < len(announced) else len(text), question.end + 1000)
    said = text[question.end : end]
    return question.surely or bool(_ASKS.search(said)), bool(re.search(r"\d", said))


@cache
def _headers(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for words that head a question.

    They stand at the start of a line or behind a sentence, with a colon. Or they are a heading, or have a number alone
    on a line.
    """
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
