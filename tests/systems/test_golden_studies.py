"""Two small studies, whole, against what they gave when their golden files were written.

One is in the embedded world, one on own files in three languages. Their files pin every stage's place in the tree, the
examples, the losses, the answers, the readings and the tables. Only fingerprints, dates and times are left out, so a
change of the frame that changes a result is seen here. Where a result is meant to change, write the files anew and say
why in the commit:

    QALIGN_WRITE_GOLDEN=1 python -m pytest tests/systems/test_golden_studies.py
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from own_data import OwnData

GOLDEN = Path(__file__).with_name("golden_studies")
WORLD = [
    *("sft", "rft", "multireason", "qalign-mono", "qalign-mixed", "qalign-en-x-answers", "qalign-general"),
    *(
        "--base",
        "world",
        "--scale",
        "toy",
        "--limit",
        "4",
        "--languages",
        "de,sw,zh",
        "--test-languages",
        "de,sw,zh,en",
    ),
    *("--set", "data.examples_per_language=40", "--set", "qalign-mixed.response-alignment.learning_rate=0.0004"),
    *(
        "--set",
        "training.max_steps=40",
        "--set",
        "sft.response-alignment.max_steps=150",
        "--set",
        "generation.max_new_tokens=64",
    ),
    *("--set", "sampling.max_new_tokens=96", "--set", "sampling.samples=1"),
]
OWN = [
    *("monoreason", "multireason", "qalign-mono", "--base", "tiny", "--scale", "sample", "--languages", "de,sw,fr"),
    *("--set", "tiny.hidden_size=32", "--set", "tiny.layers=2", "--set", "question-alignment.adapter=on"),
    *("--set", "training.max_steps=12", "--set", "generation.max_new_tokens=24"),
]
INPUTS = ("records.jsonl", "examples.jsonl", "counts.json", "mixture.json")
HASH = re.compile(r"-[0-9a-f]{8}\b")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(values: object) -> str:
    """The beginning of the SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def results_of(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Runs a study by the command line. Returns what its stages and its tables hold, stages by their place in the tree."""
    runs, output = folder / "runs", folder / "results"
    words = ["run", *arguments, "--device", "cpu", "--runs", str(runs), "--output", str(output), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "qalign", *words, "--tokens-per-micro-batch", "2048", "--batch-size", "16"],
        env=environment, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    records = {path.parent.name: json.loads(path.read_text()) for path in (runs / "stages").glob("*/stage.json")}

    def place(name: str) -> str:
        """The stage's name with the places of what goes into it: no fingerprint, and no names of fields."""
        label = HASH.sub("", name)
        inputs = records[name]["inputs"] if name in records else {}
        return label + ("(" + ", ".join(place(inner) for inner in inputs.values()) + ")" if inputs else "")

    stages: dict[str, list[dict[str, Any]]] = {}
    for name in records:
        stages.setdefault(place(name), []).append(held(runs / "stages" / name))
    for same in stages.values():
        same.sort(key=lambda one: json.dumps(one, sort_keys=True))
    tables = HASH.sub("-########", (output / "results.md").read_text(encoding="utf-8"))
    return {"stages": dict(sorted(stages.items())), "tables": without_run(tables).splitlines()}


def held(folder: Path) -> dict[str, Any]:
    """What a stage has left, as digests; losses as numbers."""
    found: dict[str, Any] = {}
    for name in INPUTS:
        if (path := folder / name).is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if (path := folder / "rejections.json").is_file():
        found["rejections"] = json.loads(path.read_text(encoding="utf-8"))
    if (path := folder / "metrics.jsonl").is_file():
        found["losses"] = [row["loss"] for row in rows(path)]
    if (path := folder / "predictions.jsonl").is_file():
        answers = [[row[key] for key in ("language", "id", "text", "tokens", "finish")] for row in rows(path)]
        found["answers"] = {"count": len(answers), "first": answers[0], "all": digest(answers)}
    if (path := folder / "judgements.jsonl").is_file():
        judgements = rows(path)
        found["outcomes"] = digest([[row["language"], row["id"], row["gold"], row["outcome"]] for row in judgements])
    return found


def without_run(tables: str) -> str:
    """The tables without the part that says when, where and with what the run was."""
    return tables.partition("**Models**")[0]


def arithmetic() -> str:
    """What decides how sums of floats are rounded: torch, and the instructions that its kernels use here."""
    return f"torch {torch.__version__.partition('+')[0]}, {torch.backends.cpu.get_cpu_capability()}"


def check(found: dict[str, Any], name: str) -> None:
    """Everything is the same where the arithmetic is; elsewhere all but answers and tables, and losses nearly.

    Where the arithmetic differs, models sample other answers, so what is made of these is not compared.
    """
    path = GOLDEN / f"{name}.json"
    if os.environ.get("QALIGN_WRITE_GOLDEN"):
        path.write_text(json.dumps({"arithmetic": arithmetic(), **found}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    golden = json.loads(path.read_text(encoding="utf-8"))
    assert list(found["stages"]) == list(golden["stages"])
    same = golden["arithmetic"] == arithmetic()
    for place, stages in golden["stages"].items():
        assert len(found["stages"][place]) == len(stages), place
        if not same and "sample-" in place:
            continue
        for stage, expected in zip(found["stages"][place], stages, strict=True):
            if not same:
                stage, expected = ({k: v for k, v in one.items() if k in INPUTS} for one in (stage, expected))
            assert stage == expected, place
        if not same:
            losses = [[one.get("losses", []) for one in side] for side in (found["stages"][place], stages)]
            assert losses[0] == [pytest.approx(one, rel=0.02) for one in losses[1]], place
    if not same:
        pytest.skip(f"answers and tables are those of {golden['arithmetic']}; here it is {arithmetic()}")
    assert found["tables"] == golden["tables"]


def test_a_study_in_the_embedded_world_is_the_golden_one(tmp_path: Path) -> None:
    check(results_of(WORLD, tmp_path), "world")


def test_a_study_on_own_files_is_the_golden_one(own_data: OwnData, tmp_path: Path) -> None:
    data = own_data.options("questions", "multilingual", "english", "test")
    check(results_of([*OWN, *data], tmp_path), "own")
