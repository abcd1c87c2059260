"""The worked examples of README, quickstart and your-own run in their order, as a reader would type them, with fewer steps.

What needs a GPU, a server or a network stands in `NOT_HERE` of test_documents, with its reason.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qalign.cli import app
from test_documents import NOT_HERE, REPOSITORY, RUN, WORKED_EXAMPLES
from test_house_rules import code_blocks

DOCUMENTS = ("docs/your-own.md", "README.md", "docs/quickstart.md")
SMALLER = ["--set", "training.max_steps=2", "--set", "generation.max_new_tokens=4", "--limit", "2", "--device", "cpu"]


def block_commands(document: Path) -> list[str]:
    """The commands of a document's code blocks, in their order."""
    lines = [
        " ".join(re.sub(r"(^|\s)#.*", "", line).split())
        for block in code_blocks(document)
        for line in re.sub(r"\\\n\s*", " ", block).splitlines()
    ]
    return [part for line in lines for part in line.split(" && ") if re.match(r"(qalign|python examples/)", part)]


def test_every_command_of_the_worked_examples_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in code_blocks(REPOSITORY / "docs" / "your-own.md"):
        if (named := re.match(r"# (\w+\.py)\n", block)) is not None:
            (tmp_path / named[1]).write_text(block, encoding="utf-8")
    commands = [command for name in DOCUMENTS for command in block_commands(REPOSITORY / name)]
    tried = []
    for command in dict.fromkeys(commands):
        if command in NOT_HERE or command in RUN:  # test_documents.py runs the latter
            continue
        tried.append(command)
        words = shlex.split(command)
        if words[0] == "python":
            monkeypatch.setattr(sys, "argv", words[1:])
            runpy.run_path(str(REPOSITORY / words[1]), run_name="__main__")
            continue
        if "NAME" in command:
            names = sorted(path.name for path in (tmp_path / "runs" / "results").iterdir())
            words = [word.replace("NAME", names[0]) for word in words]
        if words[1] in ("run", "plan"):
            words += SMALLER
        elif words[1] == "eval":
            words += ["--set", "generation.max_new_tokens=4", "--device", "cpu"]
        outcome = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert outcome.exit_code == 0, f"{command}: {outcome.stderr}"
        assert outcome.stdout.strip(), command
    assert set(tried) == set(WORKED_EXAMPLES)


def test_the_backend_of_the_documents_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class in your-own.md is opened by the name that a line in BACKENDS gives it, and its answers are scored."""
    from qalign.generation import protocol

    (block,) = [block for block in code_blocks(REPOSITORY / "docs" / "your-own.md") if "class Fixed" in block]
    (tmp_path / "my_backend.py").write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(protocol.BACKENDS, "fixed", "my_backend:open_fixed")  # type: ignore[index]
    monkeypatch.setattr(sys, "argv", ["own_languages.py", "mine"])
    runpy.run_path(str(REPOSITORY / "examples" / "own_languages.py"), run_name="__main__")
    command = "eval world --test mine/test --test-languages en --limit 40 --set generation.backend=fixed --device cpu"
    outcome = CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.stderr
    texts = [path.read_text(encoding="utf-8") for path in Path("runs/stages").glob("generate-*/*.jsonl")]
    assert len(texts) == 1 and texts[0].count("The answer is 7.") == 40
