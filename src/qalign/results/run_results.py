"""The results of a run as one value: figures by type, tables, findings, and the files that are written of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..terminal import say, text_of
from . import results, schema
from .provenance import model_lines
from .tables import Table
from .titles import Titles

Rows = Iterable[Mapping[str, Any]]
Scores = dict[str, dict[str, dict[str, schema.Score]]]
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Results:
    """What a run has measured.

    Printed, it is the table of results and the findings. A notebook shows the same as Markdown.
    """

    content: Mapping[str, Any]
    """What `results.json` holds, as plain values."""
    titles: Titles
    """Names for people."""
    folder: Path
    """Where the files are written by default."""
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """The losses of all training stages, by system."""
    answers: Callable[[], Rows] = tuple
    """Reads every problem with its answers, for the page."""
    untested: Sequence[Table] = ()
    """Differences that could not be tested."""

    @property
    def systems(self) -> list[str]:
        """The names of what was measured."""
        return list(self.content["systems"])

    @property
    def benchmarks(self) -> list[str]:
        """The names of the test sets."""
        return list(dict.fromkeys(name for measured in self.content["systems"].values() for name in measured))

    @property
    def scores(self) -> Scores:
        """System -> test set -> language, `average` or `non_english` -> score."""
        return self._part("systems", Scores, {})

    @property
    def differences(self) -> list[schema.Comparison]:
        """The difference of each two systems, with its interval and p-value."""
        return self._part("comparisons", list[schema.Comparison], [])

    @property
    def consistency(self) -> dict[str, dict[str, schema.Consistency]]:
        """System -> test set -> agreement of the answers across languages."""
        return self._part("consistency", dict[str, dict[str, schema.Consistency]], {})

    @property
    def models(self) -> list[schema.Model]:
        """The folders of the final models."""
        return self._part("models", list[schema.Model], [])

    @property
    def findings(self) -> list[str]:
        """What was seen, in sentences."""
        return list(self.content.get("findings", ()))

    @property
    def model_lines(self) -> list[str]:
        """Where the final models are, in sentences."""
        return model_lines(self.content, self.titles)

    def _part(self, name: str, kind: type[Part], default: Part) -> Part:
        return msgspec.convert(self.content.get(name, default), kind)

    def tables(self) -> list[Table]:
        """All tables: results first, then differences, agreement, training and data."""
        return [*results.tables(self.content, self.titles), *self.untested]

    def last_tables(self, differences: bool = False) -> list[Table]:
        """The tables that a run ends with.

        Args:
            differences: whether the tests of all differences are among them.
        """
        return results.last_tables(self.content, self.titles, differences)

    def write(self, folder: Path | str | None = None) -> list[Path]:
        """Writes `results.json`, tables, figures and page, and returns their paths, the page first.

        Page and figures need the extra `report`. Without it they are left out, and a line says so.

        Args:
            folder: where to. By default the folder of the run under `results`.
        """
        place = Path(folder) if folder is not None else self.folder
        files = results.write(self.content, self.tables(), place, self.titles)
        try:
            from .figures import write_figures
            from .page import write_page

            write_page(self.content, self.titles, self.curves, self.answers(), place / "index.html")
            write_figures(self.content, self.curves, place / "figures", self.titles)
        except ModuleNotFoundError as error:
            say(f"No page and no figures, which need {error.name}: pip install 'qalign[report]'")
            return files
        return [place / "index.html", place / "figures", *files]

    def __repr__(self) -> str:
        return f"<Results of {', '.join(self.systems)} on {', '.join(self.benchmarks)}>"

    def __str__(self) -> str:
        return text_of([*(table.rich() for table in self.last_tables()), *self.findings])

    def _repr_markdown_(self) -> str:
        parts = [table.markdown() for table in self.last_tables()]
        return "\n".join([*parts, *(f"- {sentence}" for sentence in self.findings)])
