"""Tables say the same thing in four forms, and what a model wrote can do no harm in any."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert
from rich.console import Console
from typed import content_of, plain_results, results_of, tables

from qalign.errors import DataError
from qalign.results.accuracy_tables import score_table
from qalign.results.run_results import load
from qalign.results.schema import Scores
from qalign.results.tables import Table
from qalign.results.titles import Titles
from qalign.untrusted import printable

HOSTILE = "a|b & 50% \\x_{1} <script>*#$~^`[x](y)\n\x1b[31mred"


def score(strict: float, **changes: int) -> dict[str, float]:
    n = changes.get("n", 40)
    correct = round(strict * n / 100)
    counts = {"correct": correct, "wrong": n - correct - 1, "unanswered": 1, "cut_off": 0}
    return {
        "n": n,
        "accuracy": {"strict": strict, "paper": 25.0},
        **counts,
        "standard_error": {"strict": 1.25, "paper": 2.0},
    }


@pytest.fixture
def found() -> dict[str, object]:
    stage = {
        "stage": "response-alignment", "folder": "train-response-alignment-0", "examples": 1000, "tokens": 20000,
        "supervised_tokens": 5000, "steps": 8, "first_loss": 5.0, "last_loss": 2.5, "too_long": {"cut": {"bn": 3, "th": 1}},
        "mixture": [{"source": "gsm8k", "language": "en", "examples": 1000, "tokens": 20000, "supervised_tokens": 5000}],
    }  # fmt: skip
    scores = {
        "sft": {
            "mgsm": {"bn": score(10.0), "en": score(40.0), "average": score(25.0, n=80), "non_english": score(10.0)}
        },
        "mine": {"mgsm": {"bn": score(0.0), "average": score(0.0), "non_english": score(0.0)}},
    }
    published = {"sft": {"mgsm": {"7B": 22.6, "13B": 29.7}}}
    adopted = {"stage": "response-alignment", "folder": "x", "adopted_from": "elsewhere"}
    return plain_results({"base": "tiny", "seed": 1}, scores, {"sft": [stage], "mine": [adopted]}, published)


def test_results_stand_beside_the_published_ones(found: dict[str, object]) -> None:
    made = tables(found, Titles(benchmarks={"mgsm": "mGSM"}))[0]
    assert {row[1] for row in made.rows} == {"mGSM"}
    rows = {row[0]: dict(zip(made.columns, row, strict=True)) for row in made.rows}
    assert rows["sft"]["bn"] == "10.0"
    assert rows["sft"]["average ± s.e."] == "25.0 ± 1.2"
    assert rows["sft"]["published 7B"] == "22.6"
    assert rows["mine"]["en"] == "-", "a language that was not measured is no zero"
    assert rows["mine"]["published 13B"] == "-"


def test_the_training_table_names_what_was_cut_and_what_was_adopted(found: dict[str, object]) -> None:
    training = tables(found, Titles())[1]
    assert training.rows[0] == [
        "sft: response-alignment",
        "1,000",
        "20,000",
        "5,000",
        "8",
        "5.000 -> 2.500",
        "4 truncated",
    ]
    assert training.rows[1][0] == "mine: response-alignment (adopted)"
    assert all(len(row) == len(training.columns) for row in training.rows)


def test_results_are_written_and_read_again(found: dict[str, object], tmp_path: Path) -> None:
    files = results_of(found).write(tmp_path / "out")
    texts = {"results.json", "results.md", "results.tex", "results.csv"}
    assert {path.name for path in files} == {"index.html", "figures", *texts}
    assert load(tmp_path / "out" / "results.json") == content_of(found)
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written["trained_on"] == found["trained_on"] and not {"seeds", "claims", "made"} & set(written)
    assert not list(tmp_path.rglob("*.tmp"))


def agreement(agree: float, error: float = 1.5) -> dict[str, float | None]:
    return {"n": 4, "agree": agree, "correct": 10.0, "agree_given_english_right": None, "standard_error": error}


def difference(
    group: str, points: float, p: float, only: tuple[int | None, int | None] = (None, None)
) -> dict[str, object]:
    row = {
        "benchmark": "mgsm",
        "a": "sft",
        "b": "mine",
        "group": group,
        "n": 4,
        "difference": points,
        "standard_error": 2.0,
    }
    tested = {"low": points - 4, "high": points + 4, "p": p / 3, "p_adjusted": p, "only_a": only[0], "only_b": only[1]}
    return {**row, **tested}


@pytest.fixture
def compared(found: dict[str, object]) -> dict[str, object]:
    """The same with the statistics of one run."""
    whole = {
        "with_english": {"vi": agreement(20.0), "bn": agreement(40.0)}, "mean_with_english": agreement(30.0, 2.25),
        "languages": ["en", "vi", "bn"], "matrix": [], "matrix_correct": [],
    }  # fmt: skip
    alone = {**whole, "with_english": {}, "mean_with_english": None, "languages": ["bn"]}
    rows = [
        difference("average", 11.0, 0.01),
        difference("non_english", -12.345, 0.0004),
        difference("en", 0.0, 1.0, (1, 1)),
        difference("bn", 14.0, 0.01, (2, 0)),
    ]
    return {**found, "consistency": {"sft": {"mgsm": whole}, "mine": {"mgsm": alone}}, "comparisons": rows, "notes": []}


TITLES = Titles({"sft": "SFT"}, {"mgsm": "mGSM"})


def table_named(found: dict[str, object], title: str) -> Table:
    (made,) = [table for table in tables(found, TITLES) if table.title == title]
    return made


def test_differences_over_the_other_languages_and_in_english(compared: dict[str, object]) -> None:
    made = table_named(compared, "Differences between systems")
    assert made.rows == [
        ["SFT - mine", "mGSM", "non-English", "-12.3", "-16.3 to -8.3", "< 0.001"],
        ["SFT - mine", "mGSM", "English", "+0.0", "-4.0 to 4.0", "1.000"],
    ]
    assert "in English alone by McNemar's exact test" in made.note
    over_seeds = {**compared, "comparisons": [difference("en", 1.0, 0.5)], "seeds": {"1": {}, "2": {}}}
    assert "McNemar" not in table_named(over_seeds, "Differences between systems").note


def test_agreement_with_english_by_language(compared: dict[str, object]) -> None:
    made = table_named(compared, "Consistency with English")
    assert made.columns == ["system", "benchmark", "bn", "vi", "mean ± s.e."], "the study's languages first"
    assert made.rows == [["SFT", "mGSM", "40.0", "20.0", "30.0 ± 2.2"]], "none for a system without English"


CLAIM = {"claim": "a is above b (mGSM)", "benchmark": "mgsm", "verdict": "not decided", "evidence": "e", "tests": []}


def test_claims_with_verdict_and_evidence(compared: dict[str, object]) -> None:
    evidence = "+1.0 (-1.0 to 3.0, p = 0.200; by seed +2.0, +0.0)"
    claim = {**CLAIM, "evidence": evidence}
    made = table_named({**compared, "claims": [claim]}, "The claims of the study, here")
    assert made.rows == [[claim["claim"], "not decided", evidence]]
    assert made.columns == ["claim", "verdict", "evidence"]


def test_what_the_study_does_not_claim_stands_in_a_table_of_its_own(compared: dict[str, object]) -> None:
    ours = {**CLAIM, "claim": "c is above d (mGSM)", "ours": True}
    found = {**compared, "claims": [ours, CLAIM]}
    assert table_named(found, "The claims of the study, here").rows == [[CLAIM["claim"], "not decided", "e"]]
    assert table_named(found, "Tested too, and no claim of the study").rows == [[ours["claim"], "not decided", "e"]]
    titles = [table.title for table in tables({**compared, "claims": [ours]}, TITLES)]
    assert "The claims of the study, here" not in titles


def test_tables_follow_each_other_and_are_left_out_where_there_is_nothing(compared: dict[str, object]) -> None:
    titles = [table.title for table in tables({**compared, "claims": [{**CLAIM, "claim": "c"}]}, TITLES)]
    assert titles[:4] == [
        "Results", "Differences between systems", "Consistency with English", "The claims of the study, here",
    ]  # fmt: skip
    bare = {**compared, "claims": [], "comparisons": [], "consistency": {}}
    assert [table.title for table in tables(bare, TITLES)][1] == "What the systems were trained on"
    for form in ("markdown", "latex", "csv"):
        for table in tables(compared, TITLES):
            assert getattr(table, form)().strip()


def test_problems_are_counted_once_whatever_the_number_of_seeds(found: dict[str, object]) -> None:
    assert "40 problems a language" in tables(found, Titles())[0].note
    assert "20 problems a language" in tables({**found, "seeds": {"1": {}, "2": {}}}, Titles())[0].note


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "qalign-results", "version": 99}'])
def test_another_file_is_no_results(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        load(path)


def test_csv_holds_every_cell_as_it_is() -> None:
    table = Table("t", ["system", "x"], [[HOSTILE, "1"]])
    assert list(csv.reader(io.StringIO(table.csv()))) == [["system", "x"], [printable(HOSTILE), "1"]]


@pytest.mark.parametrize(
    "text", ["-3.1", "+2.0", "-", "-1,200", "12.5 ± 1.2", "-3.1 to 4.0", "-2.5 to -0.1", "5.0 -> -2.5", "a-b", "1=1"]
)
def test_figures_stay_figures_in_csv(text: str) -> None:
    assert list(csv.reader(io.StringIO(Table("t", ["x"], [[text]]).csv()))) == [["x"], [text]]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "'=1", '"=1', "\u201c=1", "\uff1d1", "\uff0b1",
        "\uff0d1", "\uff201",
        "-3.1;=1", "a;=1", "a; +cmd", "a|@x", "-1 +cmd|' /C calc'!A0", "--1", "+", "-x", "-3.1\n",
        "-1 to =1", "+2.0=1", "\u00a0=1",
    ],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    made = Table("t", ["x", text], [["a", text]]).csv()
    (_, head), (_, cell) = csv.reader(io.StringIO(made))
    for part in (*re.split("[;|]", head), *re.split("[;|]", cell)):
        assert not re.match(r"[\s\"\u201c]*[=+@\uff1d\uff0b\uff0d\uff20-]", part), cell
        assert "'" in part[:1] or not re.match(r"[\s'\"\u201c]*[=+@\uff1d\uff0b\uff0d\uff20-]", part), cell


STEERS = "\x1b]52;c;eA==\x07 \x9b31m \u202egnp \udcff"


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_no_form_of_a_table_steers_what_shows_it(form: str) -> None:
    made = getattr(Table(STEERS, [STEERS], [[STEERS]], STEERS), form)()
    assert printable(made.replace("\n", "")) == made.replace("\n", "")
    made.encode("utf-8")


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
    console.print(Table(HOSTILE, ["system"], [[HOSTILE]]))
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_nothing_is_0_plus_or_minus_0(found: dict[str, Any]) -> None:
    nothing = {**score(0.0, n=10), "correct": 0, "wrong": 9, "standard_error": {"strict": 0.0, "paper": 0.0}}
    bare = {"bn": nothing, "average": nothing, "non_english": nothing}
    made = tables({**found, "systems": {"mine": {"own": bare}}}, Titles())[0]
    row = dict(zip(made.columns, made.rows[0], strict=True))
    assert row["bn ± s.e."] == "0.0 (0.0 to 27.8)", "of one language there are no means"
    assert not {"bn", "average ± s.e.", "non-English"} & set(made.columns)
    assert made.narrow[0].columns == ["system", "benchmark", "bn ± s.e."]
    two = tables({**found, "systems": {"mine": {"own": {**bare, "sw": nothing}}}}, Titles())[0]
    assert "average ± s.e." in two.columns and "non-English" not in two.columns, "without English they are the same"
    assert two.narrow[0].columns == ["system", "benchmark", "average ± s.e."]
    assert "brackets hold a 95% interval" in made.note
    assert "50% in one language has the 95% interval 24 to 76" in made.note
    scored = score_table("t", convert(bare, Scores))
    assert [dict(zip(scored.columns, row, strict=True))["95% interval"] for row in scored.rows] == ["0.0 to 27.8"]
    assert [
        row[0] for row in score_table("t", convert({"bn": nothing, "sw": nothing, "average": nothing}, Scores)).rows
    ] == [
        "bn",
        "sw",
        "average",
    ]
    every = dict.fromkeys(("bn", "sw", "en", "average", "non_english"), nothing)
    assert [row[0] for row in score_table("t", convert(every, Scores)).rows] == [
        "bn",
        "sw",
        "en",
        "average",
        "non-english",
    ]


def test_systems_that_never_differ_have_an_interval_and_no_p(compared: dict[str, Any]) -> None:
    same = {**difference("non_english", 0.0, 1.0), "n": 10, "low": 0.0, "high": 0.0}
    always = {**difference("en", 100.0, 0.002, (10, 0)), "n": 10, "low": 100.0, "high": 100.0}
    made = table_named({**compared, "comparisons": [same, always]}, "Differences between systems")
    assert [row[3:] for row in made.rows] == [["+0.0", "-27.8 to 27.8", "-"], ["+100.0", "44.5 to 100.0", "0.002"]]
    assert "there is no p" in made.note
