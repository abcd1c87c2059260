"""A system of a user's own with stages of its own, in a file outside of the package: it does what those of the table do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = '''
import hashlib, json, time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from qalign.pipeline import Stage, Work, local
from qalign.records import Problem, write_jsonl
from qalign.systems.artifacts import Model, Records
from qalign.systems.keep import Filter, Keep
from qalign.systems.ask import Ask
from qalign.systems.kinds import Train
from qalign.generation import DecodingConfig

HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadSums(Stage[Records]):
    """Reads a file of my own, known by its content."""

    on_device = False
    sha256: str
    first: int = 6
    path: Path = local()

    def run(self, work: Work) -> None:
        rows = [json.loads(line) for line in self.path.read_text().splitlines()][: self.first]
        write_jsonl(
            work.output / "records.jsonl",
            [Problem(row["id"], "en", row["q"], f"It is {row['a']}.", row["a"], "sums") for row in rows],
        )


@dataclass(frozen=True)
class Shortest(Filter):
    """The shortest answer to each problem, if it is short."""

    longest: int = 400

    def kept(self, problem, answers, row):
        best = min(answers, key=lambda answer: (len(answer.text), answer.sample))
        if len(best.text) > self.longest:
            return [], Counter({"too long": len(answers)})
        return [replace(problem, answer=best.text or "none", source="mine")], Counter({"not the shortest": len(answers) - 1})


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainSlowly(Train):
    """Trains, after a pause that is no part of the result."""

    pause: Path = local()

    def run(self, work: Work) -> None:
        (work.scratch / "began").touch()
        while self.pause.exists():
            time.sleep(0.05)
        super().run(work)


def recipe(study):
    path = HERE / "sums.jsonl"
    sums = ReadSums(name="sums", sha256=hashlib.sha256(path.read_bytes()).hexdigest(), path=path)
    decoding = DecodingConfig(max_new_tokens=8, temperature=1.0, samples=3)
    first = study.train("warm-up", study.base, study.mixture("sums", "response", [sums]))
    answers = Ask(name="think", label="think", model=first, records=sums, decoding=decoding, template="Short: {question}")
    own = Keep(name="shortest", answers=(answers,), problems=sums, filter=Shortest(),
               languages=study.corpus("english").languages and {"en": english(study)})
    examples = study.mixture("own", "response", [sums, own])
    step = study.train("last-step", study.base, examples)
    return TrainSlowly(name="slow", step="last-step", model=step.model, examples=step.examples, training=step.training,
                       pause=HERE / "pause")


def english(study):
    from qalign.languages import as_rows
    return as_rows(["en"], study.table)["en"]
'''
WORDS = [
    *("my:recipe", "--base", "world", "--scale", "toy", "--limit", "2", "--test-languages", "de,en", "--device", "cpu"),
    *("--set", "training.max_steps=3", "--set", "generation.max_new_tokens=8", "--test", "world-mgsm"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("mine")
    (here / "my.py").write_text(RECIPE)
    rows = [{"id": str(n), "q": f"What is {n} + {n}?", "a": str(2 * n)} for n in range(9)]
    (here / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return here


def qalign(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qalign", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


def stages(folder: Path, name: str) -> list[Path]:
    return [path.parent for path in (folder / "runs/stages").glob(f"{name}-*/stage.json")]


def test_it_is_planned_killed_resumed_changed_and_shown(folder: Path) -> None:
    planned = qalign(folder, "plan", *WORDS)
    assert planned.returncode == 0, planned.stderr
    for name in ("sums-", "think-", "shortest-", "slow-", "train-warm-up-"):
        assert f"to run      {name}" in planned.stdout
    assert not (folder / "runs/stages").exists()

    (folder / "pause").touch()
    process = subprocess.Popen([sys.executable, "-m", "qalign", "run", *WORDS], cwd=folder, stderr=subprocess.PIPE)
    end = time.monotonic() + 200
    while not list((folder / "runs/stages").glob("slow-*.partial/scratch/began")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / "pause").unlink()
    again = qalign(folder, "plan", *WORDS)
    assert "interrupted slow-" in again.stdout and "done        think-" in again.stdout, again.stdout

    done = qalign(folder, "run", *WORDS, "--output", "out")
    assert done.returncode == 0, done.stderr
    assert "think-" not in done.stderr and ": slow-" in done.stderr
    results = json.loads((folder / "out/results.json").read_text())
    (rejected,) = results["rejections"]
    assert rejected["systems"] == ["my:recipe"]
    assert rejected["languages"] == [{"language": "en", "answers": 18, "kept": 6, "left_out": {"not the shortest": 12}}]
    assert [row["stage"] for row in results["trained_on"]["my:recipe"]] == ["warm-up", "last-step"]
    assert results["trained_on"]["my:recipe"][1]["examples"] == 12
    assert "Sampled answers" in (folder / "out/results.md").read_text()
    assert "my:recipe" in (folder / "out/index.html").read_text()
    answers = [json.loads(line) for line in (stages(folder, "think")[0] / "predictions.jsonl").read_text().splitlines()]
    assert [(row["id"], row["sample"]) for row in answers] == [(str(n), k) for n in range(6) for k in range(3)]
    assert len({row["text"] for row in answers if row["id"] == "0"}) > 1

    # Each kind's own fields are settings: of a kind, of a filter in it, of a built-in kind.
    for setting, why, same in (
        ("my:recipe.sums.first=4", "config.first 6 -> 4", []),
        ("my:recipe.shortest.filter.longest=3", "config.filter.longest 400 -> 3", ["sums", "think"]),
        ("my:recipe.think.temperature=0.5", "config.decoding.temperature 1.0 -> 0.5", ["sums"]),
        ("my:recipe.last-step.epochs=2", "config.training.epochs 3 -> 2", ["sums", "think", "shortest"]),
    ):
        explained = qalign(folder, "explain", *WORDS, "--set", setting)
        assert why in explained.stdout, explained.stdout + explained.stderr
        assert not [name for name in same if f"\n{name}-" in f"\n{explained.stdout}"]
    mistyped = qalign(folder, "plan", *WORDS, "--set", "my:recipe.shortest.filter.longst=3")
    assert mistyped.returncode == 2 and "did you mean 'longest'?" in mistyped.stderr


def test_a_filter_that_fails_is_said_as_ones_own(folder: Path) -> None:
    text = RECIPE.replace("if len(best.text) > self.longest:", "if 1 / 0:")
    (folder / "bad.py").write_text(text)
    words = ["bad:recipe", *WORDS[1:]]
    done = qalign(folder, "run", *words, "--quiet", "--runs", "others")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("qalign: error: bad:Shortest failed: "), done.stderr
    assert "ZeroDivisionError" in done.stderr and "Traceback" not in done.stderr
