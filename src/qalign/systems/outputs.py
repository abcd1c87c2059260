"""The JSON files that finished stages leave, each read by its shape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..alignment.mixture import Row
from ..errors import StageError
from ..evaluation.scores import Score
from ..stage_record import read_output
from ..training.config import METRICS, SUMMARY
from .stages import COUNTS, MIXTURE, SCORES

Count = Annotated[int, msgspec.Meta(ge=0)]
Counts = dict[str, Count]


class CorpusCounts(msgspec.Struct):
    """`counts.json` of a corpus: rows by language, as read, as published, and as kept."""

    corpus: str
    counts: Counts
    published: Counts | None
    kept: Counts
    dropped: list[dict[str, str]]
    notes: list[str]


class Trained(msgspec.Struct):
    """`training.json`: what a stage was trained on."""

    title: str
    examples: Count
    examples_by_language: Counts
    tokens_by_language: Counts
    mixture: list[dict[str, str | int]]
    too_long: dict[str, Counts]
    steps: Count
    tokens: Count
    supervised_tokens: Count
    first_loss: float
    last_loss: float
    config: dict[str, Any]


class Step(msgspec.Struct):
    """What is read of a row of `metrics.jsonl`."""

    step: Count
    loss: float


def corpus_counts(folder: Path) -> dict[str, Any]:
    """The counts of a corpus, as plain values; all functions here raise StageError for a file that was damaged."""
    found: dict[str, Any] = read_output(folder / COUNTS, CorpusCounts)
    return found


def mixture(folder: Path) -> list[dict[str, Any]]:
    """The table of a mixture of examples, a row for each source and language."""
    found: list[dict[str, Any]] = read_output(folder / MIXTURE, list[Row])
    return found


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    """Language -> score."""
    found: dict[str, dict[str, Any]] = read_output(folder / SCORES, dict[str, Score])
    return found


def training_summary(folder: Path) -> dict[str, Any]:
    """What a stage was trained on."""
    found: dict[str, Any] = read_output(folder / SUMMARY, Trained)
    return found


def losses(folder: Path) -> list[Step]:
    """The loss of every step of a training stage; none where it was trained elsewhere."""
    path = folder / METRICS
    try:
        return msgspec.json.Decoder(Step).decode_lines(path.read_bytes()) if path.is_file() else []
    except ValueError as error:
        raise StageError(
            f"{path} is not what its stage left ({error}); put it back, or remove the folder to make it again: rm -r {folder}"
        ) from error
