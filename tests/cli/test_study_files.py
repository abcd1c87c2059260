"""A study as a file: what it holds, what overrides it, how it is saved, and what is said of one that is wrong."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qalign
from own_data import write_own_data
from qalign.cli import app
from qalign.options import StudyOptions
from qalign.systems.study_file import KEYS, read_study, write_study
from test_house_rules import REPOSITORY, code_blocks

WHOLE = """
systems = ["monoreason", "slow=qalign-mono"]
base = "tiny"
scale = "sample"
seed = 7
languages = ["de", "sw"]
test_languages = ["de", "en"]
limit = 2
questions = "data/questions"
english = "data/english.jsonl"
test = ["data/test"]
[settings]
training.max_steps = 3
training.learning_rate = 1e-5
training.adapter.rank = 2
data.drop_invalid = true
slow.response-alignment.epochs = 2
"""
FLAGS = shlex.split(
    "monoreason slow=qalign-mono --base tiny --scale sample --seed 7 --languages de,sw --test-languages de,en --limit 2 "
    "--questions data/questions --english data/english.jsonl --test data/test --set training.max_steps=3 "
    "--set training.learning_rate=1e-5 --set training.adapter.rank=2 --set data.drop_invalid=true "
    "--set slow.response-alignment.epochs=2"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data and a whole study file."""
    monkeypatch.chdir(tmp_path)
    write_own_data(tmp_path / "data")
    (tmp_path / "study.toml").write_text(WHOLE, encoding="utf-8")
    return tmp_path


def plan(*words: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["plan", *words, "--device", "cpu"], env={"COLUMNS": "200"})
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
    return outcome.exit_code, outcome.stdout, outcome.stderr


def stages(*words: str) -> list[str]:
    """The stages that a command plans, with the hashes of all that decides their results."""
    code, out, err = plan(*words)
    assert code == 0, err
    return re.findall(r"to run +(\S+)", out)


def test_a_file_is_the_study_of_its_options(folder: Path) -> None:
    assert stages("study.toml") == stages(*FLAGS)
    study, systems = qalign.load_study("study.toml")
    assert systems == ["monoreason", "slow=qalign-mono"] and study.seed == 7


@pytest.mark.parametrize(
    "words",
    [
        "--seed 1234", "--limit 1", "--languages fr", "--test-languages sw", "--set training.max_steps=4", "--scale paper",
        "--set slow.response-alignment.epochs=1", "--set data.problems_per_language=1", "--english data/supervised.jsonl",
    ],
)  # fmt: skip
def test_the_command_line_overrides_the_file(folder: Path, words: str) -> None:
    given = shlex.split(words)
    changed = stages("study.toml", *given)
    assert changed != stages("study.toml")
    flags = list(FLAGS)
    if given[0] == "--set" and "problems_per_language" in given[1]:
        del flags[flags.index("--limit") :][:2]
        place = flags.index("--limit")
        flags[place : place + 2] = []
    elif given[0] != "--set":
        place = flags.index(given[0])
        flags[place : place + 2] = []
    assert changed == stages(*flags, *given)


def test_systems_behind_the_file_are_in_the_place_of_its_own(folder: Path) -> None:
    """What the file says of other systems is left out."""
    assert stages("study.toml", "monoreason") == stages(*[word for word in FLAGS if word != "slow=qalign-mono"][:-2])
    code, _, err = plan("study.toml", "monoreason", "--set", "slow.training.epochs=1")
    assert code == 2 and "this run has no stage 'slow'" in err


def test_paths_are_relative_to_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = stages("study.toml")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert stages("../study.toml") == here
    assert stages(str(folder / "study.toml")) == here


