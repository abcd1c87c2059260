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
    assert "A subset is scored: 3 of 6 in de." in said


def test_ids_that_do_not_match_are_an_error_that_says_what_would(place: Path) -> None:
    rows = [answer(n, id=str(n), question=texts("de", n)["question"]) for n in range(PROBLEMS)]
    status, said = score(rows, *OWN)
    assert status == 2
    assert "no id of answers.jsonl is that of a problem; --join order would match 6 of 6 rows, --join question" in said
    for join in ("order", "question"):
        status, said = score(rows, *OWN, "--join", join)
        assert status == 0, said
        assert " de 6 100.0 " in said
        assert "subset" not in said


def test_rows_without_a_problem_are_counted_where_that_was_asked_for() -> None:
    rows = [answer(n, id=f"p{n}") for n in range(PROBLEMS)] + [answer(0, id="other")]
    status, said = score(rows, *OWN)
    assert status == 2
    assert "line 7: no problem other in de of the benchmark; 1 of 7 rows have none" in said
    status, said = score(rows, *OWN, "--join", "id")
    assert status == 0, said
    assert " de 6 100.0 " in said
    assert "Left out, without a problem by id: 1 row, the first answers.jsonl line 7." in said


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
    assert status == 2 and "no 'question'" in said


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
    assert "no 'language'" in said
    status, said = score([{"response": "5", "id": "1"}], *OWN, "--language", "de")
    assert status == 2 and "--join order would match 1 of 1 rows" in said
    rows = [answer(0, question="Other?")]
    status, said = score(rows, *OWN, "--join", "question")
    assert status == 2 and "no row of answers.jsonl belongs to a problem by question; --join order would match" in said
