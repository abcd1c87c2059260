"""mGSM for lm-evaluation-harness as `qalign eval` has it: the same problems, the same limit, the same strict rule.

No rule stands twice: problems are read and answers are judged by the package. `qalign_mgsm.yaml` names these functions, and
docs/ecosystem.md shows the command. Its option `--metadata` takes what `problems` takes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from qalign.corpora import locate, read
from qalign.evaluation.benchmarks import BENCHMARKS
from qalign.evaluation.extraction import MAIN, RULES
from qalign.huggingface import REVISIONS
from qalign.languages import LANGUAGES, language
from qalign.models.opening import load_tokenizer

LIMIT = BENCHMARKS["mgsm"].max_new_tokens


def problems(
    code: str, test: str = "mgsm", data: str = "", runs: str = "runs", tokenizer: str = "", **others: Any
) -> dict[str, Dataset]:
    """The problems in a language.

    Args:
        test: a benchmark, as `juletxara/mgsm@REVISION`, or a path of your own test set.
        data: a folder of data, instead of the hub.
        runs: the folder that records the hub's revisions.
        tokenizer: the model's folder. With it, answers that ended at the limit count as truncated.
    """
    source = locate(test, "test", [code], data=Path(data) if data else None, revisions=Path(runs) / REVISIONS)
    rows = [
        {"id": one.id, "question": one.question, "gold": one.gold, "language": code, "tokenizer": tokenizer}
        for one in read(source, [code], LANGUAGES).problems
    ]
    return {"test": Dataset.from_list(rows)}


def strictly_read(answers: Iterable[Sequence[str]], rows: Sequence[dict[str, str]]) -> list[list[str]]:
    """The number that the strict rule reads in each answer. It is written as the right one where the rule takes it for that."""
    return [[_read(text, row) for text in texts] for texts, row in zip(answers, rows, strict=True)]


def _read(text: str, row: dict[str, str]) -> str:
    truncated = row["tokenizer"] and len(_tokenizer(row["tokenizer"]).encode(text, add_special_tokens=False)) >= LIMIT
    reading = RULES[MAIN].read(text, row["gold"], language(row["language"]), "length" if truncated else "stop")
    return row["gold"] if reading.right else reading.value or ""


@functools.cache
def _tokenizer(folder: str) -> Any:
    return load_tokenizer(Path(folder))
