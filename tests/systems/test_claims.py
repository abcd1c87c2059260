"""The claims of the study on made-up judgements: what it takes to hold, to fail, and to be left undecided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from scipy import stats

from qalign.evaluation.scores import plain
from qalign.evaluation.significance import holm, pooled
from qalign.records import Judgement, Reading
from qalign.results.titles import Titles
from qalign.systems.comparison import CLAIMS, verdicts

TITLES = Titles({"monoreason": "MonoReason", "multireason": "MultiReason", "sft": "SFT"}, {"mgsm": "mGSM"})
EACH, ENGLISH, MULTIREASON, SFT, RFT, MAMMOTH, WIZARDMATH, OCTOPUS, ALIGNMENTS, AGREEMENT, MIXED = (
    claim.text for claim in CLAIMS if not claim.ours
)
AGREEMENT_TOO, *OTHERS_OF_OURS = (claim.text for claim in CLAIMS if claim.ours)
Judged = list[Judgement]


def judgement(key: int, language: str, value: str) -> Judgement:
    """A judgement of a problem whose answer is 7."""
    reading = Reading(value, value, 0, len(value), "last-number", value == "7")
    return Judgement(f"{key:04}", language, "7", "stop", "correct" if reading.right else "wrong", {"strict": reading})


def answers(n: int = 100, **right: int | Iterable[int]) -> Judged:
    """By language, which of n problems are right: the first so many, or those given. Wrong answers are all different, so
    that no two agree."""
    made = []
    for place, (code, given) in enumerate(right.items()):
        chosen = set(range(given)) if isinstance(given, int) else set(given)
        made += [judgement(i, code, "7" if i in chosen else str(1000 + 10 * i + place)) for i in range(n)]
    return made


def told(*seeds: Mapping[str, Judged], **more: Mapping[str, Judged]) -> dict[str, dict[str, Any]]:
    """The verdicts on one benchmark, by the text of the claim."""
    runs = {str(number): run for number, run in enumerate(seeds, 1)}
    found = map(
        msgspec.to_builtins, verdicts({"mgsm": runs, **{name: {"1": run} for name, run in more.items()}}, TITLES)
    )
    return {row["claim"].removesuffix(" (mGSM)"): row for row in found}


def verdict(claim: str, *seeds: Mapping[str, Judged]) -> str:
    return str(told(*seeds)[claim]["verdict"])


# --- holds, does not hold, not decided --------------------------------------------------------------------------------


def two(a: Mapping[str, int | Iterable[int]], b: Mapping[str, int | Iterable[int]], n: int = 100) -> dict[str, Judged]:
    """QAlign and MonoReason."""
    return {"qalign-mono": answers(n, **a), "monoreason": answers(n, **b)}


def test_above_in_each_language_under_every_seed_holds() -> None:
    first = two({"de": 70, "en": 90, "sw": 60}, {"de": 40, "en": 90, "sw": 20})
    second = two({"de": 60, "en": 90, "sw": 80}, {"de": 40, "en": 90, "sw": 20})
    row = told(first, second)[EACH]
    assert (row["verdict"], row["benchmark"]) == ("holds", "mgsm")
    assert [(test["name"], test["difference"], test["by_seed"]) for test in row["tests"]] == [
        ("de", 25.0, {"1": 30.0, "2": 20.0}),
        ("sw", 50.0, {"1": 40.0, "2": 60.0}),
    ]
    assert re.fullmatch(
        r"de: \+25\.0 \(\d\d\.\d to \d\d\.\d, p < 0\.001; by seed \+30\.0, \+20\.0\); "
        r"sw: \+50\.0 \(\d\d\.\d to \d\d\.\d, p < 0\.001; by seed \+40\.0, \+60\.0\)",
        row["evidence"],
    )


@pytest.mark.parametrize(
    ("swahili", "beside", "expected"),
    [(60, 20, "holds"), (20, 60, "does not hold"), (21, 20, "not decided"), (20, 20, "not decided")],
)
def test_a_claim_on_each_language_stands_and_falls_with_one(swahili: int, beside: int, expected: str) -> None:
    """On the mean of the languages it is far above in each of these cases."""
    run = two({"de": 95, "en": 90, "sw": swahili, "th": 95}, {"de": 5, "en": 90, "sw": beside, "th": 5})
    assert verdict(EACH, run) == expected


def beside(mono: int, multi: int) -> dict[str, Judged]:
    return {"qalign-mono": answers(de=mono, sw=mono), "multireason": answers(de=multi, sw=multi)}


def test_above_on_average_but_below_under_one_seed_is_not_decided() -> None:
    assert verdict(MULTIREASON, beside(90, 40), beside(42, 40)) == "holds"
    row = told(beside(90, 40), beside(38, 40))[MULTIREASON]
    (test,) = row["tests"]
    assert test["difference"] == 24.0
    assert test["p_adjusted"] < 0.001, "the mean alone would be beyond doubt"
    assert row["verdict"] == "not decided"
    assert row["evidence"].startswith("+24.0 (")
    assert row["evidence"].endswith("; by seed +50.0, -2.0)")
    assert verdict(MULTIREASON, beside(90, 40), beside(40, 40)) == "not decided", "as high is not above"


def test_below_by_more_than_chance_does_not_hold_whatever_one_seed_says() -> None:
    assert verdict(MULTIREASON, beside(40, 90), beside(42, 40)) == "does not hold"
    assert verdict(MULTIREASON, beside(40, 90)) == "does not hold"
    assert verdict(MULTIREASON, beside(40, 42)) == "not decided"


# --- English: a bound of 3 points -------------------------------------------------------------------------------------


def english(lost: int, gained: int, n: int = 1000) -> dict[str, Judged]:
    """QAlign loses some English problems that MonoReason has, and gains others."""
    return two({"en": range(lost, 500 + gained), "de": 1}, {"en": 500, "de": 1}, n)


@pytest.mark.parametrize(
    ("lost", "gained", "expected"),
    [
        (0, 50, "holds"),  # above
        (10, 0, "holds"),  # 1 point lost, for sure less than 3
        (60, 60, "holds"),  # as many lost as gained, the interval within 3 points
        (200, 200, "not decided"),  # the same difference, but not known well enough
        (25, 0, "not decided"),  # 2.5 points lost
        (35, 0, "not decided"),  # 3.5 points lost
        (100, 0, "does not hold"),  # 10 points lost
    ],
)
def test_a_loss_in_english_is_tested_against_its_bound(lost: int, gained: int, expected: str) -> None:
    row = told(english(lost, gained))[ENGLISH]
    (test,) = row["tests"]
    assert (test["bound"], test["difference"]) == (-3.0, (gained - lost) / 10)
    assert row["verdict"] == expected
    assert row["evidence"].startswith(f"{(gained - lost) / 10:+.1f} ({test['low']:.1f} to {test['high']:.1f}, p ")
    if expected == "holds":
        assert test["low"] > -3
    if expected == "does not hold":
        assert test["high"] < -3


def test_a_loss_within_the_bound_on_average_and_beyond_it_under_one_seed_is_not_decided() -> None:
    assert verdict(ENGLISH, english(10, 0), english(10, 0)) == "holds"
    assert verdict(ENGLISH, english(35, 0), english(0, 30)) == "not decided"


def test_the_same_answers_in_english_are_no_loss() -> None:
    """Without any spread there is nothing to divide by; a hundred problems all alike are beyond doubt all the same."""
    assert verdict(ENGLISH, english(0, 0)) == "holds"
    few = told(two({"en": 2, "de": 2}, {"en": 2, "de": 2}, n=3))[ENGLISH]
    assert few["verdict"] == "not decided", "three are not"
    everything = told(two({"en": 0, "de": 2}, {"en": 100, "de": 2}))[ENGLISH]
    assert everything["verdict"] == "does not hold"


# --- agreement --------------------------------------------------------------------------------------------------------


def agreeing(count: int, right: int = 0, n: int = 100) -> Judged:
    """English answers, and German and Swahili ones of which the first `count` are the same number, mostly a wrong one."""
    numbers = ["7" if i < right else str(100 + i) for i in range(n)]
    made = [judgement(i, "en", numbers[i]) for i in range(n)]
    for code, other in (("de", "1"), ("sw", "2")):
        made += [judgement(i, code, numbers[i] if i < count else other) for i in range(n)]
    return made


def test_agreement_is_of_numbers_right_or_wrong() -> None:
    run = {"qalign-mono": agreeing(80), "monoreason": agreeing(30, right=5), "multireason": agreeing(20)}
    found = told(run)
    for claim, difference in ((AGREEMENT, 50.0), (AGREEMENT_TOO, 60.0)):
        assert [test["difference"] for test in found[claim]["tests"]] == [difference]
        assert found[claim]["verdict"] == "holds"
        assert found[claim]["evidence"].startswith(f"+{difference} (")
    assert found[MULTIREASON]["verdict"] == "not decided", "in accuracy they are equal"
    assert verdict(AGREEMENT_TOO, {**run, "multireason": agreeing(95)}) == "does not hold"
    assert verdict(AGREEMENT, {**run, "multireason": agreeing(95)}) == "holds", (
        "the study compares with MonoReason alone"
    )
    assert verdict(AGREEMENT, {**run, "monoreason": agreeing(79)}) == "not decided"


def test_no_answer_agrees_with_no_answer() -> None:
    nothing = Reading(None, "", 0, 0, "none", False)

    def silent(code: str) -> Judged:
        return [Judgement(f"{i:04}", code, "7", "stop", "unanswered", {"strict": nothing}) for i in range(100)]

    mute = [one for code in ("en", "de", "sw") for one in silent(code)]
    found = told({"qalign-mono": agreeing(80), "monoreason": mute, "multireason": mute})
    assert [found[claim]["tests"][0]["difference"] for claim in (AGREEMENT, AGREEMENT_TOO)] == [80.0, 80.0]


# --- the correction for many tests ------------------------------------------------------------------------------------


def everything(benchmark: int) -> dict[str, Judged]:
    """All systems that a claim speaks of, none far from another."""
    names = dict.fromkeys(name for claim in CLAIMS for name in (claim.first, *claim.others))
    return {
        name: answers(
            60,
            **{
                code: range(place % 3, 30 + 2 * place % 17 + benchmark + i) for i, code in enumerate(("en", "de", "sw"))
            },
        )
        for place, name in enumerate(names)
    }


def test_holm_is_over_all_tests_of_the_study_and_over_those_of_ours() -> None:
    runs = {"mgsm": {"1": everything(0), "2": everything(3)}, "msvamp": {"1": everything(1)}}
    found = [msgspec.to_builtins(row) for row in verdicts(runs, TITLES)]
    assert len(found) == 2 * len(CLAIMS)
    assert [row["benchmark"] for row in found[:2]] == ["mgsm", "msvamp"]
    assert [row["claim"] for row in found[:2]] == [f"{EACH} (mGSM)", f"{EACH} (msvamp)"]
    assert len(OTHERS_OF_OURS) == 5
    for ours, count in ((False, 2 + 1 + 1 + 5 + 4 + 1 + 1), (True, 1 + 5)):
        tests = [test for row in found if row.get("ours", False) is ours for test in row["tests"]]
        assert len(tests) == 2 * count
        ps = []
        for test in tests:
            if test["bound"]:
                distance = (test["difference"] - test["bound"]) / test["standard_error"]
                ps.append(2 * stats.t.sf(abs(distance), test["n"] - 1))
            else:
                ps.append(test["p"])
        assert [test["p_adjusted"] for test in tests] == pytest.approx(holm(ps), rel=2e-3)
        assert max(test["p_adjusted"] / p for test, p in zip(tests, ps, strict=True)) > 5, "the correction shows"


def test_what_is_enough_for_one_test_is_not_for_many() -> None:
    run = {"qalign-mono": answers(de=46, sw=40), "multireason": answers(de=40, sw=40)}
    alone = told(run)[MULTIREASON]
    assert 0.01 < alone["tests"][0]["p_adjusted"] < 0.05
    assert alone["verdict"] == "holds"
    same = answers(de=46, sw=40)
    among = told({**run, "sft": same, "monoreason": same, "qalign-mixed": same})[MULTIREASON]
    assert among["verdict"] == "not decided"
    assert among["tests"][0]["p"] == alone["tests"][0]["p"]


# --- what can be tested -----------------------------------------------------------------------------------------------


def test_claims_on_systems_that_were_not_run_are_left_out() -> None:
    some = answers(de=50, en=50, sw=50)
    assert list(told({"monoreason": some, "multireason": some, "sft": some})) == []
    assert list(told({"qalign-mono": some, "monoreason": some})) == [EACH, ENGLISH, AGREEMENT]
    assert list(told({"qalign-mono": some, "multireason": some, "sft": some})) == [MULTIREASON, SFT, AGREEMENT_TOO]
    three = ("qalign-mono", "qalign-general", "qalign-en-x-questions", "qalign-x-en-answers")
    assert list(told(dict.fromkeys(three, some))) == [], "X->En questions beside some alignments only"
    assert list(told(dict.fromkeys((*three, "qalign-en-x-answers", "qalign-mixed"), some))) == [ALIGNMENTS, MIXED]


def test_claims_on_languages_that_were_not_measured_are_left_out() -> None:
    names = ("qalign-mono", "monoreason", "multireason")
    assert list(told(dict.fromkeys(names, answers(de=50, sw=50)))) == [EACH, MULTIREASON]
    assert list(told(dict.fromkeys(names, answers(en=50)))) == [ENGLISH]
    assert list(told(dict.fromkeys(names, answers(en=50, de=50)))) == [
        EACH,
        ENGLISH,
        MULTIREASON,
        AGREEMENT,
        AGREEMENT_TOO,
    ]
    assert verdicts({}, TITLES) == []


def test_the_evidence_is_what_pooled_finds() -> None:
    first, second = beside(60, 40), beside(50, 45)
    (test,) = told(first, second)[MULTIREASON]["tests"]
    expected = pooled(
        {"1": first["qalign-mono"], "2": second["qalign-mono"]}, {"1": first["multireason"], "2": second["multireason"]}
    )
    assert {key: test[key] for key in plain(expected)} == plain(expected)
