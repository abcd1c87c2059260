"""Scoring answers that exist already, whatever made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingError, nearest
from ..evaluation.external import score_file
from ..evaluation.joining import JOINS
from ..evaluation.scores import Score
from ..evaluation.scores import score as scores_of
from ..language_file import load_languages
from ..records import Judgement, write_jsonl
from ..results.accuracy_tables import score_table
from ..results.tables import Table
from ..terminal import text_of
from .checks import problems_of


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ScoredFile:
    """The scores of a file of answers. Printed, it is their table. A notebook shows the same."""

    file: Path
    scores: dict[str, Score]
    """Language, `average` or `non_english` -> score."""
    judgements: Sequence[Judgement]
    """What was read from each answer."""
    notes: Sequence[str]
    """Sentences on the file."""

    def table(self) -> Table:
        """The table of scores."""
        return score_table(str(self.file), self.scores, self.notes)

    def __str__(self) -> str:
        return text_of([self.table()])

    def __repr__(self) -> str:
        return f"<ScoredFile {self.file}, {len(self.judgements)} answers>"

    def _repr_markdown_(self) -> str:
        return self.table().markdown()


def score(
    file: Path | str, *, language: str | None = None, benchmark: str | None = None, test: Path | str | None = None,
    join: str | None = None, data: Path | str | None = None, language_file: Path | str | None = None,
    judgements: Path | str | None = None, runs: Path | str = "runs",
) -> ScoredFile:  # fmt: skip
    """Scores answers that exist already, under all rules.

    Args:
        file: JSONL, CSV or Parquet with the columns id, response and gold; docs/data.md has more.
        language: of all rows, where there is no column `language`.
        benchmark: whose gold answers are taken.
        test: a test set of your own whose gold answers are taken.
        join: how answers find their problems: by id, order or question.
        data: a folder with local copies of the corpora.
        language_file: a TOML file that describes further languages.
        judgements: a JSONL file for what was read from each answer.
        runs: the folder where hub revisions are recorded.

    Raises:
        QAlignError: a name is unknown, the file lacks something, or answers and problems cannot be joined.
    """
    file, own = Path(file), str(test) if test is not None else None
    if benchmark is not None and own is not None:
        raise SettingError("--benchmark and --test both name a test set; give one of them")
    if join is not None and join not in JOINS:
        raise SettingError(f"unknown join '{join}': {nearest(join, JOINS)}")
    asked = benchmark or own
    if join is not None and asked is None:
        raise SettingError(f"--join {join} joins answers with a test set: give --benchmark NAME or --test PATH as well")
    kept = Path(judgements) if judgements is not None else None
    if kept is not None and kept.exists() and file.exists() and kept.samefile(file):
        raise SettingError(f"--judgements {kept} is the file that is scored; name another, or it would be lost")
    table = load_languages(Path(language_file) if language_file is not None else None)
    folder = Path(data) if data is not None else None
    problems = problems_of(asked, language, folder, Path(runs), table, own=own is not None) if asked else None
    scored = score_file(file, language, problems, table, join)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(kept, scored.judgements)
    notes = [*scored.notes, *[f"Columns not used: {', '.join(scored.unused)}."] * bool(scored.unused)]
    return ScoredFile(file=file, scores=scores_of(scored.judgements), judgements=scored.judgements, notes=notes)
