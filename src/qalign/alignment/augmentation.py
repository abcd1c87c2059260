"""Other questions made of a problem, as MetaMath asks them, and the prompts of their teacher. Source: arXiv 2309.12284.
Harder, easier and other problems are those of WizardMath, arXiv 2308.09583.

A question is rephrased, or asked backward: one of its numbers is an unknown x, and its answer is known. FOBAR supposes the
answer in a further sentence, arXiv 2308.07758. Self-verification, SV, states it in the place of the last sentence, arXiv
2212.09561.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ..languages import Language
from ..numbers import Number, find_numbers, plain_number
from ..records import Problem

Evolution = Literal["Harder", "Easier", "Other"]
"""A kind of problem that is evolved from another."""
Kind = Literal["AnsAug", "Rephrased", "SV", "FOBAR"] | Evolution
"""A kind of variant. MetaMathQA names four: a new answer, a rephrased question, two backward ones."""
Phrases = Mapping[str, tuple[str, str]]
"""By language: what supposes an answer `{n}` and asks for the unknown `{x}`, and what only asks for it."""


@dataclass(frozen=True, slots=True)
class Backward(Problem):
    """A problem that asks for one of its numbers."""

    sentence: str
    """The last sentence, which asks for what is known."""
    known: str
    """The answer to it."""
    unknown: str
    """The letter in the place of the number."""


# --- ids --------------------------------------------------------------------------------------------------------------

_VARIANT = re.compile(r"(.*?)/(AnsAug|Rephrased|SV|FOBAR|Harder|Easier|Other)/(\d+)(?:/\d+)*", re.DOTALL)


def variant_id(problem: str, kind: Kind, number: int) -> str:
    """The id of a variant. It begins with that of the problem, and the answer to a variant keeps its kind."""
    return f"{problem}/{number}" if original_of(problem)[1] == kind else f"{problem}/{kind}/{number}"


def original_of(variant: str) -> tuple[str, str, int]:
    """The id of the original problem, and the kind and number of a variant. Another id has an empty kind."""
    match = _VARIANT.fullmatch(variant)
    return (match[1], match[2], int(match[3])) if match else (variant, "", 0)


# --- backward questions, without a model ------------------------------------------------------------------------------

_TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PROMPTS: Mapping[str, str] = _TEXTS["prompts"]
"""What a teacher is asked about a record: its answer, a rephrasing, a statement, or a problem evolved from it."""
PHRASES: Phrases = {code: (row["fobar"], row["unknown"]) for code, row in _TEXTS["phrases"].items()}

_LETTER = "A-Za-zÀ-ɏЀ-ӿ"  # of scripts that put blanks between words; others write 16টি and 3個
_TOUCHING = re.compile(rf"[{_LETTER}_^:()\[\]{{}}/\\=+*×÷\-‐‑–—−]")
_DIGITS = re.compile(r"[-−–]?\.?\d(?:[\d.,'’ \u00a0\u202f/]*\d)?")
_WORDS = {
    word: Fraction(value)
    for word, value in re.findall(
        r"(\w+) (\d+)", "one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10 twelve 12 sixteen 16"
    )
}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
_MYRIADS = frozenset("十百千万萬亿億兆")
_END_OF_SENTENCE = re.compile(r"[.!?](?=\s)|[。！？।\n]")


def unknown_of(question: str) -> str | None:
    """The letter for the unknown of a question, `x` or `X`. None where both mean something else."""
    return next((letter for letter in "xX" if not holds(question, letter)), None)


def holds(text: str, letter: str) -> bool:
    """Whether a letter stands in a text as a word of its own."""
    return re.search(rf"(?<![{_LETTER}]){letter}(?![{_LETTER}])", text) is not None


def masked(question: str, row: Language) -> Iterator[tuple[str, Fraction]]:
    """The question without one of its numbers, and this number. Each number is taken in turn.

    As published, a number that touches letters, brackets, colons or dashes is part of something else. A currency or percent
    sign stays. Chinese numerals alone are left out, since words contain them.
    """
    letter = unknown_of(question)
    if letter is None:
        return
    spans = [span for number in find_numbers(question, row) if (span := _span(question, number, row))]
    if row.code == "en":
        spans += [(*word.span(), _WORDS[word[0].lower()]) for word in _WORD.finditer(question)]
    for start, end, value in sorted(spans):
        around = question[max(0, start - 1) : start] + question[end : end + 1]
        if not _TOUCHING.search(around):
            yield f"{question[:start]}{letter}{question[end:]}", value


def _span(question: str, number: Number, row: Language) -> tuple[int, int, Fraction] | None:
    """The span of a number's digits, with a scale such as 万. None for two parts or words."""
    match = None if number.numeral or number.parts else _DIGITS.match(question, number.start, number.end)
    if match is None:
        return None
    rest = question[match.end() : number.end].strip("\u00a0 ").casefold()
    is_scale = rest in {word.casefold() for word in row.scales} or (row.myriads and _MYRIADS.issuperset(rest))
    end = match.end() if number.percent else number.end
    return (number.start, end, number.value) if not rest or number.percent or is_scale else None


def last_sentence(question: str, row: Language) -> str:
    """What a question asks. The published code cuts at commas too, and so within lists."""
    text = question.rstrip()
    ends = [match.end() for match in _END_OF_SENTENCE.finditer(text, 0, max(len(text) - 1, 0))]
    if row.script == "Thai":  # blanks separate clauses
        ends = [text.rfind(" ") + 1]
    return text[ends[-1] if ends else 0 :].strip()


def backward(problem: Problem, row: Language, kind: Literal["SV", "FOBAR"], phrases: Phrases) -> Iterator[Backward]:
    """A problem asked backward, once for each of its numbers. For SV the question still lacks its statement."""
    known, unknown = problem.gold, unknown_of(problem.question)
    if known is None or unknown is None:
        return
    asks = _phrases(row, phrases)[0].format(n=known, x=unknown) if kind == "FOBAR" else ""
    for number, (question, value) in enumerate(masked(problem.question, row)):
        yield Backward(
            id=variant_id(problem.id, kind, number), language=problem.language, question=question.rstrip() + asks,
            answer=None, gold=plain_number(value), source=problem.source, sentence=last_sentence(question, row),
            known=known, unknown=unknown,
        )  # fmt: skip


def verified(problem: Backward, statement: str, row: Language, phrases: Phrases) -> str | None:
    """The question of SV: a statement stands in the place of the last sentence. None where the unknown is gone."""
    told = problem.question.removesuffix(problem.sentence) + statement
    asks = _phrases(row, phrases)[1].format(n=problem.known, x=problem.unknown)
    return told + asks if holds(told, problem.unknown) else None


def _phrases(row: Language, phrases: Phrases) -> tuple[str, str]:
    return phrases.get(row.code, PHRASES["en"])


# --- what a teacher is asked ------------------------------------------------------------------------------------------

_NEXT = re.compile(r"^\s*Question:", re.MULTILINE)
_LABEL = re.compile(r"\s*(?:Answer|Rephrased|Statement|Harder|Easier|Other):")


def reply(text: str) -> tuple[str, bool]:
    """The text of a teacher's reply, and whether a next question of its own followed."""
    begin = label.end() if (label := _LABEL.match(text)) else 0
    following = _NEXT.search(text, begin)
    return text[begin : following.start() if following else None].strip(), following is not None
