"""Cheap checks come before anything is hashed, and a line says that something large is read or hashed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from own_data import OwnData
from qalign import terminal
from qalign.cli import app
from qalign.corpora import source
from qalign.systems import bases


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of our own."""
    return Path(shutil.copytree(bases.WORLD_FOLDER, tmp_path / "model"))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has a kilobyte is large."""
    monkeypatch.setattr(terminal, "LARGE", 1000)
    terminal.announce.cache_clear()


def said(*words: str | Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    return result.exit_code, result.stderr.splitlines()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--set", "trainig.epochs=3"],
        ["--set", "training.epocs=3"],
        ["--set", "training.epochs=three"],
        ["--test", "msgm"],
        ["--test-languages", "dee"],
    ],
)
@pytest.mark.parametrize("verb", ["plan", "eval"])
def test_a_mistyped_word_waits_for_no_hash(
    model: Path, own_data: OwnData, tmp_path: Path, wrong: list[str], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bases, source):
        monkeypatch.setattr(module, "file_sha256", lambda path: pytest.fail(f"{path} was hashed"))
    given = own_data.options("questions") if verb == "plan" else []
    systems = ["qalign-mono", "--base", model] if verb == "plan" else [model]
    status, lines = said(verb, *systems, *given, *wrong, "--runs", tmp_path / "runs")
    assert status == 2 and len(lines) == 1 and lines[0].startswith("qalign: error: ")


@pytest.mark.usefixtures("short")
def test_a_line_says_that_a_model_and_a_corpus_are_hashed(model: Path, own_data: OwnData, tmp_path: Path) -> None:
    words = ["plan", "qalign-mono", "--base", model, "--scale", "sample", "--languages", "de,sw", "--test-languages"]
    words += ["de,en", "--runs", tmp_path / "runs", *own_data.options("questions", "english", "multilingual", "test")]
    _, lines = said(*words)
    hashed = [line for line in lines if line.startswith(f"qalign: hashing {model} (")]
    assert len(hashed) == 1, "one line for all files"
    assert any(line.startswith(f"qalign: hashing {own_data.questions} (") for line in lines)
    terminal.announce.cache_clear()
    _, again = said(*words)
    assert not [line for line in again if str(model) in line], "its hashes are kept"


def test_what_is_small_is_hashed_without_a_word(model: Path, tmp_path: Path) -> None:
    terminal.announce.cache_clear()
    _, lines = said("plan", "monoreason", "--base", model, "--scale", "toy", "--runs", tmp_path / "runs")
    assert lines == []
