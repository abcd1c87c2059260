"""Reads a corpus in its hub layout, from the hub or from a local clone.

No code of a dataset is run. A dataset on the hub is downloaded whole, at one commit, and read from the cache like a clone.
The library `datasets` is not asked for a name on the hub: when the hub fails, it takes any commit in its own cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from ..huggingface import Repository, fetch
from ..languages import Language, language
from ..untrusted import one_line
from . import framed
from .columns import Found
from .files import INSTALL, Row, lines
from .source import Source
from .table import CORPORA, Hub

LOCAL = "give it as local files, by path or in a data folder (--data)"
DATA_FILES = (
    "*.parquet", "*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.arrow", "*.gz", "*.bz2", "*.xz", "*.zst", "*.zip", "*.yaml",
    "README.md",
)  # fmt: skip
"""The files downloaded from a dataset: data, and the card that lists the files of a config. No scripts."""


def found(source: Source, languages: Sequence[str], table: Mapping[str, Language]) -> tuple[Iterable[Found], list[str]]:
    """The rows of a hub dataset with our column names, and notes. Raises DataError if they cannot be read."""
    hub = CORPORA[source.name].hub
    assert hub is not None
    if hub.layout != "framed":
        return _by_language(source, hub, languages, table), []
    groups = framed.grouped(_table_rows(source, hub, None), table)
    notes = framed.disagreements(groups, source.name, languages, table)
    return framed.found(groups, source.role, languages), notes


def _by_language(source: Source, hub: Hub, languages: Sequence[str], table: Mapping[str, Language]) -> Iterator[Found]:
    english: dict[object, str] = {}
    if hub.beside is not None:
        config = hub.pattern(hub.config, language(hub.beside, table))
        english = {row["id"]: row["text"] for _, row in _table_rows(source, hub, config)}
    for code in languages:
        if hub.layout == "tsv":
            rows = _tsv_rows(source, hub.pattern(hub.file, language(code, table)) or "")
        else:
            rows = _table_rows(source, hub, hub.pattern(hub.config, language(code, table)))
        for ordinal, (where, row) in enumerate(rows):
            if hub.beside is not None:
                if row["id"] not in english:
                    raise DataError(f"{where}: the id '{row['id']}' is not on the English side; fetch the corpus again")
                row = {**row, "text_en": english[row["id"]]}
            yield Found(where=where, language=code, ordinal=ordinal, row=row)


def _table_rows(source: Source, hub: Hub, config: str | None) -> Iterator[tuple[str, Row]]:
    """The rows of one config, with our column names and no other columns."""
    place, folder = " ".join(filter(None, [_label(source), config])), _folder(source, DATA_FILES)
    try:
        import datasets

        loaded = datasets.load_dataset(str(folder), config, split=hub.split)
    except ImportError as error:
        raise DataError(f"{place}: {INSTALL}") from error
    except Exception as error:  # the library raises many kinds; the user needs advice for all
        reason = one_line(error)
        known = "it has no such language" if "BuilderConfig" in reason else "it cannot be read"
        raise DataError(f"{place}: {known} ({reason}): leave the language out, fetch it again, or {LOCAL}") from error
    for theirs in hub.columns.values():
        if theirs not in loaded.column_names:
            raise DataError(
                f"{place} has no column '{theirs}', only {', '.join(loaded.column_names)}: its layout has changed; ask for an "
                f"earlier revision (NAME@REVISION), or {LOCAL}"
            )
    number = 0
    try:
        for number, row in enumerate(loaded, start=1):
            yield f"{place} row {number}", {ours: row[theirs] for ours, theirs in hub.columns.items()}
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{place} row {number + 1} cannot be read ({one_line(error)}): {LOCAL}") from error


def _tsv_rows(source: Source, name: str) -> Iterator[tuple[str, Row]]:
    """The rows of a file `question TAB answer`, without header and quotes."""
    path = _folder(source, [name]) / name
    if not path.is_file():
        raise DataError(f"{_label(source)} has no {name}: leave the language out, or {LOCAL}")
    for where, line in lines(path):
        cells = line.split("\t")
        if len(cells) != 2:
            raise DataError(f"{where} has {len(cells)} cells, not 2 (question TAB answer); fetch the file again")
        yield where, {"question": cells[0], "answer": cells[1]}


def _label(source: Source) -> str:
    return str(source.path) if source.path else f"{source.hub}@{source.revision}"


def _folder(source: Source, patterns: Sequence[str]) -> Path:
    """The folder of a clone, or of the dataset at the revision in the hub's cache."""
    if source.path:
        return source.path
    assert source.hub is not None
    assert source.revision is not None
    return fetch(Repository("dataset", source.hub), source.revision, patterns)
