"""Results of version 1, which a run of then wrote, are reported, compared and checked as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import qalign
from qalign.errors import DataError
from qalign.results.run_results import load

RUN = Path(__file__).with_name("version_1")
FILE = RUN / "results" / "run" / "results.json"


def changed(tmp_path: Path, *path: str, value: Any = None) -> Path:
    """The file with a value of it changed, or left out."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(found), encoding="utf-8")
    return tmp_path / "results.json"


def test_its_figures_are_reported_as_before(tmp_path: Path) -> None:
    before = json.loads(FILE.read_text(encoding="utf-8"))
    assert before["version"] == 1 and "paper" in before["systems"]["sft"]["world-mgsm"]["de"]
    results = qalign.load_results(FILE)
    for system, benchmarks in before["systems"].items():
        for benchmark, scores in benchmarks.items():
            for code, old in scores.items():
                new = results.scores[system][benchmark][code]
                assert new.accuracy == {"strict": old["strict"], "paper": old["paper"]}
                assert new.standard_error == {"strict": old["standard_error"], "paper": old["standard_error_paper"]}
                assert (new.n, new.correct, new.cut_off) == (old["n"], old["correct"], old["cut_off"])
                assert new.in_another is None
    written = (FILE.with_name("results.md")).read_text(encoding="utf-8")
    for table in results.tables():
        assert table.markdown() in written + "\n", table.title
    assert {path.name for path in results.write(tmp_path)} >= {"index.html", "results.json"}
    assert load(tmp_path / "results.json").version == 2


def test_two_of_them_are_compared_by_their_scores(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(RUN, tmp_path / name)
    both = qalign.load_results([tmp_path / name / "results" / "run" for name in ("a", "b")], ["then", "later"])
    (table,) = both.untested
    assert "judgements.jsonl line 1 is not a valid Judgement" in table.note
    assert all(row[-1] == "+0.0" for row in table.rows if row[0] == "then: SFT - later: SFT")


@pytest.mark.parametrize("name", ["n", "paper", "strict", "standard_error", "standard_error_paper", "correct"])
def test_a_field_that_is_missing_or_of_another_type_is_refused(name: str, tmp_path: Path) -> None:
    place = ("systems", "sft", "world-mgsm", "de", name)
    for value in (None, "many", -1, [1]):
        with pytest.raises(DataError, match=r"is not the results\.json of a run: .*systems"):
            load(changed(tmp_path, *place, value=value))


@pytest.mark.parametrize("value", ["text", 1, [1], {"world-mgsm": 1}, {"world-mgsm": {"de": 1}}])
def test_what_has_not_its_form_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not the results\.json of a run"):
        load(changed(tmp_path, "systems", "sft", value=value))
