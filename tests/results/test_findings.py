"""Findings are the right way round, whichever way the comparison was made, and say nothing that was not measured."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from typed import content_of

from qalign.results.findings import comparison, findings, headline, p_text
from qalign.results.schema import Content
from qalign.results.titles import Titles

TITLES = Titles({"qalign-mono": "QAlign", "monoreason": "MonoReason", "multireason": "MultiReason"}, {"mgsm": "mGSM"})
STRICT = {"qalign-mono": (60.0, 71.0), "monoreason": (40.0, 70.0), "multireason": (50.0, 55.0)}


def scores(others: float, english: float) -> dict[str, dict[str, float]]:
    by_group = {"de": others, "sw": others, "en": english, "average": (2 * others + english) / 3, "non_english": others}
    counts = {"n": 1, "standard_error": {"strict": 0.0}, "correct": 0, "wrong": 1, "unanswered": 0, "cut_off": 0}
    return {group: {"accuracy": {"strict": value}, **counts} for group, value in by_group.items()}


def row(a: str, b: str, group: str, difference: float, low: float, high: float, p: float) -> dict[str, Any]:
    return {
        "benchmark": "mgsm", "a": a, "b": b, "group": group, "n": 100, "difference": difference, "standard_error": 2.0,
        "low": low, "high": high, "p": p / 2, "p_adjusted": p, "only_a": 30, "only_b": 10,
    }  # fmt: skip


def found(*systems: str, turned: bool, **parts: Any) -> Content:
    """QAlign versus the others, compared in the order of the systems: a is the one that stands first."""
    rows = [
        row("qalign-mono", "monoreason", "non_english", 20.0, 15.5, 24.25, 0.0001),
        row("qalign-mono", "monoreason", "en", 1.0, -3.0, 5.0, 0.6),
        row("qalign-mono", "multireason", "non_english", 10.0, 2.0, 18.0, 0.0123),
        row("qalign-mono", "multireason", "en", 16.0, 9.0, 22.0, 0.002),
    ]
    if turned:
        rows = [
            {**one, "a": one["b"], "b": one["a"], "difference": -one["difference"], "low": -one["high"], "high": -one["low"],
             "only_a": 10, "only_b": 30}
            for one in rows
        ]  # fmt: skip
    kept = [one for one in rows if {one["a"], one["b"]} <= set(systems)]
    measured = {name: {"mgsm": scores(*STRICT[name])} for name in systems}
    return content_of({"systems": measured, "comparisons": kept, **parts})


SENTENCES = [
    "mGSM, 2 languages other than English: QAlign solves 60.0% and MonoReason 40.0%, +20.0 points (95% interval 15.5 to "
    "24.2, p < 0.001); in English +1.0 points (95% interval -3.0 to 5.0, p = 0.600).",
    "mGSM, 2 languages other than English: QAlign solves 60.0% and MultiReason 50.0%, +10.0 points (95% interval 2.0 to "
    "18.0, p = 0.012); in English +16.0 points (95% interval 9.0 to 22.0, p = 0.002).",
]


@pytest.mark.parametrize("turned", [False, True])
def test_a_sentence_is_the_same_whichever_way_the_comparison_was_made(turned: bool) -> None:
    order = ("monoreason", "multireason", "qalign-mono")
    told = findings(found(*(order if turned else order[::-1]), turned=turned), TITLES)
    assert told == (SENTENCES if turned else SENTENCES[::-1]), "in the order of the systems"
    assert findings(found("monoreason", "qalign-mono", turned=turned), TITLES) == SENTENCES[:1]


def test_of_many_comparisons_the_worst_is_told_as_well_as_the_best() -> None:
    others = {"a": 3.0, "monoreason": 20.0, "b": -8.4, "multireason": 10.0}
    made = content_of(
        {
            "systems": {name: {"mgsm": scores(50.0, 50.0)} for name in (*others, "qalign-mono")},
            "comparisons": [
                row("qalign-mono", name, "non_english", points, points - 1, points + 1, 0.001)
                for name, points in others.items()
            ],
        }
    )
    told = findings(made, TITLES)
    assert len(told) == 2
    assert "MonoReason 50.0%, +20.0 points" in told[0] and "b 50.0%, -8.4 points" in told[1]


def test_a_comparison_turned_round_is_whole() -> None:
    made = found("monoreason", "qalign-mono", turned=True)
    one = comparison(made, "mgsm", "non_english", "qalign-mono", "monoreason")
    assert one == found("monoreason", "qalign-mono", turned=False).comparisons[0]
    assert comparison(made, "mgsm", "non_english", "monoreason", "qalign-mono") == made.comparisons[0]
    assert comparison(made, "mgsm", "bn", "qalign-mono", "monoreason") is None
    assert comparison(made, "msvamp", "en", "qalign-mono", "monoreason") is None


def test_no_difference_has_no_sign_of_a_loss() -> None:
    same = [row("monoreason", "qalign-mono", group, 0.0, 0.0, 0.0, 1.0) for group in ("non_english", "en")]
    made = found("monoreason", "qalign-mono", turned=True, comparisons=same)
    (sentence,) = findings(made, TITLES)
    assert sentence.count("no difference on any problem (95% interval -3.7 to 3.7)") == 2


def test_without_qalign_the_last_is_compared_and_one_alone_is_not() -> None:
    rows = [row("monoreason", "multireason", "non_english", -10.0, -14.0, -6.0, 0.001)]
    made = found("monoreason", "multireason", turned=False, comparisons=rows)
    (sentence,) = findings(made, TITLES)
    assert "MultiReason solves 50.0% and MonoReason 40.0%, +10.0 points" in sentence
    assert sentence.endswith("p = 0.001)."), "English was not measured"
    assert findings(found("qalign-mono", turned=False), TITLES) == []
    assert findings(content_of({}), TITLES) == []


def test_p_is_never_told_as_0() -> None:
    assert [p_text(p) for p in (0.0, 0.00099, 0.001, 0.0416, 1.0)] == [
        "p < 0.001", "p < 0.001", "p = 0.001", "p = 0.042", "p = 1.000",
    ]  # fmt: skip


def test_the_headline_is_the_first_finding_or_the_first_average() -> None:
    given = found("qalign-mono", "monoreason", turned=False)
    sentences = findings(given, TITLES)
    assert headline(replace(given, findings=sentences), TITLES) == sentences[0]
    alone = content_of({"systems": {"qalign-mono": {"mgsm": scores(60.0, 71.0)}}})
    assert headline(alone, TITLES) == "mGSM, 3 languages: QAlign solves 63.7%."
    assert headline(content_of({}), TITLES) == ""
