"""The layouts of the hub, on hand-made clones of a few rows; and what is said when the hub cannot be had."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qalign.corpora import Role, Source, Text
from qalign.errors import DataError

Find = Callable[..., Source]
Load = Callable[..., Text]

INSTRUCT = "Mathoctopus/GSM8KInstruct_Parallel"


def test_gsm8k(load: Load, clones: Path) -> None:
    text = load("gsm8k", "english", ["en"], clones)
    assert [(one.id, one.gold, one.source) for one in text.problems] == [
        ("0", "7", "gsm8k"), ("1", "2,000", "gsm8k"), ("2", "3", "gsm8k")
    ]  # fmt: skip
    assert text.problems[0].question.startswith("Ada has 3 pens")
    assert text.problems[0].answer == "Ada has 3+4 = <<3+4=7>>7 pens.\n#### 7"


def test_a_clone_in_parquet(load: Load, clones: Path, tmp_path: Path) -> None:
    import pyarrow.json
    import pyarrow.parquet

    folder = tmp_path / "openai/gsm8k/main"
    folder.mkdir(parents=True)
    rows = pyarrow.json.read_json(clones / "openai/gsm8k/main/train.jsonl")
    pyarrow.parquet.write_table(rows, folder / "train-00000-of-00001.parquet")
    (folder.parent / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n---\n"
    )
    assert load("gsm8k", "english", ["en"], tmp_path).records == load("gsm8k", "english", ["en"], clones).records


def test_metamathqa(load: Load, clones: Path) -> None:
    problems = load("metamathqa", "english", ["en"], clones).problems
    assert [one.gold for one in problems] == ["7", "3", None]
    assert problems[0].question == "How many pens has Ada, who had 3, after buying 4?"
    assert problems[0].answer == "She has 3+4 = 7 pens.\n#### 7\nThe answer is: 7"


def test_msvamp(load: Load, clones: Path) -> None:
    problems = load("msvamp", "test", ["bn", "en"], clones).problems
    assert [(one.language, one.id, one.gold) for one in problems] == [
        (code, id, gold) for code in ("bn", "en") for id, gold in (("0", "8"), ("1", "3.5"), ("2", "1200"))
    ]
    assert problems[0].question.startswith("জুলিয়ার ১৮টি")
    assert {one.answer for one in problems} == {None}


def test_mgsm_is_read_without_quoting(load: Load, clones: Path) -> None:
    problems = load("mgsm", "test", ["bn", "en"], clones).problems
    assert [one.gold for one in problems] == ["7", "2,000", "4.5"] * 2
    assert problems[5].question == '"Half of 9" is what?'


def test_flores_is_joined_by_id(load: Load, clones: Path) -> None:
    pairs = load("flores", "general", ["bn", "zh"], clones).records
    assert [(one.language, one.id, one.text_en) for one in pairs[:3]] == [
        ("bn", "4", "Nobody was hurt."),
        ("bn", "1", "On Monday the river rose."),
        ("bn", "2", "The bridge was closed for two days."),
    ]
    assert [(one.id, one.text) for one in pairs[3:]] == [
        ("1", "星期一河水上涨。"), ("2", "这座桥关闭了两天。"), ("4", "没有人受伤。")
    ]  # fmt: skip


def test_flores_without_its_english_row(load: Load, clones: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data" / "openlanguagedata/flores_plus"
    shutil.copytree(clones / "openlanguagedata/flores_plus", copy)
    english = copy / "dev/eng_Latn.jsonl"
    english.write_text(english.read_text().splitlines(keepends=True)[0])
    with pytest.raises(DataError, match=r"ben_Beng row 1: the id '4' is not on the English side"):
        load("flores", "general", ["bn"], tmp_path / "data")


@pytest.mark.parametrize(
    ("role", "languages", "expected"),
    [
        ("questions", ["bn"], [("0", "আদার ৩টি", "Ada has 3 pens"), ("1", "একটি খামার", "A farm sells 1,000")]),
        ("answers", ["zh", "th"], [("1", "它卖1000*2", "It sells 1000*2"), ("0", "เอดามี 3+4", "Ada has 3+4")]),
    ],
)
def test_gsm8kinstruct_pairs(
    load: Load, clones: Path, role: Role, languages: list[str], expected: list[tuple[str, str, str]]
) -> None:
    text = load("gsm8kinstruct", role, languages, clones)
    assert len(text.records) == len(expected)
    for one, (id, start, start_en) in zip(text.records, expected, strict=True):
        assert one.id == id
        assert one.text.startswith(start)
        assert one.text_en.startswith(start_en)
    told = {"bn": "bn 0 of 2", "zh": "th 0 of 1, zh 0 of 1"}[languages[0]]
    assert text.notes == [f"gsm8kinstruct: final numbers that differ from the English answer's: {told}"]


def test_gsm8kinstruct_problems(load: Load, clones: Path) -> None:
    problems = load("gsm8kinstruct", "multilingual", ["zh", "en", "bn"], clones).problems
    assert [(one.language, one.id, one.gold) for one in problems] == [
        ("zh", "1", "2,000"), ("en", "0", "7"), ("en", "1", "2,000"), ("bn", "0", "7"), ("bn", "1", "2,000")
    ], "the gold number is that of the English answer"  # fmt: skip
    assert problems[1].question == "Ada has 3 pens and buys 4 more. How many pens has she?"
    english = load("gsm8kinstruct", "english", ["en"], clones)
    assert english.records == problems[1:3]
    assert english.notes == []


def framed(language: str, question: str = "How many?", answer: str = "#### 7") -> dict[str, str]:
    prompt = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request in "
        f"{language}. Please answer in {language}.\n\n### Instruction:\n{question}\n\n### Response:"
    )
    return {"prompt": prompt, "chosen": answer}


CROSS = "Mathoctopus/MGSM8KInstruct_Cross"
PENS, FARM = "Ada has 3 pens and buys 4.  How many?", "A farm sells 1,000 eggs twice. How many?"
CROSSED = [  # in no order; two problems have one question; a translation has its own digits, or another number
    framed("Bengali", FARM, "এটি ১০০০*২ = <<1000*2=2000>>২০০০টি বিক্রি করে।\n#### ২০০০"),
    framed("English", PENS, "3+4 = <<3+4=7>>7\n#### 7"),
    framed("German", PENS, "3+4 = 7\n#### 7"),
    framed("English", FARM, "1,000*2 = <<1000*2=2000>>2,000\n#### 2,000"),
    framed("Bengali", PENS.replace("  ", " "), "৩+৪ = <<3+4=7>>৭টি\n#### ৭"),
    framed("German", FARM, "Sie verkauft <<1000*2=2000>>2.000 Eier.\n#### 2.000"),
    framed("English", PENS, "3+4 = <<3+4=7>>7\n#### 7"),
]


def crossed(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A data folder with a clone of MGSM8KInstruct_Cross: one JSON file, with a column that is not read."""
    (folder / CROSS).mkdir(parents=True)
    named = [{"language": "?", **row} for row in rows]
    (folder / CROSS / "GSM8KInstruct_Cross.json").write_text(json.dumps(named), encoding="utf-8")
    return folder


