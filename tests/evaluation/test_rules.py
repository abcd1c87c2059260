"""A further answer rule is one function and one row: it stands in judgements, scores, tables, page and results.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qalign
from own_data import OwnData, texts
from qalign.cli import app
from qalign.evaluation.extraction import RULES, Rule
from qalign.languages import Language
from qalign.records import Finish, Reading

QUIET = qalign.Placement(device="cpu", quiet=True)


def shout(text: str, gold: str, language: Language, finish: Finish) -> Reading:
    """Right is what ends in an exclamation mark."""
    return Reading(text[-1:] or None, text[-1:], len(text) - 1, len(text), "mark", text.endswith("!"))


@pytest.fixture
def measured(own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> qalign.Results:
    """A scripted model, measured before a rule was added and again with it."""
    model = tmp_path / "script"
    model.mkdir()
    answers = {texts("de", n)["question"]: texts("de", n)["answer"] + "!" * (n < 3) for n in range(6)}
    (model / "script.json").write_text(json.dumps({"answers": answers}), encoding="utf-8")
    study = qalign.study(
        scale="sample", test=str(own_data.test), test_languages=["de"], runs=tmp_path / "runs",
        settings=["generation.backend=scripted"],
    )  # fmt: skip
    before = qalign.evaluate(str(model), study, names=["mine"], placement=QUIET)
    assert [*before.scores["mine"]["test"]["de"].accuracy] == ["strict", "paper"]
    row = Rule(title="shouted rule", description="An exclamation mark at the end.", read=shout)
    monkeypatch.setitem(RULES, "shout", row)
    return qalign.evaluate(str(model), study, names=["mine"], placement=QUIET)


def test_a_further_rule_stands_everywhere(measured: qalign.Results, tmp_path: Path) -> None:
    found = measured.scores["mine"]["test"]["de"]
    assert found.accuracy == {"strict": 100.0, "paper": 100.0, "shout": 50.0}
    assert found.correct == 6, "the main rule decides"
    page, *_ = measured.write(tmp_path / "out")
    table = measured.tables()[0]
    assert dict(zip(table.columns, table.rows[0], strict=True))["shouted rule"] == "50.0"
    assert "Shouted rule: an exclamation mark at the end." in table.note
    for name in ("results.md", "results.csv", "results.tex", "index.html"):
        assert "shouted rule" in (tmp_path / "out" / name).read_text(encoding="utf-8").lower(), name
    assert '"rules":["paper rule","shouted rule"]' in page.read_text(encoding="utf-8")
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written["rules"]["shout"]["title"] == "shouted rule"
    assert written["systems"]["mine"]["test"]["de"]["standard_error"]["shout"] > 0
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "out"), "--format", "csv"])
    assert "shouted rule" in shown.output


def test_results_with_a_rule_and_without_stand_in_one_table(measured: qalign.Results, tmp_path: Path) -> None:
    measured.write(tmp_path / "with")
    found = json.loads((tmp_path / "with" / "results.json").read_text(encoding="utf-8"))
    del found["rules"]["shout"]
    for score in found["systems"]["mine"]["test"].values():
        del score["accuracy"]["shout"], score["standard_error"]["shout"]
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "results.json").write_text(json.dumps(found), encoding="utf-8")
    both = qalign.load_results([tmp_path / "with", tmp_path / "without"])
    columns = both.tables()[0].columns
    assert [row[columns.index("shouted rule")] for row in both.tables()[0].rows] == ["50.0", "-"]
    assert [path for path in both.write(tmp_path / "both") if path.name == "index.html"]


def test_score_shows_each_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Rule(title="shouted rule", description="An exclamation mark at the end.", read=shout)
    monkeypatch.setitem(RULES, "shout", row)
    file = tmp_path / "answers.csv"
    file.write_text("id,language,gold,response\n1,sw,7,Jibu ni 7!\n2,sw,12,Jibu ni 11.\n", encoding="utf-8")
    table = qalign.score(file).table()
    assert dict(zip(table.columns, table.rows[0], strict=True))["shout ± s.e."].startswith("50.0")
