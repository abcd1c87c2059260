"""In which language an answer is: worked answers of the world, texts without words, other scripts."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from qalign.evaluation import answer_language
from qalign.evaluation.answer_language import NONE, OTHER, UNTOLD, language_of_answer
from qalign.evaluation.scores import AVERAGE, judge_one, score
from qalign.languages import LANGUAGES, STUDY, Language
from qalign.records import Judgement, Prediction
from qalign.results.accuracy_tables import untold
from qalign.results.run_results import Results
from qalign.results.schema import Content, described
from qalign.results.titles import Titles
from qalign.world.sets import rows

WORKED = {
    "de": "Anna hat 3 Äpfel und kauft 4 dazu. Zusammen hat sie 3 + 4 = 7 Äpfel. Die Antwort ist 7.",
    "en": "Anna has 3 apples and buys 4 more. Together she has 3 + 4 = 7 apples. The answer is 7.",
    "zh": "安娜有3个苹果，又买了4个。一共有3 + 4 = 7个苹果。答案是7。",
    "ja": "アンナはりんごを3個持っています。さらに4個買いました。全部で7個です。",
}


@pytest.mark.parametrize("code", STUDY)
def test_the_worlds_own_worked_answers_are_in_their_language(code: str) -> None:
    answers = [row["answer"] for _, row in rows("gsm8kinstruct", "multilingual", [code])][:300]
    told = [language_of_answer(answer, LANGUAGES[code], {}) for answer in answers]
    assert len(told) >= 200
    assert told.count(code) >= 0.98 * len(told)
    asked_in_another = LANGUAGES["de" if code == "en" else "en"]
    assert told == [language_of_answer(answer, asked_in_another, {}) for answer in answers], "whatever was asked"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "#### 5",
        "3 + 4 = 7\nx = 7",
        "<<48/2=24>>24",
        r"\boxed{\frac{1}{2}}",
        "x + y = 12, y = 3",
        "5 km",
        "১২ + ৩ = ১৫",
    ],
)
def test_digits_and_equations_are_in_no_language(text: str) -> None:
    for code in STUDY:
        assert language_of_answer(text, LANGUAGES[code], {}) == NONE


@pytest.mark.parametrize("spoken", WORKED)
@pytest.mark.parametrize("asked", ["sw", "ru", "zh", "ja"])
def test_an_answer_in_another_language_is_told(spoken: str, asked: str) -> None:
    assert language_of_answer(WORKED[spoken], LANGUAGES[asked], {}) == spoken


def test_a_script_that_nobody_at_hand_has_is_another_language() -> None:
    assert language_of_answer("لدى آنا سبع تفاحات في المجموع", LANGUAGES["de"], {}) == OTHER
    arabic = Language("ar", "Arabic", script="Arab")
    assert language_of_answer("لدى آنا سبع تفاحات في المجموع", LANGUAGES["de"], {"ar": arabic}) == "ar"


def test_a_language_that_the_library_lacks() -> None:
    own = Language("tlh", "Klingon")
    assert language_of_answer(WORKED["de"], own, {}) == NONE, "it may be anything in Latin letters"
    assert language_of_answer(WORKED["zh"], own, {}) == "zh", "its script is not that of Klingon"
    korean = Language("ko", "Korean")
    assert language_of_answer("안나는 사과를 모두 일곱 개 가지고 있습니다.", korean, {}) == NONE, (
        "its script is not said"
    )
    assert language_of_answer("안나는 사과를 모두 일곱 개 가지고 있습니다.", replace(korean, script="Kore"), {}) == "ko"
    traditional = replace(LANGUAGES["zh"], code="zh-Hant", script="Hant")
    assert language_of_answer(WORKED["zh"], traditional, {}) == "zh-Hant"


def judged(code: str, *texts: str) -> list[Judgement]:
    return [
        judge_one(Prediction(str(place), code, text, "", 5, "stop"), "7", LANGUAGES[code])
        for place, text in enumerate(texts)
    ]


def test_it_is_counted_apart_from_right_and_wrong() -> None:
    """Of three German answers with words two are German, of one Chinese none is; the mean is over languages."""
    german = judged("de", WORKED["de"], WORKED["en"], WORKED["de"].replace("7", "8"), "7")
    found = score([*german, *judged("zh", WORKED["en"])])
    assert [one.answered_in for one in german] == ["de", "en", "de", NONE]
    assert (found["de"].correct, found["de"].wrong) == (3, 1)
    assert (found["de"].in_language, found["de"].in_another, found["de"].no_language) == (pytest.approx(200 / 3), 1, 1)
    assert (found["zh"].correct, found["zh"].in_language, found["zh"].in_another) == (1, 0.0, 1)
    assert (found[AVERAGE].in_language, found[AVERAGE].in_another) == (pytest.approx(100 / 3), 2)
    wordless = score(judged("de", "7", "8"))["de"]
    assert (wordless.in_language, wordless.in_another, wordless.no_language) == (None, 0, 2)


def test_without_the_library_the_share_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_language, "_is_installed", lambda: False)
    found = score(judged("de", WORKED["de"]))
    assert (found["de"].correct, found["de"].in_language, found["de"].in_another) == (1, None, None)


def test_a_run_without_the_library_says_what_is_left_out() -> None:
    row = msgspec.structs.replace(score(judged("de", "7"))["de"], in_another=None, no_language=None)
    scores = {"mine": {"own": {"de": row, AVERAGE: row}}}
    assert untold(scores) == [UNTOLD]
    found = Content(
        format="qalign-results", version=2, run={}, rules=described(), systems=scores, trained_on={}, published={},
        notes=untold(scores),
    )  # fmt: skip
    (table,) = Results(data=found, titles=Titles()).tables()
    assert UNTOLD in table.note and table.title == "Results"
