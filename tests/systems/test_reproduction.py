"""`qalign reproduce`, small and whole: two seeds, shared stages once, means over the seeds, and what a second call does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from own_data import OwnData
from qalign.cli import app
from qalign.evaluation.consistency import consistency
from qalign.evaluation.scores import AVERAGE, NON_ENGLISH, score
from qalign.records import Judgement, Reading
from qalign.results.run_results import Results, load
from qalign.results.schema import Content, parse, plain
from qalign.results.titles import Titles
from qalign.systems import SCALES, Study, evaluated
from qalign.systems.comparison import collect, compare
from qalign.systems.evaluated import Evaluated, rounded_scores, statistics
from qalign.systems.settings import parse_settings

TINY = ("vocabulary=400", "hidden_size=16", "layers=1", "heads=2", "intermediate_size=32")
SMALL = (*(f"tiny.{text}" for text in TINY), "training.max_steps=2", "data.problems_per_language=4",
         "data.examples_per_language=4", "data.english_examples=5", "generation.max_new_tokens=4")  # fmt: skip
SEEDS = ("1", "2")
SYSTEMS = ("monoreason", "qalign-mono")


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    def started(self) -> list[str]:
        """The stages that it started, with their hashes."""
        return [line.split(" start: ")[1].split()[0] for line in self.err.splitlines() if " start: " in line]


def reproduce(data: OwnData, runs: Path, *words: str, seeds: str = ",".join(SEEDS)) -> Answer:
    given = [
        *("reproduce", "--base", "tiny", "--scale", "toy", "--seeds", seeds, "--jobs", "1", "--device", "cpu"),
        *("--tracker", "none", "--languages", "de,sw", "--test-languages", "de,en,sw", "--runs", str(runs)),
        *data.options("questions", "english", "test"),
        *(word for system in SYSTEMS for word in ("--system", system)),
        *(word for setting in SMALL for word in ("--set", setting)),
        *words,
    ]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    return Answer(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Reproduced:
    """A finished reproduction. Not to be written to."""

    runs: Path
    answer: Answer
    found: dict[str, Any]


@pytest.fixture(scope="module")
def reproduced(own_data: OwnData, tmp_path_factory: pytest.TempPathFactory) -> Reproduced:
    runs = tmp_path_factory.mktemp("reproduced") / "runs"
    answer = reproduce(own_data, runs)
    assert answer.status == 0, answer.err
    (path,) = runs.glob("results/*/results.json")
    return Reproduced(runs, answer, json.loads(path.read_text(encoding="utf-8")))


def test_the_results_hold_both_seeds_and_what_was_found(reproduced: Reproduced) -> None:
    found = reproduced.found
    assert found["run"]["seed"] == "1, 2"
    assert list(found["systems"]) == list(SYSTEMS)
    assert list(found["seeds"]) == list(SEEDS)
    for seed in found["seeds"].values():
        assert list(seed) == list(SYSTEMS)
        assert all(set(rows["test"]) == {AVERAGE, "en", NON_ENGLISH} for rows in seed.values())
    assert [row["claim"].partition(" ")[0] for row in found["claims"]] == ["QAlign", "QAlign", "QAlign's"]
    assert all(set(test["by_seed"]) == set(SEEDS) for row in found["claims"] for test in row["tests"])
    assert set(found["consistency"]) == set(SYSTEMS)
    assert found["consistency"]["qalign-mono"]["test"]["languages"] == ["de", "en", "sw"]
    assert {(row["benchmark"], row["group"]) for row in found["comparisons"]} == {
        ("test", group) for group in (AVERAGE, NON_ENGLISH, "de", "en", "sw")
    }
    assert found["notes"] == []
    assert found["findings"][0].startswith("Of 3 claims of the study tested here: ")
    assert found["findings"][1].startswith("test, 2 languages other than English: QAlign (monolingual) solves ")
    for finding in found["findings"]:
        assert "-0.0" not in finding
    for finding in found["findings"][:2]:
        assert finding in " ".join(reproduced.answer.out.split())
    for row in found["systems"]["monoreason"]["test"].values():
        assert row["n"] == row["correct"] + row["wrong"] + row["unanswered"] + row["cut_off"]
    assert found["systems"]["monoreason"]["test"]["de"]["n"] == 2 * 4
    assert found["systems"]["monoreason"]["test"][AVERAGE]["n"] == 2 * 3 * 4


def test_the_tables_are_printed_and_written(reproduced: Reproduced) -> None:
    for title in ("Results", "The claims of the study, here"):
        assert title in reproduced.answer.out
    assert "4 problems a language; base tiny, scale toy, seed 1, 2" in " ".join(reproduced.answer.out.split())
    assert "McNemar" not in reproduced.answer.out, "that test is for one run"
    (folder,) = (reproduced.runs / "results").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "figures", "results.json", "results.md", "results.tex", "results.csv",
    }  # fmt: skip


def test_what_does_not_depend_on_the_seed_runs_once(reproduced: Reproduced) -> None:
    started = reproduced.answer.started()
    assert len(set(started)) == len(started)
    names = Counter(name.rpartition("-")[0] for name in started)
    assert names == {
        "corpus-own-questions": 1,
        "corpus-own-english": 1,
        "corpus-own-test": 1,
        "base-tiny": 2,
        "examples-english": 2,
        "examples-x-en-questions": 2,
        "train-question-alignment": 2,
        "train-response-alignment": 4,
        "generate-own": 4,
        "score-own": 4,
    }


def test_a_second_call_starts_nothing(reproduced: Reproduced, own_data: OwnData, tmp_path: Path) -> None:
    again = reproduce(own_data, reproduced.runs, "--output", str(tmp_path / "again"))
    assert (again.status, again.err) == (0, "")
    assert plain(load(tmp_path / "again" / "results.json")) == reproduced.found


@pytest.mark.parametrize("seeds", ["1,x", ",", "-1", "1.5", str(2**32)])
def test_seeds_that_are_none_are_one_line(own_data: OwnData, tmp_path: Path, seeds: str) -> None:
    answer = reproduce(own_data, tmp_path / "runs", seeds=seeds)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == (
        f"qalign: error: '{seeds}' is not a list of seeds; give whole numbers with commas, such as 101,102,103\n"
    )
    assert not (tmp_path / "runs").exists()


def test_an_unknown_system_is_one_line(own_data: OwnData, tmp_path: Path) -> None:
    answer = reproduce(own_data, tmp_path / "runs", "--system", "qalign-mno")
    assert answer.status == 2
    assert answer.err.startswith("qalign: error: unknown system 'qalign-mno': did you mean 'qalign-mono'?")
    assert answer.err.count("\n") == 1


# --- means, on judgements that are made up ----------------------------------------------------------------------------


def judgement(key: int, language: str, value: str | None) -> Judgement:
    reading = Reading(value, value or "", 0, 0, "last-number" if value else "none", value == "7")
    outcome = "correct" if reading.right else "wrong" if value else "unanswered"
    readings = {"strict": reading, "paper": reading}
    return Judgement(str(key), language, "7", "stop", outcome, readings, answered_in=language)  # type: ignore[arg-type]


def judgements(rows: Mapping[str, Sequence[str | None]]) -> list[Judgement]:
    return [judgement(i, code, value) for code, row in rows.items() for i, value in enumerate(row)]


MADE_UP = {
    "1": {
        "monoreason": judgements({"de": ["7", "8", "8", "8"], "en": ["7", "7", "7", "8"], "sw": ["8"] * 4}),
        "qalign-mono": judgements(
            {"de": ["7", "7", "8", "8"], "en": ["7", "7", "8", None], "sw": ["7", "7", "7", "8"]}
        ),
    },
    "2": {
        "monoreason": judgements({"de": ["7", "7", "7", "8"], "en": ["7"] * 4, "sw": ["7", None, "8", "8"]}),
        "qalign-mono": judgements({"de": ["7"] * 4, "en": ["8", "8", "8", "7"], "sw": ["7", "7", "8", "8"]}),
    },
}


@pytest.fixture
def collected(own_data: OwnData, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The results of the finished reproduction, had its systems answered otherwise."""
    return collected_of(MADE_UP, own_data, reproduced, monkeypatch)


