"""The command line, through the command itself: what each verb does, and that each mistake of a user is one line which
says what to do, exit status 2, and nothing left half-written."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from own_data import OwnData, texts, with_option, write, write_own_data
from qalign import __version__
from qalign.cli import app
from qalign.cli.options import JOBS
from qalign.corpora import CORPORA
from qalign.results.accuracy_tables import with_error
from qalign.results.run_results import load

TINY = [
    word
    for setting in ("vocabulary=400", "hidden_size=32", "layers=1", "heads=2", "intermediate_size=64")
    for word in ("--set", f"tiny.{setting}")
]
SHORT = ["--set", "generation.max_new_tokens=8"]
STUDY = ["--base", "tiny", "--scale", "sample", *TINY, *SHORT]


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str


def qalign(*words: str | Path) -> Answer:
    """The command in this process, with wide lines."""
    words_given = [str(word) for word in words]
    result = CliRunner().invoke(app, words_given, catch_exceptions=False, env={"COLUMNS": "200"})
    return Answer(result.exit_code, result.stdout, result.stderr)


def command(*words: str | Path, **environment: str) -> Answer:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "qalign", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def options(data: OwnData, languages: str = "de,sw", tests: str = "de,en") -> list[str]:
    """A study on one's own data."""
    given = data.options("questions", "english", "multilingual", "general", "test")
    return [*STUDY, *given, "--languages", languages, "--test-languages", tests]


def run(runs: Path, *words: str | Path) -> Answer:
    return qalign("run", *words, "--runs", runs, "--device", "cpu", "--tracker", "none")


def started(answer: Answer) -> list[str]:
    """The names of the stages that a run started, without their hashes."""
    return [
        line.split(" start: ")[1].split()[0].rsplit("-", 1)[0] for line in answer.err.splitlines() if " start: " in line
    ]


def finished_stages(runs: Path) -> set[str]:
    return {path.parent.name for path in runs.glob("stages/*/stage.json")}


def assert_refused(answer: Answer, runs: Path, *says: str, failing: str | None = None) -> None:
    """One line with the words of `says`, status 2, and nothing left that looks finished or is half of something.

    `failing` is the stage that failed; without it, nothing may have started.
    """
    assert answer.status == 2, answer
    lines = answer.err.splitlines()
    assert "Traceback" not in answer.err
    assert lines[-1].startswith("qalign: error: "), answer.err
    assert [line for line in lines if "error" in line] == lines[-1:]
    assert len(lines[-1]) < 700
    for words in says:
        assert words in lines[-1]
    if failing is None:
        assert lines == lines[-1:], "nothing was started"
        assert finished_stages(runs) == set()
    else:
        assert not [name for name in finished_stages(runs) if name.startswith(f"{failing}-")]
    assert answer.out == ""
    for path in runs.rglob("*"):
        assert not path.name.endswith(".tmp"), path
        assert not path.name.endswith(".partial"), path
    for folder in runs.glob("stages/*"):
        assert folder.name == ".locks" or (folder / "stage.json").is_file(), folder
    assert not (runs / "results").exists()


