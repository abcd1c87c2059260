"""Backward questions in every language of the table, and what is made of a teacher's replies."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from qalign.alignment.augmentation import (
    PHRASES,
    PROMPTS,
    backward,
    holds,
    last_sentence,
    masked,
    original_of,
    reply,
    variant_id,
    verified,
)
from qalign.languages import LANGUAGES
from qalign.numbers import find_numbers, parse_gold
from qalign.records import Problem

EN = LANGUAGES["en"]


def unknowns(text: str, language: str = "en") -> list[tuple[str, str]]:
    """What stands around each unknown of a text with one number, with the number."""
    return [(question, str(value)) for question, value in masked(text, LANGUAGES[language])]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It costs $1,250.50, or so.", [("It costs $x, or so.", "2501/2")]),
        ("en", "She saves 20% of it.", [("She saves x% of it.", "20")]),
        ("en", "He ate 1/3 of 3 pies.", [("He ate x of 3 pies.", "1/3"), ("He ate 1/3 of x pies.", "3")]),
        ("en", "It weighs .5 pounds.", [("It weighs x pounds.", "1/2")]),
        ("en", "a 12-inch wick, 10ml, 6:00 a.m., ages 6–11, (5), 2nd", []),  # from GSM8K
        ("en", "Two of the ten cats.", [("x of the ten cats.", "2"), ("Two of the x cats.", "10")]),
        ("en", "one-fourth of seventeen", []),
        ("en", "Thomas worked x hours, Toby 10.", [("Thomas worked x hours, Toby X.", "10")]),
        ("en", "Both x and X and 3.", []),
        ("en", "They need 2 hours 30 minutes.", []),  # one quantity, which x minutes would not be
        ("bn", "তার ১৬টি ডিম আছে।", [("তার xটি ডিম আছে।", "16")]),
        ("th", "ไข่๑๖ฟอง", [("ไข่xฟอง", "16")]),
        ("ja", "8万ドルと3個", [("xドルと3個", "80000"), ("8万ドルとx個", "3")]),
        ("ja", "2時間半かかる", []),
        ("zh", "一般有３个苹果", [("一般有x个苹果", "3")]),
        ("de", "Er hat 50.000 Euro.", [("Er hat x Euro.", "50000")]),
        ("fr", "Elle a 80 000 $ et 3,5 kg.", [("Elle a x $ et 3,5 kg.", "80000"), ("Elle a 80 000 $ et x kg.", "7/2")]),
        ("ru", "У неё 5-летний сын и 7 яблок.", [("У неё 5-летний сын и x яблок.", "7")]),
    ],
)
def test_one_number_at_a_time_is_unknown(language: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert unknowns(text, language) == expected


@pytest.mark.parametrize(
    ("language", "question", "asks"),
    [
        ("en", "He has $3.50. How many do Al, Bo, and Cy have together?", "How many do Al, Bo, and Cy have together?"),
        ("en", "How many?", "How many?"),
        ("en", "He has 3 \n", "He has 3"),
        ("en", "", ""),
        ("ja", "3個ある。残りは何個ですか？", "残りは何個ですか？"),
        ("bn", "তার 3টি আছে। কত টাকা?", "কত টাকা?"),
        ("th", "เธอมีไข่ 3 ฟอง เธอขายกี่ฟอง", "เธอขายกี่ฟอง"),
    ],
)
def test_the_last_sentence(language: str, question: str, asks: str) -> None:
    assert last_sentence(question, LANGUAGES[language]) == asks


def problem(question: str, gold: str | None = "8", language: str = "en") -> Problem:
    return Problem("p/1", language, question, None, gold, "gsm8k")


def test_fobar_supposes_the_answer_as_published() -> None:
    one, two = backward(problem("Al has 5. He buys 3. How many has he? "), EN, "FOBAR", PHRASES)
    assert one.question == (
        "Al has x. He buys 3. How many has he?\n"
        "If we know the answer to the above question is 8, what is the value of unknown variable x?"
    )
    assert (one.gold, one.answer, two.gold, one.source) == ("5", None, "3", "gsm8k")
    assert [one.id, two.id] == ["p/1/FOBAR/0", "p/1/FOBAR/1"]
    assert not [*backward(problem("Al has 5.", gold=None), EN, "FOBAR", PHRASES)]


def test_a_statement_stands_in_the_place_of_the_question() -> None:
    one, two = backward(problem("Al has 5. How many has he after 3 days?"), EN, "SV", PHRASES)
    assert one.question == "Al has x. How many has he after 3 days?" and one.known == "8"
    said = verified(one, "He has 8 after 3 days.", EN, PHRASES)
    assert said == "Al has x. He has 8 after 3 days. What is the value of unknown variable x?"
    assert verified(two, "He has 8 after 3 days.", EN, PHRASES) is None, "the statement lost the unknown"
    assert verified(two, "He has 8 after x days.", EN, PHRASES) is not None


def test_a_language_without_phrases_asks_in_english() -> None:
    assert set(PHRASES) == set(LANGUAGES), "each built-in language has its own"
    (one,) = backward(problem("Ada 3 apel.", language="id"), EN, "FOBAR", {"en": (" E{n}{x}", "")})
    assert one.question == "Ada x apel. E8x"
    for texts in PHRASES.values():
        assert all("{x}" in text for text in texts) and "{n}" in texts[0] and "{n}" not in texts[1]


def test_the_kind_and_the_original_stay_with_each_variant() -> None:
    rephrased = variant_id("a/b", "Rephrased", 3)
    answered = variant_id(rephrased, "Rephrased", 0)
    assert (rephrased, answered) == ("a/b/Rephrased/3", "a/b/Rephrased/3/0")
    assert original_of(rephrased) == original_of(answered) == ("a/b", "Rephrased", 3)
    asked = variant_id(variant_id("a/b", "SV", 2), "SV", 1)
    assert variant_id(asked, "SV", 0) == "a/b/SV/2/1/0" and original_of("a/b/SV/2/1/0") == ("a/b", "SV", 2)
    assert original_of("a/b") == ("a/b", "", 0) and original_of("SV/1") == ("SV/1", "", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" It is 8.\nThe answer is: 8\n", ("It is 8.\nThe answer is: 8", False)),
        ("Rephrased: How many?\n\nQuestion: And now?", ("How many?", True)),
        ("Statement: He has 8.", ("He has 8.", False)),
        ("\nQuestion: mine", ("", True)),
        ("", ("", False)),
    ],
)
def test_a_reply_ends_where_the_next_question_begins(text: str, expected: tuple[str, bool]) -> None:
    assert reply(text) == expected


def test_a_prompt_ends_with_the_label_that_the_reply_follows() -> None:
    row = {"question": "{q}?", "sentence": "How many?", "known": "8"}
    for name, prompt in PROMPTS.items():
        said = prompt.format_map(row)
        match = re.search(r"\nQuestion: .*\n(\w+:)\Z", said)
        assert match and reply(f"{match[1]} {name}") == (name, False), (
            "a model that repeats the label says nothing by it"
        )
        assert "{q}?" in said or "How many? The answer is 8." in said


# --- real rows --------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.parametrize("code", list(LANGUAGES))
def test_mgsm_is_asked_backward(code: str) -> None:
    """Most questions have several numbers, also in digits of their own; the unknown takes the place of one alone."""
    row = LANGUAGES[code]
    path = Path(os.environ["QALIGN_DATA"]) / "benchmarks" / "mgsm" / f"{code}.jsonl"
    made = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        read = json.loads(line)
        before = [number.value for number in find_numbers(read["question"], row)]
        original = Problem(str(read["id"]), code, read["question"], None, str(read["answer"]), "mgsm")
        for one in backward(original, row, "SV", PHRASES):
            made += 1
            value = parse_gold(one.gold or "")
            after = [number.value for number in find_numbers(one.question, row)]
            assert holds(one.question, one.unknown) and not holds(original.question, one.unknown)
            assert one.sentence and one.question.endswith(one.sentence)
            taken, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
            assert not new and (taken == {value: 1} or (code == "en" and not taken)), one.question
    assert made > 700, "about three numbers a question"


@pytest.mark.real_data
def test_gsm8k_is_asked_backward() -> None:
    path = Path(os.environ["QALIGN_DATA"]) / "train" / "gsm8k" / "train.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [list(masked(row["question"], EN)) for row in rows]
    assert sum(map(bool, found)) > 7_400, "all but a few have a number of their own"
    assert 3.5 < sum(map(len, found)) / len(found) < 4
    assert found[0] == [(rows[0]["question"].replace("48", "x"), Fraction(48))]
