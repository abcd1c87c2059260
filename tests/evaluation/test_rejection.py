"""The filter of rejection sampling, against a reference written from the description of the published one."""

from __future__ import annotations

import random
import re

import pytest

from qalign.evaluation.rejection import equations, fault, is_true, kept
from qalign.languages import LANGUAGES
from qalign.records import Prediction, Problem

PROBLEM = Problem("p", "en", "How many?", "48/2 = <<48/2=24>>24.\n#### 24", "24", "gsm8k")


def answer(text: str, number: int = 0, finish: str = "stop") -> Prediction:
    return Prediction("p", "en", text, "", 1, finish, number)  # type: ignore[arg-type]


def edits(a: str, b: str) -> int:
    """Levenshtein's distance by the table of Wagner and Fischer."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def holds(equation: str) -> bool:
    """Whether the published script takes an equation for true: any error in it is a no."""
    left, *rest = equation.split("=")
    if not rest or not re.fullmatch(r"[\d+\-*/. ()]+", left):  # of others, Python would make no number either
        return False
    try:
        return abs(eval(left) - float(rest[0])) < 1e-3
    except (ArithmeticError, SyntaxError, TypeError, ValueError):
        return False


def reference(texts: list[str], gold: float) -> list[str]:
    """The texts that stay: a plain loop over the steps of the published script, on annotated answers."""
    survivors: list[tuple[str, str]] = []
    for text in texts:
        text = text.split("\0")[0]
        final = re.search(r"#### (\-?[0-9\.\,]+)", text)
        if not final:
            continue
        try:
            if float(final.group(1).replace(",", "")) != gold:
                continue
        except ValueError:
            continue
        found = re.findall(r"<<([^>]*)>>", text)
        if not all(map(holds, found)):
            continue
        key = "|".join(found).replace(" ", "")
        same = [place for place, (other, _) in enumerate(survivors) if other == key]
        if not same:
            survivors.append((key, text))
            continue
        others = [other for k, other in survivors if k != key]
        if sum(edits(text, o) for o in others) > sum(edits(survivors[same[0]][1], o) for o in others):
            survivors[same[0]] = (key, text)
    return [text for _, text in survivors]


def made(draw: random.Random) -> str:
    """An answer to "24", right or wrong in one of the ways that models find."""
    a = draw.randint(1, 23)
    steps = [
        draw.choice([f"<<{a}+{24 - a}=24>>", f"<< {a} + {24 - a} = 24 >>", "<<48/2=24>>", "<<4*6=24>>", "<<6*4=24>>"])
    ]
    if draw.random() < 0.5:
        steps.insert(0, draw.choice(["<<2*2=4>>", "<<10/4=2.5>>", "<<.5*4=2>>", "<<1/3=0.333>>", "<<(1+1)*2=4>>"]))
    if draw.random() < 0.2:
        steps.append(draw.choice(["<<2*2=5>>", "<<24>>", "<<=24>>", "<<a=24>>", "<<1,000*2=2000>>", "<<1/0=1>>", "<<05+1=6>>",
                                  "<<2*2==4>>", "<<3=3=4>>", "<<2(3)=6>>"]))  # fmt: skip
    words = " ".join(draw.choice(["so", "then", "he has", "we get"]) + f" {step}" for step in steps)
    final = draw.choice(
        ["#### 24"] * 6 + ["#### 24.0", "#### 25", "24", "#### 2,4", "#### -24", "#### .", "####24", "#### 24\0#### 3"]
    )
    return f"{words} eggs. {draw.choice(['', 'Yes. ', 'That is all. '])}\n{final}"


@pytest.mark.parametrize("seed", range(20))
def test_the_filter_keeps_what_the_reference_keeps(seed: int) -> None:
    """A hundred answers a seed, so two thousand in all; the reference may keep none of some."""
    draw = random.Random(seed)
    for size in (1, 2, 7, 30, 60):
        texts = [made(draw) for _ in range(size)]
        found, reasons = kept(PROBLEM, [answer(text, n) for n, text in enumerate(texts)], LANGUAGES["en"])
        assert [one.text for one in found] == reference(texts, 24.0)
        assert len(found) + sum(reasons.values()) == size


def test_the_reference_keeps_some_and_leaves_out_some() -> None:
    """The comparison above would pass on filters that keep all or nothing."""
    draw = random.Random(0)
    texts = [made(draw) for _ in range(500)]
    found, reasons = kept(PROBLEM, [answer(text, n) for n, text in enumerate(texts)], LANGUAGES["en"])
    assert (
        len(found) > 50
        and min(reasons[name] for name in ("no number", "wrong number", "false equation", "same equations")) > 20
    )


def test_an_answer_that_was_truncated_is_left_out() -> None:
    assert fault(PROBLEM, answer("so <<4*6=24>>24\n#### 24", finish="length"), LANGUAGES["en"]) == "truncated"


@pytest.mark.parametrize(
    "equation",
    ["__import__('os').system('true')=0", "9**9**9=1", "[1]*9=1", "'a'*3=1", "(lambda: 1)()=1", "1 if 1 else 2=1",
     "1" * 300 + "=1", "(" * 150 + "1" + ")" * 150 + "=1", "True+1=2", "1e400=1", "1_0+1=11\n"],
)  # fmt: skip
def test_what_is_no_arithmetic_is_not_true_and_never_runs(equation: str) -> None:
    assert is_true(equation) == (equation == "1_0+1=11\n"), (
        "an underscore is plain arithmetic in the published filter too"
    )


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("en", "Felix has 31 eggs. 31 - 3 = 28. 28 - 2 = 26. The answer is 26.", ["31 - 3 = 28", "28 - 2 = 26"]),
        (
            "en",
            "5 × 9 = 45, then 45 ÷ 2 = 22.5 and 1,000 + 2 = 1,002",
            ["5 * 9 = 45", "45 / 2 = 22.5", "1000 + 2 = 1002"],
        ),
        ("bn", "৩১ - ৩ = ২৮। উত্তর হল ২৮।", ["31 - 3 = 28"]),
        ("de", "1.200 + 0,5 = 1.200,5. Die Antwort ist 1.200,5.", ["1200 + 0.5 = 1200.5"]),
        ("zh", "31 − 3 ＝ 28。答案是 28。", ["31 - 3 = 28"]),
        ("en", "The answer is 26.", []),
    ],
)
def test_equations_are_read_in_the_sentences_where_there_are_no_annotations(
    language: str, text: str, found: list[str]
) -> None:
    problem = Problem("p", language, "?", None, "26", "own")
    assert equations(problem, answer(text), LANGUAGES[language]) == found
    assert all(map(is_true, found))


def test_a_false_step_in_a_sentence_is_left_out() -> None:
    problem = Problem("p", "en", "?", None, "26", "own")
    texts = [
        "31 - 3 = 28. 28 - 2 = 26. The answer is 26.",
        "31 - 3 = 27. 28 - 2 = 26. The answer is 26.",
        "26 + 0 = 26. It is 27.",
    ]
    found, reasons = kept(problem, [answer(text, n) for n, text in enumerate(texts)], LANGUAGES["en"])
    assert [one.text for one in found] == texts[:1]
    assert reasons == {"false equation": 1, "wrong number": 1}


# --- in other languages -----------------------------------------------------------------------------------------------

BENGALI = Problem("p", "bn", "?", "সে <<48/2=24>>২৪টি পায়।\n#### ২৪", "24", "gsm8kinstruct")


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("bn", "সে ৪৮/২ = <<48/2=24>>২৪টি পায়।\n#### ২৪", None),
        ("bn", "সে <<৪৮/২=২৪>>২৪টি পায়।\n#### ২৪", None),
        ("bn", "সে <<৪৮/২=২৫>>২৫টি পায়।\n#### ২৪", "false equation"),
        ("bn", "সে <<১,০০০-৯৭৬=২৪>>\n#### ২৪", None),
        ("bn", "৪৮/২=২৫।\n#### ২৪", "false equation"),  # translations lose annotations
        ("bn", "৪৮/২=২৪।\n#### ২৪", None),
        ("bn", "৪৮/২=২৪।\n#### ২৫", "wrong number"),
        ("bn", "৪৮/২=২৪। উত্তর হল ২৪।", "no number"),  # GSM8K's line is lacking
        ("de", "<<1.200*0,02=24>>\n#### 24", None),
        ("de", "<<1.5*16=24>>\n#### 24", None),  # as English writes it
        ("de", "<<1,5*16=24>>\n#### 24,0", None),
        ("de", "<<1,5*16=25>>\n#### 24", "false equation"),
        ("th", "<<๔๘/๒=๒๔>>\n#### ๒๔", None),
        ("zh", "48÷2＝24\n#### 24", None),
    ],
)
def test_answers_in_a_language_are_read_in_its_digits(language: str, text: str, reason: str | None) -> None:
    problem = Problem("p", language, "?", BENGALI.answer, "24", "gsm8kinstruct")
    assert fault(problem, answer(text), LANGUAGES[language]) == reason


def test_one_equation_in_two_scripts_is_one_path() -> None:
    texts = ["<<48/2=24>>\n#### 24", "<<৪৮/২=২৪>>\n#### ২৪", "৪৮/২=২৪\n#### ২৪", "<<20+4=24>>\n#### ২৪"]
    found, reasons = kept(BENGALI, [answer(text, n) for n, text in enumerate(texts)], LANGUAGES["bn"])
    assert len(found) == 2 and reasons == {"same equations": 2}


def test_a_problem_without_a_gold_number_keeps_no_answer() -> None:
    problem = Problem("p", "bn", "?", "কেউ জানে না।", None, "gsm8kinstruct")
    assert fault(problem, answer("২৪"), LANGUAGES["bn"]) == "no gold answer"
