"""`qalign score`: answers from elsewhere find their problems by id, by order or by the question's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from own_data import texts, write
from qalign.cli import app

PROBLEMS = 6


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an own test set in German and English; in English, the first question stands twice."""
    for code in ("de", "en"):
        rows = [
            {"id": f"p{n}", "question": texts(code, n)["question"], "answer": texts(code, n)["final"]}
            for n in range(PROBLEMS)
        ]
        if code == "en":
            rows[-1]["question"] = rows[0]["question"]
        write(tmp_path / "own" / f"{code}.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def answer(n: int, code: str = "de", right: bool = True, **more: Any) -> dict[str, Any]:
    """A row that answers a problem."""
    return {"language": code, "response": f"Es sind {texts(code, n)['final'] + (not right)}.", **more}


def score(rows: list[dict[str, Any]], *words: str) -> tuple[int, str]:
    """The status, and what was printed with single spaces, or the last line of the error."""
    write(Path("answers.jsonl"), rows)
    result = CliRunner().invoke(app, ["score", "answers.jsonl", *words], catch_exceptions=False)
    said = result.stdout if result.exit_code == 0 else result.stderr.splitlines()[-1]
    return result.exit_code, " ".join(said.split())


OWN = ("--test", "own")


def test_ids_join_in_any_order_and_a_subset_says_its_size() -> None:
    rows = [answer(n, id=f"p{n}") for n in (3, 1)] + [answer(2, right=False, id="p2")]
    status, said = score(rows, *OWN)
    assert status == 0, said
    assert " de 3 66.7 ± " in said
    assert "Joined by id: 3 of 3 rows. A subset is scored: 3 of 6 in de." in said


def test_ids_that_do_not_match_are_an_error_that_says_what_would(place: Path) -> None:
    rows = [answer(n, id=str(n), question=texts("de", n)["question"]) for n in range(PROBLEMS)]
    status, said = score(rows, *OWN)
    assert status == 2
    assert "no id of answers.jsonl is that of a problem; --join order would match 6 of 6 rows, --join question" in said
    for join in ("order", "question"):
        status, said = score(rows, *OWN, "--join", join)
        assert status == 0, said
        assert " de 6 100.0 " in said
        assert f"Joined by {join}: 6 of 6 rows." in said
        assert "subset" not in said


def test_rows_without_a_problem_are_counted_where_that_was_asked_for() -> None:
    rows = [answer(n, id=f"p{n}") for n in range(PROBLEMS)] + [answer(0, id="other")]
    status, said = score(rows, *OWN)
    assert status == 2
    assert "line 7: no problem other in de of the test set; 1 of 7 rows have none" in said
    status, said = score(rows, *OWN, "--join", "id")
    assert status == 0, said
    assert " de 6 100.0 " in said
    assert (
        "Joined by id: 6 of 7 rows. Left out, without a problem by id: 1 row, the first answers.jsonl line 7." in said
    )


def test_the_order_is_that_of_each_language(place: Path) -> None:
    rows = [row for n in range(PROBLEMS) for row in (answer(n), answer(n, "en"))]
    status, said = score(rows, *OWN, "--join", "order")
    assert status == 0, said
    assert " de 6 100.0 " in said and " en 6 100.0 " in said
    status, said = score(rows[:4], *OWN, "--join", "order")
    assert "A subset is scored: the first 2 of 6 in de, 2 of 6 in en." in said
    status, said = score([*rows, answer(0)], *OWN, "--join", "order")
    assert status == 2 and "7 rows in de are more than the 6 problems" in said
    status, said = score([answer(n) for n in (1, 0)], *OWN, "--join", "order")
    assert " de 2 0.0 " in said, "rows in another order are other answers"


def test_a_question_tells_its_problem_and_its_language(place: Path) -> None:
    rows = [{**answer(n), "question": "  " + texts("de", n)["question"].replace(" ", "\n")} for n in (5, 0)]
    for row in rows:
        del row["language"]
    status, said = score(rows, *OWN, "--join", "question")
    assert status == 0, said
    assert " de 2 100.0 " in said
    status, said = score([*rows, rows[0]], *OWN, "--join", "question")
    assert status == 2 and "line 3: the question stands twice, in answers.jsonl line 1 already" in said
    english = [answer(n, "en", question=texts("en", 0)["question"]) for n in (0, 5)]
    status, said = score(english, *OWN, "--join", "question")
    assert " en 2 100.0 " in said, "a question that the test set has twice is answered twice"
    status, said = score([*english, english[0]], *OWN, "--join", "question")
    assert status == 2 and "stands twice" in said
    status, said = score([answer(0)], *OWN, "--join", "question")
    assert status == 2 and "no column 'question' (found: language, response)" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--join", "order"),
            "--join order joins answers with a test set: give --benchmark NAME or --test PATH as well",
        ),
        ((*OWN, "--join", "ids"), "unknown join 'ids': did you mean 'id'?"),
        ((*OWN, "--benchmark", "mgsm"), "--benchmark and --test both name a test set"),
        (("--test", "nowhere"), "there is no test set at 'nowhere'"),
        ((*OWN, "--language", "xx"), "own has no xx; it has de, en"),
    ],
)
def test_what_cannot_be_joined_is_said(words: tuple[str, ...], says: str) -> None:
    status, said = score([answer(0, id="p0")], *words)
    assert status == 2
    assert says in said


