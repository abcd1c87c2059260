"""One's own files: the three formats say the same, each layout is read, each fault is named with its file and line."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qalign.corpora import Role, Text
from qalign.errors import DataError, QAlignError, SettingError
from qalign.records import Pair, Problem

Load = Callable[..., Text]

QUESTIONS = [
    {"id": "a", "question": 'Ada hat 3 Stifte,\nund kauft "4". Wie viele?', "question_en": "Ada has 3 pens, buys 4?"},
    {"id": "b", "question": "Was ist die Hälfte\u2028von 9?", "question_en": "What is half of 9?"},
]
TESTS: list[dict[str, Any]] = [
    {"id": 1, "question": "আদার কতটি কলম?", "answer": 7},
    {"id": 2, "question": "৯ এর অর্ধেক?", "answer": 4.5},
]


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows in the format that the name of the file says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if ".jsonl" in path.name:
            file.write(jsonl(rows))
        else:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)


SUFFIXES = [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_pairs(tmp_path: Path, load: Load, suffix: str) -> None:
    write(tmp_path / f"de{suffix}", QUESTIONS)
    expected = [Pair(row["id"], "de", row["question"], row["question_en"], "question", "own") for row in QUESTIONS]
    for given in (tmp_path, tmp_path / f"de{suffix}"):
        text = load(given, "questions", ["de"])
        assert text.records == expected
        assert (text.counts, text.published, text.dropped, text.notes) == ({"de": 2}, None, [], [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_test_problems(tmp_path: Path, load: Load, suffix: str) -> None:
    # Parquet has one type a column: the whole number 7 is read as 7.0, and is 7 again.
    rows = [{**row, "answer": float(row["answer"])} for row in TESTS] if suffix == ".parquet" else TESTS
    write(tmp_path / f"bn{suffix}", rows)
    assert load(tmp_path, "test", ["bn"]).problems == [
        Problem("1", "bn", "আদার কতটি কলম?", None, "7", "own"),
        Problem("2", "bn", "৯ এর অর্ধেক?", None, "4.5", "own"),
    ]


def test_the_other_roles(tmp_path: Path, load: Load) -> None:
    (tmp_path / "answers.jsonl").write_text(jsonl([{"answer": "3+4=7", "answer_en": "It is 3+4=7.", "question": "?"}]))
    assert load(tmp_path / "answers.jsonl", "answers", ["sw"]).records == [
        Pair("0", "sw", "3+4=7", "It is 3+4=7.", "answer", "own")
    ]
    (tmp_path / "general.jsonl").write_text(jsonl([{"text": "Habari", "text_en": "Hello"}]))
    assert load(tmp_path / "general.jsonl", "general", ["sw"]).records == [
        Pair("0", "sw", "Habari", "Hello", "sentence", "own")
    ]
    rows: list[dict[str, Any]] = [
        {"question": "One?", "answer": "1\n#### 1"},
        {"question": "Two?", "answer": "Two.", "gold": 2},
        {"question": "Many?", "answer": "Many. #### many", "gold": None},
    ]
    (tmp_path / "en.jsonl").write_text(jsonl(rows))
    for given, role in ((tmp_path / "en.jsonl", "english"), (tmp_path, "multilingual")):
        problems = load(given, role, ["en"]).problems
        assert [(one.id, one.answer, one.gold) for one in problems] == [
            ("0", "1\n#### 1", "1"), ("1", "Two.", "2"), ("2", "Many. #### many", None)
        ]  # fmt: skip


def test_files_without_ids_are_parallel_by_line(tmp_path: Path, load: Load) -> None:
    for code in ("bn", "de"):
        write(tmp_path / f"{code}.csv", [{"question": f"{code} {n}?", "answer": n} for n in range(3)])
    problems = load(tmp_path, "test", ["de", "bn"]).problems
    assert [(one.language, one.id, one.gold) for one in problems] == [
        (code, str(n), str(n)) for code in ("de", "bn") for n in range(3)
    ]


def test_one_file_with_a_column_language(tmp_path: Path, load: Load) -> None:
    codes = ("sw", "en", "te")
    rows = [{"id": i, "language": code, "question": f"{code}?", "answer": i} for i in range(2) for code in codes]
    write(tmp_path / "all.jsonl", rows)
    text = load(tmp_path / "all.jsonl", "test", ["en", "sw"])
    assert [(one.language, one.id) for one in text.problems] == [("en", "0"), ("en", "1"), ("sw", "0"), ("sw", "1")]
    assert text.counts == {"en": 2, "sw": 2}
    assert text.notes == [f"{tmp_path / 'all.jsonl'}: rows of languages that were not asked for: te 2"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path: Path, load: Load) -> None:
    (tmp_path / "de.csv").write_bytes("\ufefftext,text_en\r\nJa,Yes\r\n".encode())
    assert [(one.text, one.text_en) for one in load(tmp_path, "general", ["de"]).records] == [("Ja", "Yes")]


def published(folder: Path, code: str, text: str, english: str) -> None:
    (folder / f"{code}-en").mkdir(parents=True)
    (folder / f"{code}-en" / f"train.{code}").write_text(text, encoding="utf-8")
    (folder / f"{code}-en" / "train.en").write_text(english, encoding="utf-8")


def test_the_layout_of_the_published_repository(tmp_path: Path, load: Load) -> None:
    published(tmp_path, "bn", "কত?\nকেন?\n", "How many?\nWhy?\n")
    published(tmp_path, "th", "เท่าไร\n", "How many?\n")
    text = load(tmp_path, "questions", ["th", "bn"])
    assert text.records == [
        Pair("0", "th", "เท่าไร", "How many?", "question", "own"),
        Pair("0", "bn", "কত?", "How many?", "question", "own"),
        Pair("1", "bn", "কেন?", "Why?", "question", "own"),
    ]


@pytest.mark.parametrize(
    ("text", "english", "message"),
    [
        ("a\nb\n", "A\nB\nC\n", "bn-en/train.en line 3 has no counterpart: {}bn-en/train.bn has fewer lines"),
        ("a\nb\nc\n", "A\nB\n", "bn-en/train.bn line 3 has no counterpart: {}bn-en/train.en has fewer lines"),
        ("a\n\n", "A\nB\n", "bn-en/train.bn line 2: 'question' is empty"),
        ("a\nb\n", "A\n \n", "bn-en/train.en line 2: 'question_en' is empty"),
        ("", "", " has no row in bn, it has no usable row at all"),
    ],
)
def test_faults_of_line_parallel_text(tmp_path: Path, load: Load, text: str, english: str, message: str) -> None:
    published(tmp_path, "bn", text, english)
    slash = "" if message.startswith(" ") else "/"
    check(load, tmp_path, "questions", ["bn"], f"{tmp_path}{slash}{message.format(f'{tmp_path}/')}")


def check(load: Load, given: Path, role: Role, languages: list[str], start: str, kind: type = DataError) -> None:
    """The error says what it should, on one line, and nothing else went wrong."""
    with pytest.raises(QAlignError) as caught:
        load(given, role, languages)
    assert isinstance(caught.value, kind)
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)


GOOD = '{"question": "Wie viele?", "question_en": "How many?"}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("de.jsonl", GOOD + "{'question': 1}\n", " line 2 is not valid JSON: Expecting property name"),
        ("de.jsonl", GOOD + "[1]\n", " line 2 holds a JSON list: it must be an object"),
        ("de.jsonl", GOOD + "\n" + GOOD, " line 2 is empty: remove it"),
        ("de.jsonl", GOOD.encode() + b'{"question": "f\xfcnf"}\n', " line 2 is not UTF-8"),
        ("de.jsonl", "", " is empty: it holds no row"),
        ("de.jsonl.gz", b"no gzip", " cannot be read after line 0: Not a gzipped file"),
        ("de.jsonl.gz", gzip.compress(GOOD.encode() * 999, mtime=0)[:-20], " cannot be read after line "),
        ("de.csv", "question,question_en\n", " is empty: it holds no row"),
        ("de.csv", "question,question\na,b\n", " line 1 names a column twice"),
        ("de.csv", 'question,question_en\n"a\nb",c\nd,e,f\n', " line 4 has 3 cells, the header has 2"),
        ("de.csv", 'question,question_en\na,b\n"c"d,e\n', " line 3 is not a CSV: "),
        ("de.csv", "question,question_en\na,b\nc,\n", " line 3: 'question_en' is empty"),
        ("de.parquet", "no parquet", " cannot be read after row 0: "),
        ("de.txt", "x\n", " is of no known kind: it must end in one of .jsonl, .jsonl.gz"),
        ("de.jsonl", '{"question": "Wie?", "questoin_en": "How?"}\n',
         " line 1: no column 'question_en' (found: question, questoin_en); rename 'questoin_en' to 'question_en'"),
        ("de.jsonl", '{"question": "Wie?", "question_en": "How?", "anwser": "1"}\n',
         " line 1: unknown column 'anwser': did you mean 'answer'?"),
        ("de.csv", "question,english\na,b\n", " line 1 (the header): no column 'question_en' (found: question, english); "),
        ("de.csv", "Question,question_en\na,b\n", " line 1 (the header): no column 'question' (found: Question, question_en); "
         "rename 'Question' to 'question'"),
        ("de.csv", "prompt,question_en\na,b\n", " line 1 (the header): no column 'question' (found: prompt, question_en); "
         "rename 'prompt' to 'question'"),
        ("de.csv", "question,question_en,linne\na,b,1\n", " line 1 (the header): unknown column 'linne': did you mean 'line'?"),
        ("de.jsonl", GOOD + '{"question": "Wie?"}\n', " line 2: no column 'question_en' (found: question); questions need "),
        ("de.jsonl", GOOD + '{"question": "Wie?", "question_en": " "}\n', " line 2: 'question_en' is empty"),
        ("de.jsonl", GOOD + '{"question": null, "question_en": "How?"}\n', " line 2: 'question' is null"),
        ("de.jsonl", GOOD + '{"question": 5, "question_en": "How?"}\n', " line 2: 'question' is of type int"),
        ("de.jsonl", GOOD + '{"question": "\\ud800", "question_en": "H"}\n',
         " line 2 holds half of a surrogate pair (U+D800)"),
        ("de.jsonl", '{"id": 1.5, "question": "W", "question_en": "H"}\n', " line 1: 'id' is of type float"),
        ("de.jsonl", '{"id": null, "question": "W", "question_en": "H"}\n', " line 1: 'id' is null"),
        ("de.jsonl", '{"id": "", "question": "W", "question_en": "H"}\n', " line 1: 'id' is empty"),
        ("de.jsonl", '{"id": 7, "question": "W", "question_en": "H"}\n' * 2,
         " line 2: the id '7' is that of {} line 1 already"),
    ],
)  # fmt: skip
def test_faults_of_a_file(tmp_path: Path, load: Load, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    check(load, path, "questions", ["de"], f"{path}{message.format(path)}")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('"about 7"', "'answer' is 'about 7'; it must be a number in figures"),
        ('"1_000"', "'answer' is '1_000'; it must be a number"),
        ('"1,2,3"', "'answer' is '1,2,3'; it must be a number"),
        ('"0,5"', "'answer' is '0,5'; it must be a number"),
        ('"1,00,000"', "'answer' is '1,00,000'; it must be a number"),
        ('"nan"', "'answer' is 'nan'; it must be a number"),
        ('"1e400"', "'answer' is '1e400'; it must be a number"),
        (f'"{"9" * 5000}"', f"'answer' is '{'9' * 80}...'; it must be a number"),
        ("[1]", "'answer' is of type list; it must be a text"),
        ("true", "'answer' is of type bool; it must be a text"),
        ("null", "'answer' is null"),
        ('""', "'answer' is empty"),
    ],
)
def test_a_final_number_that_is_none(tmp_path: Path, load: Load, answer: str, message: str) -> None:
    path = tmp_path / "de.jsonl"
    path.write_text(f'{{"question": "Eins?", "answer": 1}}\n{{"question": "Wie viele?", "answer": {answer}}}\n')
    check(load, path, "test", ["de"], f"{path} line 2: {message}")


def test_faults_of_parquet_name_the_row(tmp_path: Path, load: Load) -> None:
    write(tmp_path / "de.parquet", [{"text": "Ja", "text_en": "Yes"}, {"text": "Nein", "text_en": None}])
    check(load, tmp_path, "general", ["de"], f"{tmp_path}/de.parquet row 2: 'text_en' is null")


def test_nan_is_no_json(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "de.jsonl"
    path.write_text('{"question": "Wie viele?", "answer": NaN}\n')
    check(load, path, "test", ["de"], f"{path} line 1 is not valid JSON: NaN is not a number in JSON")


def test_faults_of_a_folder(tmp_path: Path, load: Load) -> None:
    check(load, tmp_path, "questions", ["de"], f"{tmp_path} holds no file for de: name files de.jsonl|")
    (tmp_path / "de.jsonl").write_text(GOOD)
    (tmp_path / "th.en_only.jsonl").write_text(GOOD)
    (tmp_path / "README.md").write_text("Not data.")
    (tmp_path / "bn-en").mkdir()
    (tmp_path / "bn-en" / "train.en").write_text("How many?\n")
    check(load, tmp_path, "questions", ["de", "th", "bn"],
          f"{tmp_path} has no th, bn (bn-en, th.en_only.jsonl: only the English side is there); it has de: "
    )  # fmt: skip
    (tmp_path / "de.csv").write_text("question,question_en\na,b\n")
    check(load, tmp_path, "questions", ["de"], f"{tmp_path} holds 'de' more than once: de.csv, de.jsonl; keep one")


def test_faults_of_the_language(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "de.jsonl"
    path.write_text(GOOD)
    check(load, path, "questions", ["de", "fr"], f"{path} does not tell which language its rows are in, and 2")
    row = '{"language": "fr", "question": "Combien?", "question_en": "How many?"}\n'
    path.write_text(row)
    check(load, tmp_path, "questions", ["de"], f"{path} line 1: 'language' is 'fr', the file's is 'de'")
    check(load, path, "questions", ["de", "fr"], f"{path} has no row in de, it has fr: leave these languages out")
    path.write_text(row + GOOD)
    check(load, path, "questions", ["fr"], f"{path} line 2: 'language' is missing; it must be a code")
    check(load, path, "questions", ["fr", "en"], "questions pair each language with English", SettingError)
    check(load, path, "english", ["fr"], "the role english is in English", SettingError)
    check(load, path, "test", [], "languages of test: none; give one or more", SettingError)
    path.write_text(row + row.replace("fr", "xx", 1))
    check(load, path, "questions", ["fr", "xx"], "unknown language 'xx'", SettingError)


def test_invalid_rows_are_dropped_only_on_request_and_listed(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "de.jsonl"
    rows = [
        {"id": 1, "text": "Ja", "text_en": "Yes"},
        {"id": 2, "text": "", "text_en": "No"},
        {"id": 1, "text": "Doch", "text_en": "Yes"},
        {"id": 4, "text": "Nie", "text_en": None},
    ]
    write(path, rows)
    check(load, path, "general", ["de"], f"{path} line 2: 'text' is empty; fix it, or have such rows dropped")
    text = load(path, "general", ["de"], drop_invalid=True)
    assert [one.text for one in text.records] == ["Ja"]
    assert text.dropped == [
        {"where": f"{path} line 2", "reason": "'text' is empty"},
        {"where": f"{path} line 3", "reason": f"the id '1' is that of {path} line 1 already"},
        {"where": f"{path} line 4", "reason": "'text_en' is null"},
    ]
    assert text.notes == [f"{path}: 3 invalid rows dropped on request"]
    # A fault that is not an empty text or a repeated id is never dropped.
    write(path, [*rows, {"id": 5, "text": 5, "text_en": "Five"}])
    with pytest.raises(DataError, match="line 5: 'text' is of type int"):
        load(path, "general", ["de"], drop_invalid=True)
    write(path, rows[1:2])
    with pytest.raises(DataError, match="has no row in de, it has no usable row at all"):
        load(path, "general", ["de"], drop_invalid=True)


def test_all_missing_columns_are_named_at_once_with_those_that_may_hold_them(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "data.csv"
    path.write_text("domanda,risposta\nQuanti?,5\n")
    check(load, path, "test", ["de"],
          f"{path} line 1 (the header): no columns 'question' and 'answer' (found: domanda, risposta); rename 'domanda' and "
          "'risposta' if they hold these")  # fmt: skip
    path.write_text("domanda,answer\nQuanti?,5\n")
    check(load, path, "test", ["de"], f"{path} line 1 (the header): no column 'question' (found: domanda, answer); rename "
          "'domanda' to 'question' if it holds that")  # fmt: skip


def test_a_file_that_is_named_after_another_language_is_refused(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "fr.jsonl"
    path.write_text(GOOD)
    check(
        load,
        path,
        "questions",
        ["de"],
        f"{path} is named after French ('fr'), and was to be read as 'de': ask for 'fr'",
    )
    path.write_text('{"language": "de", "question": "Wie?", "question_en": "How?"}\n')
    assert load(path, "questions", ["de"]).counts == {"de": 1}, "its rows say what they are"
    other = tmp_path / "is.jsonl"
    other.write_text(GOOD)
    assert load(other, "questions", ["de"]).counts == {"de": 1}, "not every short name is that of a language"


def test_multilingual_data_hold_english(tmp_path: Path, load: Load) -> None:
    (tmp_path / "de.jsonl").write_text('{"question": "Wie?", "answer": "5"}\n')
    check(
        load,
        tmp_path,
        "multilingual",
        ["de", "en"],
        f"{tmp_path} has no en, for multilingual data hold English too; it has",
    )
    check(load, tmp_path / "de.jsonl", "multilingual", ["de", "en"], f"{tmp_path}/de.jsonl does not tell which language its "
          "rows are in, and 2 were asked for (de, en), for multilingual data hold English too: add")  # fmt: skip