def test_the_rows_of_a_crossed_problem_are_found_by_their_english_question(
    load: Load, clones: Path, tmp_path: Path
) -> None:
    text = load("gsm8kinstruct-cross", "multilingual", ["bn", "de", "en"], crossed(tmp_path / "data", CROSSED))
    rows = [(one.language, one.id, one.question, one.gold) for one in text.problems]
    pens, farm = (PENS, "7"), (FARM, "2,000")
    assert rows == [
        ("bn", "0", *farm), ("bn", "1", PENS.replace("  ", " "), "7"), ("de", "0", *farm), ("de", "1", *pens),
        ("en", "0", *farm), ("en", "1", *pens), ("en", "2", *pens),
    ]  # fmt: skip
    assert text.problems[2].answer == "Sie verkauft <<1000*2=2000>>2.000 Eier.\n#### 2.000"
    assert text.notes == [
        "gsm8kinstruct-cross: final numbers that differ from the English answer's: bn 0 of 2, de 0 of 2"
    ]


def test_a_crossed_corpus_whose_questions_are_not_in_english_is_refused(
    load: Load, clones: Path, tmp_path: Path
) -> None:
    rows = [row for n in range(4) for row in (framed("English", f"Eggs {n}?"), framed("German", f"Eier {n}?"))]
    data = crossed(tmp_path / "data", rows)
    with pytest.raises(DataError, match=r"row 2 and 3 other questions of 8 stand in no English row; .* is it MGSM8K"):
        load("gsm8kinstruct-cross", "multilingual", ["de", "en"], data)
    rows = [row for n in range(9) for row in (framed("English", f"Eggs {n}?"), framed("German", f"Eggs {n}?"))]
    data = crossed(tmp_path / "few", [*rows, framed("German", "Who has no English row?")])
    assert load("gsm8kinstruct-cross", "multilingual", ["de"], data).problems[-1].gold == "7"