@pytest.fixture(scope="module")
def trained(own_data: OwnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a finished `qalign-mono`. Not to be written to: see `runs`."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    answer = run(folder, "qalign-mono", *options(own_data))
    assert answer.status == 0, answer.err
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished runs folder, to go on from."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def stage_folder(runs: Path, name: str) -> Path:
    (found,) = [path for path in (runs / "stages").glob(f"{name}-*") if re.fullmatch(r"[0-9a-f]{8}", path.name[-8:])]
    return found


# --- answers at once --------------------------------------------------------------------------------------------------

HEAVY = ("torch", "transformers", "datasets", "numpy", "accelerate", "peft", "pyarrow", "tokenizers", "huggingface_hub")
WATCHED = f"""
import sys
from qalign.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("HEAVY", [name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize("words", ["--help", "--version", "list", "run --help", "plan", "explain", "unknown"])
def test_no_heavy_import_before_there_is_work(words: str, own_data: OwnData, tmp_path: Path) -> None:
    if words == "unknown":
        done = command("plan", "qalign-mno", *options(own_data), "--runs", tmp_path, PYTHONPROFILEIMPORTTIME="1")
        imported = {
            line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")
        }
        assert "qalign.cli" in imported
        assert not imported & set(HEAVY)
        return
    given = words.split()
    if words in ("plan", "explain"):
        given += ["qalign-mixed", "qalign-general", *options(own_data), "--runs", str(tmp_path / "runs")]
    done = subprocess.run([sys.executable, "-c", WATCHED, *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_version_help_and_list() -> None:
    assert command("--version").out == f"qalign {__version__}\n"
    told = qalign("--help").out
    for verb in ("run", "plan", "explain", "adopt", "eval", "score", "check", "report", "list"):
        assert re.search(rf"^\s+{verb}\s+\S", told, re.MULTILINE), verb
    shown = qalign("list").out
    for name in ("qalign-mixed", "msvamp", "gsm8kinstruct", "en-x-answers", "sample", "ไทย"):
        assert name in shown
    assert qalign().status != 1  # help, not a crash


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_a_missing_file(own_data: OwnData, tmp_path: Path) -> None:
    words = [*STUDY, *own_data.options("questions", "test"), "--languages", "de", "--english", "nope.jsonl"]
    answer = command("run", "monoreason", *words, "--runs", tmp_path)
    assert_refused(answer, tmp_path, "'nope.jsonl' is neither a corpus nor an existing path")
    for role in ("questions", "english", "test"):
        given = with_option(options(own_data), f"--{role}", str(tmp_path / "nope"))
        assert_refused(run(tmp_path / "runs", "qalign-mono", *given), tmp_path / "runs", "nope", "path")
    given = [*with_option(options(own_data), "--general", "ntrex"), "--data", str(tmp_path / "nowhere")]
    answer = run(tmp_path / "runs", "qalign-general", *given)
    assert_refused(answer, tmp_path / "runs", "there is no data folder", "nowhere")
    answer = run(tmp_path / "runs", "qalign-mono", *options(own_data), "--language-file", tmp_path / "nope.toml")
    assert_refused(answer, tmp_path / "runs", "cannot read the language file", "nope.toml")


def test_a_missing_language(own_data: OwnData, tmp_path: Path) -> None:
    answer = run(tmp_path, "qalign-mono", *options(own_data, languages="de,zh"))
    assert_refused(
        answer, tmp_path, str(own_data.questions), "has no zh; it has de, fr, sw", "leave these languages out"
    )
    answer = run(tmp_path, "qalign-mono", *options(own_data, tests="de,th"))
    assert_refused(answer, tmp_path, str(own_data.test), "has no th")


@pytest.fixture
def broken(tmp_path: Path) -> OwnData:
    """Data of one's own that a test may spoil."""
    return write_own_data(tmp_path / "data", ("de", "sw"))


Spoil = Callable[[OwnData], None]


def not_json(data: OwnData) -> None:
    lines = data.english.read_text().splitlines()
    lines[3] = lines[3][:-5]
    data.english.write_text("\n".join(lines) + "\n")


def wrong_column(data: OwnData) -> None:
    data.english.write_text(data.english.read_text().replace('"question"', '"qestion"'))


def missing_column(data: OwnData) -> None:
    write(data.english, [{"question": "How many?"}])


def empty_file(data: OwnData) -> None:
    data.english.write_text("")


def empty_text(data: OwnData) -> None:
    write(data.english, [texts("en", 0) | {"final": 5}, {"question": " ", "answer": "#### 1"}])


def not_utf8(data: OwnData) -> None:
    data.english.write_bytes(data.english.read_bytes() + '{"question": "Größe", "answer": "1"}\n'.encode("latin-1"))


def bad_gold(data: OwnData) -> None:
    write(data.test / "de.jsonl", [{"question": "Wie viele?", "answer": "viele"}])


@pytest.mark.parametrize(
    ("spoil", "says", "failing"),
    [
        (not_json, ("english.jsonl line 4 is not valid JSON", "fix it"), "corpus-own-english"),
        (wrong_column, ("english.jsonl line 1: no column 'question' (found: ", "rename 'qestion'"), "corpus-own-english"),
        (missing_column, ("english.jsonl line 1: no column 'answer' (found: ",), "corpus-own-english"),
        (empty_file, ("english.jsonl is empty", "give a file with one row for each text"), None),
        (empty_text, ("english.jsonl line 2: 'question' is empty", "drop_invalid"), "corpus-own-english"),
        (not_utf8, ("english.jsonl line 7 is not UTF-8", "save the file as UTF-8"), "corpus-own-english"),
        (bad_gold, ("de.jsonl line 1: 'answer' is 'viele'; it must be a number",), "corpus-own-test"),
    ],
)  # fmt: skip
def test_a_broken_corpus(
    broken: OwnData, tmp_path: Path, spoil: Spoil, says: tuple[str, ...], failing: str | None
) -> None:
    spoil(broken)
    answer = run(tmp_path / "runs", "monoreason", *options(broken))
    assert_refused(answer, tmp_path / "runs", *says, failing=failing)


def test_an_empty_corpus(broken: OwnData, tmp_path: Path) -> None:
    (broken.questions / "de.jsonl").write_text("")
    answer = run(tmp_path / "runs", "qalign-mono", *options(broken))
    assert_refused(answer, tmp_path / "runs", "de.jsonl is empty", failing="corpus-own-questions")
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    answer = run(tmp_path / "runs", "qalign-mono", *with_option(options(broken), "--questions", tmp_path / "empty"))
    assert_refused(answer, tmp_path / "runs", "empty holds no file for de, sw: name files de.jsonl")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "--set response-alignmet.learning_rate=1e-5",
            "no stage 'response-alignmet': did you mean 'response-alignment'?",
        ),
        (
            "--set response-alignment.learnin_rate=1e-5",
            "there is no 'learnin_rate' here: did you mean 'learning_rate'?",
        ),
        ("--set response-alignment.learning_rate=fast", "'fast' is not a number"),
        ("--set response-alignment.epochs=1.5", "'1.5' is not a whole number"),
        ("--set response-alignment.too_long=shorten", "'shorten' is not one of error, drop, cut"),
        ("--set response-alignment.epochs=0", "epochs is 0; it must be above 0"),
        ("--set response-alignment.adapter.rnk=8", "there is no 'rnk' here: did you mean 'rank'?"),
        ("--set response-alignment.seed.x=8", "'seed' has no fields of its own"),
        ("--set response-alignment", "is not stage.field=value, for example response-alignment.learning_rate=1e-5"),
        ("--set sft.response-alignment.epochs=1", "this run has no system 'sft': known: monoreason"),
        ("--set generation.backend=scriptd", "unknown generation backend 'scriptd': did you mean 'scripted'?"),
        ("--set data.drop_invalid=maybe", "'maybe' is not true or false"),
        ("--set data.english_examples=0", "english_examples is 0; give 1 or more, or none for all"),
        ("--set data.problems_per_language=-1", "problems_per_language is -1; give 1 or more"),
        ("--set response-alignment.learning_rate=nan", "'nan' is not a number"),
        ("--set response-alignment.learning_rate=2", "learning_rate is 2; give one below 1, such as 2e-5"),
        ("--base wrold", "'wrold' is neither a folder nor a hub name (owner/name); did you mean 'world'?"),
        ("--scale smple", "unknown scale 'smple': did you mean 'sample'?"),
        ("--tracker tensorbord", "unknown tracker 'tensorbord': did you mean 'tensorboard'?"),
        ("--languages de,xx", "unknown language 'xx'"),
        ("--languages de,en", "leave 'en' out of the languages"),
        ("--test mgms", "'mgms' is neither a benchmark nor a path: did you mean 'mgsm'?"),
        ("--base no/such/folder", "'no/such/folder' is neither a folder nor a hub name"),
        (
            "--base nothing",
            "'nothing' is neither a folder nor a hub name (owner/name); give one of these, or 'world', or 'tiny'",
        ),
    ],
)
def test_a_wrong_name_or_value(own_data: OwnData, tmp_path: Path, words: str, says: str) -> None:
    assert_refused(run(tmp_path, "monoreason", *options(own_data), *words.split()), tmp_path, says)


def test_an_unknown_device(own_data: OwnData, tmp_path: Path) -> None:
    answer = qalign("run", "monoreason", *options(own_data), "--runs", tmp_path, "--device", "gpu")
    assert_refused(answer, tmp_path, "unknown device 'gpu'")