def test_no_other_join(place: Path) -> None:
    status, said = score([{"response": "5", "id": "1"}], *OWN)
    assert status == 2
    assert "no column 'language' (found: response, id)" in said
    status, said = score([{"response": "5", "id": "1"}], *OWN, "--language", "de")
    assert status == 2 and "--join order would match 1 of 1 rows" in said
    rows = [answer(0, question="Other?")]
    status, said = score(rows, *OWN, "--join", "question")
    assert status == 2 and "no row of answers.jsonl belongs to a problem by question; --join order would match" in said
    status, said = score([{"response": "5", "gold": "5", "language": "de", "id": ""}, answer(1, id="p1", gold="6")])
    assert status == 2 and "no 'id' in this row; fill it in" in said and "--join" not in said, "nothing to join with"


def of_file(name: str, text: str, *words: str) -> tuple[int, str]:
    """The status, and what was printed with single spaces, of a file of answers."""
    Path(name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["score", name, *words], catch_exceptions=False)
    return result.exit_code, " ".join((result.stdout or result.stderr).split())


def test_answers_without_gold_answers_name_the_way_on() -> None:
    status, said = of_file("a b.csv", "id,language,response\n1,de,Es sind 5.\n")
    assert status == 2
    assert "a b.csv line 1 (the header): no column 'gold' (found: id, language, response); add it, or take" in said
    assert "qalign score 'a b.csv' --test MY-TEST.csv (or --benchmark NAME)" in said
    status, said = of_file("p.csv", "id,language,response,gold\n1,de,5,5\n2,de,5,\n")
    assert status == 2
    assert "p.csv line 3: no 'gold' in this row; fill it in, or take gold answers from a test set" in said


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "id,respnse,gold\n1,5,5\n", "p.csv line 1 (the header): no column 'response' (found: id, respnse, gold); "
         "rename 'respnse' to 'response'"),
        ("p.csv", "ID,response,gold,language\n1,5,5,de\n2,5,5,en\n", "line 1 (the header): no column 'id' (found: ID, "),
        ("p.jsonl", '{"id": 1, "response": "5", "target": 5}\n', "line 1: no column 'gold' (found: id, response, target); "
         "rename 'target' to 'gold', or take"),
        ("p.csv", "id,text,output,gold\n1,a,5,5\n", "p.csv line 1 (the header): text and output may each hold the answer"),
        ("p.csv", "id,response,gold\n1,5,5\n,,\n", "p.csv line 3 is empty: remove the line"),
        ("p.jsonl", '{"id": 1, "response": 5, "gold": 5}\n', "p.jsonl line 1: no text in 'response', which is 5; write it as"),
    ],
)  # fmt: skip
def test_a_column_that_is_missing_is_named_with_the_one_to_rename(name: str, text: str, says: str) -> None:
    language = () if "language" in text else ("--language", "de")
    status, said = of_file(name, text, *language)
    assert status == 2
    assert says in said


def test_columns_of_other_tools_hold_answers_and_ids_are_not_needed_in_one_language() -> None:
    for column in ("prediction", "output", "completion", "text"):
        status, said = of_file("p.csv", f"{column},gold\n5,5\n,5\n", "--language", "de")
        assert status == 0, said
        assert " de 2 50.0 ± " in said and f"Answers were read from the column {column}." in said
        assert said.count(" 50.0 ± ") == 2, "one row, with a figure for each rule"
    assert "Paper rule: the last number" in said
    status, said = of_file("p.csv", "response,gold,prediction\n5,5,7\n", "--language", "de")
    assert status == 0 and " de 1 100.0 " in said and "Columns not used: prediction." in said
    status, said = of_file("p.csv", "response,gold,language\n5,5,de\n5,5,en\n")
    assert status == 2 and "no column 'id'" in said, "ids tell which problems are the same"


def test_a_test_set_may_call_its_numbers_gold() -> None:
    Path("t.csv").write_text("id,question,gold\n1,Wie viele?,5\n2,Wie alt?,7\n")
    words = ("--language", "de", "--test", "t.csv")
    status, said = of_file("p.csv", "id,response\n1,5\n2,5\n", *words)
    assert status == 0, said
    assert " de 2 50.0 ± " in said
    Path("t.csv").write_text("id,question,gold,answer\n1,Wie viele?,5,Es sind 5. #### 5\n")
    status, said = of_file("p.csv", "id,response\n1,5\n", *words)
    assert status == 0 and " de 1 100.0 " in said, "next to it an answer is a worked one"
    Path("t.csv").write_text("id,question,target\n1,Wie viele?,5\n")
    status, said = of_file("p.csv", "id,response\n1,5\n", *words)
    assert status == 2
    assert (
        "t.csv line 1 (the header): no column 'answer' (found: id, question, target); rename 'target' to 'answer'"
        in said
    )