def collected_of(
    answers: Mapping[str, Mapping[str, list[Judgement]]],
    own_data: OwnData,
    reproduced: Reproduced,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    study = study_of(own_data, reproduced.runs)
    asked = iter(answers.values())
    monkeypatch.setattr(evaluated, "judged", lambda systems, runs: {"test": next(asked)})
    return plain_of(collect(study, made(study, 1, 2)))


def made(study: Study, *seeds: int) -> dict[str, list[Evaluated]]:
    """The systems by seed."""
    return {str(seed): compare(replace(study, seed=seed), SYSTEMS) for seed in seeds}


def plain_of(content: Content) -> dict[str, Any]:
    """The content as its file has it."""
    plain_values: dict[str, Any] = json.loads(json.dumps(plain(content), allow_nan=False))
    return plain_values


def study_of(data: OwnData, runs: Path) -> Study:
    from qalign.systems import SYSTEMS as KNOWN

    return Study(
        base_name="tiny", scale=SCALES["toy"], runs=runs, languages=("de", "sw"), test_languages=("de", "en", "sw"),
        questions=str(data.questions), english=str(data.english), tests=(str(data.test),),
        settings=parse_settings(SMALL, KNOWN),
    )  # fmt: skip


def test_scores_are_means_over_the_seeds(collected: dict[str, Any]) -> None:
    for name in SYSTEMS:
        by_seed = {seed: score(run[name]) for seed, run in MADE_UP.items()}
        for group, row in collected["systems"][name]["test"].items():
            for rule in ("strict", "paper"):
                values = [found[group].accuracy[rule] for found in by_seed.values()]
                assert row["accuracy"][rule] == pytest.approx(sum(values) / 2, abs=1e-4)
            assert row["correct"] == sum(found[group].correct for found in by_seed.values())
        for seed, found in by_seed.items():
            told = collected["seeds"][seed][name]["test"]
            assert told == {code: round(found[code].accuracy["strict"], 4) for code in (AVERAGE, "en", NON_ENGLISH)}
    german = collected["systems"]["qalign-mono"]["test"]["de"]
    assert (german["n"], german["accuracy"]["strict"], german["unanswered"]) == (8, 75.0, 0)


def _agreement(judgements: Sequence[Judgement]) -> float:
    """The mean agreement with English, in percent."""
    agreeing = [row.agree for row in consistency(judgements).with_english.values()]
    return sum(agreeing) / len(agreeing)


def test_consistency_and_differences_are_means_over_the_seeds(collected: dict[str, Any]) -> None:
    german = collected["consistency"]["monoreason"]["test"]["with_english"]["de"]
    each = [consistency(run["monoreason"]).with_english["de"].agree for run in MADE_UP.values()]
    assert each == [50.0, 75.0]
    assert german["agree"] == 62.5
    rows = {row["group"]: row for row in collected["comparisons"]}
    assert (rows["en"]["a"], rows["en"]["b"]) == SYSTEMS
    assert rows["en"]["difference"] == ((3 - 2) + (4 - 1)) * 100 / 8
    assert rows[NON_ENGLISH]["difference"] == ((1 - 5) + (4 - 6)) * 100 / 16
    assert rows["en"]["only_a"] is None
    assert rows["en"]["n"] == 4
    assert [row["tests"][0]["by_seed"] for row in collected["claims"]] == [
        {"1": 25.0, "2": 25.0},
        {"1": -25.0, "2": -75.0},
        {seed: _agreement(run["qalign-mono"]) - _agreement(run["monoreason"]) for seed, run in MADE_UP.items()},
    ]
    assert "QAlign (monolingual) solves 68.8% and MonoReason 31.2%, +37.5 points " in collected["findings"][1]
    assert Results(data=parse(collected, ""), titles=Titles()).tables()[0].rows[0][2:5] == ["12.5", "50.0", "87.5"]


def test_one_seed_gives_what_a_run_gives(
    own_data: OwnData, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluated, "judged", lambda systems, runs: {"test": MADE_UP["1"]})
    study = study_of(own_data, reproduced.runs)
    found = collect(study, made(study, 1))
    alone = statistics({"test": MADE_UP["1"]})
    assert (found.consistency, found.comparisons, found.notes) == alone
    assert alone[1][-1].only_a is not None, "of one run, McNemar's test"
    assert found.systems["monoreason"]["test"] == rounded_scores(MADE_UP["1"]["monoreason"])


def test_problems_that_are_not_parallel_leave_a_note_and_their_scores(
    own_data: OwnData, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(run: Mapping[str, list[Judgement]]) -> dict[str, list[Judgement]]:
        return {n: [replace(j, id=f"{j.language}{j.id}") for j in rows] for n, rows in run.items()}

    other = {seed: renamed(run) for seed, run in MADE_UP.items()}
    found = collected_of(other, own_data, reproduced, monkeypatch)
    assert len(found["notes"]) == 1
    assert found["notes"][0].startswith("test: no consistency and no differences, for its problems are not parallel: ")
    assert (found["comparisons"], found["findings"]) == ([], []) and "claims" not in found
    assert found["systems"]["qalign-mono"]["test"]["de"]["accuracy"]["strict"] == 75.0
