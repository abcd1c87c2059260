"""Files that a person may really have: each is read rightly, or refused in one line that names the matter. `check`, `run` and
`score` read files in one way, so most cases are tried on both readers."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qalign.corpora import Text, files
from qalign.corpora.columns import is_blank
from qalign.corpora.local import languages_of
from qalign.errors import DataError, QAlignError
from qalign.evaluation.external import score_file
from qalign.languages import LANGUAGES
from qalign.records import Judgement

Load = Callable[..., Text]

ROW = {"id": "1", "response": "The answer is 7.", "gold": "7"}


def refused(path: Path, *words: str, role: str = "test", load: Load | None = None) -> None:
    """The file is refused in one line that holds the words: by `load` in a role if it is given, else by the scorer."""
    with pytest.raises(QAlignError) as caught:
        load(path, role, ["de"]) if load else score(path)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).isprintable()


def score(path: Path, language: str | None = "en") -> list[Judgement]:
    return score_file(path, language, None, LANGUAGES).judgements


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


QUESTION = '{"question": "Wie viele?", "answer": 7}\n'

# A file's name and content, and what both readers must say of it.
BROKEN = [
    ("de.jsonl", '{"id": "1", "question": "right?", "question": "other?", "response": "7", "gold": 7}\n',
     ("line 1", "'question' appears twice")),
    ("de.jsonl", '{"id": {"a": 1, "a": 2}}\n', ("line 1", "'a' appears twice")),
    ("de.jsonl", "\ufeff" + '{"id": "a\\udc00", "response": "7", "question": "?", "gold": 5}\n', ("line 1", "U+DC00")),
    ("de.jsonl", '{"id": "1", "response": "7", "gold": ' + "[" * 5000 + "]" * 5000 + "}\n", ("line 1", "nested deeper")),
    ("de.jsonl", QUESTION.encode("utf-16"), ("is UTF-16: save the file as UTF-8",)),
    ("de.jsonl", QUESTION.encode("utf-16-le"), ("line 1 holds a NUL byte", "UTF-16")),
    ("de.csv", "id,question\n1,Wie?\n".encode("utf-32"), ("is UTF-32",)),
    ("de.csv", b"question,answer\nWie\x00viele?,7\n", ("line 2 holds a NUL byte",)),
    ("de.csv", "question;answer\nWie viele, bitte?;7\n", ("line 1", "semicolons")),
    ("de.csv", "sep=;\nquestion;answer\nWie?;7\n", ("line 1", "semicolons")),
    ("de.csv", "question\tanswer\nWie viele?\t7\n", ("line 1", "tabs")),
    ("de.csv", "id;response, in English;gold\n1;7;7\n", ("line 1", "semicolons")),
    ("de.csv", ",question,answer\n0,Wie viele?,7\n", ("line 1", "column 1 has no name", "index")),
    ("de.csv", "\nquestion,answer\nWie viele?,7\n", ("line 1 is empty",)),
    ("de.csv", "question,answer\n", ("is empty: it holds no row",)),
    ("de.csv", "question,answer\n\nWie viele?,7\n", ("line 2 is empty: remove the line",)),
    ("de.csv", 'question,answer\n"Wie viele?,7\nWann?,8\n', ("line 2 is not a CSV",)),
    ("de.csv", "question,answer\rWie viele?,7\r", ("line 1 is not a CSV", "carriage return")),
    ("de.csv", "", ("is empty",)),
    ("de.jsonl", gzip.compress(QUESTION.encode(), mtime=0), ("is gzip: let its name end in .gz",)),
    ("de.csv", b"PK\x03\x04\x14\x00\x00\x00", ("a zip archive or an Excel file",)),
    ("de.csv", b"PAR1\x15\x04", ("is Parquet: let its name end in .parquet",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), BROKEN)
def test_a_broken_file_is_refused_by_every_reader(
    tmp_path: Path, load: Load, name: str, content: str | bytes, words: tuple[str, ...]
) -> None:
    path = written(tmp_path / name, content)
    refused(path, str(path), *words, load=load)
    refused(path, str(path), *words)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 2**20)
    bomb = gzip.compress(b'{"question": "' + b"a" * (4 * 2**20))
    refused(written(tmp_path / "de.jsonl.gz", bomb), "line 1 is longer than 1 MiB", load=load)
    lines = b'id,response,gold\n1,"' + b"a\n" * 2**20 + b'",7\n'
    refused(written(tmp_path / "de.csv.gz", gzip.compress(lines)), "line 2 is not a CSV: field larger")
    assert len(bomb) < 10_000


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["id", "response", "gold"], [1, "so 3 + 4 is 7. " * 10_000 + "The answer is 7.", 7]]
        )
    assert [one.outcome for one in score(path)] == ["correct"]


IDS = [
    ("1.0", "'id' is of type float"), ("1.5", "'id' is of type float"), ("true", "'id' is of type bool"),
    ('["1"]', "'id' is of type list"), ('{"a": 1}', "'id' is of type dict"), ('"\\u200b "', "'id' is empty"),
    ('"a\\nb"', "'id' is 'a\\nb'; it must hold no control characters"), (f'"{"a" * 201}"', "'id' has 201 characters"),
    ("9" * 300, "'id' has 300 characters"), ('" 1"', "'id' is ' 1'; it must hold no control"),
    ('"1\\u2003"', "'id' is '1\\u2003'; it must hold no control"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), IDS)
def test_an_id_is_a_text_or_a_whole_number(tmp_path: Path, load: Load, value: str, message: str) -> None:
    message = message.replace("\n", "\\n")
    path = written(tmp_path / "de.jsonl", f'{{"id": {value}, "question": "Wie viele?", "answer": 7}}\n')
    refused(path, f"{path} line 1: {message}", load=load)
    path = written(tmp_path / "answers.jsonl", f'{{"id": {value}, "response": "7", "gold": 7}}\n')
    refused(path, f"{path} line 1: {message}")


@pytest.mark.parametrize("value", ["null", '""'])
def test_an_id_that_is_missing(tmp_path: Path, load: Load, value: str) -> None:
    path = written(tmp_path / "de.jsonl", f'{{"id": {value}, "question": "Wie viele?", "answer": 7}}\n')
    refused(path, f"{path} line 1: 'id' is ", load=load)
    path = written(tmp_path / "answers.jsonl", f'{{"id": {value}, "response": "7", "gold": 7}}\n')
    refused(path, f"{path} line 1: no 'id'")


def test_the_same_id_as_text_and_as_number_stands_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "answers.jsonl", jsonl({**ROW, "id": 1}, {**ROW, "id": "1"}))
    refused(path, f"{path} line 2: the id 1 (en) stands twice, in {path} line 1 already")


GOLDS = [
    ("true", "of type bool"), ("[7]", "of type list"), ('"NaN"', "'NaN'"), ("NaN", "NaN is not a number"),
    ("1e999", "too large"), ('"' + "9" * 9999 + '"', "9..."), ('"0,5"', "'0,5'"), ('"7 or 8"', "'7 or 8'"), ('" "', "empty"),
    ("9" * 5000, "line 1 is not valid JSON"),
    ('"+-5"', "'+-5'"), ('"$+-5"', "'$+-5'"), ('"seven"', "'seven'"), ('"7\\u0000"', "NUL"), ("null", "no 'gold'"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "message"), GOLDS)
def test_a_gold_answer_that_is_no_number(tmp_path: Path, gold: str, message: str) -> None:
    path = written(tmp_path / "answers.jsonl", f'{{"id": 1, "response": "7", "gold": {gold}}}\n')
    refused(path, f"{path} line 1", message)


@pytest.mark.parametrize("gold", ["7", "7.0", '"7"', '"7.00"', '"$7"'])
def test_a_gold_answer_in_every_form_of_a_number(tmp_path: Path, gold: str) -> None:
    path = written(tmp_path / "answers.jsonl", f'{{"id": 1, "response": "The answer is 7.", "gold": {gold}}}\n')
    assert [one.outcome for one in score(path)] == ["correct"]


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n", "\u200b", "\ufeff\u2060", "\u00a0\u3000", "\u3164", "\u2800\u2800", "\ufe0f", "\x1b"]
)
def test_a_question_that_shows_nothing_is_empty(tmp_path: Path, load: Load, text: str) -> None:
    assert is_blank(text)
    path = written(
        tmp_path / "de.jsonl", jsonl({"question": text, "answer": 7}, {"question": "Wie viele?", "answer": 7})
    )
    refused(path, f"{path} line 1: 'question' is empty", load=load)
    (kept,) = load(path, "test", ["de"], drop_invalid=True).problems
    assert kept.question == "Wie viele?"


@pytest.mark.parametrize("text", ["?", "ก็", "नि", "\u200bWie viele?", "👩\u200d👧", "\U0001faea", "𞤀"])
def test_a_question_that_shows_something_is_not(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize("value", ["null", '""'])
def test_a_language_that_is_null_is_the_one_that_is_given(tmp_path: Path, load: Load, value: str) -> None:
    path = written(tmp_path / "answers.jsonl", f'{{"id": 1, "response": "7", "gold": 7, "language": {value}}}\n')
    assert [(one.language, one.outcome) for one in score(path)] == [("en", "correct")]
    with pytest.raises(DataError, match=r"line 1: no 'language' in this row; fill it in, or give --language"):
        score(path, None)
    path = written(tmp_path / "de.jsonl", f'{{"question": "Wie viele?", "answer": 7, "language": {value}}}\n')
    for given in (path, tmp_path):
        (tmp_path / "answers.jsonl").unlink(missing_ok=True)
        assert [one.language for one in load(given, "test", ["de"]).problems] == ["de"]
    assert languages_of(path, "test", LANGUAGES) == ("de",)


def test_a_language_of_another_type(tmp_path: Path, load: Load) -> None:
    path = written(tmp_path / "de.jsonl", jsonl({"question": "Wie viele?", "answer": 7, "language": 5}))
    refused(path, "line 1: 'language' is of type int; it must be a code", load=load)
    path = written(tmp_path / "answers.jsonl", jsonl({**ROW, "language": ["en"]}))
    refused(path, "line 1: 'language' is of type list; it must be a code")
    path = written(tmp_path / "answers.jsonl", jsonl({**ROW, "language": "eng"}))
    refused(path, "line 1: unknown language 'eng': did you mean 'en'?")


def test_carriage_returns_and_a_byte_order_mark_are_no_part_of_an_answer(tmp_path: Path) -> None:
    path = written(tmp_path / "answers.csv", "\ufeffid,response,gold\r\n1,The answer is 7.,7\r\n")
    assert [(one.id, one.gold, one.outcome) for one in score(path)] == [("1", "7", "correct")]


SKIPPED = [
    "de.JSONL", "fr.json", "th.tsv", "ru.ndjson", "es.v2.jsonl", "zh.jsonl.bz2", "ja.xlsx", "sw.txt", "bn", "German.json",
    "test.json", "de (1).json", "notes.txt",
]  # fmt: skip


def test_files_of_a_folder_that_would_not_be_read_are_named(tmp_path: Path, load: Load) -> None:
    written(tmp_path / "en.jsonl", QUESTION)
    for name in ("README.md", "LICENSE", "CITATION.cff", "bn.en_only.jsonl.gz", ".DS_Store", "._en.jsonl"):
        written(tmp_path / name, "not data")
    assert languages_of(tmp_path, "test", LANGUAGES) == ("en",)
    for name in SKIPPED:
        written(tmp_path / name, QUESTION)
        with pytest.raises(DataError, match="holds what would not be read") as caught:
            languages_of(tmp_path, "test", LANGUAGES)
        assert f": {name}; name data CODE.jsonl|" in str(caught.value)
        (tmp_path / name).unlink()
    (tmp_path / "fr").mkdir()
    for name in SKIPPED:
        written(tmp_path / name, QUESTION)
    with pytest.raises(DataError) as caught:
        languages_of(tmp_path, "test", LANGUAGES)
    assert all(name in str(caught.value) for name in [*SKIPPED, "fr"])


def test_where_languages_are_asked_for_only_their_files_count(tmp_path: Path, load: Load) -> None:
    written(tmp_path / "de.jsonl", QUESTION)
    written(tmp_path / "exemplars.json", "[]")
    written(tmp_path / "fr.json", "[]")
    assert load(tmp_path, "test", ["de"]).counts == {"de": 1}
    written(tmp_path / "de.v2.jsonl", QUESTION)
    refused(tmp_path, "holds what would not be read: de.v2.jsonl; name data", load=load)
    (tmp_path / "de.v2.jsonl").unlink()
    for name in ("de (1).jsonl", "DE.jsonl", "de copy.csv"):
        written(tmp_path / name, QUESTION)
        refused(tmp_path, f"holds what would not be read: {name}; name data", load=load)
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"holds what would not be read: fr.json; name data"):
        load(tmp_path, "test", ["fr"])


def parquet(path: Path, **columns: object) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_that_is_not_utf8_is_refused_with_its_row(tmp_path: Path, load: Load) -> None:
    import struct

    import pyarrow

    offsets = pyarrow.py_buffer(struct.pack("<4i", 0, 2, 4, 6))
    bad = pyarrow.Array.from_buffers(pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"q1\xff\xfeq3")])
    path = parquet(tmp_path / "de.parquet", question=bad, answer=["1", "2", "3"])
    refused(path, f"{path} row 2 is not UTF-8 (invalid start byte)", load=load)
    path = parquet(tmp_path / "answers.parquet", id=["1", "2", "3"], response=bad, gold=["1", "2", "3"])
    refused(path, f"{path} row 2 is not UTF-8 (invalid start byte)")


def test_a_number_of_32_bits_is_the_one_that_was_written(tmp_path: Path) -> None:
    import pyarrow

    golds = pyarrow.array([0.1, 2.7, 7, 1e-5], pyarrow.float32())
    texts = [f"The answer is {number}." for number in ("0.1", "2.7", "7", "0.00001")]
    path = parquet(tmp_path / "answers.parquet", id=["1", "2", "3", "4"], response=texts, gold=golds)
    assert [one.outcome for one in score(path)] == ["correct"] * 4


@pytest.mark.parametrize("name", [" gold", "gold ", "\ufeffgold"])
def test_a_column_named_with_what_is_not_seen_is_named(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "answers.csv", f"id,response,{name}\n1,7,7\n")
    refused(path, "line 1: column 3 is named", "invisible")


def test_parquet_with_odd_types(tmp_path: Path, load: Load) -> None:
    import pyarrow

    path = tmp_path / "de.parquet"
    for kind, values, message in (
        ("answer", [[7]], "'answer' is of type list"),
        ("answer", [{"value": 7}], "'answer' is of type dict"),
        ("answer", [b"7"], "'answer' is of type bytes"),
        ("answer", [float("nan")], "'answer' is 'nan'; it must be a number"),
        ("answer", [True], "'answer' is of type bool"),
        ("question", [b"Wie viele?"], "'question' is of type bytes"),
        ("id", [1.0], "'id' is of type float"),
        ("id", [None], "'id' is null"),
    ):
        columns = {"question": ["Wie viele?"], "answer": [7], "id": ["1"], kind: values}
        refused(parquet(path, **columns), f"{path} row 1: {message}", load=load)
    stamps = pyarrow.array([2**62], pyarrow.timestamp("ns"))
    refused(parquet(path, question=["Wie?"], answer=[7], id=stamps), f"{path} ", "row ", load=load)
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["question", "question"])
    pyarrow.parquet.write_table(table, path)
    refused(path, f"{path} names a column twice: question, question", load=load)


def test_a_name_of_a_column_cannot_steer_the_terminal(tmp_path: Path, load: Load) -> None:
    path = written(tmp_path / "de.jsonl", jsonl({"question": "Wie?", "answer": 7, "\x1b]52;c;aGk=\x07": 1}))
    refused(path, "unknown column '\\x1b]52;c;aGk=\\x07'", load=load)
