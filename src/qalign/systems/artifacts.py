"""What finished stages leave in their folders: one type for each kind of result, which reads its files.

All readers raise StageError for a file that was damaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..alignment.tasks import Row, table
from ..evaluation.scores import Score
from ..pipeline import Artifact
from ..pipeline.stage_record import as_left, read_output
from ..records import Example, Judgement, Prediction, Problem, read_jsonl
from ..results.schema import CorpusCounts, LeftOut, TrainedOn
from ..training.config import METRICS, SUMMARY

RECORDS, COUNTS = "records.jsonl", "counts.json"
EXAMPLES, MIXTURE = "examples.jsonl", "mixture.json"
REJECTIONS = "rejections.json"
PREDICTIONS, JUDGEMENTS, SCORES = "predictions.jsonl", "judgements.jsonl", "scores.json"


class Step(msgspec.Struct):
    """What is read of a row of `metrics.jsonl`."""

    step: Annotated[int, msgspec.Meta(ge=0)]
    loss: float


class Records(Artifact):
    """Problems, pairs of texts, or documents."""

    def problems(self, kind: type[Problem] = Problem) -> Iterator[Problem]:
        """The records of a corpus of problems."""
        return read_jsonl(self.folder / RECORDS, kind)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The records of any corpus, as plain values."""
        return read_jsonl(self.folder / RECORDS, dict[str, Any])

    def counts(self) -> CorpusCounts:
        """Rows by language, and what was left out. A stage of a user's own may leave records alone, which are then counted."""
        if (self.folder / RECORDS).is_file() and not (self.folder / COUNTS).exists():
            rows = dict(Counter(row["language"] for row in self.rows()))
            return CorpusCounts(corpus="own", counts=rows, published=None, kept=rows, dropped=[], notes=[])
        return read_output(self.folder / COUNTS, CorpusCounts)


class Kept(Records):
    """Records made of a model's answers."""

    def rejections(self) -> list[LeftOut]:
        """How many answers were kept and left out, by language."""
        return read_output(self.folder / REJECTIONS, list[LeftOut])


class Examples(Artifact):
    """Examples to train on."""

    @property
    def path(self) -> Path:
        return self.folder / EXAMPLES

    def examples(self) -> Iterator[Example]:
        """The examples, in the order of the mixture."""
        return read_jsonl(self.path, Example)

    def mixture(self) -> list[Row]:
        """The table of the mixture: a row for each source and language. Where a stage left none, it is made."""
        if self.path.is_file() and not (self.folder / MIXTURE).exists():
            return table(list(self.examples()))
        return read_output(self.folder / MIXTURE, list[Row])

    def by_language(self) -> Counter[str]:
        """Language -> examples."""
        counts = Counter[str]()
        for row in self.mixture():
            counts[row.language] += row.examples
        return counts


class Model(Artifact):
    """A model in the folder layout of Hugging Face, or a pointer to one of the hub."""

    def summary(self) -> TrainedOn:
        """What it was trained on. A model from elsewhere has no summary."""
        return read_output(self.folder / SUMMARY, TrainedOn)

    def losses(self) -> list[Step]:
        """The loss of every step; none where it was trained elsewhere."""
        path = self.folder / METRICS
        with as_left(path):
            return msgspec.json.Decoder(Step).decode_lines(path.read_bytes()) if path.is_file() else []


class Answers(Artifact):
    """The answers of a model to problems."""

    def predictions(self) -> Iterator[Prediction]:
        """The answers, in the order of the problems."""
        return read_jsonl(self.folder / PREDICTIONS, Prediction)


class Judgements(Artifact):
    """Answers judged against gold answers."""

    def judgements(self) -> Iterator[Judgement]:
        """A judgement of each answer."""
        return read_jsonl(self.folder / JUDGEMENTS, Judgement)

    def scores(self) -> dict[str, Score]:
        """Language -> score, averages included."""
        return read_output(self.folder / SCORES, dict[str, Score])
