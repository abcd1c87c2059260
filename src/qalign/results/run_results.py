"""The results of a run as one value: figures by type, tables, findings, and the files that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..errors import DataError
from ..evaluation.consistency import Consistency
from ..evaluation.significance import Comparison
from ..paths import instead
from ..records import Judgement, Problem, atomic_file, write_json
from ..terminal import say, text_of
from ..untrusted import parse_json
from . import provenance
from .accuracy_tables import RESULTS, accuracy_table, language_table
from .charts import Curves
from .findings import DIFFERENCES, agreement_table, claims_tables, differences_table
from .schema import FORMAT, VERSION, Content, Model, Scores, described, parse, plain
from .tables import Table, without_formula
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
        return provenance.model_lines(self.data, self.titles)

    def tables(self) -> list[Table]:
        """All tables: results first, then differences, agreement, training and data."""
        content, titles = self.data, self.titles
        every = [
            accuracy_table(content, titles),
            differences_table(content, titles),
            agreement_table(content, titles),
            language_table(content, titles),
            *claims_tables(content),
            provenance.training_table(content, titles),
            provenance.rewards_table(content, titles),
            provenance.mixture_table(content),
            provenance.rejections_table(content, titles),
            provenance.programs_table(content, titles),
            provenance.corpora_table(content),
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
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / "results.json", self.content)
        tables = self.tables()
        texts = {
            "results.md": [*(table.markdown() for table in tables), provenance.markdown(self.data, self.titles)],
            "results.tex": [table.latex() for table in tables],
            "results.csv": [f"# {without_formula(' '.join(table.title.split()))}\n{table.csv()}" for table in tables],
        }
        for name, parts in texts.items():
            with atomic_file(place / name) as temporary:
                temporary.write_text("\n".join(parts), encoding="utf-8")
        written = [place / "results.json", *(place / name for name in texts)]
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


FIRST_RULES = {"strict": "standard_error", "paper": "standard_error_paper"}
"""The rules of version 1, with the names that their standard errors had."""


def load(path: Path) -> Content:
    """The content of a `results.json`.

    Raises DataError where it is not there, is not of this form and version, or contradicts itself.
    """
    try:
        values = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        advice = instead(path, "give the results.json of a run")
        raise DataError(f"cannot read {path} ({error.strerror}); {advice}") from error
    version = values.get("version") if isinstance(values, dict) and values.get("format") == FORMAT else None
    if type(version) is not int or version not in (1, VERSION):
        raise DataError(f"{path} is not a {FORMAT} file of version {VERSION} or 1; give the results.json of a run")
    return parse(_of_today(values) if version == 1 else values, str(path))


def _of_today(values: dict[str, object]) -> dict[str, object]:
    """A file of version 1 as version 2. What has not the form of version 1 stays for `parse` to name."""
    systems = _each(values.get("systems"), lambda b: _each(b, lambda codes: _each(codes, _score)))
    return {**values, "version": VERSION, "rules": msgspec.to_builtins(described(FIRST_RULES)), "systems": systems}


def _score(score: object) -> object:
    if not isinstance(score, dict):
        return score
    gone = {*FIRST_RULES, *FIRST_RULES.values()}
    return {
        **{key: value for key, value in score.items() if key not in gone},
        "accuracy": {name: score[name] for name in FIRST_RULES if name in score},
        "standard_error": {name: score[error] for name, error in FIRST_RULES.items() if error in score},
        **dict.fromkeys(("in_language", "in_another", "no_language")),
    }


def _each(value: object, change: Callable[[object], object]) -> object:
    return {key: change(inner) for key, inner in value.items()} if isinstance(value, dict) else value
