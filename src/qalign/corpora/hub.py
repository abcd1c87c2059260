"""Reading a corpus in the layout it has on the hub: from the hub itself, or from a clone of it in a folder.

No code of a dataset is ever run. A revision is what the user asks for, else what an earlier run recorded, else the
newest, which is then recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import languages as language_table
from ..errors import DataError
from ..languages import Language
from ..records import write_json
from . import framed
from .files import INSTALL, Row, lines, one_line
from .local import Found
from .table import Hub, Role

LOCAL = "give it as local files, by path or in a data folder (--data)"


@dataclass(frozen=True, slots=True)
class Place:
    """A hub dataset: on the hub at a revision, or in the folder of a clone."""

    hub: Hub
    clone: Path | None
    revision: str | None

    def __str__(self) -> str:
        return str(self.clone) if self.clone else f"{self.hub.name}@{self.revision}"


def resolve_revision(hub_name: str, asked: str | None, recorded_file: Path) -> str:
    """The revision to read: the one asked for, else the recorded one, else the newest, which is then recorded.

    Raises:
        DataError: the record is broken, or the hub cannot be asked.
    """
    if asked:
        return asked
    recorded: dict[str, str] = {}
    if recorded_file.is_file():
        try:
            recorded = json.loads(recorded_file.read_text(encoding="utf-8"))
            if not all(isinstance(value, str) for value in recorded.values()):
                raise ValueError("a revision is not a text")
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(f"{recorded_file} is no record of revisions ({one_line(error)}): remove it") from error
    if hub_name not in recorded:
        try:
            from huggingface_hub import HfApi

            revision = HfApi().dataset_info(hub_name).sha
        except Exception as error:  # any failure of the network or the hub is for the user to mend
            raise DataError(f"{hub_name}: no revision of it is known, and {_why(error, hub_name)}") from error
        if not revision:
            raise DataError(f"{hub_name}: the hub states no revision; ask for one as NAME@REVISION")
        recorded[hub_name] = revision
        recorded_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(recorded_file, dict(sorted(recorded.items())))
    return recorded[hub_name]


def found(
    place: Place, corpus: str, role: Role, languages: Sequence[str], table: Mapping[str, Language]
) -> tuple[Iterable[Found], list[str]]:
    """The rows of a hub dataset with our names of columns, and what is worth knowing about them.

    Raises:
        DataError: the dataset cannot be had, has no such language, or is not in the layout that its row states.
    """
    if place.hub.layout == "framed":
        groups = framed.grouped(_table_rows(place, None), table)
        return framed.found(groups, role, languages), framed.disagreements(groups, corpus, languages)
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
            yield Found(where, code, ordinal, row)


def _table_rows(place: Place, config: str | None) -> Iterator[tuple[str, Row]]:
    """The rows of one config, its columns renamed to ours, the others left out."""
    hub = place.hub
    of_config = f" {config}" if config else ""
    try:
        import datasets

        loaded = datasets.load_dataset(
            str(place.clone) if place.clone else hub.name, config, split=hub.split, revision=place.revision
        )
    except Exception as error:  # whatever the library raises, the user is to know what to do
        raise DataError(f"{place}{of_config}: {_why(error, hub.name)}") from error
    for theirs in hub.columns.values():
        if theirs not in loaded.column_names:
            raise DataError(
                f"{place}{of_config} has no column '{theirs}', only {', '.join(loaded.column_names)}: its layout has "
                f"changed; ask for an earlier revision (NAME@REVISION), or {LOCAL}"
            )
    for number, row in enumerate(loaded, start=1):
        yield f"{place}{of_config} row {number}", {ours: row[theirs] for ours, theirs in hub.columns.items()}


def _tsv_rows(place: Place, name: str) -> Iterator[tuple[str, Row]]:
    """The rows of a file `question TAB answer`, without header and quotes."""
    if place.clone:
        path = place.clone / name
    else:
        try:
            from huggingface_hub import hf_hub_download

            path = Path(hf_hub_download(place.hub.name, name, repo_type="dataset", revision=place.revision))
        except Exception as error:  # as above
            raise DataError(f"{place} {name}: {_why(error, place.hub.name)}") from error
    for where, line in lines(path):
        cells = line.split("\t")
        if len(cells) != 2:
            raise DataError(f"{where} has {len(cells)} cells, not 2 (question TAB answer); fetch the file again")
        yield where, {"question": cells[0], "answer": cells[1]}


def _why(error: Exception, hub_name: str) -> str:
    """What went wrong, and what to do, from the kinds of the exception and of its causes."""
    kinds, one = set(), error
    while one is not None:
        kinds |= {kind.__name__ for kind in type(one).__mro__}
        one = one.__cause__ or one.__context__  # type: ignore[assignment]
    said = one_line(error)
    if "ImportError" in kinds:
        return INSTALL
    if "GatedRepoError" in kinds or "gated" in said:
        page = f"https://huggingface.co/datasets/{hub_name}"
        return f"its conditions must be accepted at {page}; then log in with `hf auth login`, or {LOCAL}"
    if kinds & {"RevisionNotFoundError"}:
        return f"the hub has no such revision; ask for one that {hub_name} has (NAME@REVISION)"
    # Before "not found": a file that is neither fetched nor in the cache counts as both.
    if kinds & {"OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "TransportError"}:
        return f"the hub cannot be reached ({said}): go online, or {LOCAL}"
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError", "EntryNotFoundError"}:
        return f"the hub does not have it, or not for you: log in with `hf auth login`, or {LOCAL}"
    if "BuilderConfig" in said:
        return f"it has no such language ({said}): leave it out, or {LOCAL}"
    return f"it cannot be read ({said}): fetch it again, or {LOCAL}"
