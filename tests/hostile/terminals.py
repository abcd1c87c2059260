"""Terminals and names: stdout that is closed, full or not UTF-8, and files whose names would steer a terminal."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .fixtures import eval_words
from .kills import link, same_results
from .mutations import STEERING_NAMES, dumps
from .reports import anything
from .scoring import ROWS
from .trial import Call, Outcome, Run, Trial, judged, mishap

QALIGN = (sys.executable, "-m", "qalign")
SHELLS = {
    "closed": "exec {} >&-", "full": "exec {} >/dev/full", "both-closed": "exec {} >&- 2>&-", "errors-closed": "exec {} 2>&-", "pipe-closed": "{} | true",
    "head": "{} | head -c 1 >/dev/null", "stdin-closed": "exec {} <&-",
}  # fmt: skip
ENCODINGS = ("ascii", "latin-1", "cp1252", "cp437", "ascii:strict", "koi8-r")


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of terminals and names."""
    evaluation = [*eval_words("scripted"), "--runs", "runs", "--output", "results"]
    for name, shell in SHELLS.items():
        yield terminal(f"eval-{name}", fixtures, evaluation, {}, shell)
        yield terminal(f"list-{name}", fixtures, ["list"], {}, shell)
        yield terminal(f"check-{name}", fixtures, ["check", "own/test", "--role", "test"], {}, shell)
    for encoding in ENCODINGS:
        yield terminal(f"eval-{encoding}", fixtures, evaluation, {"PYTHONIOENCODING": encoding}, "exec {}")
        yield terminal(f"list-{encoding}", fixtures, ["list"], {"PYTHONIOENCODING": encoding}, "exec {}")
    for name, environment in {
        "c-locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "narrow": {"COLUMNS": "1"},
        "wide": {"COLUMNS": "100000"},
        "no-columns": {"COLUMNS": "x"},
        "dumb": {"TERM": "dumb"},
        "no-home": {"HOME": "/nonexistent"},
    }.items():
        yield terminal(f"eval-{name}", fixtures, evaluation, environment, "exec {}")
    for number, odd in enumerate(
        (*STEERING_NAMES, "\udcff\udcfe", "-", "--help", "a b", "é", "[red]x", "a'b", "%s", "$(x)")
    ):
        yield from named(f"{number}", fixtures, odd)


def terminal(name: str, fixtures: Path, words: Sequence[str], environment: dict[str, str], shell: str) -> Trial:
    """A command in a shell of its own: whatever becomes of its output, no traceback and nothing lost."""

    def run(folder: Path, draw: random.Random) -> Run:
        import shlex

        link(fixtures, folder)
        line = shell.format(shlex.join([*QALIGN, *words]))
        result = yield Call((), real=("sh", "-c", line), environment=environment)
        if outcome := mishap(result):
            return outcome
        if "exception" in result.stderr.casefold():
            return Outcome("traceback", result.stderr[-300:])
        if words[0] != "eval":
            return (
                Outcome("accepted rightly")
                if result.status in (0, 1, 2, 120)
                else Outcome("refused badly", str(result.status))
            )
        if result.status != 0:  # it may say that it could not print; the next run has nothing lost
            result = yield Call(words)
        return mishap(result) or same_results(folder, result, fixtures, "scripted")

    return Trial(f"terminals/{name}", run)


def named(name: str, fixtures: Path, odd: str) -> Iterator[Trial]:
    """Files and folders of an odd name, in every place that takes one."""
    rows = "".join(dumps(row) + "\n" for row in ROWS).encode()

    def score(folder: Path, draw: random.Random) -> Run:
        (folder / f"{odd}.jsonl").write_bytes(rows)
        return judged((yield Call(["score", "--", f"{odd}.jsonl"])), refused=("",), accepted=anything)

    def broken(folder: Path, draw: random.Random) -> Run:
        (folder / f"{odd}.jsonl").write_bytes(b"{")
        return judged((yield Call(["score", "--", f"{odd}.jsonl"])), refused=("line 1", "argument"))

    def report(folder: Path, draw: random.Random) -> Run:
        (folder / odd).write_bytes(b"{")
        return judged((yield Call(["report", "--", odd])), refused=("JSON", "argument"))

    def corpus(folder: Path, draw: random.Random) -> Run:
        shutil.copytree(fixtures / "own" / "test", folder / f"{odd}d")
        result = yield Call(["check", "--role", "test", "--", f"{odd}d"])
        return judged(result, refused=("",), accepted=anything)

    def benchmark(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        shutil.copytree(fixtures / "own" / "test", folder / f"{odd}d")
        words = eval_words("scripted")
        words[words.index("own/test")] = f"{odd}d"
        result = yield Call([*words, "--runs", "runs", "--output", "results", "--quiet"])
        return judged(result, refused=("",), accepted=anything)

    def place_of_runs(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        result = yield Call([*eval_words("scripted"), f"--runs={odd}r", f"--output={odd}o", "--quiet"])
        return judged(result, refused=("",), accepted=anything)

    def model(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        shutil.copytree(fixtures / "scripted", folder / f"{odd}m")
        words = eval_words(f"./{odd}m")
        result = yield Call([*words, "--runs", "runs", "--output", "results", "--quiet"])
        return judged(result, refused=("",), accepted=anything)

    for place, run in {
        "score": score,
        "broken": broken,
        "report": report,
        "check": corpus,
        "test": benchmark,
        "runs": place_of_runs,
        "model": model,
    }.items():
        yield Trial(f"names/{place}-{name}", run)
