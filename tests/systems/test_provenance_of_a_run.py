"""A run says where its models are and how it was made, without keys; what it says of a model works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from own_data import OwnData
from qalign.cli import app

SECRET = "sk-abcdefghijklmnop"
SMALL = (
    "--scale", "sample", "--languages", "de,sw", "--test-languages", "en", "--device", "cpu", "--tracker", "none", "--quiet",
    "--set", "tiny.vocabulary=400", "--set", "training.max_steps=1", "--set", "generation.max_new_tokens=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(own_data: OwnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one system, made by a command that held a key."""
    place = tmp_path_factory.mktemp("made") / "my run"
    words = ["run", "monoreason", *SMALL, *own_data.options("questions", "english", "test")]
    words += ["--runs", str(place / "runs"), "--output", str(place / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["/usr/bin/qalign", *map(str, words), "--api-key", SECRET])
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    (place / "printed").write_text(result.stdout, encoding="utf-8")
    return place


def test_results_name_date_command_and_versions_without_keys(folder: Path) -> None:
    made = json.loads((folder / "out/results.json").read_text())["made"]
    assert made["command"][:3] == ["/usr/bin/qalign", "run", "monoreason"]
    assert list(made["versions"])[:4] == ["qalign", "torch", "transformers", "python"]
    last = max(json.loads(path.read_text())["finished"] for path in folder.glob("runs/stages/*/stage.json"))
    assert made["date"].endswith("Z") and last > 0
    for path in (folder / "out").glob("*.*"):
        assert SECRET not in path.read_text(encoding="utf-8"), path


def test_the_folder_of_the_model_stands_everywhere(folder: Path) -> None:
    (model,) = folder.glob("runs/stages/train-response-alignment-*")
    assert json.loads((folder / "out/results.json").read_text())["models"] == [
        {"system": "monoreason", "folder": str(model)}
    ]
    for name in ("printed", "out/results.md", "out/index.html"):
        text = (folder / name).read_text(encoding="utf-8").replace("&#39;", "'")
        assert str(model) in text, name
        assert f"vllm serve '{model}'" in text, name


def test_the_snippet_asks_the_model(folder: Path) -> None:
    text = (folder / "out/results.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    assert "from_pretrained" in code
    example = json.loads((folder / "out/results.json").read_text())["example"]
    assert example["language"] == "en" and repr(example["question"]) in code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(example["answers"]["monoreason"]), "the model answers as it did in the run"
