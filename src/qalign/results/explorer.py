"""What the page's explorer of problems reads: all answers as one compact JSON that no HTML parser takes for markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import chain
from typing import get_args

import msgspec

from ..evaluation.answer_language import NONE
from ..languages import LANGUAGES
from ..records import Outcome
from .schema import Content, in_order
from .titles import Titles


class SystemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what was read from it under the main rule."""

    text: str
    outcome: Outcome
    right: dict[str, bool]
    """By rule."""
    value: str | None = None
    """The number that was read."""
    start: int = 0
    """Where it stands, in characters."""
    end: int = 0
    answered_in: str | None = None
    """The language."""


class AnsweredProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem in one language, with its answers by system."""

    benchmark: str
    id: str
    language: str
    gold: str
    question: str
    answers: dict[str, SystemAnswer | None]


def explorer_data(content: Content, titles: Titles, answers: Iterable[AnsweredProblem]) -> dict[str, object]:
    """The answers by problem, as arrays: names are said once, and thirty-six thousand answers stay small.

    - A problem is [benchmark, id, languages].
    - A language is [language, gold, question, answers].
    - An answer is [text, value, start, end, outcome, right under each further rule, the language if another].
      A system without one has null.
    """
    problems: dict[tuple[str, str], list[AnsweredProblem]] = {}
    for entry in answers:
        problems.setdefault((entry.benchmark, entry.id), []).append(entry)
    entries = list(chain.from_iterable(problems.values()))
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in problems))
    languages = in_order(entry.language for entry in entries)
    answering = {name: None for entry in entries for name in entry.answers}
    systems = [*(s for s in content.systems if s in answering), *(s for s in answering if s not in content.systems)]
    slots = {name: slot for slot, name in enumerate(content.systems)}
    places = {code: place for place, code in enumerate(languages)}
    rules = content.other_rules

    def in_languages(group: list[AnsweredProblem]) -> list[list[object]]:
        rows = []
        for one in sorted(group, key=lambda one: places[one.language]):
            given = [_answer(one.answers.get(system), one.language, rules) for system in systems]
            rows.append([places[one.language], one.gold, one.question, given])
        return rows

    return {
        "rules": list(rules.values()),
        "spoken": {code: titles.language(code) for code in sorted({*LANGUAGES, *languages})},
        "benchmarks": [[name, titles.benchmark(name)] for name in benchmarks],
        "languages": [_language_row(code, titles.language(code)) for code in languages],
        "systems": [[name, titles.system(name), slots.get(name, 0)] for name in systems],
        "problems": [
            [benchmarks.index(benchmark), key, in_languages(group)] for (benchmark, key), group in problems.items()
        ],
    }


def _language_row(code: str, name: str) -> list[object]:
    """Code, English name, own name, tag, and whether it is written in Latin letters."""
    row = LANGUAGES.get(code)
    return [code, name, row.native_name if row else "", language_tag(code), row is None or row.script == "Latn"]


def _answer(answer: SystemAnswer | None, language: str, rules: Iterable[str]) -> list[object] | None:
    if answer is None:
        return None
    start, end = (_utf16(answer.text, at) for at in (answer.start, answer.end))
    right = [int(answer.right.get(rule, False)) for rule in rules]
    another = None if answer.answered_in in (None, NONE, language) else answer.answered_in
    return [answer.text, answer.value, start, end, get_args(Outcome).index(answer.outcome), right, another]


def _utf16(text: str, at: int) -> int:
    """The place of a character as JavaScript counts, where one beyond U+FFFF is two."""
    return at if text.isascii() else at + sum(character > "\uffff" for character in text[:at])


def language_tag(code: str) -> str:
    """The tag of a language for the `lang` attribute, so that a reader's fonts and voice fit; empty if it is none."""
    if not re.fullmatch(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*", code):
        return ""
    row = LANGUAGES.get(code)
    return f"{code}-{row.script}" if row and row.script in ("Hans", "Hant") else code.replace("_", "-")


_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def safe_json(value: object) -> str:
    """JSON that no HTML parser reads as anything else: no markup character, line separator or half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
