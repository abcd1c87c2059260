"""Valid inputs, which the trials then damage: own data, models, a finished run. Built once for a state of the package."""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from own_data import write_own_data

from .trial import Call
from .worker import finish, start, warm_up

SMALL = (
    "--set", "tiny.vocabulary=400", "--set", "tiny.hidden_size=32", "--set", "tiny.layers=1", "--set", "tiny.heads=2",
    "--set", "tiny.intermediate_size=64",
)  # fmt: skip
"""The smallest model that does everything."""
COMMON = ("--scale", "sample", "--device", "cpu", "--set", "data.problems_per_language=none")


def build(folder: Path) -> None:
    """Writes all fixtures to `folder`, whole or not at all."""
    if folder.is_dir():
        return
    warm_up()
    shutil.rmtree(folder.with_name(f"{folder.name}.building"), ignore_errors=True)
    building = folder.with_name(f"{folder.name}.building")
    building.mkdir(parents=True)
    write_own_data(building / "own")
    command(
        building,
        "run", "monoreason", "qalign-mono", "--base", "tiny", *COMMON, *SMALL, *own("own", "questions", "english", "test"),
        "--languages", "de,sw", "--set", "training.epochs=2", "--set", "generation.max_new_tokens=8",
        "--runs", "trained", "--output", "report", "--tracker", "none",
    )  # fmt: skip
    (building / "shown").mkdir()
    for form in ("terminal", "markdown", "latex", "csv"):
        command(building, "report", "report/results.json", "--format", form)
        shutil.copy(building / "log" / "stdout", building / "shown" / form)
    model = next(building.glob("trained/stages/train-response-*"))
    shutil.copytree(model, building / "model", ignore=shutil.ignore_patterns("stage.json", "training.json", "*.jsonl"))
    write_script(building / "scripted", building / "own" / "test")
    from .models import EVAL

    command(building, *EVAL[:-5], "--runs", "asked", "--output", "asked-results")
    shutil.copy(next(building.glob("asked/stages/generate-*/predictions.jsonl")), building / "answers.jsonl")
    undisturbed(building)
    building.rename(folder)


def undisturbed(building: Path) -> None:
    """Runs each pipeline that trials disturb, and writes down what it left, its file events and its seconds."""
    from .kills import counted, link, outcome_of, pipelines

    found = {}
    server = f"{os.environ['HOSTILE_SERVER']}/well/undisturbed/v1"
    for name, words in pipelines(server).items():
        place = building / "undisturbed" / name
        place.mkdir(parents=True)
        link(building, place)
        seconds = command(place, *words, prepare=counted(place / "count"))
        events = int((place / "count").read_text())
        found[name] = {"outcome": outcome_of(place), "events": events, "seconds": seconds}
    (building / "undisturbed.json").write_text(json.dumps(found, indent=1))


def command(place: Path, *words: str, prepare: Callable[[], None] | None = None) -> float:
    """Runs a command in a folder; returns its seconds."""
    child = start(Call(words, prepare=prepare), place, place / "log")
    select.select([child.handle], [], [], 600)
    result = finish(child, hung=False)
    if result.status != 0:
        sys.exit(f"the fixtures cannot be built: qalign {' '.join(words)}: {result.stderr[-2000:]}")
    return result.seconds


def own(place: Path | str, *roles: str) -> list[str]:
    """The options that name own data in some roles."""
    files = {"english": "english.jsonl"}
    return [word for role in roles for word in (f"--{role}", str(Path(place) / files.get(role, role)))]


def eval_words(model: str, place: str = "own") -> list[str]:
    """An evaluation of a scripted model on the own test set."""
    return [
        "eval", model, *COMMON, "--set", "generation.backend=scripted", *own(place, "test"), "--test-languages", "de,sw,en",
    ]  # fmt: skip


def write_script(folder: Path, test: Path, languages: Sequence[str] = ("de", "sw", "fr", "en")) -> None:
    """A scripted model that knows most answers: one in three is wrong, one in seven is cut off."""
    answers = {}
    for code in languages:
        for number, line in enumerate((test / f"{code}.jsonl").read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            right = row["answer"] if number % 3 else row["answer"] + 1
            answers[row["question"]] = f"The answer is {right}." + ("\0" if number % 7 == 6 else "")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.json").write_text(json.dumps({"answers": answers, "otherwise": "I do not know."}))
