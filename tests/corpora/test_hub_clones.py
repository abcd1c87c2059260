"""The corpora in the hub's own layouts, written from real rows (`hub_clones`), and their oddities in a few rows of our own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_clones import FINAL_LINES, NAMES, framed, write_clones
from hypothesis import given
from hypothesis import strategies as st

from qalign.corpora import CORPORA, Role, Source, Text, read
from qalign.corpora.hub import final_values
from qalign.errors import DataError
from qalign.languages import LANGUAGES, STUDY, language_from, names_of

Load = Callable[..., Text]
Find = Callable[..., Source]

X = [code for code in STUDY if code != "en"]
INSTRUCT = "Mathoctopus/GSM8KInstruct_Parallel"


@pytest.fixture(scope="module")
def real_clones(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """Clones with all real rows. MetaMathQA is made, and here of as few rows as its check lets pass."""
    return write_clones(shared_data, tmp_path_factory.mktemp("clones"), metamath_rows=8000)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "role", "languages", "count"),
    [
        ("gsm8k", "english", ["en"], 7473),
        ("mgsm", "test", [*STUDY, "te"], 2750),
        ("msvamp", "test", [*STUDY], 10_000),
        ("ntrex", "general", [*X, "te"], 19_970),
        ("gsm8kinstruct", "english", ["en"], 7476),
        ("gsm8kinstruct", "questions", X, 67_006),
        ("gsm8kinstruct", "answers", X, 67_006),
        ("gsm8kinstruct", "multilingual", [*STUDY], 74_482),
    ],
)
def test_each_corpus_is_read_in_the_layout_of_the_hub(
    real_clones: Path, load: Load, name: str, role: Role, languages: list[str], count: int
) -> None:
    text = load(name, role, languages, real_clones)
    assert len(text.records) == count
    assert set(text.counts) == set(languages)
    assert all(counted >= 0.98 * CORPORA[name].published[code] for code, counted in text.counts.items())


@pytest.mark.real_data
def test_metamathqa_is_read_and_a_truncated_clone_is_refused(
    real_clones: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"^metamathqa holds fewer rows than published: en 8,000 of 395,000; truncated"):
        load("metamathqa", "english", ["en"], real_clones)
    monkeypatch.setitem(CORPORA, "metamathqa", dataclasses.replace(CORPORA["metamathqa"], published={"en": 8000}))
    problems = load("metamathqa", "english", ["en"], real_clones).problems
    assert len(problems) == 8000
    assert problems[0].answer is not None
    assert problems[0].answer.endswith("#### 72\nThe answer is: 72")


@pytest.mark.real_data
def test_what_a_stage_knows_of_the_languages_is_enough_to_read(real_clones: Path, find: Find) -> None:
    source = find("gsm8kinstruct", "questions", ["sw", "de"], real_clones)
    # A stage's config holds the languages that were asked for, and no English.
    rows = {code: language_from(row, code) for code, row in names_of(["sw", "de"], LANGUAGES).items()}
    text = read(source, ["sw", "de"], rows)
    assert text.counts == {"sw": 7469, "de": 7464}
    assert text.notes[0] == (
        "gsm8kinstruct: final numbers that differ from the English answer's: sw 0 of 5611, de 0 of 5607"
    )


# English final lines as they stand in the real corpus, a last line in another language, and whether both say the same number;
# None where the two cannot be compared.
PAIRS = [
    ("x = 2/7.\n#### 2/7", "de", "#### 2/7", True),
    ("#### 50/3", "zh", "#### 50/3", True),
    ("#### 50/3", "zh", "#### 5/3", False),
    ("#### 16 2/3", "fr", "#### 16 2/3", True),
    ("#### 1,200,000", "de", "#### 1.200.000", True),
    ("#### 1,200,000", "de", "#### 1,200,000", True),
    ("#### 109,200,000", "fr", "#### 109 200 000", True),
    ("#### 109,200,000", "ru", "#### 109\u202f200\u202f000", True),
    ("#### 1,200", "bn", "#### ১,২০০", True),
    ("#### 150,000", "bn", "#### ১,৫০,০০০", True),
    ("#### 18", "th", "#### ๑๘ บาท", True),
    ("#### 18", "th", "#### ๑๙ บาท", False),
    ("#### 42.8571429", "es", "#### 42,8571429", True),
    ("#### 21.4%", "ru", "#### 21,4 %", True),
    ("#### $6", "es", "#### 6 dólares", True),
    ("#### -3", "ja", "#### −3", True),
    ("#### -3", "ja", "#### 3", False),
    ("#### 18", "ja", "#### 十八", True),
    ("#### 18", "sw", "#### Sh 18.00", True),
    ("#### 18", "de", "Die Antwort ist 18.", None),
    ("The answer is 18.", "de", "#### 18", None),
    ("#### (total number of animals - 12) / 5", "de", "#### 18", None),
    ("#### 3*C+63+3*C/2", "de", "#### 18", None),
    ("#### x/y", "de", "#### x/y", None),
    ("#### 1/0", "de", "#### 1/0", None),
    ("#### ", "de", "####", None),
    ("#### 5 or 6", "de", "#### 5 oder 6", None),
    ("#### 1e400", "de", "#### 1e400", None),
    (f"#### {'9' * 5000}", "de", f"#### {'9' * 5000}", None),
    ("#### nan", "de", "#### inf", None),
]  # fmt: skip


@pytest.mark.parametrize(("english", "code", "answer", "same"), PAIRS)
def test_final_numbers_are_compared_as_each_language_writes_them(
    english: str, code: str, answer: str, same: bool | None
) -> None:
    left, right = final_values(english, LANGUAGES["en"]), final_values(answer, LANGUAGES[code])
    assert (None if not left or not right else not left.isdisjoint(right)) is same


@given(st.text("0123456789.,/%-+$ 十三分之੧๑১e^#\\{}½²\n", max_size=30), st.sampled_from(STUDY))
def test_no_final_line_is_too_odd_to_compare(line: str, code: str) -> None:
    assert len(final_values(f"#### {line}", LANGUAGES[code])) <= 2


def test_a_clone_with_real_oddities(load: Load, tmp_path: Path, clones: Path) -> None:
    """The layout of the hub, one list of prompts, with every last line of `FINAL_LINES` and a fraction in each language."""
    rows = []
    for number in range(8):
        rows.append(framed("en", f"Problem {number}?", f"It is so.\n#### {number}"))
        rows += [framed(code, f"{NAMES[code]} {number}?", "2/7\n#### 2/7") for code in X if number == 4]
        for code in X if number != 4 else ():
            line = FINAL_LINES[code][number % 4].format(plain=number, native=number)
            rows.append(framed(code, f"{NAMES[code]} {number}?", f"…\n{line}"))
    rows[4 * 10]["chosen"] = "So 7x/2 = 3.\nThe cost is $2/7.\n#### 2/7"
    folder = tmp_path / "data" / INSTRUCT
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    text = load("gsm8kinstruct", "multilingual", [*STUDY], tmp_path / "data")
    assert text.counts == dict.fromkeys(STUDY, 8)
    assert [one.gold for one in text.problems if one.language == "en"][4] == "2/7"
    assert text.notes == [
        "gsm8kinstruct: final numbers that differ from the English answer's: "
        + ", ".join(f"{code} 0 of 6" for code in X)
    ]


@pytest.mark.parametrize(("name", "role"), [("gsm8kinstruct", "questions"), ("flores", "general")])
def test_english_need_not_be_among_the_languages_of_a_stage(clones: Path, find: Find, name: str, role: Role) -> None:
    rows = {code: language_from(row, code) for code, row in names_of(["bn"], LANGUAGES).items()}
    assert read(find(name, role, ["bn"], clones), ["bn"], rows).counts["bn"] > 1