def test_ids_that_belong_to_other_questions_are_said() -> None:
    rows = [answer(n, id=f"p{n - 1}", question=texts("de", n)["question"]) for n in range(1, PROBLEMS)]
    status, said = score(rows, *OWN)
    assert status == 0, said
    assert "In 5 of 5 rows the question is not that of the problem with this id, first in answers.jsonl line 1" in said
    status, said = score([answer(n, id=f"p{n}", question=texts("de", n)["question"]) for n in range(PROBLEMS)], *OWN)
    assert status == 0 and "the question is not" not in said


def test_an_answer_that_a_server_truncated_is_truncated() -> None:
    text = "id,response,gold,finish_reason\n1,Es sind 5,5,length\n2,Es sind 5,5,stop\n3,Es sind 5,5,eos\n"
    status, said = of_file("p.csv", text, "--language", "de")
    assert status == 0, said
    assert said.split("100.0")[0] and " 2 0 0 1 " in said, "two right, one truncated"
    assert "not used" not in said


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("p.tsv", (), "; save it with commas in place of tabs, as .csv"),
        ("p.json", (), "; write one object a line, as .jsonl"),
        ("p.XLSX", (), "; save the sheet as CSV in UTF-8"),
        ("p.csv", ("--benchmark", "p.csv"), "'p.csv' is a path and no benchmark; give a test set of your own with --test p.csv"),
        ("p.csv", ("--test", "p.csv"), "p.csv does not tell its language: name it so (en.csv), add a column 'language', or say "
         "which: --language (score)"),
        ("p.jsonl", ("--language", "de"), "no text in 'response', which is null; write it as a text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_names_the_way_on(name: str, words: tuple[str, ...], says: str) -> None:
    text = '{"id": 1, "response": null, "gold": 5}\n' if name == "p.jsonl" else "id,response,gold\n1,5,5\n"
    status, said = of_file(name, text, *words)
    assert status == 2
    assert says in said


BATCH = {"status_code": 200, "body": {"choices": [{"message": {"role": "assistant", "content": "Es sind 5."}}]}}
TRUNCATED = {"body": {"choices": [{"message": {"content": "Es sind 5"}, "finish_reason": "length"}]}}


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"resps": [["Es sind 5."]], "filtered_resps": ["5"], "doc_id": 0, "doc": {"x": 1}, "target": "5"}, "resps"),
        ({"prompt": "Wie viele?", "predict": "Es sind 5.", "label": "5"}, "predict"),
        ({"id": 7, "model_output": "Es sind 5."}, "model_output"),
        ({"generated_text": "Es sind 5."}, "generated_text"),
        ({"outputs": [{"index": 0, "text": "Es sind 5.", "finish_reason": "stop"}]}, "outputs"),
        ({"id": "batch_req_1", "custom_id": "a", "response": BATCH, "error": None}, "response"),
    ],
)
def test_answers_are_found_where_other_tools_write_them(row: dict[str, Any], column: str) -> None:
    status, said = score([{**row, "gold": 5}], "--language", "de")
    assert status == 0, said
    assert " de 1 100.0 " in said
    assert (f"Answers were read from the column {column}." in said) is (column != "response")


def test_a_batch_is_joined_by_the_ids_of_its_user_and_may_be_truncated() -> None:
    rows = [{"id": f"batch_{n}", "custom_id": f"p{n}", "response": TRUNCATED} for n in range(PROBLEMS)]
    status, said = score(rows, *OWN, "--language", "de")
    assert status == 0, said
    assert "Joined by id: 6 of 6 rows." in said
    assert " de 6 0.0 ± 0.0 0 0 0 6 " in said or " 6 " in said.split("Joined")[0]


def test_several_filters_of_one_answer_count_once() -> None:
    rows = [
        {"doc_id": n, "resps": [["Es sind 5."]], "filtered_resps": ["5"], "filter": name, "gold": 5}
        for n in range(2)
        for name in ("strict-match", "flexible-extract")
    ]
    status, said = score(rows, "--language", "de")
    assert status == 0, said
    assert " de 2 100.0 " in said
    assert "The rows of the filter strict-match were read: those of others hold the same answers." in said


def test_several_answers_in_one_row_are_no_answer() -> None:
    status, said = score([{"id": 1, "resps": [["5", "6"]], "gold": 5}], "--language", "de")
    assert status == 2 and "line 1: 'resps' holds 2 answers; keep one in each row" in said


def test_all_that_a_file_lacks_is_named_at_once() -> None:
    status, said = of_file("p.csv", "index,reply,lang,label\n1,5,de,5\n")
    assert status == 2
    assert "no columns 'response', 'language' and 'gold' (found: index, reply, lang, label); rename 'reply' to" in said
    for words in (
        "'reply' to 'response'",
        "'lang' to 'language'",
        "'label' to 'gold'",
        "--language",
        "--test MY-TEST.csv",
    ):
        assert words in said
    status, said = of_file("p.csv", "nummer,antwort\n1,5\n", *OWN)
    assert status == 2
    assert "no columns 'response', 'id' and 'language' (found: nummer, antwort); rename 'nummer' and 'antwort'" in said
    assert "or join by order or question, with --join" in said
