"""The Python API: its names, its documents, and that it does what the command line does."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import qalign
from own_data import OwnData
from qalign import options
from qalign.cli import app
from qalign.options import StudyOptions
from qalign.systems import SCALES
from test_house_rules import REPOSITORY, code_blocks

NAMES = {
    "Placement", "QAlignError", "Results", "Scale", "Study", "__version__", "ask", "evaluate", "load_results", "load_study",
    "plan", "reproduce", "run", "score", "study",
}  # fmt: skip
STAGES = {
    "Answers", "Artifact", "Ask", "DecodingConfig", "Examples", "FetchModel", "Filter", "Judge", "Judgements", "Keep", "Kept",
    "MakeExamples", "Model",
    "ModelOnDisk", "ReadCorpus", "Records", "Stage", "Train", "TrainingConfig", "Work", "local",
}  # fmt: skip
HEAVY = ("torch", "transformers", "numpy", "msgspec", "typer", "rich")


def test_the_names_are_these() -> None:
    import qalign.stages

    assert set(qalign.__all__) == NAMES
    assert set(qalign.stages.__all__) == STAGES
    assert set(dir(qalign)) >= NAMES
    for name in NAMES:
        value = getattr(qalign, name)
        assert name == "__version__" or value.__name__ == name
    with pytest.raises(AttributeError, match="module 'qalign' has no attribute 'runn'"):
        qalign.runn  # noqa: B018


def test_the_import_is_light() -> None:
    script = (
        "import sys, qalign\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        f"import qalign.stages; [getattr(qalign, name) for name in qalign.__all__]\n"
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_each_name_is_documented() -> None:
    text = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in NAMES - {"__version__"} if f"`{name}`" not in text] == []


def test_the_options_of_a_study_are_those_of_the_command_line() -> None:
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    flags = {option for parameter in command.params for option in parameter.opts}
    for kind in (StudyOptions, qalign.Placement):
        for name, option in options.options_of(kind).items():
            assert (option.flag or f"--{name.replace('_', '-')}") in flags
    assert set(inspect.signature(qalign.study).parameters) == set(options.options_of(StudyOptions))


# --- running ----------------------------------------------------------------------------------------------------------

SETTINGS = {
    "tiny.vocabulary": 400, "tiny.hidden_size": 32, "tiny.layers": 1, "tiny.heads": 2, "tiny.intermediate_size": 64,
    "generation.max_new_tokens": 8, "training.max_steps": 1,
}  # fmt: skip
QUIET = qalign.Placement(device="cpu", quiet=True, trackers=())


def options_of(data: OwnData, runs: Path) -> dict[str, Any]:
    return {
        "base": "tiny", "scale": "sample", "languages": ["de", "sw"], "test_languages": ["de", "en"], "runs": runs,
        "questions": str(data.questions), "english": str(data.english), "test": [str(data.test)], "settings": SETTINGS,
    }  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "runs"


@pytest.fixture(scope="module")
def results(own_data: OwnData, runs: Path) -> qalign.Results:
    return qalign.run(qalign.study(**options_of(own_data, runs)), ["monoreason", "qalign-mono"], placement=QUIET)


def test_results_hold_what_results_json_holds(results: qalign.Results, tmp_path: Path) -> None:
    (name,) = results.benchmarks
    assert results.systems == ["monoreason", "qalign-mono"]
    written = json.loads(next(path for path in results.write(tmp_path / "out") if path.suffix == ".json").read_text())
    for system in results.systems:
        for code, score in results.scores[system][name].items():
            row = written["systems"][system][name][code]
            assert (score.n, score.accuracy, score.in_language) == (row["n"], row["accuracy"], row["in_language"])
        assert results.consistency[system][name].languages == written["consistency"][system][name]["languages"]
    assert [one.difference for one in results.differences] == [row["difference"] for row in written["comparisons"]]
    assert [model.folder for model in results.models] == [row["folder"] for row in written["models"]]
    assert (tmp_path / "out" / "index.html").is_file() and (tmp_path / "out" / "results.md").is_file()
    assert repr(results) == f"<Results of monoreason, qalign-mono on {name}>"
    assert "MonoReason" in str(results) and "\x1b" not in str(results)
    assert results._repr_markdown_().startswith("**Results**\n\n| system |")
    again = qalign.load_results(tmp_path / "out")
    assert again.scores == results.scores and [t.rows for t in again.tables()] == [t.rows for t in results.tables()]
    with pytest.raises(qalign.QAlignError, match="the same results are given twice"):
        qalign.load_results([tmp_path / "out", tmp_path / "out" / "results.json"])


def test_the_command_line_runs_the_same_study(results: qalign.Results, own_data: OwnData, runs: Path) -> None:
    words = ["run", "monoreason", "qalign-mono", "--base", "tiny", "--scale", "sample", "--languages", "de,sw"]
    words += ["--test-languages", "de,en", *own_data.options("questions", "english", "test"), "--runs", str(runs)]
    words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    outcome = CliRunner().invoke(app, [*words, "--device", "cpu"], catch_exceptions=False)
    assert outcome.exit_code == 0 and " start: " not in outcome.stderr, outcome.stderr
    written = json.loads((results.folder / "results.json").read_text())
    assert written["systems"] == results.content["systems"] and written["run"] == results.content["run"]


def my_system(study: qalign.Study) -> object:
    """English data alone."""
    return study.train("response-alignment", study.base, study.english_answers())


def test_a_function_is_a_system(results: qalign.Results, own_data: OwnData, runs: Path) -> None:
    study = qalign.study(**options_of(own_data, runs))
    before = sorted((runs / "stages").iterdir())
    both = qalign.run(study, ["monoreason", my_system], placement=QUIET)
    assert both.systems == ["monoreason", "my_system"]
    assert both.scores["my_system"] == results.scores["monoreason"]
    assert sorted((runs / "stages").iterdir()) == before, "its stages are those of MonoReason"
    with pytest.raises(qalign.QAlignError, match="has no name in its module"):
        qalign.run(study, lambda study: my_system(study), placement=QUIET)


def test_a_plan_starts_nothing(own_data: OwnData, runs: Path, results: qalign.Results, tmp_path: Path) -> None:
    planned = qalign.plan(
        qalign.study(**options_of(own_data, tmp_path / "runs")), ["monoreason", my_system], placement=QUIET
    )
    assert [system.name for system in planned.comparison] == ["monoreason", "my_system"]
    assert not planned.refusals and "train-response-alignment" in str(planned) and "\x1b" not in str(planned)
    assert not (tmp_path / "runs" / "stages").exists()
    done = qalign.plan(qalign.study(**options_of(own_data, runs)), "monoreason", placement=QUIET)
    assert done.costs == [] and results.systems[0] == "monoreason"


def test_a_model_is_measured_and_asked(results: qalign.Results, own_data: OwnData, runs: Path) -> None:
    tests = qalign.study(
        scale="sample", test=str(own_data.test), test_languages=["de", "en"], runs=runs,
        settings=["generation.max_new_tokens=8"],
    )  # fmt: skip
    folder = results.models[1].folder
    measured = qalign.evaluate(folder, tests, names=["mine"], placement=QUIET)
    assert measured.systems == ["mine"]
    assert measured.scores["mine"] == results.scores["qalign-mono"]
    questions = ["Anna has 3 apples.", "Anna hat 4 Äpfel und kauft 7 dazu. Wie viele hat sie?"]
    answers = qalign.ask(folder, questions, max_new_tokens=8, placement=QUIET)
    assert len(answers) == 2
    assert [qalign.ask(Path(folder), text, max_new_tokens=8, placement=QUIET) for text in questions] == [
        [answer] for answer in answers
    ]
    assert qalign.ask(folder, [], placement=QUIET) == []


def test_a_study_can_be_run_twice(own_data: OwnData, runs: Path, results: qalign.Results) -> None:
    """A setting that one run used is looked for in the next one anew."""
    study = qalign.study(**options_of(own_data, runs))
    qalign.run(study, "monoreason", placement=QUIET)
    with pytest.raises(qalign.QAlignError, match="this run has no stage 'tiny'"):
        qalign.evaluate(results.models[0].folder, study, placement=QUIET)
    assert qalign.run(study, "monoreason", placement=QUIET).systems == ["monoreason"]


def test_answers_are_scored(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("id,language,gold,response\n1,sw,7,Jibu ni 7.\n2,sw,12,Jibu ni 11.\n", encoding="utf-8")
    scored = qalign.score(file, judgements=tmp_path / "kept" / "read.jsonl")
    assert (scored.scores["sw"].accuracy["strict"], scored.scores["sw"].n) == (50.0, 2)
    assert [one.readings["strict"].value for one in scored.judgements] == ["7", "11"]
    assert len((tmp_path / "kept" / "read.jsonl").read_text().splitlines()) == 2
    assert (
        "| sw | 2 | 50.0" in scored._repr_markdown_()
        and "strict ± s.e." in str(scored)
        and repr(scored) == f"<ScoredFile {file}, 2 answers>"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bse": "tiny"}, "unknown option 'bse' of a study: did you mean 'base'?"),
        ({"scale": "tooy"}, "unknown scale 'tooy': did you mean 'toy'?"),
        ({"languages": ["xx"]}, "unknown language 'xx'"),
        ({"limit": 2, "settings": ["data.problems_per_language=3"]}, "give one of the two"),
        ({"settings": ["epochs"]}, "is not stage.field=value"),
        ({"seed": -1}, "seed is -1; give a whole number"),
        ({"seed": "x"}, "seed is 'x'; give a whole number"),
        ({"languages": ","}, "',' names no language"),
        ({"languages": 3}, "languages is 3; give a list or a text or none"),
        ({"scale": 3}, "scale is 3; give a name or a Scale"),
        ({"limit": 0}, "limit is 0; give a whole number of 1 or more"),
        ({"limit": 2.5}, "limit is 2.5; give a whole number of 1 or more"),
        ({"settings": ["training.epocs=2"]}, "training.epocs=2: there is no 'epocs' here"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(qalign.QAlignError) as error:
        qalign.plan(qalign.study(**{"base": "world", **given}), "monoreason")
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"device": "gpu"}, "unknown device 'gpu': did you mean 'cpu'?"),
        ({"trackers": ("wandbb",)}, "unknown tracker 'wandbb': did you mean 'wandb'?"),
        ({"jobs": 0}, "jobs is 0; give a whole number of 1 or more"),
        ({"jobs": "2"}, "jobs is '2'; give a whole number of 1 or more"),
        ({"quiet": 1}, "quiet is 1; give true or false"),
        ({"devise": "cpu"}, "unknown option 'devise' of Placement: did you mean 'device'?"),
    ],
)
def test_a_wrong_placement_is_told_in_one_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(qalign.QAlignError, match=re.escape(words)):
        qalign.Placement(**values)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: qalign.score("answers.csv", tests="mine.csv"), "unknown option 'tests' of score: did you mean 'test'?"),
        (lambda: qalign.run(qalign.study(), "sft", place=QUIET), "unknown option 'place' of run: did you mean 'placement'?"),
        (lambda: qalign.run("sft", qalign.study()), "study of run is 'sft'; give a Study"),
        (lambda: qalign.run(qalign.study()), "run: missing a required argument: 'systems'"),
        (lambda: qalign.score(3), "file of score is 3; give a path or a text"),
        (lambda: qalign.reproduce(qalign.study(), seeds=["a"]), "seeds[0] of reproduce is 'a'; give a whole number"),
        (lambda: qalign.study(settings=[3]), "settings[0] is 3; give a text"),
        (lambda: qalign.Placement(trackers=[3]), "trackers[0] is 3; give a text"),
        (lambda: qalign.Scale(nme="x"), "unknown option 'nme' of Scale: did you mean 'name'?"),
        (lambda: qalign.score("answers.csv", benchmark="mgsm", test="x"), "benchmark and test both name a test set"),
        (lambda: qalign.plan(qalign.study(), "sft", devices=8), "devices needs the memory of one: give device_memory GB"),
        (lambda: qalign.evaluate("x", qalign.study(), names=["a", "b"]), "give names at most once for each model"),
        (lambda: qalign.plan(qalign.study(), "sft", devices=0, device_memory=80), "devices is 0; give one above 0"),
        (lambda: qalign.plan(qalign.study(), "sft", device_memory=-1), "device_memory is -1; give one above 0"),
        (lambda: qalign.ask("world", "?", max_tokens=3), "unknown option 'max_tokens' of ask"),
        (lambda: qalign.load_study("study.toml", sede=3), "unknown option 'sede' of a study: did you mean 'seed'?"),
        (lambda: qalign.load_study(3), "path of load_study is 3; give a path or a text"),
        (lambda: qalign.Study(base_name="tiny", scale=SCALES["toy"], runs=Path("runs"), languages="it,tr"),
         "languages is 'it,tr'; give a list"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told_in_one_line(
    call: Callable[[], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text('systems = ["sft"]\n', encoding="utf-8")
    with pytest.raises(qalign.QAlignError, match=re.escape(words)):
        call()


@pytest.mark.parametrize(
    ("said", "python"),
    [
        ("give --device-memory GB, or --no-compile", "give device_memory GB, or compile=False"),
        ("more with --set data.drop_invalid=true", "more with the setting data.drop_invalid=true"),
        ("gold is missing: qalign score FILE --test PATH", "gold is missing: qalign score FILE --test PATH"),
        ("take --jobs 1 (`qalign plan --measure` says)", "take jobs 1 (`qalign plan --measure` says)"),
        ("a -- b", "a -- b"),
    ],
)
def test_a_message_names_options_as_python_does(said: str, python: str) -> None:
    assert options.in_python(said) == python


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("generation.max_new_tokens=100000", "World-mgsm allows answers of 100,000 tokens"),
        ("training.learning_rate=0.5", "Response-alignment has a learning rate of 0.5"),
    ],
)
def test_an_odd_setting_is_noted(setting: str, said: str, tmp_path: Path) -> None:
    usual = qalign.study(base="world", scale="toy", runs=tmp_path, test="world-mgsm")
    odd = qalign.study(base="world", scale="toy", runs=tmp_path, test="world-mgsm", settings=[setting])
    assert [line for line in qalign.plan(odd, "monoreason").remarks if said in line]
    assert not [
        line for line in qalign.plan(usual, "monoreason").remarks if "allows" in line or "learning rate" in line
    ]


def test_one_tracker_is_a_list_of_one() -> None:
    assert qalign.Placement(trackers="wandb").trackers == ("wandb",)
    assert qalign.Placement(trackers=["none"]).trackers == ()


def test_nothing_to_run_is_told() -> None:
    for call in (lambda: qalign.run(qalign.study(), []), lambda: qalign.plan(qalign.study(), [])):
        with pytest.raises(qalign.QAlignError, match="no systems are named"):
            call()
    with pytest.raises(qalign.QAlignError, match="no models are named"):
        qalign.evaluate([], qalign.study())
    with pytest.raises(qalign.QAlignError, match="no seeds are named"):
        qalign.reproduce(qalign.study(), "sft", seeds=[])
    with pytest.raises(qalign.QAlignError, match="no results are named"):
        qalign.load_results([])


def test_options_take_several_forms() -> None:
    study = qalign.study(languages="de, sw,de", test="mgsm", base=Path("x"), settings={"training.epochs": 2})
    assert study == qalign.study(languages=["de", "sw"], test=["mgsm"], base="x", settings=["training.epochs=2"])
    assert study == qalign.study(languages=("de", "sw"), test="mgsm", base="x", settings="training.epochs=2")


def test_a_scale_of_ones_own_is_taken() -> None:
    assert qalign.study(scale=SCALES["toy"]) == qalign.study(scale="toy")


def test_the_examples_of_the_document_run(tmp_path: Path) -> None:
    blocks = code_blocks(REPOSITORY / "docs" / "api.md")
    assert len(blocks) >= 7
    (tmp_path / "example.py").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unknown system 'monoraeson': did you mean 'monoreason'?" in done.stdout
    assert "MonoReason" in done.stdout and (tmp_path / "my-results" / "index.html").is_file()


# --- the notebook -----------------------------------------------------------------------------------------------------

NOTEBOOK = REPOSITORY / "examples" / "study.ipynb"
SMALL = """
TEST_LANGUAGES = ["sw", "en"]
LIMIT = 3
SETTINGS = {"data.examples_per_language": 20, "data.english_examples": 20, "training.max_steps": 2}
"""
EXECUTED = """
import ast, json, sys

namespace = {"__name__": "__main__"}
for source in json.load(sys.stdin):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last is not None:
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        print(getattr(shown, "_repr_markdown_", lambda: shown)())
"""


def test_the_notebook_is_one() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        needed = {"cell_type", "id", "metadata", "source"}
        assert set(cell) == (needed | {"execution_count", "outputs"} if cell["cell_type"] == "code" else needed)
        assert cell.get("outputs", []) == [], "cells are committed without their outputs"


def test_the_cells_of_the_notebook_run(tmp_path: Path) -> None:
    """As Jupyter runs them: in order, in one namespace, the value of the last line shown."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in cells] == ["parameters", "run", "look", "ask", "score"]
    sources = ["".join(cell["source"]) for cell in cells]
    sources.insert(1, SMALL)
    done = subprocess.run(
        [sys.executable, "-c", EXECUTED], input=json.dumps(sources), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "**Results**" in done.stdout and "qalign-mono: " in done.stdout and "non_english: " in done.stdout
    assert "| sw | 2 | 50.0" in done.stdout
    assert list((tmp_path / "runs" / "results").glob("*/index.html"))
