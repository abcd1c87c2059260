"""The task of examples/lm_eval gives the answers and the accuracy of `qalign eval`. `make test-neighbours` runs it."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from qalign.cli import app
from qalign.corpora import locate, read
from qalign.languages import LANGUAGES, STUDY
from qalign.placement import Placement
from qalign.records import Example, write_jsonl
from qalign.systems.bases import WORLD_FOLDER
from qalign.training.config import TrainingConfig
from qalign.training.launch import launch
from qalign.training.loop import Job
from test_house_rules import REPOSITORY, code_blocks

DATA = Path(os.environ.get("QALIGN_DATA", REPOSITORY.parent / "shared" / "data"))
EACH = 2
"""Problems in each language."""
FORMS = ("The answer is: {}", "#### {}", "It is {}, I think.", "She has {}.00 left.")
BY_LANGUAGE = {
    "sw": "Jibu ni {}.",
    "zh": "答案是{}。",
    "ja": "答えは{}です。",
    "ru": "Ответ: {}",
    "de": "Die Antwort ist {}.",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world's base, trained to answer the problems by heart, every third of them wrong."""
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: make test-neighbours")
    folder = tmp_path_factory.mktemp("by-heart")
    source = locate("mgsm", "test", list(STUDY), data=DATA, revisions=folder / "revisions.json")
    problems = [one for code in STUDY for one in read(source, [code], LANGUAGES).problems[:EACH]]
    examples = []
    for number, one in enumerate(problems):
        form = BY_LANGUAGE.get(one.language, FORMS[number % len(FORMS)]) if number % 2 else FORMS[number % len(FORMS)]
        said = int(float(one.gold or "")) + (number % 3 == 2)
        examples.append(Example(f"{one.language}-{one.id}", one.language, "test", one.question, form.format(said)))
    write_jsonl(folder / "examples.jsonl", examples)
    (folder / "scratch").mkdir()
    config = TrainingConfig(
        epochs=25, learning_rate=3e-3, warmup_ratio=0.1, global_batch_size=len(examples), max_length=1024,
        precision="float32", adam_epsilon=1e-4,
    )  # fmt: skip
    placement = Placement(runs=folder, device="cpu", trackers=(), quiet=True)
    job = Job(
        title="by-heart", model=WORLD_FOLDER, examples=folder / "examples.jsonl", output=folder / "model",
        scratch=folder / "scratch", config=config, placement=placement,
    )  # fmt: skip
    launch(job)
    return job.output


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "benchmarks").is_dir(), reason="no real data: name its folder with QALIGN_DATA")
def test_the_task_gives_the_answers_and_the_accuracy_of_eval(trained: Path, tmp_path: Path) -> None:
    words = ["eval", trained, "--test", "mgsm", "--data", DATA, "--limit", EACH, "--device", "cpu"]
    words += ["--runs", tmp_path / "runs", "--set", "generation.precision=float32"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    (file,) = tmp_path.glob("runs/results/*/results.json")
    (scores,) = json.loads(file.read_text(encoding="utf-8"))["systems"].values()
    (predictions,) = tmp_path.glob("runs/stages/generate-*/predictions.jsonl")
    texts = {(one["language"], one["id"]): one["text"] for one in lines(predictions)}

    (block,) = [code for code in code_blocks(REPOSITORY / "docs" / "ecosystem.md") if "--tasks qalign_mgsm" in code]
    for name, value in {"FOLDER": trained, "DATA": DATA, "SAMPLES": tmp_path / "samples"}.items():
        block = block.replace(name, str(value))
    harness = Path(sys.executable).with_name("lm_eval")
    command = [str(harness), *shlex.split(block.replace("\\\n", " "))[1:], "--limit", str(EACH), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("samples/*/results_*.json")
    measured = json.loads(results.read_text(encoding="utf-8"))["results"]
    for code in STUDY:
        (samples,) = tmp_path.glob(f"samples/*/samples_qalign_mgsm::{code}_*.jsonl")
        rows = lines(samples)
        assert {(code, one["doc"]["id"]): one["resps"][0][0] for one in rows} == {
            key: text for key, text in texts.items() if key[0] == code
        }
        accuracy = 100 * measured[f"qalign_mgsm::{code}"]["exact_match,strict"]
        assert accuracy == pytest.approx(scores["mgsm"][code]["accuracy"]["strict"])
    average = 100 * measured["qalign_mgsm"]["exact_match,strict"]
    assert average == pytest.approx(scores["mgsm"]["average"]["accuracy"]["strict"])
    assert 20 < average < 90, "right and wrong answers are among them"


def test_an_answer_at_the_limit_is_a_truncated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "examples" / "lm_eval")
    task = importlib.import_module("mgsm")
    row = {"gold": "7", "language": "en", "tokenizer": str(WORLD_FOLDER)}
    long = "apple " * task.LIMIT + "7"
    assert task.strictly_read([[long], ["The answer is 7.0"], ["7 or 8"]], [row] * 3) == [[""], ["7"], ["8"]]
    assert task.strictly_read([[long]], [{**row, "tokenizer": ""}]) == [["7"]]


def test_the_limit_and_the_languages_of_the_task_are_those_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "examples" / "lm_eval")
    text = (REPOSITORY / "examples" / "lm_eval" / "qalign_mgsm.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("!function", ""))
    assert config["generation_kwargs"]["max_gen_toks"] == importlib.import_module("mgsm").LIMIT
    assert [one["dataset_kwargs"]["code"] for one in config["task"]] == list(STUDY)