def test_an_unknown_system(own_data: OwnData, tmp_path: Path) -> None:
    answer = command("run", "qalign-mno", *options(own_data), "--runs", tmp_path)
    assert_refused(answer, tmp_path, "unknown system 'qalign-mno': did you mean 'qalign-mono'?")
    answer = run(tmp_path, "no_such_module:recipe", *options(own_data))
    assert_refused(answer, tmp_path, "'no_such_module:recipe' cannot be imported", "give module:function")


def test_a_recipe_of_ones_own_that_is_none(own_data: OwnData, tmp_path: Path) -> None:
    answer = run(tmp_path, "json:__doc__", *options(own_data))
    assert_refused(answer, tmp_path, "is not a function; a recipe takes a Study")


@pytest.mark.parametrize(
    ("removed", "says"),
    [
        (
            "tokenizer.json",
            "has no tokenizer (tokenizer.json, tokenizer.model, vocab.json, ...); save the model's tokenizer",
        ),
        ("config.json", "has no config.json; give the folder of a transformers model"),
        ("model.safetensors", "has no weights as .safetensors"),
    ],
)
def test_a_base_that_is_not_whole(own_data: OwnData, runs: Path, tmp_path: Path, removed: str, says: str) -> None:
    base = shutil.copytree(stage_folder(runs, "base-tiny"), tmp_path / "base")
    (base / removed).unlink()
    answer = run(tmp_path / "new", "monoreason", *without_tiny(options(own_data)), "--base", base)
    assert_refused(answer, tmp_path / "new", str(base), says)


def test_a_base_whose_tokenizer_is_broken(own_data: OwnData, runs: Path, tmp_path: Path) -> None:
    base = shutil.copytree(stage_folder(runs, "base-tiny"), tmp_path / "base")
    (base / "tokenizer.json").write_text("{")
    answer = run(tmp_path / "new", "monoreason", *without_tiny(options(own_data)), "--base", base)
    assert_refused(answer, tmp_path / "new", str(base), "cannot be opened", failing="train-response-alignment")


@pytest.mark.parametrize(
    ("spoiled", "says"),
    [("config.json", "is not valid JSON"), ("model.safetensors", "is not a whole safetensors file")],
)
def test_a_base_that_is_broken(own_data: OwnData, runs: Path, tmp_path: Path, spoiled: str, says: str) -> None:
    base = shutil.copytree(stage_folder(runs, "base-tiny"), tmp_path / "base")
    (base / spoiled).write_text("{")
    answer = run(tmp_path / "new", "monoreason", *without_tiny(options(own_data)), "--base", base)
    assert_refused(answer, tmp_path / "new", str(base), says)


def test_a_base_that_is_a_file(own_data: OwnData, tmp_path: Path) -> None:
    answer = run(tmp_path / "runs", "monoreason", *without_tiny(options(own_data)), "--base", own_data.english)
    assert_refused(answer, tmp_path / "runs", "is not a folder; give a folder with a model, a hub name, or 'tiny'")


def without_tiny(words: list[str]) -> list[str]:
    """The options of a study with another base: no settings of the tiny one."""
    pairs: Iterator[str] = iter(words)
    kept: list[str] = []
    for option, value in zip(pairs, pairs, strict=True):
        if option != "--base" and not value.startswith("tiny."):
            kept += [option, value]
    return kept


