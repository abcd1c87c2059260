"""The results of a run as one value: figures by type, tables, findings, and the files that are written of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ..evaluation.consistency import Consistency
from ..evaluation.significance import Comparison
from ..records import Judgement, Problem
from ..terminal import say, text_of
from . import files
from .accuracy_tables import RESULTS, accuracy_table, language_table
from .charts import Curves
from .provenance import (
    corpora_table,
    mixture_table,
    model_lines,
    programs_table,
    rejections_table,
    rewards_table,
    training_table,
)
from .schema import Content, Model, Scores, plain
from .statistics_tables import DIFFERENCES, agreement_table, claims_tables, differences_table
from .tables import Table
from .titles import Titles


class AnsweredProblem(NamedTuple):
    """A problem of a benchmark, and the answers to it by system, each with its judgement."""

    benchmark: str
    problem: Problem
    answers: dict[str, tuple[str, Judgement]]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Results:
    """What a run has measured.

    Printed, it is the table of results and the findings. A notebook shows the same as Markdown.
    """

    data: Content
    """What `results.json` holds."""
    titles: Titles
    """Names for people."""
    folder: Path = Path()
    """Where the files are written by default."""
    curves: Curves = field(default_factory=dict)
    """The losses of all training stages, by system."""
    answers: Callable[[], Iterable[AnsweredProblem]] = tuple
    """Reads every problem with its answers, for the page."""
    untested: Sequence[Table] = ()
    """Differences that could not be tested."""

    @property
    def content(self) -> dict[str, object]:
        return plain(self.data)

    @property
    def systems(self) -> list[str]:
        return list(self.data.systems)

    @property
    def benchmarks(self) -> list[str]:
        return self.data.benchmarks

    @property
    def scores(self) -> dict[str, dict[str, Scores]]:
        """System -> test set -> language, `average` or `non_english` -> score."""
        return self.data.systems

    @property
    def differences(self) -> list[Comparison]:
        return self.data.comparisons

    @property
    def consistency(self) -> dict[str, dict[str, Consistency]]:
        return self.data.consistency

    @property
    def models(self) -> list[Model]:
        return self.data.models

    @property
    def findings(self) -> list[str]:
        return self.data.findings

    @property
    def model_lines(self) -> list[str]:
        return model_lines(self.data, self.titles)

    def tables(self) -> list[Table]:
        """All tables: results first, then differences, agreement, training and data."""
        content, titles = self.data, self.titles
        every = [
            accuracy_table(content, titles),
            differences_table(content, titles),
            agreement_table(content, titles),
            language_table(content, titles),
            *claims_tables(content),
            training_table(content, titles),
            rewards_table(content, titles),
            mixture_table(content),
            rejections_table(content, titles),
            programs_table(content, titles),
            corpora_table(content),
        ]
        return [*(table for table in every if table.rows), *self.untested]

    def last_tables(self, differences: bool = False) -> list[Table]:
        """The tables that a run ends with: the verdicts on claims, if there are such, and the results.

        A terminal too narrow for all languages gets English, the others and the average; `qalign report` shows the rest.
        With `differences` their tests stand below.
        """
        results = accuracy_table(self.data, self.titles)
        last = [*claims_tables(self.data), replace(results, narrow=results.narrow[:1])]
        last += [differences_table(self.data, self.titles)] if differences else []
        return [table for table in last if table.rows]

    def write(self, folder: Path | str | None = None) -> list[Path]:
        """Writes `results.json`, tables, figures and page, and returns their paths, the page first.

        Page and figures need the extra `report`. Without it they are left out, and a line says so.
        """
        place = Path(folder) if folder is not None else self.folder
        written = files.write(self.data, self.tables(), place, self.titles)
        try:
            from .figures import write_figures
            from .page import write_page

            write_page(self, place / "index.html")
            write_figures(self, place / "figures")
        except ModuleNotFoundError as error:
            say(f"No page and no figures, which need {error.name}: pip install 'qalign[report]'")
            return written
        return [place / "index.html", place / "figures", *written]

    def __repr__(self) -> str:
        return f"<Results of {', '.join(self.systems)} on {', '.join(self.benchmarks)}>"

    def __str__(self) -> str:
        return text_of([*self.last_tables(), *self.findings])

    def _repr_markdown_(self) -> str:
        parts = [table.markdown() for table in self.last_tables()]
        return "\n".join([*parts, *(f"- {sentence}" for sentence in self.findings)])


def for_terminal(tables: Sequence[Table]) -> list[Table]:
    """Tables in the order of a terminal, where the last lines are seen first: results and differences stand at the end."""
    last = [table for table in tables if table.title == RESULTS or table.title.startswith(DIFFERENCES)]
    return [*reversed([table for table in tables if table not in last]), *last]
