"""Reads a corpus in its hub layout, from the hub or from a local clone.

No code of a dataset is run. A dataset on the hub is downloaded whole, at one commit, and read from the cache like a clone.
The library `datasets` is not asked for a name on the hub: when the hub fails, it takes any commit in its own cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import languages as language_table
from ..errors import DataError
from ..huggingface import Repository, fetch
from ..languages import Language
from ..untrusted import printable
from ..wording import counted
from . import framed
from .files import INSTALL, Row, lines, one_line
from .local import Found
from .table import Hub, Role

LOCAL = "give it as local files, by path or in a data folder (--data)"
DATA_FILES = (
    "*.parquet", "*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.arrow", "*.gz", "*.bz2", "*.xz", "*.zst", "*.zip", "*.yaml",
    "README.md",
)  # fmt: skip
"""The files downloaded from a dataset: data, and the card that lists the files of a config. No scripts."""


@dataclass(frozen=True, slots=True)
class Place:
    """A hub dataset: a revision on the hub, or the folder of a clone."""

    hub: Hub
    clone: Path | None
    revision: str | None

    def __str__(self) -> str:
        return str(self.clone) if self.clone else f"{self.hub.name}@{self.revision}"


def found(
    place: Place, corpus: str, role: Role, languages: Sequence[str], table: Mapping[str, Language]
) -> tuple[Iterable[Found], list[str]]:
    """The rows of a hub dataset with our column names, and notes about them.

    Raises:
        DataError: the dataset is unavailable, lacks the language, or does not have the layout that its row states.
    """
    if place.hub.layout == "framed":
        groups = framed.grouped(_table_rows(place, None), table)
        return framed.found(groups, role, languages), framed.disagreements(groups, corpus, languages, table)
    return _by_language(place, languages, table), []


def _by_language(place: Place, languages: Sequence[str], table: Mapping[str, Language]) -> Iterator[Found]:
    hub = place.hub
    english: dict[object, str] = {}
    if hub.beside is not None:
        config = hub.pattern(hub.config, language_table.language(hub.beside, table))
        english = {row["id"]: row["text"] for _, row in _table_rows(place, config)}
    for code in languages:
        language = language_table.language(code, table)
        if hub.layout == "tsv":
            rows = _tsv_rows(place, hub.pattern(hub.file, language) or "")
        else:
            rows = _table_rows(place, hub.pattern(hub.config, language))
        for ordinal, (where, row) in enumerate(rows):
            if hub.beside is not None:
                if row["id"] not in english:
                    raise DataError(f"{where}: the id '{row['id']}' is not on the English side; fetch the corpus again")
                row = {**row, "text_en": english[row["id"]]}
            yield Found(where=where, language=code, ordinal=ordinal, row=row)


def _table_rows(place: Place, config: str | None) -> Iterator[tuple[str, Row]]:
    """The rows of one config, with our column names and no other columns."""
    hub = place.hub
    of_config = f" {config}" if config else ""
    folder = _folder(place, DATA_FILES)
    try:
        import datasets

        loaded = datasets.load_dataset(str(folder), config, split=hub.split)
    except Exception as error:  # the library raises many kinds; the user needs advice for all
        raise DataError(f"{place}{of_config}: {_why(error)}") from error
    for theirs in hub.columns.values():
        if theirs not in loaded.column_names:
            raise DataError(
                f"{place}{of_config} has no column '{theirs}', only {', '.join(loaded.column_names)}: its layout has "
                f"changed; ask for an earlier revision (NAME@REVISION), or {LOCAL}"
            )
    number = 0
    try:
        for number, row in enumerate(loaded, start=1):
            yield f"{place}{of_config} row {number}", {ours: row[theirs] for ours, theirs in hub.columns.items()}
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{place}{of_config} row {number + 1} cannot be read ({one_line(error)}): {LOCAL}") from error


def _tsv_rows(place: Place, name: str) -> Iterator[tuple[str, Row]]:
    """The rows of a file `question TAB answer`, without header and quotes."""
    path = _folder(place, [name]) / name
    if not path.is_file():
        raise DataError(f"{place} has no {name}: leave the language out, or {LOCAL}")
    for where, line in lines(path):
        cells = line.split("\t")
        if len(cells) != 2:
            raise DataError(
                f"{where} has {counted(len(cells), 'cell')}, not 2 (question TAB answer); fetch the file again"
            )
        yield where, {"question": cells[0], "answer": cells[1]}


def _folder(place: Place, patterns: Sequence[str]) -> Path:
    """The folder of a clone, or of the dataset at the revision in the hub's cache."""
    if place.clone:
        return place.clone
    assert place.revision is not None
    return fetch(Repository("dataset", place.hub.name), place.revision, patterns)


def _why(error: Exception) -> str:
    """Why a dataset could not be read, and what to do."""
    reason = printable(one_line(error))
    if isinstance(error, ImportError):
        return INSTALL
    if "BuilderConfig" in reason:
        return f"it has no such language ({reason}): leave it out, or {LOCAL}"
    return f"it cannot be read ({reason}): fetch it again, or {LOCAL}"