def test_a_disk_that_fills_up_within_training(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qalign.training.trainer

    def full(model: Any, tokenizer: Any, output: Path, *rest: object) -> None:
        (output / "config.json").write_text("{")
        raise OSError(28, os.strerror(28), str(output / "model.safetensors"))

    with monkeypatch.context() as patch:
        patch.setattr(qalign.training.trainer, "save", full)
        answer = run(tmp_path, "monoreason", *options(own_data))
    assert answer.status == 2
    assert "the disk is full" in answer.err.splitlines()[-1]
    assert "free some space" in answer.err.splitlines()[-1]
    assert not list(tmp_path.glob("stages/train-*/config.json"))
    assert not list(tmp_path.rglob("*.tmp"))
    again = run(tmp_path, "monoreason", *options(own_data))
    assert again.status == 0, again.err
    assert "start: train-response-alignment" in again.err, "it has no checkpoint to go on from"
    assert not list(tmp_path.glob("stages/*.partial"))


def test_a_small_disk(own_data: OwnData, tmp_path: Path) -> None:
    """There is room for the models, as is known beforehand; data that nobody has read yet fills the disk."""
    mount, english = tmp_path / "small", tmp_path / "english.jsonl"
    write(english, [{"question": f"How many? {n} " * 20, "answer": "#### 2"} for n in range(2000)])
    mount.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(mount)], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small disk is not permitted here")
    try:
        given = with_option(options(own_data), "--english", english)
        answer = command("run", "monoreason", *given, "--runs", mount / "runs", "--device", "cpu")
        assert_refused(answer, mount / "runs", "the disk is full", "--runs", failing="corpus-own-english")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_folder_of_runs_that_cannot_be_written_to(own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = run(tmp_path / "file", "monoreason", *options(own_data), "--quiet")
    assert_refused(answer, tmp_path / "nothing", "cannot write to the folder of runs", "give another with --runs")


def test_a_stage_folder_edited_by_hand(own_data: OwnData, runs: Path) -> None:
    edited = stage_folder(runs, "examples-english") / "examples.jsonl"
    edited.write_text(edited.read_text().replace("apples", "pears"))
    shutil.rmtree(runs / "results")
    answer = run(runs, "qalign-mono", *options(own_data), "--set", "response-alignment.learning_rate=1e-4")
    assert answer.status == 2
    *remarks, error = answer.err.splitlines()
    assert all("few to learn from" in remark or "to run for" in remark for remark in remarks)
    assert f"{edited} was edited after the stage was finished" in error
    assert f"rm -r {edited.parent}" in answer.err
    assert len(list(runs.glob("stages/train-response-alignment-*"))) == 1
    assert not list(runs.rglob("*.tmp"))
    assert not (runs / "results").exists()


def test_score_and_report_and_check_name_what_is_wrong(own_data: OwnData, tmp_path: Path) -> None:
    rows = [{"id": "1", "language": "de", "gold": "5", "response": "5"}]
    file = write(tmp_path / "p.jsonl", rows)
    nowhere = tmp_path / "nothing"
    assert_refused(qalign("score", "nope.jsonl"), nowhere, "there is no file nope.jsonl: check the path")
    assert_refused(
        qalign("score", file, "--benchmark", "mgms"), nowhere, "unknown benchmark 'mgms': did you mean 'mgsm'?"
    )
    assert_refused(qalign("score", file, "--benchmark", "a" * 300), nowhere, "unknown benchmark 'aaaa")
    for spoiled, says in (
        ({"response": None}, "line 1: no text in 'response'"),
        ({"gold": None}, "line 1: no 'gold'"),
        ({"gold": "many"}, "many"),
        ({"language": "xx"}, "unknown language 'xx'"),
        ({"id": ""}, "line 1: no 'id'"),
        ({"finish": "tired"}, "line 1: finish is 'tired'; it must be 'stop' or 'length'"),
    ):
        assert_refused(qalign("score", write(tmp_path / "q.jsonl", [rows[0] | spoiled])), nowhere, says)
    assert_refused(qalign("score", write(tmp_path / "q.jsonl", rows * 2)), nowhere, "the id 1 (de) stands twice")
    assert_refused(qalign("report", "nope.json"), nowhere, "cannot read nope.json", "give the results.json of a run")
    assert_refused(qalign("report", file), nowhere, "p.jsonl", "results.json")
    assert_refused(
        qalign("check", own_data.english, "--role", "englsh"), nowhere, "unknown role 'englsh': did you mean 'english'?"
    )
    assert_refused(
        qalign("check", own_data.english, "--role", "general", "--languages", "de"),
        nowhere,
        "no columns 'text' and",
    )


@pytest.mark.parametrize("words", ["--output {}", "--runs {}"])
def test_a_file_where_a_folder_should_be(own_data: OwnData, runs: Path, tmp_path: Path, words: str) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    base = stage_folder(runs, "base-tiny")
    given = [*without_tiny(options(own_data)), "--base", base, "--runs", tmp_path / "new"]
    answer = qalign("run", "monoreason", *given, "--device", "cpu", "--quiet", *words.format(file).split())
    assert answer.status == 2
    assert len(answer.err.splitlines()) == 1
    assert str(file) in answer.err
    assert "Traceback" not in answer.err
    assert file.read_text() == "kept"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("zero = 3", "'zero' of the language vi is 3; it must be the digit for 0 of a script, or empty"),
        ('zero = "x"', "it must be the digit for 0 of a script, or empty"),
        ('decimal = ""', "it must be '.' or ','"),
        ('groups = ["."]', "'groups' of the language vi is ['.']; it must be characters out of"),
        ('answer_markers = "x"', "it must be a list of texts"),
        ('answer_markers = ["x", ""]', "it must be a list of texts"),
        ('scales = {"nghìn" = "1000"}', "it must be a table from words to whole numbers"),
        ('myriads = "no"', "it must be true or false"),
        ('digits = "0"', "a language has no field 'digits'"),
        ('name = ""', "Cannot overwrite"),
    ],
)
def test_a_language_row_of_wrong_types(own_data: OwnData, tmp_path: Path, row: str, says: str) -> None:
    file = tmp_path / "rows.toml"
    file.write_text(f'[[language]]\ncode = "vi"\nname = "Vietnamese"\n{row}\n', encoding="utf-8")
    answer = run(tmp_path / "runs", "monoreason", *options(own_data), "--language-file", file)
    assert_refused(answer, tmp_path / "runs", "rows.toml", says)


# --- plan, run, explain -----------------------------------------------------------------------------------------------


def test_plan_starts_nothing(own_data: OwnData, tmp_path: Path) -> None:
    answer = qalign("plan", "qalign-mono", "monoreason", *options(own_data), "--runs", tmp_path / "runs")
    assert answer.status == 0
    assert not (tmp_path / "runs").exists()
    for name in (
        "corpus-own-questions",
        "base-tiny",
        "train-question-alignment",
        "train-response-alignment",
        "score-own",
    ):
        assert re.search(rf"to run +{name}-[0-9a-f]{{8}}", answer.out), name
    assert "(above)" in answer.out, "what two systems share is drawn once"
    assert "0 stages are done, 14 will run. Nothing was started." in answer.out


