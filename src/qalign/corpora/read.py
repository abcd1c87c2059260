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
from .columns import Found, InvalidRow, record
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
    label = str(source.path) if source.path is not None else source.name
    # The hub's layouts need English too, and name languages that were not asked for.
    rows, notes = _found(source, languages, {**LANGUAGES, **table})
    by_language: dict[str, list[Pair | Problem | Document]] = {code: [] for code in languages}
    places: dict[tuple[str, str], str] = {}
    others = Counter[str]()
    dropped: list[dict[str, str]] = []
    for row in rows:
        if row.language not in by_language:
            others[row.language] += 1
            continue
        try:
            entry = record(source.role, row, source.name)
            earlier = places.setdefault((row.language, entry.id), row.where)
            if earlier != row.where:
                raise InvalidRow(row.where, f"the id '{entry.id}' is that of {earlier} already")
        except InvalidRow as fault:
            if not drop_invalid:
                raise
            dropped.append({"where": fault.where, "reason": fault.reason})
        else:
            by_language[row.language].append(entry)
    counts = {code: len(records) for code, records in by_language.items()}
    if empty := [code for code, count in counts.items() if count == 0]:
        present = sorted([*(code for code in counts if counts[code]), *others])
        has = f"it has {', '.join(present)}" if present else "it has no usable row at all"
        advice = "leave these languages out, or give them as your own data"
        raise DataError(f"{label} has no row in {', '.join(empty)}, {has}: {advice}")
    published = None
    if source.name in CORPORA:
        known = CORPORA[source.name].published
        published = {code: known[code] for code in languages if code in known}
        notes = [*notes, *against_published(source.name, counts, published)]
    if others:
        other_counts = ", ".join(f"{code} {count}" for code, count in sorted(others.items()))
        notes = [*notes, f"{label}: rows of languages that were not asked for: {other_counts}"]
    if dropped:
        notes = [*notes, f"{label}: {counted(len(dropped), 'invalid row')} dropped on request"]
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
    if (name := CORPORA[source.name].world) is None:
        return hub.found(source, languages, table)
    return (
        Found(where=f"{source.name} {code} {row['id']}", language=code, ordinal=ordinal, row=row)
        for ordinal, (code, row) in enumerate(world.rows(name, source.role, languages))
    ), []


def against_published(name: str, counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """Notes on languages with another count than published. Raises DataError if rows are missing."""
    ratios = {code: f"{code} {counts[code]:,} of {number:,}" for code, number in published.items()}
    short = [ratios[code] for code, number in published.items() if counts[code] < LEAST_OF_PUBLISHED * number]
    if short:
        raise DataError(
            f"{name} holds fewer rows than published: {', '.join(short)}; truncated? Fetch it again, or give it as your own "
            "data, by path"
        )
    other = [ratios[code] for code, number in published.items() if counts[code] != number]
    return [f"{name}: rows that differ from the published count: {', '.join(other)}"] if other else []