def instruct(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A data folder with a clone of GSM8KInstruct that holds these rows."""
    (folder / INSTRUCT).mkdir(parents=True)
    (folder / INSTRUCT / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_the_language_is_read_from_the_frame_and_not_from_the_question(
    load: Load, clones: Path, tmp_path: Path
) -> None:
    rows = [framed("English", "A trip in German hills?"), framed("Thai", "In French or in Thai?")]
    data = instruct(tmp_path / "data", rows)
    (pair,) = load("gsm8kinstruct", "questions", ["th"], data).records
    assert (pair.text, pair.text_en) == ("In French or in Thai?", "A trip in German hills?")


ENGLISH, THAI = framed("English"), framed("Thai")
TWO = framed("Thai")["prompt"].replace("answer in Thai", "answer in German")
NONE = framed("Thai")["prompt"].replace("in Thai", "well")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ENGLISH, {"prompt": TWO, "chosen": "x"}], " row 2: the prompt prefix names German and Thai; it must name one"),
        ([ENGLISH, {"prompt": NONE, "chosen": "x"}], " row 2: the prompt prefix names no language; it must name one"),
        ([ENGLISH, framed("Klingon")], " row 2: the prompt prefix names Klingon; it must name one language: "),
        ([ENGLISH, {"prompt": "How many?", "chosen": "x"}], " row 2: the prompt is not '... ### Instruction: "),
        ([THAI, ENGLISH], " row 1 is in th before any English row opened a problem: give the pairs as local files"),
        ([ENGLISH, THAI, THAI], " row 3 is the second th row of one problem, after {} row 2: give the pairs as local"),
        ([ENGLISH, framed("Thai", "")], " row 2: 'question' is empty; fix it"),
        ([ENGLISH], " has no row in th, it has no usable row at all"),
    ],
)  # fmt: skip
def test_faults_of_gsm8kinstruct(
    load: Load, clones: Path, tmp_path: Path, rows: list[dict[str, str]], message: str
) -> None:
    data = instruct(tmp_path / "data", rows)
    with pytest.raises(DataError) as caught:
        load("gsm8kinstruct", "questions", ["th"], data)
    assert str(caught.value).startswith(f"{data / INSTRUCT}{message.format(data / INSTRUCT)}")


def test_a_grouping_that_is_off_is_found_by_the_final_numbers(load: Load, clones: Path, tmp_path: Path) -> None:
    def rows(wrong: int) -> list[dict[str, str]]:
        numbers = [(n, n + (n < wrong)) for n in range(10)]
        both = [(framed("English", answer=f"#### {n}"), framed("Thai", answer=f"#### {m}.0")) for n, m in numbers]
        return [row for pair in both for row in pair]

    text = load("gsm8kinstruct", "questions", ["th"], instruct(tmp_path / "few", rows(wrong=2)))
    assert text.notes == ["gsm8kinstruct: final numbers that differ from the English answer's: th 2 of 10"]
    with pytest.raises(DataError, match=r"^gsm8kinstruct: in 3 of 10 th answers .* not grouped by problem: give the"):
        load("gsm8kinstruct", "questions", ["th"], instruct(tmp_path / "many", rows(wrong=3)))
    # A language that is not asked for is not held against those that are.
    load("gsm8kinstruct", "english", ["en"], tmp_path / "many")


def test_faults_of_a_clone(load: Load, clones: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MSVAMP sw: it has no such language \(BuilderConfig 'sw' not found"):
        load("msvamp", "test", ["sw"], clones)
    with pytest.raises(DataError, match=r"juletxara/mgsm has no mgsm_sw.tsv, mgsm_th.tsv: fetch the files"):
        load("mgsm", "test", ["bn", "sw", "th"], clones)
    mgsm = tmp_path / "juletxara/mgsm"
    mgsm.mkdir(parents=True)
    (mgsm / "mgsm_bn.tsv").write_text("One?\t1\nTwo?\n")
    with pytest.raises(DataError, match=r"mgsm_bn.tsv line 2 has 1 cell, not 2"):
        load("mgsm", "test", ["bn"], tmp_path)
    (mgsm / "mgsm_bn.tsv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(DataError, match=r"mgsm_bn.tsv is a Git LFS pointer, not the file: run `git lfs pull`"):
        load("mgsm", "test", ["bn"], tmp_path)
    gsm8k = tmp_path / "openai/gsm8k"
    gsm8k.mkdir(parents=True)
    with pytest.raises(DataError, match=r"gsm8k is empty: clone openai/gsm8k into it"):
        load("gsm8k", "english", ["en"], tmp_path)
    metamath = tmp_path / "meta-math/MetaMathQA"
    metamath.mkdir(parents=True)
    (metamath / "train.jsonl").write_text('{"query": "One?", "answer": "1"}\n')
    with pytest.raises(DataError, match=r"MetaMathQA has no column 'response', only query, answer: its layout"):
        load("metamathqa", "english", ["en"], tmp_path)


def test_what_is_said_when_the_hub_cannot_be_reached(find: Find, load: Load) -> None:
    with pytest.raises(DataError, match=r"^openai/gsm8k: no commit of it is known, and the hub cannot be reached"):
        find("gsm8k", "english", ["en"])
    with pytest.raises(DataError, match=r"^openai/gsm8k@main: no commit of it is known, and the hub cannot be reached"):
        find("gsm8k@main", "english", ["en"])
    with pytest.raises(DataError, match=r"^openai/gsm8k@a{40}: the hub cannot be reached .*: go online, or give"):
        load(f"gsm8k@{'a' * 40}", "english", ["en"])
    with pytest.raises(DataError, match=r"^juletxara/mgsm@a{40}: the hub cannot be reached "):
        load(f"mgsm@{'a' * 40}", "test", ["bn"])