def test_saved_files_are_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = stages(*FLAGS, "--save", "kept/mine.toml")
    saved = tomllib.loads(Path("kept/mine.toml").read_text(encoding="utf-8"))
    assert saved["test"] == ["../data/test"] and saved["settings"]["slow.response-alignment.epochs"] == "2"
    assert stages("kept/mine.toml") == planned
    assert stages("kept/mine.toml", "--limit", "1", "--save", "kept/less.toml") == stages("kept/less.toml") != planned
    assert stages(*FLAGS, "--save", "kept/mine.toml") == planned, "the same file may be written again"
    code, _, err = plan(*FLAGS[:-2], "--save", "kept/mine.toml")
    assert code == 2 and err.count("\n") == 1 and "kept/mine.toml is there already" in err
    code, _, err = plan("monoraeson", *FLAGS[2:], "--save", "kept/wrong.toml")
    assert code == 2 and not Path("kept/wrong.toml").exists()


def test_every_option_is_saved_and_read(folder: Path) -> None:
    write_own_data(folder / "further")
    (folder / "languages.toml").write_text('[[language]]\ncode = "vi"\nname = "Vietnamese"\n', encoding="utf-8")
    options = {
        "base": "data", "scale": "toy", "seed": 3, "questions": "data/questions", "english": "metamathqa",
        "multilingual": "data/multilingual", "general": "data/general", "languages": ["vi"], "test": ["mgsm", "data/test"],
        "test_languages": ["de"], "limit": 5, "data": "further",
        "teacher": "data", "teacher_endpoint": "http://localhost:1/v1", "language_file": "languages.toml",
        "settings": ["training.adapter=on", "training.adapter.rank=8", 'my:own.training.title="\x7f\\', "a.b=007"],
    }  # fmt: skip
    assert {*options, "systems"} == set(KEYS)
    write_study(folder / "sub" / "all.toml", ["my:own", "b=sft"], StudyOptions(**options))
    systems, read = read_study(Path("sub/all.toml"))
    assert systems == ["my:own", "b=sft"]
    settings = read.pop("settings")
    assert [one.text for one in settings] == options.pop("settings")
    paths = {"base", "questions", "multilingual", "general", "data", "language_file", "teacher"}
    for key, value in options.items():
        expected = f"sub/../{value}" if key in paths else value
        assert read[key] == (["mgsm", "sub/../data/test"] if key == "test" else expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sytems = ["sft"]', "bad.toml: unknown key 'sytems': did you mean 'systems'?"),
        ('test-language = ["de"]', "bad.toml: unknown key 'test-language': did you mean 'test_languages'?"),
        ("jobs = 2", "bad.toml: unknown key 'jobs': it is an option of the command, --jobs,"),
        ('tracker = "none"', "bad.toml: unknown key 'tracker': it is an option of the command, --tracker,"),
        ('trackers = ["none"]', "bad.toml: unknown key 'trackers': it is an option of the command, --tracker,"),
        ("batch-size = 2", "bad.toml: unknown key 'batch-size': it is an option of the command, --batch-size,"),
        ('runs = "r"', "bad.toml: unknown key 'runs': it is an option of the command, --runs,"),
        ('set = ["a.b=1"]', "bad.toml: unknown key 'set': did you mean 'settings'?"),
        ('systems = "sft"', "bad.toml: systems is 'sft'; give a list"),
        ('systems = ["sft", 3]', "bad.toml: systems[1] is 3; give a text"),
        ('languages = ["de", 1.5, "sw"]', "bad.toml: languages[1] is 1.5; give a text"),
        ('test = ["mgsm", ["msvamp"]]', "bad.toml: test[1] is ['msvamp']; give a text or a path"),
        ('systems = ["sftt"]', "unknown system 'sftt': did you mean 'sft'?"),
        ("systems = []", "bad.toml: systems holds an empty value"),
        ('base = ""', "bad.toml: base holds an empty value"),
        ('scale = "tooy"', "unknown scale 'tooy': did you mean 'toy'?"),
        ('seed = "1"', "bad.toml: seed is '1'; give a whole number from 0 to 4294967295"),
        ("seed = -1", "bad.toml: seed is -1; give a whole number from 0 to"),
        ("limit = 0", "bad.toml: limit is 0; give a whole number of 1 or more"),
        ("limit = 1.5", "bad.toml: limit is 1.5; give a whole number of 1 or more"),
        ('languages = ["de", "xx"]', "unknown language 'xx'"),
        ("languages = 1979-05-27", "bad.toml: languages is 1979-05-27; give a list"),
        ('test = ["data/tset"]', "'data/tset' is neither a benchmark nor a path: did you mean 'data/test'?"),
        ('questions = "nowhere"', "'nowhere' is neither a corpus nor an existing path"),
        ('language_file = "no.toml"', "cannot read the language file no.toml"),
        ("settings = 3", "bad.toml: settings is 3; give a table"),
        ("settings.training.epocs = 2", "bad.toml: settings.training.epocs=2: there is no 'epocs' here: did you mean 'epochs'?"),
        ("settings.trainin.epochs = 2", "bad.toml: settings.trainin.epochs=2: this run has no stage 'trainin'"),
        ('settings.training.epochs = "x"', "bad.toml: settings.training.epochs=x: 'x' is not a whole number"),
        ("settings.epochs = 2", "bad.toml: settings.epochs=2 is not stage.field=value"),
        ("settings.training.epochs = [2]", "bad.toml: settings.training.epochs is [2]; give text, a number"),
        ("settings.training.epochs = 1979-05-27", "bad.toml: settings.training.epochs is 1979-05-27; give text, a number"),
        ("limit = 2\nsettings.data.problems_per_language = 3", "limit 2 is short for bad.toml: settings.data.problems_per"),
        ("limit = 2\nlimit = 3", "bad.toml is not TOML"),
        ("systems = [", "bad.toml is not TOML"),
        ("", "bad.toml names no systems"),
        ('"\\u001b[31m" = 1', "bad.toml: unknown key '\\x1b[31m'"),
        ('base = "a\\u0000b"', "bad.toml: it holds the character U+0000"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_one_line_with_the_key(folder: Path, text: str, says: str) -> None:
    whole = text if "systems" in text or not text else f'systems = ["monoreason"]\nbase = "tiny"\n{text}'
    if "base" in text:
        whole = text
    (folder / "bad.toml").write_text(whole, encoding="utf-8")
    code, out, err = plan("bad.toml")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"qalign: error: {says}"), err


@pytest.mark.parametrize("words", ["stdy.toml", "study.toml other.toml", "data.toml"])
def test_files_that_cannot_be_read(folder: Path, words: str) -> None:
    (folder / "data.toml").mkdir()
    code, out, err = plan(*words.split())
    says = {
        "stdy.toml": "cannot read the study file stdy.toml: No such file or directory; did you mean 'study.toml'?",
        "study.toml other.toml": "a run has one study file; give one of study.toml, other.toml",
        "data.toml": "data.toml is not a file; give a TOML file",
    }[words]
    assert (code, out, err) == (2, "", f"qalign: error: {says}\n")


def test_the_file_of_the_documents_is_planned_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = REPOSITORY / "docs" / "quickstart.md"
    (block,) = [block for block in code_blocks(document) if block.startswith("# study.toml\n")]
    Path("study.toml").write_text(block, encoding="utf-8")
    commands = [
        line for block in code_blocks(document) for line in block.splitlines() if ".toml" in line and "qalign" in line
    ]
    assert len([command for command in commands if "study.toml" in command]) == 3
    for command in commands:
        if "study.toml" in command:
            words = shlex.split(command)[2:]
            assert stages(*words)
            assert ("my-study.toml" in words) == Path("my-study.toml").exists()
    small = "study.toml --limit 1 --test-languages de --languages de --set training.max_steps=1 --set generation.max_new_tokens=2"
    words = [*small.split(), "--set", "data.examples_per_language=4", "--set", "data.english_examples=4"]
    outcome = CliRunner().invoke(
        app, ["run", *words, "--set", "response-alignment.max_steps=1", "--device", "cpu", "--quiet"]
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "slow" in outcome.stdout
