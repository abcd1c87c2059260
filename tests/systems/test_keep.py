"""Keeping answers: those of several samplers are pooled before the filter, as published for rejection sampling."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qalign import pipeline
from qalign.languages import LANGUAGES, as_rows
from qalign.pipeline import Stage, Work
from qalign.records import Prediction, Problem, write_jsonl
from qalign.systems.artifacts import PREDICTIONS, RECORDS, Answers, Records
from qalign.systems.keep import Keep, RejectionSampling

TWICE = "First <<2*12=24>>24.\n#### 24"
TWICE_FAR = "Of all the eggs that there are, it follows that <<2*12=24>>24 are left in the end.\n#### 24"
SUM = "So <<20+4=24>>24.\n#### 24"
WRONG = "So <<20+5=25>>25.\n#### 25"


@dataclass(frozen=True, eq=False, kw_only=True)
class OneProblem(Stage[Records]):
    def run(self, work: Work) -> None:
        gold = "<<48/2=24>>24\n#### 24"
        write_jsonl(work.output / RECORDS, [Problem("p", "en", "How many?", gold, "24", "gsm8k")])


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampled(Stage[Answers]):
    """What one sampler answered; its samples are numbered from 0, as those of each other sampler are."""

    texts: tuple[str, ...]

    def run(self, work: Work) -> None:
        answers = [Prediction("p", "en", text, "", 9, "stop", number) for number, text in enumerate(self.texts)]
        write_jsonl(work.output / PREDICTIONS, answers)


def kept(samplers: Sequence[tuple[str, ...]], runs: Path) -> tuple[list[str], dict[str, int]]:
    """The answers that are kept of samplers, and how many were left out by reason."""
    stage = Keep(
        name="kept",
        answers=tuple(Sampled(name=f"sampler-{n}", texts=texts) for n, texts in enumerate(samplers)),
        problems=OneProblem(name="problem"),
        filter=RejectionSampling(),
        languages=as_rows(["en"], LANGUAGES),
    )
    pipeline.run([stage], runs)
    found = stage.open(stage.folder(runs))
    (row,) = found.rejections()
    assert row.answers == sum(map(len, samplers)) == row.kept + sum(row.left_out.values())
    ids = [problem.id for problem in found.problems()]
    assert len(set(ids)) == len(ids) and "p" not in ids
    return [problem.answer or "" for problem in found.problems()], row.left_out


def test_equal_equations_of_two_samplers_are_kept_once(tmp_path: Path) -> None:
    """Each sampler alone would keep its answer, and together they would keep both."""
    texts, left_out = kept([(TWICE, WRONG), (TWICE,)], tmp_path)
    assert texts == [TWICE] and left_out == {"same equations": 1, "wrong number": 1}


def test_a_sampler_replaces_an_answer_of_another_by_one_farther_from_the_rest(tmp_path: Path) -> None:
    texts, left_out = kept([(TWICE, SUM), (TWICE_FAR,)], tmp_path)
    assert texts == [TWICE_FAR, SUM] and left_out == {"same equations": 1}


def test_two_samplers_keep_what_one_keeps_that_sampled_all_of_it(tmp_path: Path) -> None:
    pooled = [(TWICE, WRONG, SUM), (TWICE_FAR, SUM)]
    whole = kept([pooled[0] + pooled[1]], tmp_path / "one")
    assert kept(pooled, tmp_path / "two") == whole


def test_the_order_of_samplers_decides_between_equals(tmp_path: Path) -> None:
    other = "Then <<2*12=24>>24.\n#### 24"
    assert kept([(TWICE,), (other,)], tmp_path / "one")[0] == [TWICE]
    assert kept([(other,), (TWICE,)], tmp_path / "two")[0] == [other]


def test_the_recipe_of_the_document_asks_three_models(tmp_path: Path) -> None:
    method = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```python\n(# my_samplers\.py\n.*?)```", method, re.S)
    (tmp_path / "my_samplers.py").write_text(recipe.replace("meta-llama/Llama-2-13b-hf", "tiny"))
    command = [sys.executable, "-m", "qalign", "plan", "my_samplers:union", "--base", "world", "--scale", "toy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tree = done.stdout[done.stdout.index("kept-world-gsm8k") :]
    asked = re.findall(r"sample-world-gsm8k-\w{8}(?=\s+~?400 problems)", tree)
    assert len(asked) == len(set(asked)) == 3, done.stdout
