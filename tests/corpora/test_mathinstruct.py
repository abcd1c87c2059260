"""MathInstruct in its own layout, counted by source, with licences."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from qalign import pipeline
from qalign.corpora import CORPORA
from qalign.corpora.table import RECALLED, SOURCES, by_source
from qalign.languages import LANGUAGES
from qalign.placement import Placement
from qalign.records import Example, read_jsonl
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.artifacts import EXAMPLES
from qalign.systems.checks import check
from qalign.systems.settings import parse_settings
from qalign.systems.table import build

ROWS = [
    ("data/CoT/gsm_train.json", "Ann has 3 eggs and buys 4. How many?", "3 + 4 = 7. The answer is 7"),
    ("data/CoT/math50k_camel.json", "What is 2 + 2?", "The answer is 4"),
    ("data/PoT/gsm_gpt4.json", "Ann has 3 eggs. Let's write a program.", "eggs = 3\nprint(eggs)"),
    ("data/PoT/gsm_gpt4.json", "Ben has 5 eggs. Let's write a Python program.", "print(5)"),
]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a clone of the dataset: one file of JSON, a list of rows."""
    folder = tmp_path / "TIGER-Lab" / "MathInstruct"
    folder.mkdir(parents=True)
    rows = [{"source": source, "output": answer, "instruction": question} for source, question, answer in ROWS]
    (folder / "MathInstruct.json").write_text(json.dumps(rows))
    monkeypatch.setitem(CORPORA, "mathinstruct", dataclasses.replace(CORPORA["mathinstruct"], published={"en": 4}))
    return tmp_path


def test_check_counts_by_source_and_shows_licences(clone: Path, tmp_path: Path) -> None:
    whole, parts = check("mathinstruct", "english", (), clone, tmp_path / "runs", LANGUAGES, drop_invalid=False)
    assert [list(map(str, row)) for row in whole.rows] == [["en", "4", "4"], ["all", "4", "4"]]
    found = {str(row[0]): [str(cell) for cell in row[1:]] for row in parts.rows}
    assert next(iter(found)) == "data/PoT/gsm_gpt4.json" and found["data/PoT/gsm_gpt4.json"][0] == "2"
    assert found["data/CoT/math50k_camel.json"] == ["1", "49,484", "CC BY-NC 4.0: not for commercial use", "read"]
    assert found["data/CoT/gsm_train.json"][-1] == RECALLED


def test_the_sources_are_those_of_the_publication() -> None:
    assert len(SOURCES) == 14
    assert sum("/CoT/" in name for name in SOURCES) == 8
    assert CORPORA["mathinstruct"].published == {"en": 262_039}


def test_sources_that_nobody_knows_are_counted_too() -> None:
    assert by_source(["own: forum", "own: forum", "own: book", "own"], "own") == [
        ["forum", "2", "-", "-", "-"],
        ["book", "1", "-", "-", "-"],
    ]


def test_a_plan_shows_the_published_count(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the published rows as they are
    study = Study(base_name="tiny", scale=SCALES["paper"], runs=tmp_path / "runs", data=clone)
    assert "262,039" in study.corpus("english", study.scale.programs).size(tmp_path / "runs")


def test_the_published_scale_trains_on_both_kinds_of_rows(clone: Path, tmp_path: Path) -> None:
    """Steps are few. The prompts are the study's, and an asked program is among them."""
    settings = parse_settings(["training.max_steps=5", "training.global_batch_size=2"], SYSTEMS)
    study = Study(base_name="world", scale=SCALES["paper"], runs=tmp_path / "runs", data=clone, settings=settings)
    model = build(study, "mammoth")
    pipeline.run([model], study.runs, Placement(device="cpu", trackers=(), quiet=True))
    trained = model.result(study.runs)
    assert trained is not None and trained.summary().steps == 5
    examples = read_jsonl(model.inputs["examples"].folder(study.runs) / EXAMPLES, Example)
    assert {(one.instruction, one.response) for one in examples} == {row[1:] for row in ROWS}
