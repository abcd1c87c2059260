"""Published figures: as the sources state them, and as rows next to one's own, in every form of the results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_fields

from own_data import OwnData
from qalign.errors import SettingError
from qalign.evaluation.scores import AVERAGE, NON_ENGLISH
from qalign.languages import STUDY as LANGUAGES
from qalign.results import schema
from qalign.systems.comparison import titles
from qalign.systems.running import evaluate
from qalign.systems.side_by_side import load_results
from qalign.systems.study import study
from qalign.systems.table import published_rows


def figures(model: str, benchmark: str) -> dict[str, dict[str, float]]:
    """What is published of a model: source -> language -> accuracy."""
    return {row.source: row.accuracy for row in published_rows([benchmark]) if row.model == model}


def test_averages_are_those_of_their_languages_and_of_the_study() -> None:
    by_language = figures("QAlign (monolingual) 7B", "mgsm")
    assert by_language["arXiv 2405.01345"][AVERAGE] == by_language["arXiv 2401.07817"][AVERAGE] == 49.6
    assert by_language["arXiv 2405.01345"]["bn"] == 32.4 and by_language["arXiv 2405.01345"]["en"] == 68.0
    octopus = figures("MathOctopus (parallel) 7B", "mgsm")
    assert {AVERAGE: 40.0, "en": 52.4, "th": 34.4}.items() <= octopus["README of MathOctopus"].items()
    assert octopus["README of MathOctopus"][NON_ENGLISH] == 38.6
    assert figures("WizardMath 7B", "mgsm")["README of mCoT"][AVERAGE] == 23.0
    assert figures("WizardMath 7B", "msvamp") == {"arXiv 2401.07817": {AVERAGE: 32.5}}  # of itself, not of the stand-in
    assert figures("MAmmoTH 13B", "msvamp") == {"arXiv 2401.07817": {AVERAGE: 38.6}}
    for row in published_rows(["mgsm", "msvamp"]):
        assert row.source and set(row.accuracy) in ({AVERAGE}, {AVERAGE, NON_ENGLISH, *LANGUAGES})
    told = [(row.model, row.benchmark, row.source) for row in published_rows(["mgsm", "msvamp"])]
    assert len(set(told)) == len(told)
    assert published_rows(["world-mgsm"]) == []


def test_a_run_on_other_test_sets_has_none(own_data: OwnData, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="published figures are of mgsm and msvamp"):
        evaluate("world", study(test=str(own_data.test), runs=tmp_path, published=True))


def test_they_stand_marked_next_to_ones_own_in_every_form(tmp_path: Path) -> None:
    own = load_results(Path(__file__).parents[1] / "results" / "version_1" / "results" / "run" / "results.json")
    content = own.data
    renamed = {name: {"mgsm": next(iter(scores.values()))} for name, scores in content.systems.items()}
    content = replace_fields(
        content, systems=renamed, comparisons=[], consistency={}, published={}, published_rows=published_rows(["mgsm"])
    )
    results = replace(own, data=content, titles=titles())
    table = results.tables()[0]
    names = [row[0] for row in table.rows]
    assert names[: len(renamed)] == [titles().system(name) for name in renamed]
    assert "QAlign (monolingual) 7B (published)" in names
    assert all(row[-1] == "this run" for row in table.rows[: len(renamed)])
    marked = next(row for row in table.rows if row[-1] == "arXiv 2405.01345")
    by_column = dict(zip(map(str, table.columns), marked, strict=True))
    assert by_column["source"] == "arXiv 2405.01345" and by_column["non-English"] == "47.6"
    assert {code: by_column[code] for code in ("bn", "en") if code in by_column} == {
        code: text for code, text in {"bn": "32.4", "en": "68.0"}.items() if code in by_column
    }
    for text in (table.markdown(), str(results), table.latex()):
        assert "arXiv 2405.01345" in text and "QAlign (monolingual) 7B (published)" in text
    plain = schema.plain(content)
    assert json.loads(json.dumps(plain))["published_rows"][0]["source"]
    assert schema.parse(plain, "here").published_rows == content.published_rows
    assert "published_rows" not in schema.plain(replace_fields(content, published_rows=[]))
