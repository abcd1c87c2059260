"""A real run, made by the command line: three systems that answer from scripts, one of them with what would break a page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from qalign.records import Judgement, Prediction, Problem, read_jsonl
from qalign.systems.bases import base_on_disk
from qalign.world.sets import rows

PROBLEMS = 20
BENCHMARKS = ("world-mgsm", "world-msvamp")
LANGUAGES = ("bn", "th", "sw", "zh", "de", "en")
SYSTEMS = ("capable", "english", "hostile")
HOSTILE = (
    "<script>document.title='hacked'</script> The answer is GOLD.",
    "</td></tr></table></script><!-- The answer is GOLD.",
    "{{7*7}} {% raw %} ${7*7} {#- The answer is GOLD.",
    "<img src=x onerror=\"document.title='hacked'\"><a href='javascript:alert(1)'>x</a>&lt;b&gt; The answer is GOLD.",
    "\U0001f600 \U00020bb7\u202e\u2028\x1b[31m The answer is GOLD.",
    "",
)
RECIPES = "from pathlib import Path\n\nfrom qalign.systems.bases import base_on_disk\n" + "".join(
    f"\n\ndef {name}(study):\n    return base_on_disk(Path({name!r}), study.runs)\n" for name in SYSTEMS
)


def answer(system: str, code: str, place: int, row: Mapping[str, str]) -> str:
    """What a system says to the problem at a place of a benchmark; a text that ends in U+0000 is cut off."""
    gold, worked = row["gold"], row["answer"]
    wrong = f"The answer is {int(gold) + 1}."
    match system:
        case "capable":  # has trouble with Bengali, Thai and Swahili
            if code == "bn" and place % 5 == 4:
                return worked[: len(worked) // 2] + "\0"
            return wrong if code in ("bn", "th", "sw") and place % 5 == 3 else worked
        case "english":  # knows no Chinese, and half of what is not English
            if code == "zh":
                return "I do not know."
            return worked if code == "en" else f"The answer is {gold}." if place % 2 else wrong
        case _:
            return HOSTILE[place % len(HOSTILE)].replace("GOLD", gold)


def write_models(folder: Path) -> None:
    """A folder with a script for each system, and the recipes of the three."""
    for system in SYSTEMS:
        answers: dict[str, str] = {}
        for name in BENCHMARKS:
            for code in LANGUAGES:
                asked = islice(rows(name.removeprefix("world-"), "multilingual", [code]), PROBLEMS)
                for place, (_, row) in enumerate(asked):
                    answers[row["question"]] = answer(system, code, place, row)
        script = {"answers": {q: a for q, a in answers.items() if a != "I do not know."}, "otherwise": "I do not know."}
        (folder / system).mkdir()
        (folder / system / "script.json").write_text(json.dumps(script), encoding="utf-8")
    (folder / "my_systems.py").write_text(RECIPES, encoding="utf-8")


def qalign(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person gives it in a folder of theirs."""
    given = [
        "--set",
        "generation.backend=scripted",
        "--set",
        f"data.problems_per_language={PROBLEMS}",
        "--device",
        "cpu",
    ]
    command = [sys.executable, "-m", "qalign", *words, *given, "--runs", "runs"]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=600)


@dataclass
class Run:
    """The folder in which the run was made, and what it left there."""

    folder: Path
    name: str = "report"

    @property
    def output(self) -> Path:
        return self.folder / self.name

    @cached_property
    def results(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.output / "results.json").read_text(encoding="utf-8"))
        return read

    @cached_property
    def answers(self) -> list[tuple[str, str, Problem, Prediction, Judgement]]:
        """Benchmark, system, problem, prediction and judgement: all, from the files of the stages."""
        return list(self._answers())

    def _answers(self) -> Iterator[tuple[str, str, Problem, Prediction, Judgement]]:
        stages = self.folder / "runs" / "stages"
        model = {base_on_disk(self.folder / name, self.folder).folder_name: f"my_systems:{name}" for name in SYSTEMS}
        for benchmark in BENCHMARKS:
            for score in sorted(stages.glob(f"score-{benchmark}-*")):
                inputs = _inputs(score)
                made = stages / inputs["answers"]
                problems = {
                    (p.language, p.id): p for p in read_jsonl(stages / inputs["problems"] / "records.jsonl", Problem)
                }
                told = {(p.language, p.id): p for p in read_jsonl(made / "predictions.jsonl", Prediction)}
                for one in read_jsonl(score / "judgements.jsonl", Judgement):
                    key = one.language, one.id
                    yield benchmark, model[_inputs(made)["model"]], problems[key], told[key], one


def _inputs(stage: Path) -> dict[str, str]:
    record = json.loads((stage / "stage.json").read_text(encoding="utf-8"))
    return dict(record["inputs"])