def test_plan_after_a_run(own_data: OwnData, runs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    answer = qalign("plan", "qalign-mono", "monoreason", *options(own_data), "--runs", runs)
    assert "11 stages are done, 3 will run. Nothing was started." in answer.out
    assert re.search(r"done +train-question-alignment", answer.out)
    (line,) = [line for line in answer.out.splitlines() if re.search(r"to run +train-response-alignment", line)]
    assert "6 examples x 2 epochs, 2 steps of 32" in line
    (row,) = [line for line in answer.out.splitlines() if re.match(r"train-response-alignment-[0-9a-f]{8} ", line)]
    cells = re.split(r"  +", row.strip())[1:]
    assert re.fullmatch(r"~[\d,]+", cells[0]) and re.fullmatch(r"[1-9][\d.]* MiB", cells[1])
    assert re.search(r"disk at the peak +[1-9][\d.]* KiB", answer.out) and "It fits: " in answer.out
    assert before == {path: path.stat().st_mtime_ns for path in runs.rglob("*")}


def test_a_second_run_prints_the_table_and_starts_nothing(own_data: OwnData, runs: Path) -> None:
    run(runs, "qalign-mono", *options(own_data))  # the folder was moved: results name where models are
    first = {path: path.read_bytes() for path in (runs / "results").rglob("results.*")}
    assert len(first) == 4
    answer = run(runs, "qalign-mono", *options(own_data))
    assert answer.status == 0
    assert answer.err == ""
    assert "QAlign (monolingual)" in answer.out
    (path,) = (runs / "results").rglob("results.json")
    assert answer.out.splitlines()[-2:] == [
        f"All tables: qalign report {path}",
        f"Page: {path.with_name('index.html')}",
    ]
    assert "What the systems were trained on" in qalign("report", path).out
    assert {path: path.read_bytes() for path in (runs / "results").rglob("results.*")} == first


def test_the_results_hold_what_was_run(trained: Path) -> None:
    (path,) = (trained / "results").rglob("results.json")
    found = json.loads(path.read_text())
    assert found["run"] == {
        "base": "tiny", "scale": "sample", "seed": 1234, "languages": ["de", "sw"], "qalign": __version__,
        "settings": found["run"]["settings"],
    }  # fmt: skip
    assert "tiny.vocabulary=400" in found["run"]["settings"]
    read = {corpus["folder"].rsplit("-", 1)[0]: corpus for corpus in found["corpora"]}
    assert read["corpus-own-questions"]["counts"] == {"de": 6, "sw": 6}
    assert set(read) == {f"corpus-own-{role}" for role in ("questions", "english", "multilingual", "test")}
    ((_, scores),) = found["systems"]["qalign-mono"].items()
    assert list(scores) == ["de", "en", "average", "non_english"]
    for row in scores.values():
        assert row["correct"] + row["wrong"] + row["unanswered"] + row["cut_off"] == row["n"]
    first, second = found["trained_on"]["qalign-mono"]
    assert (first["stage"], first["examples"], first["examples_by_language"]) == (
        "question-alignment",
        12,
        {"de": 6, "sw": 6},
    )
    assert (second["stage"], second["examples"], second["examples_by_language"]) == ("response-alignment", 6, {"en": 6})


def test_a_changed_value_runs_its_descendants_and_explain_names_it(own_data: OwnData, runs: Path) -> None:
    changed = [*options(own_data), "--set", "response-alignment.learning_rate=1e-4"]
    told = qalign("explain", "qalign-mono", *changed, "--runs", runs)
    lines = told.out.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("config.training.learning_rate 0.002 -> 0.0001")
    assert "its input model is another" in lines[1]
    assert "its input answers is another" in lines[2]
    answer = run(runs, "qalign-mono", *changed)
    assert started(answer) == ["train-response-alignment", "generate-own", "score-own"]
    assert qalign("explain", "qalign-mono", *changed, "--runs", runs).out == ""


def test_options_of_placement_change_no_stage(own_data: OwnData, runs: Path) -> None:
    placed = ["--tokens-per-micro-batch", "100", "--batch-size", "3", "--seconds-per-checkpoint", "0", "--quiet"]
    answer = run(runs, "qalign-mono", *options(own_data), *placed, "--output", runs / "tables")
    assert (answer.status, answer.err) == (0, "")
    assert sorted(path.name for path in (runs / "tables").iterdir()) == [
        "figures", "index.html", "results.csv", "results.json", "results.md", "results.tex",
    ]  # fmt: skip


def test_a_recipe_of_ones_own(own_data: OwnData, runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "my_recipes.py").write_text(
        "def twice(study):\n"
        "    once = study.train('first', study.base, study.english_answers())\n"
        "    return study.train('second', once, study.english_answers())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    answer = run(runs, "my_recipes:twice", *options(own_data), "--set", "second.max_steps=1")
    assert answer.status == 0, answer.err
    assert started(answer) == ["train-first", "train-second", "generate-own", "score-own"]
    assert "my_recipes:twice" in answer.out


# --- demo -------------------------------------------------------------------------------------------------------------


def test_the_options_of_demo_are_named_in_its_help() -> None:
    told = qalign("demo", "--help")
    assert told.status == 0
    assert set(re.findall(r"--[a-z-]+", told.out)) == {
        "--runs",
        "--seed",
        "--jobs",
        "--output",
        "--quiet",
        "--help",
    }


@pytest.mark.parametrize(
    ("words", "seed", "jobs"),
    [("", 1234, None), ("--seed 0 --jobs 1 --quiet", 0, 1), ("--seed 4294967295 --jobs 7", 2**32 - 1, 7)],
)
def test_demo_is_the_study_in_the_world_and_takes_any_seed_and_jobs(
    monkeypatch: pytest.MonkeyPatch, trained: Path, tmp_path: Path, words: str, seed: int, jobs: int | None
) -> None:
    """Up to where it would start; the base of the world is stood in for by another."""
    asked: list[Any] = []
    monkeypatch.setattr("qalign.systems.bases.WORLD_FOLDER", stage_folder(trained, "base-tiny"))
    monkeypatch.setattr("qalign.systems.running.measured_results", lambda *given: asked.append(given))
    monkeypatch.setattr("qalign.cli.studies.finish", lambda results: None)
    assert qalign("demo", "--runs", tmp_path / "runs", "--output", tmp_path / "out", *words.split()) == Answer(
        0, "", ""
    )
    ((study, by_seed, placement, output),) = asked
    comparison = by_seed[""]
    assert (study.base_name, study.scale.name, study.seed, study.runs) == ("world", "toy", seed, tmp_path / "runs")
    assert [system.name for system in comparison] == ["monoreason", "multireason", "qalign-mono"]
    assert all(set(system.scores) == {"world-mgsm", "world-msvamp"} for system in comparison)
    assert placement.runs == tmp_path / "runs"
    assert placement.jobs == (jobs if jobs is not None else JOBS)
    assert placement.quiet == ("--quiet" in words)
    assert output == tmp_path / "out"


@pytest.mark.parametrize(
    "words", ["--jobs 0", "--seed -1", "--seed x", f"--seed {2**32}", "--bass tiny", "qalign-mono"]
)
def test_demo_refuses_what_it_does_not_know(tmp_path: Path, words: str) -> None:
    answer = qalign("demo", "--runs", tmp_path / "runs", *words.split())
    assert (answer.status, answer.out) == (2, "")
    assert "Traceback" not in answer.err
    assert not (tmp_path / "runs").exists()


# --- adopt, eval ------------------------------------------------------------------------------------------------------


def test_an_adopted_checkpoint_is_measured_like_ones_own(own_data: OwnData, runs: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(stage_folder(runs, "train-response-alignment"), tmp_path / "elsewhere")
    taken = qalign("adopt", "monoreason", elsewhere, *options(own_data), "--runs", runs, "--name", "QAlign (mixed)")
    assert "that of a system" in taken.err
    adopted = qalign("adopt", "monoreason", elsewhere, *options(own_data), "--runs", runs, "--name", "from a friend")
    assert adopted.status == 0, adopted.err
    assert " is now " in adopted.out
    answer = run(runs, "qalign-mono", "monoreason", *options(own_data))
    assert started(answer) == ["generate-own", "score-own"]
    (path,) = [p for p in (runs / "results").rglob("results.json") if "monoreason" in p.read_text()]
    report = qalign("report", path).out
    assert "(adopted: from a friend)" in report
    assert "MonoReason is a checkpoint from elsewhere: from a friend." in " ".join(report.split())
    found = json.loads(path.read_text())
    assert found["systems"]["monoreason"] == found["systems"]["qalign-mono"], "the same model, the same answers"
    place = next(
        path for path in (runs / "stages").glob("train-*") if "from a friend" in (path / "stage.json").read_text()
    )
    words = ["--scale", "sample", *SHORT, *own_data.options("test"), "--test-languages", "de,en", "--device", "cpu"]
    measured = qalign("eval", place, *words, "--runs", runs, "--output", tmp_path / "measured")
    assert measured.status == 0, measured.err
    assert list(json.loads((tmp_path / "measured" / "results.json").read_text())["systems"]) == ["from a friend"]
    again = qalign("adopt", "monoreason", elsewhere, *options(own_data), "--runs", runs)
    assert again.status == 2
    assert "is done already; remove its folder first" in again.err
    unknown = qalign(
        "adopt", "qalign-mixed", elsewhere, *options(own_data), "--runs", runs, "--stage", "multilingal-alignment"
    )
    assert unknown.status == 2
    assert "did you mean 'multilingual-alignment'?" in unknown.err
    weights = tmp_path / "elsewhere" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    broken = qalign("adopt", "sft", elsewhere, *options(own_data), "--runs", runs)
    assert broken.status == 2
    assert "is not a whole safetensors file" in broken.err and len(broken.err.splitlines()) == 1
    assert not list((runs / "stages").glob("train-sft*")) and not list((runs / "stages").glob("*.adopting"))
    nowhere = qalign("adopt", "sft", tmp_path / "nowhere", *options(own_data), "--runs", runs)
    assert nowhere.status == 2
    assert len(nowhere.err.splitlines()) == 1


def test_eval_measures_any_checkpoint(own_data: OwnData, runs: Path, tmp_path: Path) -> None:
    model = stage_folder(runs, "train-response-alignment")
    words = ["--scale", "sample", *SHORT, *own_data.options("test"), "--test-languages", "de,en", "--device", "cpu"]
    answer = qalign("eval", model, *words, "--runs", tmp_path / "new")
    assert answer.status == 0, answer.err
    assert started(answer) == ["corpus-own-test", "generate-own", "score-own"]
    assert qalign("eval", model, *words, "--runs", tmp_path / "new").err == ""
    (ours,) = (runs / "results").rglob("results.json")
    (theirs,) = (tmp_path / "new" / "results").rglob("results.json")
    scores = [list(json.loads(path.read_text())["systems"].values()) for path in (ours, theirs)]
    assert scores[0] == scores[1]


def test_known_answers_give_known_accuracies(own_data: OwnData, tmp_path: Path) -> None:
    """All right in German; in Swahili half, one wrong, one silent, one cut off; nothing but the cut in French."""
    answers = {}
    for number in range(6):
        rows = {code: texts(code, number) for code in ("de", "sw", "fr")}
        answers[rows["de"]["question"]] = rows["de"]["answer"]
        swahili = rows["sw"]["answer"]
        answers[rows["sw"]["question"]] = {3: "Jibu ni 1.", 4: "Sijui.", 5: "1 + 1\0"}.get(number, swahili)
        answers[rows["fr"]["question"]] = "Elle a d'abord 3\0"
    model = tmp_path / "script"
    model.mkdir()
    (model / "script.json").write_text(json.dumps({"answers": answers}), encoding="utf-8")
    words = [
        "--scale",
        "sample",
        *own_data.options("test"),
        "--runs",
        tmp_path / "runs",
        "--test-languages",
        "de,sw,fr",
    ]
    answer = qalign("eval", model, *words, "--set", "generation.backend=scripted")
    assert answer.status == 0, answer.err
    (path,) = (tmp_path / "runs" / "results").rglob("results.json")
    ((scores,),) = [list(system.values()) for system in json.loads(path.read_text())["systems"].values()]
    counts = {
        code: [
            row["n"],
            row["accuracy"]["strict"],
            *(row[name] for name in ("correct", "wrong", "unanswered", "cut_off")),
        ]
        for code, row in scores.items()
    }
    assert counts == {
        "de": [6, 100.0, 6, 0, 0, 0],
        "sw": [6, 50.0, 3, 1, 1, 1],
        "fr": [6, 0.0, 0, 0, 0, 6],
        "average": [18, 50.0, 9, 1, 1, 7],
        "non_english": [18, 50.0, 9, 1, 1, 7],
    }
    # Another script under the same name is another model.
    (model / "script.json").write_text(json.dumps({"answers": {}, "otherwise": "#### 5"}), encoding="utf-8")
    answer = qalign("eval", model, *words, "--set", "generation.backend=scripted")
    assert started(answer) == ["generate-own", "score-own"]


def test_a_limit_is_a_setting_in_few_words(own_data: OwnData, tmp_path: Path) -> None:
    """The same stages as `--set data.problems_per_language`, named in results, said below the table."""
    (tmp_path / "script.json").write_text('{"answers": {}, "otherwise": "#### 5"}')
    words: list[str | Path] = [tmp_path, "--scale", "sample", *own_data.options("test"), "--runs", tmp_path / "runs"]
    words += ["--test-languages", "de,sw", "--set", "generation.backend=scripted"]
    limited = qalign("eval", *words, "--limit", "2")
    assert limited.status == 0, limited.err
    (path,) = (tmp_path / "runs" / "results").rglob("results.json")
    results = json.loads(path.read_text())
    ((scores,),) = [list(system.values()) for system in results["systems"].values()]
    assert [scores[code]["n"] for code in ("de", "sw")] == [2, 2]
    assert "data.problems_per_language=2" in results["run"]["settings"]
    assert "Only the first problems of a test set were asked: 2 of 6 of " in " ".join(limited.out.split())
    assert started(qalign("eval", *words, "--set", "data.problems_per_language=2")) == []
    whole = qalign("eval", *words, "--limit", "6")
    assert started(whole) and "Only the first" not in whole.out
    both = qalign("eval", *words, "--limit", "2", "--set", "data.problems_per_language=2")
    assert (both.status, both.out) == (2, "")
    assert "limit 2 is short for --set data.problems_per_language=2; give one of the two" in both.err
    assert qalign("eval", *words, "--limit", "0").status == 2


def test_a_script_that_lacks_an_answer(own_data: OwnData, tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text('{"answers": {}}')
    words = ["--scale", "sample", *own_data.options("test"), "--runs", tmp_path / "runs", "--test-languages", "de"]
    answer = qalign("eval", tmp_path, *words, "--set", "generation.backend=scripted")
    assert answer.status == 2
    assert "the script has no answer to 'Anna hat" in answer.err.splitlines()[-1]
    assert not list((tmp_path / "runs").glob("stages/generate-own-????????"))
    (tmp_path / "script.json").write_text("{")
    answer = qalign("eval", tmp_path, *words, "--set", "generation.backend=scripted")
    assert answer.status == 2
    assert "is not a script" in answer.err.splitlines()[-1]


# --- score, report, check ---------------------------------------------------------------------------------------------


def table_row(out: str, name: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if re.match(rf"{re.escape(name)}  ", line)]
    return re.split(r" {2,}", line.strip())


def test_score_a_file_with_gold_answers(tmp_path: Path) -> None:
    rows = [
        {
            "id": "1",
            "language": "de",
            "gold": "1500",
            "response": "Es sind 1.500.",
        },  # right for a reader of German only
        {"id": "2", "language": "de", "gold": "7", "response": "Die Antwort ist 7."},
        {"id": "1", "language": "en", "gold": "1500", "response": "It is 1,500.", "finish": "stop", "model": "x"},
        {"id": "2", "language": "en", "gold": "7", "response": "8", "finish": "stop", "model": "x"},
        {"id": "3", "language": "en", "gold": "7", "response": "no idea", "finish": "stop", "model": "x"},
        {"id": "4", "language": "en", "gold": "7", "response": "then 7", "finish": "length", "model": "x"},
    ]
    judged = tmp_path / "new" / "judged.jsonl"
    answer = qalign("score", write(tmp_path / "p.jsonl", rows), "--judgements", judged, "--runs", tmp_path / "runs")
    assert answer.status == 0, answer.err
    columns = {"de": "n 2 100.0 50.0 2 0 0 0", "en": "n 4 25.0 50.0 1 1 1 1", "average": "n 6 62.5 50.0 3 1 1 1"}
    for name, expected in columns.items():
        _, n, strict, _, paper, *counts = table_row(answer.out, name)
        assert ["n", n, strict.split()[0], paper.split()[0], *counts[:4]] == expected.split(), name
    assert "Columns not used: model." in answer.out
    outcomes = [json.loads(line)["outcome"] for line in judged.read_text().splitlines()]
    assert outcomes == ["correct", "correct", "correct", "wrong", "unanswered", "cut_off"]
    assert not (tmp_path / "runs").exists()

    (tmp_path / "p.csv").write_text('id,gold,text\n1,5,"five, no: 5"\n2,6,7\n')
    answer = qalign("score", tmp_path / "p.csv", "--language", "en")
    assert table_row(answer.out, "en")[1:3] == ["2", "50.0 ± 50.0"]


def test_score_a_file_against_a_benchmark(own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORPORA, "mgsm", replace(CORPORA["mgsm"], published={}))
    shutil.copytree(own_data.test, tmp_path / "benchmarks" / "mgsm")
    words = ["--benchmark", "mgsm", "--data", str(tmp_path), "--language", "de", "--runs", str(tmp_path / "runs")]
    rows = [{"id": str(n), "text": f"Es sind {texts('de', n)['final'] + n // 4}."} for n in range(6)]
    answer = qalign("score", write(tmp_path / "p.jsonl", rows), *words)
    assert answer.status == 0, answer.err
    assert table_row(answer.out, "de")[1] == "6"
    assert table_row(answer.out, "de")[2].startswith("66.7 ")
    answer = qalign("score", write(tmp_path / "p.jsonl", rows[:4]), *words)
    assert answer.status == 0, answer.err
    assert table_row(answer.out, "de")[1] == "4"
    assert "A subset is scored: 4 of 6 in de." in " ".join(answer.out.split())
    answer = qalign("score", write(tmp_path / "p.jsonl", [*rows, {"id": "99", "text": "5"}]), *words)
    assert_refused(answer, tmp_path / "runs", "line 7: no problem 99 in de of the test set")


@pytest.mark.real_data
def test_score_a_file_against_the_real_mgsm(tmp_path: Path) -> None:
    data = Path(os.environ.get("QALIGN_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (data / "benchmarks" / "mgsm").is_dir():
        pytest.skip(f"no real data at {data}: set QALIGN_DATA to the folder that holds it")
    golds = [json.loads(line) for line in (data / "benchmarks" / "mgsm" / "sw.jsonl").read_text().splitlines()]
    rows = [{"id": row["id"], "response": f"Jibu ni {row['answer'] if n % 2 else 'X'}."} for n, row in enumerate(golds)]
    words = ["--benchmark", "mgsm", "--data", str(data), "--language", "sw", "--runs", str(tmp_path / "runs")]
    answer = qalign("score", write(tmp_path / "p.jsonl", rows), *words)
    assert answer.status == 0, answer.err
    assert table_row(answer.out, "sw")[1] == "250"
    assert table_row(answer.out, "sw")[2].startswith("50.0 ")
    assert table_row(answer.out, "sw")[5:9] == ["125", "0", "125", "0"]


def test_report_in_all_formats(trained: Path) -> None:
    (path,) = (trained / "results").rglob("results.json")
    (scores,) = load(path).systems["qalign-mono"].values()
    average = with_error(scores["average"].accuracy["strict"], scores["average"].standard_error["strict"], 6)
    assert "QAlign (monolingual)" in qalign("report", path).out
    markdown = qalign("report", path, "--format", "markdown").out
    assert f"| {average} |" in markdown
    assert re.search(r"^\|---\|(---:\|)+$", markdown, re.MULTILINE)
    latex = qalign("report", path, "--format", "latex").out
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 6
    assert rf"& {average} &" in latex
    rows = list(csv.reader(io.StringIO(qalign("report", path, "--format", "csv").out)))
    assert rows[0][:5] == ["system", "benchmark", "de", "en", "average ± s.e."]
    assert rows[1][0] == "QAlign (monolingual)"
    assert rows[1][4] == average
    wrong = qalign("report", path, "--format", "latx")
    assert (wrong.status, wrong.err) == (2, "qalign: error: unknown format 'latx': did you mean 'latex'?\n")


def test_check_counts_what_a_run_would_read(own_data: OwnData, tmp_path: Path) -> None:
    answer = qalign("check", own_data.questions, "--role", "questions", "--runs", tmp_path / "runs")
    assert answer.status == 0, answer.err
    assert [table_row(answer.out, code)[1] for code in ("de", "fr", "sw", "all")] == ["6", "6", "6", "18"]
    answer = qalign("check", own_data.test, "--role", "test", "--languages", "en,de")
    assert table_row(answer.out, "all")[1] == "12"
    assert "sw" not in answer.out
    assert table_row(qalign("check", own_data.english, "--role", "english").out, "en")[1] == "6"
    rows = [texts("en", 0), {"question": "", "answer": "1"}, texts("en", 1)]
    file = write(tmp_path / "some.jsonl", rows)
    assert qalign("check", file, "--role", "english").status == 2
    answer = qalign("check", file, "--role", "english", "--drop-invalid")
    assert table_row(answer.out, "en")[1] == "2"
    assert "Dropped on request" in answer.out
    assert "some.jsonl line 2" in answer.out
    assert "2 rows are few to train on: `qalign plan` says how many steps they give" in answer.out
    answer = qalign("check", own_data.test, "--role", "test", "--languages", "de")
    assert "6 problems in a language are few: a score on them has a standard error of up to 20 points" in answer.out
    it = write(tmp_path / "it.jsonl", [{"question": "Quanti?", "answer": 5}])
    answer = qalign("check", it, "--role", "test", "--languages", "de")
    assert "The file is named as one in the language 'it' would be, and was read as de." in answer.out


# --- own data in further languages ------------------------------------------------------------------------------------

LANGUAGE_FILE = """
[[language]]
code = "vi"
name = "Vietnamese"
native_name = "Tiếng Việt"
decimal = ","
groups = "."
answer_markers = ["câu trả lời là", "đáp án:"]

[[language]]
code = "id"
name = "Indonesian"
decimal = ","
groups = "."
answer_markers = ["jawabannya adalah"]
"""


def test_languages_outside_the_study_from_questions_to_scores(tmp_path: Path) -> None:
    data = write_own_data(tmp_path / "data", ("vi", "id"))
    (tmp_path / "rows.toml").write_text(LANGUAGE_FILE, encoding="utf-8")
    words = [*STUDY, *data.options("questions", "english", "test"), "--languages", "vi,id"]
    unknown = run(tmp_path / "runs", "qalign-mono", *words)
    assert_refused(unknown, tmp_path / "runs", "unknown language 'vi'", "--language-file")
    words += ["--language-file", str(tmp_path / "rows.toml")]
    answer = run(tmp_path / "runs", "qalign-mono", *words)
    assert answer.status == 0, answer.err
    assert started(answer) == [
        "corpus-own-questions", "corpus-own-english", "examples-x-en-questions", "examples-english", "corpus-own-test",
        "base-tiny", "train-question-alignment", "train-response-alignment", "generate-own", "score-own",
    ]  # fmt: skip
    (path,) = (tmp_path / "runs" / "results").rglob("results.json")
    found = json.loads(path.read_text())
    ((_, scores),) = found["systems"]["qalign-mono"].items()
    counts = {"vi": 6, "id": 6, "en": 6, "average": 18, "non_english": 12}
    assert {code: row["n"] for code, row in scores.items()} == counts
    page = (path.parent / "index.html").read_text(encoding="utf-8")
    assert 'data-name="Vietnamese (vi)"' in page, "a language of one's own has its name too"
    examples = (stage_folder(tmp_path / "runs", "examples-x-en-questions") / "examples.jsonl").read_text()
    assert "Translate the following sentences from Vietnamese to English. Anna có 3 quả táo" in examples
    assert "Translate the following sentences from Indonesian to English. Anna punya 3 apel" in examples

    # The checkpoint is an ordinary one, and its chat template is the training prompt.
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from qalign.alignment.prompts import encode_prompts, prompt

    checkpoint = stage_folder(tmp_path / "runs", "train-response-alignment")
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    question = texts("vi", 0)["question"]
    messages = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == tokenizer.bos_token + prompt(question)
    encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    assert encoded["input_ids"][0].tolist() == encode_prompts([prompt(question)], tokenizer)[0]
    answered = model.generate(**encoded, max_new_tokens=8)
    predictions = stage_folder(tmp_path / "runs", "generate-own") / "predictions.jsonl"
    rows = [json.loads(line) for line in predictions.read_text().splitlines()]
    (ours,) = [row["text"] for row in rows if (row["language"], row["id"]) == ("vi", "0")]
    assert ours == tokenizer.decode(answered[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)

    # The checkpoint keeps the rows, wherever it goes.
    copied = tmp_path / "copied"
    shutil.copytree(checkpoint, copied)
    measured = ("--test", data.test, "--test-languages", "vi,en", "--limit", "2", "--device", "cpu")
    answer = qalign("eval", copied, *measured, "--set", "generation.max_new_tokens=4", "--runs", tmp_path / "others")
    assert answer.status == 0, answer.err
    record = json.loads((stage_folder(tmp_path / "others", "score-own") / "stage.json").read_text())
    assert record["identity"]["config"]["languages"]["vi"]["answer_markers"] == ["câu trả lời là", "đáp án:"]
    (copied / "languages.json").unlink()
    assert "unknown language 'vi'" in qalign("eval", copied, *measured, "--runs", tmp_path / "others").err

    # A changed row of the language table is a changed study.
    (tmp_path / "rows.toml").write_text(LANGUAGE_FILE.replace("Vietnamese", "Annamese"), encoding="utf-8")
    told = qalign("explain", "qalign-mono", *words, "--runs", tmp_path / "runs").out
    assert "config.languages.vi.name Vietnamese -> Annamese" in told


@pytest.mark.parametrize("verb", ["plan", "explain"])
def test_the_line_of_a_run_serves_for_its_plan(own_data: OwnData, tmp_path: Path, verb: str) -> None:
    placed = ("--tokens-per-micro-batch", "512", "--batch-size", "2", "--quiet", "--seconds-per-checkpoint", "5")
    answer = qalign(verb, "monoreason", *options(own_data), *placed, "--runs", tmp_path / "runs")
    assert answer.status == 0, answer.err
    assert "train-response-alignment" in answer.out
