"""Killed at any moment, a run goes on and ends as an undisturbed one: the same weights to the bit, the same answers."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qalign.systems.artifacts import PREDICTIONS

SEED = 20260101
# Where each kill falls, and whether the attempt has to get on first (a checkpoint, a chunk of answers): those that follow
# such a one must go on from there.
KILLS = [
    *[("training", False), ("training", True)] * 3,
    *[("generation", False), ("generation", True)] * 2,
]

# Torch is imported once; each attempt is a fork of this process, so that ten kills do not cost ten imports.
FORKER = """
import json, os, sys
import torch, transformers, accelerate, tokenizers
import qalign.training.loop, qalign.generation.local
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        torch.set_num_threads(1)
        sys.argv = ["qalign", *json.loads(line)]
        from qalign.cli import main
        main()
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Forker:
    """Runs `qalign` in forks of one warm process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, arguments: list[str]) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        return self._number()

    def ended(self) -> bool:
        """Whether the child is gone already."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A small run of both stages and 900 problems on data of its own."""
    draw = random.Random(1)
    words = {
        "de": ["Anna", "kauft", "Äpfel", "und", "gibt", "Birnen"],
        "th": ["แอนนา", "ซื้อ", "แอปเปิล", "และ", "ให้", "ลูกแพร์"],
    }
    english = ["Anna", "buys", "apples", "and", "gives", "pears"]
    for code, vocabulary in words.items():
        rows = []
        for _ in range(200):
            picked = [draw.randrange(6) for _ in range(draw.randint(4, 12))]
            rows.append(
                {
                    "question": " ".join(vocabulary[i] for i in picked),
                    "question_en": " ".join(english[i] for i in picked),
                }
            )
        write_rows(tmp_path / "questions" / f"{code}.jsonl", rows)
    sums = [(draw.randrange(9), draw.randrange(9)) for _ in range(300)]
    write_rows(
        tmp_path / "english.jsonl",
        [
            {"question": f"Anna has {a} apples and buys {b}.", "answer": f"{a} + {b} = {a + b}\n#### {a + b}"}
            for a, b in sums
        ],
    )
    for code, vocabulary in {**words, "en": english}.items():
        write_rows(
            tmp_path / "test" / f"{code}.jsonl",
            [{"question": f"{' '.join(vocabulary)} {i} + 1?", "answer": str(i + 1)} for i in range(300)],
        )
    return [
        *("run", "qalign-mono", "--base", "tiny", "--scale", "sample", "--device", "cpu", "--quiet"),
        *("--questions", str(tmp_path / "questions"), "--english", str(tmp_path / "english.jsonl")),
        *("--languages", "de,th", "--test", str(tmp_path / "test"), "--seconds-per-checkpoint", "0", "--batch-size", "16"),
        *("--set", "tiny.vocabulary=400", "--set", "tiny.hidden_size=64", "--set", "tiny.layers=2"),
        *("--set", "tiny.intermediate_size=128", "--set", "question-alignment.epochs=6"),
        *("--set", "response-alignment.epochs=7", "--set", "generation.max_new_tokens=40"),
        *("--set", "data.problems_per_language=none"),
    ]  # fmt: skip


def outcome(runs: Path) -> dict[str, bytes]:
    """The weights of every stage and all predictions, by the names of their folders."""
    names = ("model.safetensors", PREDICTIONS)
    return {str(path.relative_to(runs)): path.read_bytes() for name in names for path in runs.glob(f"stages/*/{name}")}


def kept(runs: Path, phase: str) -> list[object]:
    """What an interrupted run would go on from, in training or in generation."""
    if phase == "training":
        return [*runs.glob("stages/train-*.partial/scratch/step-*/progress.json")]
    found = runs.glob("stages/generate-*.partial/scratch/predictions.partial.jsonl")
    return [(path, chunks) for path in found if (chunks := path.read_bytes().count(b"\n")) > 1]


def under_way(runs: Path, phase: str) -> bool:
    """Whether a stage of this phase has begun."""
    return any(runs.glob(f"stages/{'train' if phase == 'training' else 'generate'}-*.partial"))


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path: Path, arguments: list[str]) -> None:
    forker = Forker()
    quiet, killed = tmp_path / "undisturbed", tmp_path / "killed"
    forker.start([*arguments, "--runs", str(quiet)])
    assert forker.wait() == 0
    expected = outcome(quiet)
    assert sum(name.endswith("model.safetensors") for name in expected) == 3  # the base, two stages
    assert sum(name.endswith(PREDICTIONS) for name in expected) == 1

    draw = random.Random(SEED)
    resumed = 0
    for number, (phase, gets_on) in enumerate(KILLS):
        before = kept(killed, phase)
        resumed += bool(before)
        child = forker.start([*arguments, "--runs", str(killed)])
        while not (under_way(killed, phase) and (not gets_on or kept(killed, phase) != before)):
            if forker.ended():
                pytest.fail(f"it ended with status {forker.wait()} before kill {number}; make the run longer")
            time.sleep(0.005)
        time.sleep(draw.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        assert forker.wait() == -signal.SIGKILL, f"it ended before kill {number}; make the run longer"
        assert not any(killed.glob("results/*"))
    forker.start([*arguments, "--runs", str(killed)])
    assert forker.wait() == 0
    assert resumed >= 4, "hardly an attempt went on from where another was killed"
    assert [str(path.relative_to(killed)) for path in killed.rglob("*.partial*")] == []
    found = outcome(killed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
