"""MathOctopus: its prompt from training to evaluation, its two kinds of questions, and its own right answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from own_data import LANGUAGES, ROWS, OwnData, texts, write
from qalign import pipeline
from qalign.alignment.templates import TEMPLATES
from qalign.corpora import CORPORA
from qalign.errors import DataError, SettingError
from qalign.generation import DecodingConfig
from qalign.languages import LANGUAGES as TABLE
from qalign.pipeline.stage import plain
from qalign.records import Example, Prediction, read_jsonl, sha256
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.artifacts import EXAMPLES, PREDICTIONS
from qalign.systems.ask import Ask
from qalign.systems.bases import base, training_stages
from qalign.systems.comparison import compare
from qalign.systems.evaluated import Evaluated, prompt_notes, scores_of
from qalign.systems.keep import Keep
from qalign.systems.kinds import MakeExamples, ReadCorpus
from qalign.systems.planning import plan
from qalign.systems.running import run
from qalign.systems.settings import parse_settings
from qalign.systems.table import build

TINY = ("vocabulary=400", "hidden_size=32", "layers=1", "heads=2", "intermediate_size=64")
SHORT = ("training.max_steps=2", "generation.max_new_tokens=4", "sampling.max_new_tokens=4", "sampling.samples=2")


def study(data: OwnData, runs: Path, *settings: str, **changes: Any) -> Study:
    here = Study(
        base_name="tiny", scale=SCALES["sample"], runs=runs, languages=LANGUAGES,
        questions=str(data.questions), english=str(data.english), multilingual=str(data.multilingual),
        tests=(str(data.test),), settings=parse_settings([*(f"tiny.{text}" for text in TINY), *settings], SYSTEMS),
    )  # fmt: skip
    return replace(here, **changes)


def asks(comparison: Sequence[Evaluated]) -> list[Ask]:
    return [stage for stage in pipeline.in_order(scores_of(comparison)) if isinstance(stage, Ask)]


def octopus(code: str, question: str) -> str:
    return TEMPLATES["mathoctopus"].prompt(question, TABLE[code].name)


# --- what stays as it was ---------------------------------------------------------------------------------------------


def test_what_was_added_is_in_no_identity_by_default(own_data: OwnData, tmp_path: Path) -> None:
    """Or every finished stage would run again."""
    decoding = plain(DecodingConfig(max_new_tokens=7))
    assert isinstance(decoding, dict) and not {"template", "question"} & decoding.keys()
    stages = pipeline.in_order(scores_of(compare(study(own_data, tmp_path), ["multireason"])))
    configs = {type(stage).__name__: stage.config for stage in stages}
    assert "form" not in configs["MakeExamples"] and "english_questions" not in configs["ReadCorpus"]
    changed = DecodingConfig(max_new_tokens=7, template="study", question="english")
    assert plain(changed) == {**decoding, "template": "study", "question": "english"}


# --- the stages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mathoctopus-parallel", "mathoctopus-cross"])
def test_a_system_is_trained_and_asked_in_its_prompt(name: str, own_data: OwnData, tmp_path: Path) -> None:
    (compared,) = compare(study(own_data, tmp_path), [name])
    (ask,) = asks([compared])
    assert ask.prompt_template == "mathoctopus" and ask.decoding.template is None
    pipeline.run([compared.model.inputs["examples"], ask.records], tmp_path)
    made = list(read_jsonl(compared.model.inputs["examples"].folder(tmp_path) / EXAMPLES, Example))
    assert len(made) == ROWS * (len(LANGUAGES) + 1)
    for one in made:
        own = texts(one.language, int(one.id))
        asked = texts("en" if name.endswith("cross") else one.language, int(one.id))["question"]
        assert (one.instruction, one.response, one.prompt) == (asked, own["answer"], octopus(one.language, asked))
    records = ask.records.result(tmp_path)
    assert records is not None
    for question in ask.questions(records):
        own = texts(question.language, int(question.id))["question"]
        assert (question.instruction, question.own_prompt) == (own, octopus(question.language, own))


def test_the_english_question_is_asked_for_an_answer_in_each_language(own_data: OwnData, tmp_path: Path) -> None:
    here = study(own_data, tmp_path, "english-q.generation.question=english")
    own, english = asks(compare(here, ["mathoctopus-parallel", "english-q=mathoctopus-parallel"]))
    assert own.model.fingerprint == english.model.fingerprint and own.fingerprint != english.fingerprint
    pipeline.run([english.records], tmp_path)
    records = english.records.result(tmp_path)
    assert records is not None
    asked = [(one.language, one.instruction, one.own_prompt) for one in english.questions(records)]
    assert len(asked) == ROWS * (len(LANGUAGES) + 1) and {code for code, *_ in asked} == {*LANGUAGES, "en"}
    for number, (code, instruction, read) in enumerate(asked):
        question = texts("en", number % ROWS)["question"]
        assert (instruction, read) == (question, octopus(code, question))


def test_a_problem_without_an_english_one_is_refused_before_any_training(own_data: OwnData, tmp_path: Path) -> None:
    rows = [{"id": str(n), "question": texts(code, n)["question"], "answer": "1", "language": code}
            for code, count in (("de", 3), ("en", 2)) for n in range(count)]  # fmt: skip
    test = write(tmp_path / "test.jsonl", rows)
    here = study(
        own_data, tmp_path / "runs", "generation.question=english", tests=(str(test),), test_languages=("de", "en")
    )
    with pytest.raises(DataError, match=r"1 problem cannot be asked in English, the first is problem 2 \(de\)"):
        run(here, ["mathoctopus-parallel"])
    assert not list((tmp_path / "runs" / "stages").glob("train-*"))
    with pytest.raises(SettingError, match="is read without English"):
        compare(replace(here, test_languages=("de",)), ["mathoctopus-parallel"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["generation.question=english"],
            "the template 'study' does not name the language of the answer; give generation.temp",
        ),
        (["generation.template=octopus"], "'octopus' is not one of study, metamath-training,"),
        (["generation.template=mathoctopus", "generation.backend=endpoint"], "a server puts its own chat template"),
        (["examples.loss=all"], "'all' is not one of answer, everything"),
        (["sampling.question=english"], "this run has no stage 'sampling'"),
    ],
)
def test_settings_that_cannot_be(own_data: OwnData, tmp_path: Path, settings: list[str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        compare(study(own_data, tmp_path, *settings), ["multireason"])
    assert message in str(caught.value)


def test_the_prompt_and_the_loss_are_settings_of_any_system(own_data: OwnData, tmp_path: Path) -> None:
    settings = ("examples.template=mathoctopus", "multireason.examples.loss=everything")
    comparison = compare(study(own_data, tmp_path, *settings), ["multireason", "qalign-mono"])
    assert [ask.prompt_template for ask in asks(comparison)] == ["mathoctopus"] * 2, "asked as trained"
    (examples,) = (stage.examples for stage in training_stages(comparison[0].model))
    assert isinstance(examples, MakeExamples) and examples.form.loss == "everything"
    pipeline.run([examples], tmp_path)
    (first, *_) = read_jsonl(examples.folder(tmp_path) / EXAMPLES, Example)
    row = texts(first.language, int(first.id))
    assert first.instruction is None
    assert first.response == f" {octopus(first.language, row['question'])} {row['answer']}"


# --- its own right answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parallel", "cross"])
def test_xrft_asks_its_own_system_in_every_language(kind: str, own_data: OwnData, tmp_path: Path) -> None:
    here = study(own_data, tmp_path)
    model = build(here, f"mathoctopus-{kind}-xrft")
    stages = pipeline.in_order([model])
    (asked,), (kept,) = ([stage for stage in stages if isinstance(stage, kind)] for kind in (Ask, Keep))
    assert asked.model.fingerprint == build(here, f"mathoctopus-{kind}").fingerprint
    assert asked.prompt_template == "mathoctopus" and asked.decoding.samples == here.scale.samples_per_language
    assert isinstance(asked.records, ReadCorpus) and asked.records.english_questions == (kind == "cross")
    assert kept.languages.keys() == {*LANGUAGES, "en"} and kept.problems.fingerprint == asked.records.fingerprint
    assert SCALES["paper"].samples_per_language == 25
    more = pipeline.in_order([build(study(own_data, tmp_path, "sampling.samples=3"), f"mathoctopus-{kind}-xrft")])
    assert [stage.decoding.samples for stage in more if isinstance(stage, Ask)] == [3]


def test_a_run_from_the_corpus_to_the_table(own_data: OwnData, tmp_path: Path) -> None:
    settings = [*SHORT, "english-q.generation.question=english"]
    here = study(own_data, tmp_path, *settings)
    names = ["mathoctopus-cross-xrft", "english-q=mathoctopus-cross-xrft"]
    found = run(here, names, output=tmp_path / "out").data
    (sampled,) = found.rejections
    assert sampled.systems == ["mathoctopus-cross-xrft", "english-q"]
    assert {row.language: row.answers for row in sampled.languages} == dict.fromkeys([*LANGUAGES, "en"], 2 * ROWS)
    assert all(row.answers == row.kept + sum(row.left_out.values()) for row in sampled.languages)
    title = SYSTEMS["mathoctopus-cross-xrft"].title
    assert f"Asked in the prompt 'mathoctopus', not in the study's: {title}, english-q" in found.notes
    assert "Asked the English question, in every language: english-q" in found.notes
    own, english = [ask for ask in asks(compare(here, names)) if ask.measures]
    for ask, language in ((own, None), (english, "en")):
        for one in read_jsonl(ask.folder(tmp_path) / PREDICTIONS, Prediction):
            question = texts(language or one.language, int(one.id))["question"]
            assert one.prompt_sha256 == sha256(octopus(one.language, question))
    # The folder of the model alone tells its prompt: the study's one would measure another system.
    folder = own.model.folder(tmp_path)
    assert json.loads((folder / "prompt_template.json").read_text()) == {"template": "mathoctopus"}
    model = base(str(folder), tmp_path)
    (judged,) = study(own_data, tmp_path).scored(model).values()
    assert isinstance(judged.answers, Ask) and judged.answers.prompt_template == "mathoctopus"
    for damaged in ('{"template": "of a later version"}', '{"template": ["study"]}', "[]"):
        (folder / "prompt_template.json").write_text(damaged)
        with pytest.raises(DataError, match=r"prompt_template\.json does not name a prompt template of this version"):
            study(own_data, tmp_path).scored(model)
    (folder / "prompt_template.json").write_text('{"template": "study"}')
    study(own_data, tmp_path).scored(model)


def test_notes_say_what_differs_from_the_study(own_data: OwnData, tmp_path: Path) -> None:
    here = study(own_data, tmp_path, "multireason.examples.loss=everything", "own-name.generation.question=english")
    made = compare(here, ["sft", "multireason", "mathoctopus-parallel", "own-name=mathoctopus-parallel"])
    title = SYSTEMS["mathoctopus-parallel"].title
    assert prompt_notes(made) == [
        f"Trained on the prompt too, not on the answer alone: {made[1].title}",
        f"Asked in the prompt 'mathoctopus', not in the study's: {title}, own-name",
        f"The published figures are those of arXiv 2310.20246, in the prompt of that work: {title}",
        "Asked the English question, in every language: own-name",
    ]


def test_other_models_are_asked_in_the_study_s_prompt(own_data: OwnData, tmp_path: Path) -> None:
    (ask,) = asks(compare(study(own_data, tmp_path), ["multireason"]))
    pipeline.run([ask.records], tmp_path)
    records = ask.records.result(tmp_path)
    assert records is not None and {one.own_prompt for one in ask.questions(records)} == {None}
    (octopus,) = asks(compare(study(own_data, tmp_path, "generation.template=study"), ["mathoctopus-parallel"]))
    assert {one.own_prompt for one in octopus.questions(records)} == {None}
    assert octopus.prompt_template == "study" and octopus.model.fingerprint != ask.model.fingerprint


# --- the published scale ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parallel", "cross"])
def test_the_published_scale_runs_on_the_published_layouts(
    kind: str, own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published counts are set aside, and steps, samples and tokens are few."""
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    corpus = {"parallel": "gsm8kinstruct", "cross": "gsm8kinstruct-cross"}[kind]
    monkeypatch.setitem(CORPORA, corpus, replace(CORPORA[corpus], published={}))
    rows = [
        {
            "language": TABLE[code].name,
            "prompt": octopus(code, texts("en" if kind == "cross" else code, n)["question"]),
            "chosen": texts(code, n)["answer"].replace(" ####", "\n####"),
        }
        for n in range(ROWS)
        for code in ("en", "sw", "de")
    ]
    hub = CORPORA[corpus].hub
    assert hub is not None
    folder = tmp_path / "data" / hub.name
    folder.mkdir(parents=True)
    rows = rows if kind == "parallel" else rows[::-1]
    (folder / f"{hub.name.rpartition('/')[2]}.json").write_text(json.dumps(rows), encoding="utf-8")
    few = ("training.max_steps=5", "training.global_batch_size=4", "sampling.samples=2", "sampling.max_new_tokens=4")
    here = Study(
        base_name="world", scale=SCALES["paper"], runs=tmp_path / "runs", languages=("de", "sw"), data=tmp_path / "data",
        tests=(str(own_data.test),), settings=parse_settings(few, SYSTEMS),
    )  # fmt: skip
    planned = plan(here, [f"mathoctopus-{kind}-xrft"])
    assert planned.refusals == [] and len(planned.trainings) == 2
    model = build(here, f"mathoctopus-{kind}-xrft")
    pipeline.run([model], here.runs)
    for stage in training_stages(model):
        trained = stage.result(here.runs)
        assert trained is not None and trained.summary().steps == 5
        assert trained.summary().examples_by_language == dict.fromkeys(["de", "en", "sw"], ROWS)
        made = stage.inputs["examples"].folder(here.runs) / EXAMPLES
        assert {(one.language, one.prompt) for one in read_jsonl(made, Example)} == {
            (code, row["prompt"]) for row in rows for code in ("de", "en", "sw") if row["language"] == TABLE[code].name
        }


def test_plan_shows_the_published_rows(tmp_path: Path) -> None:
    from qalign.systems.study import study as from_options

    shown = str(
        plan(from_options(base="world", scale="toy", runs=tmp_path, languages="bn,th"), ["mathoctopus-cross-xrft"])
    )
    assert "~1,200 rows to read (400 each of bn en th)" in shown and "x 4 answers" in shown
    cross = CORPORA["gsm8kinstruct-cross"]
    assert sum(cross.published.values()) == 73_660 and cross.published == CORPORA["gsm8kinstruct"].published
