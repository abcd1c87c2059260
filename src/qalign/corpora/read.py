"""Reads a located corpus into checked records: a missing row is never ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import world
from ..errors import DataError
from ..languages import LANGUAGES, Language, language
from ..records import Document, Pair, Problem
from ..wording import counted
from . import hub, local
from .columns import InvalidRow, record
from .local import Found
from .source import Source, check_languages
from .table import CORPORA

LEAST_OF_PUBLISHED = 0.98
"""The least share of the published rows in each language. Below it, a file counts as truncated."""


@dataclass(frozen=True, slots=True)
class Text:
    """The records of a corpus, and their counts."""

    records: list[Pair | Problem | Document]
    """In the order of the languages asked for, then of the corpus."""
    counts: dict[str, int]
    """The number of records by language."""
    published: dict[str, int] | None
    """The published number of rows by language. None for own data."""
    dropped: list[dict[str, str]] = field(default_factory=list)
    """`where` and `reason` of each row dropped on request."""
    notes: list[str] = field(default_factory=list)
    """Lines to show to the user."""

    @property
    def pairs(self) -> list[Pair]:
        """The records of the roles questions, answers and general."""
        return [entry for entry in self.records if isinstance(entry, Pair)]

    @property
    def problems(self) -> list[Problem]:
        """The records of the roles multilingual, english and test."""
        return [entry for entry in self.records if isinstance(entry, Problem)]


def read(
    source: Source, languages: Sequence[str], table: Mapping[str, Language], *, drop_invalid: bool = False
) -> Text:
    """Reads a corpus in the languages asked for. For pairs these are the X languages.

    Args:
        source: the corpus, as `locate` returns it.
        languages: codes of languages.
        table: the languages of the run.
        drop_invalid: drop, count and list rows with an empty text or a repeated id. Without it they are errors.

    Raises:
        SettingError: a language is unknown or does not fit the role.
        DataError: a row is not what its role needs, or a language has no row or fewer rows than published.
    """
    check_languages(source.role, languages)
    for code in languages:
        language(code, table)
    # The hub's layouts need English too, and name languages that were not asked for.
    raw_rows, notes = _found(source, languages, {**LANGUAGES, **table})
    by_language, others, dropped = _records(source, raw_rows, languages, drop_invalid)
    counts = {code: len(records) for code, records in by_language.items()}
    _check_present(source, counts, others)
    published = None
    if source.name in CORPORA:
        known = CORPORA[source.name].published
        published = {code: known[code] for code in languages if code in known}
        notes = [*notes, *against_published(source.name, counts, published)]
    if others:
        other_counts = ", ".join(f"{code} {count}" for code, count in sorted(others.items()))
        notes = [*notes, f"{_label(source)}: rows of languages that were not asked for: {other_counts}"]
    if dropped:
        notes = [*notes, f"{_label(source)}: {counted(len(dropped), 'invalid row')} dropped on request"]
    records = [entry for records in by_language.values() for entry in records]
    return Text(records=records, counts=counts, published=published, dropped=dropped, notes=notes)


def _found(
    source: Source, languages: Sequence[str], table: Mapping[str, Language]
) -> tuple[Iterable[Found], list[str]]:
    """The rows of a source with our column names, and notes about them."""
    if source.kind == "files":
        assert source.path is not None
        parts = local.parts(source.path, source.role, languages, table)
        return (row for part in parts for row in local.read_part(part, source.role)), []
    if (set_name := CORPORA[source.name].world) is not None:
        return _made(set_name, source, languages), []
    layout = CORPORA[source.name].hub
    assert layout is not None
    place = hub.Place(layout, source.path if source.kind == "clone" else None, source.revision)
    return hub.found(place, source.name, source.role, languages, table)


def _made(name: str, source: Source, languages: Sequence[str]) -> Iterable[Found]:
    """The rows of a corpus of the embedded world."""
    for ordinal, (code, row) in enumerate(world.rows(name, source.role, languages)):
        yield Found(where=f"{source.name} {code} {row['id']}", language=code, ordinal=ordinal, row=row)


def _records(
    source: Source, raw_rows: Iterable[Found], languages: Sequence[str], drop_invalid: bool
) -> tuple[dict[str, list[Pair | Problem | Document]], dict[str, int], list[dict[str, str]]]:
    """The records by language, row counts of other languages, and the dropped rows."""
    by_language: dict[str, list[Pair | Problem | Document]] = {code: [] for code in languages}
    seen: dict[tuple[str, str], str] = {}
    others = Counter[str]()
    dropped: list[dict[str, str]] = []
    for raw in raw_rows:
        if raw.language not in by_language:
            others[raw.language] += 1
            continue
        try:
            entry = record(
                source.role, raw.row, where=raw.where, language=raw.language, ordinal=raw.ordinal, source=source.name
            )
            earlier = seen.setdefault((raw.language, entry.id), raw.where)
            if earlier != raw.where:
                raise InvalidRow(raw.where, f"the id '{entry.id}' is that of {earlier} already")
        except InvalidRow as fault:
            if not drop_invalid:
                raise
            dropped.append({"where": fault.where, "reason": fault.reason})
        else:
            by_language[raw.language].append(entry)
    return by_language, others, dropped


def _check_present(source: Source, counts: Mapping[str, int], others: Mapping[str, int]) -> None:
    empty = [code for code, count in counts.items() if count == 0]
    if empty:
        present = sorted([*(code for code in counts if counts[code]), *others])
        has = f"it has {', '.join(present)}" if present else "it has no usable row at all"
        raise DataError(
            f"{_label(source)} has no row in {', '.join(empty)}, {has}: leave these languages out, or give them as "
            f"your own data"
        )


def against_published(name: str, counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """Notes on the languages whose count is not the published one.

    Raises:
        DataError: some language has less than `LEAST_OF_PUBLISHED` of its published rows.
    """
    ratios = {code: f"{code} {counts[code]:,} of {number:,}" for code, number in published.items()}
    short = [ratios[code] for code, number in published.items() if counts[code] < LEAST_OF_PUBLISHED * number]
    if short:
        raise DataError(
            f"{name} holds fewer rows than published: {', '.join(short)}; truncated? Fetch it again, or give it as "
            f"your own data, by path, if that is what you mean to use"
        )
    other = [ratios[code] for code, number in published.items() if counts[code] != number]
    return [f"{name}: rows that differ from the published count: {', '.join(other)}"] if other else []


def _label(source: Source) -> str:
    return str(source.path) if source.path is not None else source.name
