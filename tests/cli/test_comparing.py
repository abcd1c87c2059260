"""Several models, systems and results in one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from own_data import texts, write
from qalign.cli import app

PROBLEMS = 12


class Answer:
    """What a command printed, and its status."""

    def __init__(self, *words: str | Path) -> None:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        self.status, self.out, self.err = result.exit_code, result.stdout, result.stderr

    @property
    def error(self) -> str:
        """The one line of an error."""
        assert self.status == 2
        return self.err.splitlines()[-1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a test set in German and English, and scripted models that answer right up to a problem."""
    folder = tmp_path_factory.mktemp("compared")
    for code in ("de", "en"):
        rows = [{**texts(code, n), "id": f"p{n}", "answer": texts(code, n)["final"]} for n in range(PROBLEMS)]
        write(
            folder / "own" / f"{code}.jsonl", [{key: row[key] for key in ("id", "question", "answer")} for row in rows]
        )
    for path, right in (("a/final", 12), ("b/final", 4), ("c", 8)):
        answers = {
            texts(code, n)["question"]: f"The answer is {texts(code, n)['final']}."
            for code in ("de", "en")
            for n in range(right)
        }
        (folder / path).mkdir(parents=True)
        (folder / path / "script.json").write_text(json.dumps({"answers": answers, "otherwise": "No idea."}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "200")
        yield folder


def evaluate(*words: str | Path) -> Answer:
    """`qalign eval` with scripted models."""
    return Answer("eval", *words, "--set", "generation.backend=scripted", "--test", "own", "--device", "cpu", "--quiet")


def results(folder: Path) -> dict[str, Any]:
    """The results that a verb wrote."""
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_models_stand_in_one_table_with_tests_of_their_differences(place: Path) -> None:
    answer = evaluate("a/final", "b/final", "c", "--output", "three")
    assert answer.status == 0, answer.err
    found = results(place / "three")
    averages = {name: rows["own"]["average"]["accuracy"]["strict"] for name, rows in found["systems"].items()}
    assert averages == {"a/final": 100.0, "b/final": pytest.approx(33.3333), "c": pytest.approx(66.6667)}
    pairs = {(row["a"], row["b"]): row for row in found["comparisons"] if row["group"] == "average"}
    assert list(pairs) == [("a/final", "b/final"), ("a/final", "c"), ("b/final", "c")]
    assert pairs["a/final", "b/final"]["difference"] == pytest.approx(66.6667)
    assert pairs["a/final", "b/final"]["p_adjusted"] < 0.01
    assert found["run"]["base"] == "a/final, b/final, c"
    for line in ("a/final - b/final", "a/final - c", "b/final - c"):
        assert line in answer.out, "the differences are printed"


def test_long_names_are_short_in_tables_and_full_below(place: Path) -> None:
    models = []
    for name, model in (("06eb40d6", "a/final"), ("95dab294", "b/final")):
        models.append(f"checkpoints-of-an-experiment/train-response-alignment-{name}")
        (place / models[-1]).mkdir(parents=True)
        (place / models[-1] / "script.json").write_bytes((place / model / "script.json").read_bytes())
    answer = evaluate(*models, "--output", "long")
    assert answer.status == 0, answer.err
    assert list(results(place / "long")["systems"]) == [model.partition("/")[2] for model in models]
    for out in (answer.out, Answer("report", "long").out):
        assert out.index("\nResults\n" if out is not answer.out else "Results\n") < out.index(
            "Differences between systems\n"
        )
        assert "06eb40d6 - 95dab294" in out
        said = " ".join(out.split())
        assert f"95dab294 is {models[1].partition('/')[2]}." in said
        assert models[0] in said and models[1] in said, "the whole path stands below"
    for model in models:
        folder = f"alone-{model[-8:]}"
        assert evaluate(place / model, "--output", folder, "--runs", f"runs-{folder}").status == 0
    said = squeezed(Answer("report", "alone-06eb40d6", "alone-95dab294"))
    assert "06eb40d6 - 95dab294 own English +66.7" in said
    said = squeezed(Answer("runs", "--runs", "runs-alone-06eb40d6"))
    assert "train-response-alignment-06eb40d6 paper" in said, "the base by its folder alone"
    assert "95dab294 solves 33.3% and 06eb40d6 100.0%" in " ".join(answer.out.split())


@pytest.mark.parametrize("width", [60, 120])
def test_what_is_printed_fits_the_width_that_is_told(place: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    answer = evaluate("a/final", "b/final", "--output", "fits")
    assert answer.status == 0, answer.err
    assert max(map(len, answer.out.splitlines())) <= width


def test_an_own_test_set_has_one_name_everywhere(place: Path) -> None:
    write(
        place / "exam.jsonl",
        [{"language": "de", "question": texts("de", n)["question"], "answer": n} for n in range(PROBLEMS)],
    )
    words = ("--set", "generation.backend=scripted", "--test", "exam.jsonl", "--limit", "5", "--output", "exams")
    answer = Answer("eval", "c", *words)
    assert answer.status == 0, answer.err
    lines = [line for line in answer.err.splitlines() if ": " in line]
    assert lines and all("exam" in line for line in lines), answer.err
    assert "5 of 12 of exam." in " ".join(answer.out.split())
    assert "own" not in answer.out
    (corpus,) = results(place / "exams")["corpora"]
    assert corpus["name"] == "exam"


def test_names_of_models_are_given_in_order(place: Path) -> None:
    answer = evaluate("a/final", "b/final", "--name", "before", "--name", "after", "--output", "named")
    assert answer.status == 0, answer.err
    assert list(results(place / "named")["systems"]) == ["before", "after"]
    assert "before - after" in answer.out
    assert "'mgsm' is that of a benchmark" in evaluate("a/final", "--name", "mgsm").error
    assert "2 names for 1 model;" in evaluate("a/final", "--name", "x", "--name", "y").error


def squeezed(answer: Answer) -> str:
    """What was printed, with single spaces."""
    assert answer.status == 0, answer.err
    return " ".join(answer.out.split())


def test_a_report_of_several_results_tests_their_differences_as_one_run_would(place: Path) -> None:
    whole = evaluate("a/final", "b/final", "c", "--output", "whole")
    assert whole.status == 0, whole.err
    for model, name in (("a/final", "alone-a"), ("b/final", "alone-b"), ("c", "alone-c")):
        assert evaluate(model, "--output", name, "--runs", f"runs-{name}", "--name", name).status == 0
    said = squeezed(Answer("report", "alone-a", "alone-b/results.json", "alone-c"))
    together = results(place / "whole")["comparisons"]
    for row in together:
        if row["group"] in ("non_english", "en"):
            pair = " - ".join("alone-" + row[side][0] for side in ("a", "b"))
            language = {"non_english": "non-English", "en": "English"}[row["group"]]
            interval = f"{row['difference']:+.1f} {row['low']:.1f} to {row['high']:.1f}"
            assert f"{pair} own {language} {interval}" in said
    assert "not tested" not in said


def test_a_system_of_two_results_has_the_name_of_each(place: Path) -> None:
    for folder, limit in (("x/results/first", "6"), ("y/results/second", "6"), ("y/results/third", "5")):
        model = "b/final" if "first" in folder else "c"
        answer = evaluate(model, "--name", "mine", "--limit", limit, "--output", folder)
        assert answer.status == 0, answer.err
    said = squeezed(Answer("report", "x", "y/results/second"))
    assert "first: mine - second: mine own English -33.3" in said
    said = squeezed(Answer("report", "x", "y/results/second", "--name", "before", "--name", "after"))
    assert "before - after own English -33.3" in said
    said = squeezed(Answer("report", "x", "y/results/third", "--format", "csv"))
    assert "first: mine - third: mine,own,English,-33.3" in said
    said = squeezed(Answer("report", "x", "y/results/third"))
    assert "first: mine answered 12 and third: mine answered 10 problems of own." in said
    assert Answer("report", "own").error.endswith("(`qalign runs --runs own` says where results lie)")
    assert (
        "y holds 2 results; give one or several of them: y/results/second, y/results/third"
        in Answer("report", "y").error
    )
    assert "own holds no results.json" in Answer("report", "own").error
    assert "given twice" in Answer("report", "x", "x/results/first/results.json").error
    assert "more names than results" in Answer("report", "x", "--name", "k", "--name", "l").error


def test_answers_that_are_gone_or_changed_leave_differences_without_tests(place: Path) -> None:
    for model in ("a/final", "b/final"):
        assert evaluate(model, "--output", f"gone-{model[0]}", "--runs", f"gone-{model[0]}-runs").status == 0
    (judged,) = (place / "gone-b-runs").rglob("judgements.jsonl")
    lines = judged.read_text().splitlines(keepends=True)
    judged.write_text("".join(lines[:-1]))
    said = squeezed(Answer("report", "gone-a", "gone-b"))
    assert "are not those of gone-b/results.json" in said
    assert "Differences of scores, not tested" in said
    judged.unlink()
    said = squeezed(Answer("report", "gone-a", "gone-b"))
    assert (
        "the answers of gone-b/results.json are not at" in said
        and " p " not in said.partition("Differences of scores")[2].partition("Results")[0]
    )
    old = results(place / "gone-b")
    del old["judgements"]
    (place / "gone-b" / "results.json").write_text(json.dumps(old))
    assert "does not say where the answers are" in squeezed(Answer("report", "gone-a", "gone-b"))


def test_one_reason_stands_once(place: Path) -> None:
    for folder in ("old-1", "old-2"):
        assert evaluate("a/final", "b/final", "--output", folder).status == 0
        found = results(place / folder)
        del found["judgements"]
        (place / folder / "results.json").write_text(json.dumps(found))
    said = squeezed(Answer("report", "old-1", "old-2"))
    for folder in ("old-1", "old-2"):
        assert said.count(f"{folder}/results.json does not say where the answers are") == 1
    assert "old-1: a/final - old-1: b/final own English +66.7" in said, "what was tested within a result stays"
    assert "old-1: a/final - old-2: b/final own English +66.7" in said


def test_other_test_sets_of_one_name_stand_apart(place: Path) -> None:
    """A part of a test set is the same one; a set with other problems is not, whatever its folder is called."""
    for code in ("de", "en"):
        rows = [
            {"id": f"p{n}", "question": f"What is {n} + {n} + 100? ({code})", "answer": 2 * n + 100} for n in range(9)
        ]
        write(place / "elsewhere" / "own" / f"{code}.jsonl", rows)
    assert evaluate("a/final", "--output", "here").status == 0
    words = ("--set", "generation.backend=scripted", "--test", "elsewhere/own", "--device", "cpu", "--quiet")
    assert Answer("eval", "b/final", *words, "--output", "there").status == 0
    said = squeezed(Answer("report", "here", "there"))
    assert "own of there" in said and "not tested" not in said, said
    rows = Answer("report", "here", "there", "--format", "csv").out.splitlines()
    assert [row.split(",")[1] for row in rows[1:3]] == ["own", "own of there"], rows
    assert evaluate("b/final", "--limit", "5", "--output", "part").status == 0
    said = squeezed(Answer("report", "here", "part"))
    assert "own of" not in said
    assert "here: final answered 24 and part: final answered 10 problems of own." in said, said
