"""What a stage is known by, and what has to be there: the questions where a wrong answer costs days of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from own_data import LANGUAGES as OWN_LANGUAGES
from own_data import OwnData
from qalign import pipeline
from qalign.errors import SettingError, StageError
from qalign.languages import LANGUAGES
from qalign.systems import SCALES, Study
from qalign.systems.bases import training_stages
from qalign.systems.comparison import compare
from qalign.systems.evaluated import scores_of
from qalign.systems.settings import Settings
from steps import Step, Task

TEST_ROWS = [
    {"id": f"{number}", "language": code, "question": f"{code} {number}?", "answer": str(number)}
    for number in range(4)
    for code in ("fr", "de", "en")
]


def study(data: OwnData, runs: Path, **changes: object) -> Study:
    here = Study(
        base_name="tiny", scale=SCALES["sample"], runs=runs, languages=OWN_LANGUAGES,
        questions=str(data.questions), english=str(data.english),
        multilingual=str(data.multilingual), tests=(str(data.test),), settings=Settings(),
    )  # fmt: skip
    return replace(here, **changes)


def names(stages: list[pipeline.Stage]) -> list[str]:
    return [stage.folder_name for stage in stages]


def test_the_order_of_languages_decides_nothing(own_data: OwnData, tmp_path: Path) -> None:
    forth, back = (
        scores_of(compare(study(own_data, tmp_path / name, languages=languages), ["qalign-mono", "multireason"]))
        for name, languages in (("a", OWN_LANGUAGES), ("b", OWN_LANGUAGES[::-1]))
    )
    assert names(pipeline.in_order(forth)) == names(pipeline.in_order(back))
    made = []
    for stages, runs in ((forth, tmp_path / "a"), (back, tmp_path / "b")):
        examples = [stage for stage in pipeline.in_order(stages) if stage.name.startswith("examples-")]
        pipeline.run(examples, runs)
        made.append([(stage.folder(runs) / "examples.jsonl").read_bytes() for stage in examples])
    assert made[0] == made[1]


def test_an_answer_marker_is_no_reason_to_train_again(own_data: OwnData, tmp_path: Path) -> None:
    changed = {**LANGUAGES, "de": replace(LANGUAGES["de"], answer_markers=("also:",))}
    before = pipeline.in_order(scores_of(compare(study(own_data, tmp_path), ["qalign-mono"])))
    after = pipeline.in_order(scores_of(compare(study(own_data, tmp_path, table=changed), ["qalign-mono"])))
    assert [a.name for a, b in zip(after, before, strict=True) if a.fingerprint != b.fingerprint] == ["score-own"]
    renamed = {**LANGUAGES, "de": replace(LANGUAGES["de"], name="Deutsch")}
    after = pipeline.in_order(scores_of(compare(study(own_data, tmp_path, table=renamed), ["qalign-mono"])))
    assert any(
        a.name == "train-question-alignment" and a.fingerprint not in {b.fingerprint for b in before} for a in after
    )


def test_an_adopted_stage_needs_nothing_before_it(own_data: OwnData, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    comparison = compare(study(own_data, runs), ["qalign-mono"])
    model = comparison[0].model
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    pipeline.adopt(model, checkpoint, runs)
    left = [stage.name for stage in pipeline.needed(scores_of(comparison), runs)]
    assert left == ["corpus-own-test", "generate-own", "score-own"]
    assert training_stages(model, runs) == [model], "what it was trained on is not known here"


def test_a_removed_input_of_a_finished_stage_is_not_made_again(tmp_path: Path) -> None:
    ran = []

    def work(what: Task) -> None:
        ran.append(what.config["name"])
        (what.output / "file").write_text("x")

    first = Step("first", 1, {"name": "first"}, work)
    second = Step("second", 1, {"name": "second"}, work, {"before": first})
    pipeline.run([second], tmp_path)
    for path in first.folder(tmp_path).iterdir():
        path.unlink()
    first.folder(tmp_path).rmdir()
    pipeline.run([second], tmp_path)
    assert ran == ["first", "second"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_stage_without_its_record_is_refused_before_anything_runs(tmp_path: Path, kind: str) -> None:
    ran = []

    def work(what: Task) -> None:
        ran.append(what.config)

    first = Step("first", 1, {}, work)
    last = Step("last", 1, {}, work, {"before": first})
    place = last.folder(tmp_path)
    place.parent.mkdir(parents=True)
    place.mkdir() if kind == "folder" else place.write_text("")
    with pytest.raises(StageError, match=r"edited by hand.*rm -r"):
        pipeline.run([last], tmp_path)
    assert ran == []


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_single_test_file_is_measured_in_all_its_languages(own_data: OwnData, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", TEST_ROWS)
    (evaluated,) = compare(study(own_data, tmp_path, tests=(str(path),)), ["monoreason"])
    assert list(evaluated.scores) == ["mine"]
    assert list(evaluated.scores["mine"].config["languages"]) == ["de", "en", "fr"]


def test_a_file_without_a_language_has_that_of_its_name_or_none(own_data: OwnData, tmp_path: Path) -> None:
    rows = [
        {key: value for key, value in row.items() if key != "language"} for row in TEST_ROWS if row["language"] == "en"
    ]
    (evaluated,) = compare(study(own_data, tmp_path, tests=(str(write(tmp_path / "en.jsonl", rows)),)), ["monoreason"])
    assert list(evaluated.scores["en"].config["languages"]) == ["en"]
    with pytest.raises(Exception, match="does not tell its language"):
        compare(study(own_data, tmp_path, tests=(str(write(tmp_path / "mine.jsonl", rows)),)), ["monoreason"])


def test_two_test_sets_of_one_name_are_refused(own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    tests = tuple(str(write(folder / "mine.jsonl", TEST_ROWS)) for folder in (tmp_path, tmp_path / "x"))
    with pytest.raises(SettingError, match="two test sets are named 'mine'"):
        compare(study(own_data, tmp_path, tests=tests), ["monoreason"])


def test_fewer_problems_are_the_same_problems_in_every_language(own_data: OwnData, tmp_path: Path) -> None:
    rows = [row for row in TEST_ROWS if row["language"] != "de"] + [
        row for row in TEST_ROWS[::-1] if row["language"] == "de"
    ]
    here = study(own_data, tmp_path, tests=(str(write(tmp_path / "mine.jsonl", rows)),))
    here = replace(here, scale=replace(here.scale, data=replace(here.scale.data, problems_per_language=2)))
    (corpus,) = [s for s in pipeline.in_order(scores_of(compare(here, ["monoreason"]))) if s.name == "corpus-own-test"]
    pipeline.run([corpus], tmp_path)
    kept = [json.loads(line) for line in (corpus.folder(tmp_path) / "records.jsonl").read_text().splitlines()]
    by_language = {code: {row["id"] for row in kept if row["language"] == code} for code in ("de", "en", "fr")}
    assert by_language["de"] == by_language["en"] == by_language["fr"]
    assert len(kept) == 6
