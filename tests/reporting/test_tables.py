"""Tables say the same thing in four forms, and what a model wrote can do no harm in any."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from qalign.errors import DataError
from qalign.reporting.results import load, results, tables, write
from qalign.reporting.tables import Table

HOSTILE = "a|b & 50% \\x_{1} <script>*#$~^`[x](y)\n\x1b[31mred"


def score(strict: float, **changes: float) -> dict[str, float]:
    row = {"n": 4, "paper": 25.0, "strict": strict, "correct": 1, "wrong": 2, "unanswered": 1, "cut_off": 0}
    return {**row, "standard_error": 1.25, "standard_error_paper": 2.0, **changes}


@pytest.fixture
def found() -> dict[str, object]:
    stage = {
        "stage": "response-alignment", "folder": "train-response-alignment-0", "examples": 1000, "tokens": 20000,
        "supervised_tokens": 5000, "steps": 8, "first_loss": 5.0, "last_loss": 2.5, "too_long": {"cut": {"bn": 3, "th": 1}},
        "mixture": [{"source": "gsm8k", "language": "en", "examples": 1000, "tokens": 20000, "supervised_tokens": 5000}],
    }  # fmt: skip
    scores = {
        "sft": {
            "mgsm": {"bn": score(10.0), "en": score(40.0), "average": score(25.0, n=8), "non_english": score(10.0)}
        },
        "mine": {"mgsm": {"bn": score(0.0), "average": score(0.0), "non_english": score(0.0)}},
    }
    published = {"sft": {"mgsm": {"7B": 22.6, "13B": 29.7}}}
    adopted = {"stage": "response-alignment", "folder": "x", "adopted_from": "elsewhere"}
    return results({"base": "tiny", "seed": 1}, scores, {"sft": [stage], "mine": [adopted]}, published)


def test_results_stand_beside_the_published_ones(found: dict[str, object]) -> None:
    made = tables(found, {"mgsm": "mGSM"})[0]
    assert {row[1] for row in made.rows} == {"mGSM"}
    rows = {row[0]: dict(zip(made.columns, row, strict=True)) for row in made.rows}
    assert rows["sft"]["bn"] == "10.0"
    assert rows["sft"]["average ± s.e."] == "25.0 ± 1.2"
    assert rows["sft"]["published 7B"] == "22.6"
    assert rows["mine"]["en"] == "-", "a language that was not measured is no zero"
    assert rows["mine"]["published 13B"] == "-"


def test_the_training_table_names_what_was_cut_and_what_was_adopted(found: dict[str, object]) -> None:
    training = tables(found, {})[1]
    assert training.rows[0] == ["sft: response-alignment", "1,000", "20,000", "5,000", "8", "5.000 -> 2.500", "4 cut"]
    assert training.rows[1][0] == "mine: response-alignment (adopted)"
    assert all(len(row) == len(training.columns) for row in training.rows)


def test_results_are_written_and_read_again(found: dict[str, object], tmp_path: Path) -> None:
    files = write(found, tables(found, {}), tmp_path / "out")
    assert {path.name for path in files} == {"results.json", "results.md", "results.tex", "results.csv"}
    assert load(tmp_path / "out" / "results.json") == json.loads(json.dumps(found))
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "qalign-results", "version": 99}'])
def test_another_file_is_no_results(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        load(path)


def test_csv_holds_every_cell_as_it_is() -> None:
    table = Table("t", ["system", "x"], [[HOSTILE, "1"]])
    assert list(csv.reader(io.StringIO(table.csv()))) == [["system", "x"], [HOSTILE, "1"]]


def test_markdown_keeps_its_columns_whatever_is_in_a_cell() -> None:
    lines = Table(HOSTILE, ["system", "x"], [[HOSTILE, "1"]]).markdown().splitlines()
    row = lines[-2] if not lines[-1] else lines[-1]
    assert row.replace(r"\|", "").count("|") == 3
    assert "<script>" not in row.replace(r"\<", "")


def test_latex_escapes_what_latex_reads() -> None:
    row = Table("t", ["system", "x"], [[HOSTILE, "1"]]).latex().splitlines()[5]
    assert row.replace(r"\&", "").count("&") == 1, "only the one between the cells"
    assert r"50\% \textbackslash{}x\_\{1\}" in row
    assert "\n" not in row


def test_the_terminal_gets_no_control_characters() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(Table(HOSTILE, ["system"], [[HOSTILE]]).rich())
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]
