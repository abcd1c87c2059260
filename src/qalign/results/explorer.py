"""What the page's explorer of problems reads: all answers as one compact JSON that no HTML parser takes for markup."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from ..evaluation.answer_language import NONE
from ..languages import LANGUAGES
from .titles import Titles
from .view import in_order, other_rules, slots_of

OUTCOMES = ("correct", "wrong", "unanswered", "cut_off")

Answers = Iterable[Mapping[str, Any]]
"""One entry a problem and language: `benchmark`, `id`, `language`, `gold`, `question`, and `answers`: system -> `text`,
`value` (what was read), `start` and `end` (where, in characters), `outcome`, `right` by rule, `answered_in`."""


def explorer_data(found: Mapping[str, Any], titles: Titles, answers: Answers) -> dict[str, Any]:
    """The answers by problem, as arrays: names are said once, and thirty-six thousand answers stay small.

    A problem is [benchmark, id, languages]; a language is [language, gold, question, answers]; an answer, one a system
    (null where it has none), is [text, value, start, end, outcome, right under each further rule, the language if another].
    """
    problems: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in answers:
        problems.setdefault((entry["benchmark"], str(entry["id"])), []).append(entry)
    entries = list(chain.from_iterable(problems.values()))
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in problems))
    languages = in_order(entry["language"] for entry in entries)
    answering = {name: None for entry in entries for name in entry["answers"]}
    systems = [*(s for s in found["systems"] if s in answering), *(s for s in answering if s not in found["systems"])]
    slots = slots_of(found)
    places = {code: place for place, code in enumerate(languages)}
    rules = other_rules(found)
    return {
        "rules": list(rules.values()),
        "spoken": {code: titles.language(code) for code in sorted({*LANGUAGES, *languages})},
        "benchmarks": [[name, titles.benchmark(name)] for name in benchmarks],
        "languages": [_language_row(code, titles) for code in languages],
        "systems": [[name, titles.system(name), slots.get(name, 0)] for name in systems],
        "problems": [
            [
                benchmarks.index(benchmark),
                key,
                [
                    [
                        places[e["language"]],
                        str(e["gold"]),
                        e["question"],
                        [_answer(e["answers"].get(s), e["language"], rules) for s in systems],
                    ]
                    for e in sorted(group, key=lambda e: places[e["language"]])
                ],
            ]
            for (benchmark, key), group in problems.items()
        ],
    }


def _language_row(code: str, titles: Titles) -> list[Any]:
    """Code, English name, own name, tag, and whether it is written in Latin letters."""
    row = LANGUAGES.get(code)
    name = titles.language(code)
    return [code, name, row.native_name if row else "", language_tag(code), row is None or row.script == "Latn"]


def _answer(answer: Mapping[str, Any] | None, language: str, rules: Iterable[str]) -> list[Any] | None:
    if answer is None:
        return None
    text, value = answer["text"], answer.get("value")
    start, end = (_utf16(text, answer.get(key) or 0) for key in ("start", "end"))
    outcome = OUTCOMES.index(answer["outcome"])
    right = [int(bool(answer["right"].get(rule))) for rule in rules]
    spoken = answer.get("answered_in")
    another = None if spoken in (None, NONE, language) else spoken
    return [text, None if value is None else str(value), start, end, outcome, right, another]


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


def safe_json(value: Any) -> str:
    """JSON that no HTML parser reads as anything else: no markup character, line separator or half a surrogate pair."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
