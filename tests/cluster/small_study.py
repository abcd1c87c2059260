"""A small study in the embedded world, run by the command line as a user does, and what it leaves."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
OPTIONS = [
    *("run", "monoreason", "--base", "world", "--scale", "toy", "--device", "cpu", "--languages", "sw"),
    *("--test", "world-mgsm", "--test-languages", "en,sw", "--tracker", "none", "--tokens-per-micro-batch", "512"),
    *("--seconds-per-checkpoint", "0", "--set", "training.max_steps=60", "--set", "data.english_examples=160"),
    *("--set", "data.problems_per_language=2", "--set", "generation.max_new_tokens=40"),
]
TRAINING, ANSWERS, SCORES = "train-", "generate-", "score-"
CHECKPOINT = "stages/train-*.partial/scratch/step-*"
"""Where a training that can go on has something to go on from."""


DRIVERS: list[Driver] = []
"""Those that were begun; a test that fails leaves some."""


def end_all() -> None:
    """Ends the runs that have not ended."""
    while DRIVERS:
        driver = DRIVERS.pop()
        if driver.process.poll() is None:
            driver.signal(signal.SIGKILL)
            driver.process.wait()


class Driver:
    """One `qalign run`, with all that it says in a file."""

    def __init__(self, runs: Path, variables: Mapping[str, str], *options: str) -> None:
        self.runs = runs
        self.said = runs.with_name(f"{runs.name}.{len(list(runs.parent.glob(f'{runs.name}.*.txt')))}.txt")
        with self.said.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qalign", *OPTIONS, "--runs", str(runs), *options],
                env={**variables, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"},
                cwd=runs.parent, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

        DRIVERS.append(self)

    def ends(self, status: int = 0) -> str:
        """Waits for its end, and returns what it said."""
        try:
            found = self.process.wait(600)
        except subprocess.TimeoutExpired:
            self.process.kill()
            found = None
        said = self.said.read_text()
        assert found == status, f"ended with {found}:\n{said}"
        return said

    def signal(self, number: signal.Signals) -> None:
        """As a terminal or a scheduler sends one: to all its processes."""
        os.killpg(self.process.pid, number)


def run_alone(runs: Path) -> None:
    """The study with `--jobs 1`."""
    runs.parent.mkdir(exist_ok=True)
    Driver(runs, os.environ, "--jobs", "1").ends()


def prepared(alone: Path, runs: Path) -> Path:
    """A folder of runs in which only training, answers and scores are missing."""

    def later(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith((TRAINING, ANSWERS, SCORES))]

    shutil.copytree(alone / "stages", runs / "stages", ignore=later)
    return runs


def results(runs: Path) -> dict[str, str]:
    """The hash of each file of each stage, but for those that hold times."""
    return {
        str(path.relative_to(runs)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((runs / "stages").rglob("*"))
        if path.is_file() and path.name not in ("stage.json", "metrics.jsonl") and ".locks" not in path.parts
    }


def log_of_training(runs: Path) -> str:
    """What the job that trains has printed."""
    (path,) = runs.glob("jobs/train-*/log.txt")
    return path.read_text()
