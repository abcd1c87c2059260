"""Where a corpus is read from, its identity, and its checked records: a missing row is never ignored.

The identity of a source is its content: the revision on the hub, or a hash of the files to be read. The path is not part
of the identity. The same data in another folder is the same data.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import world
from ..errors import DataError, SettingError, nearest
from ..fingerprints import NO_HASH, announce_hashing, file_sha256, is_first_look
from ..huggingface import Repository, resolve
from ..languages import LANGUAGES, Language, language
from ..paths import instead
from ..records import Document, Pair, Problem
from ..wording import counted
from . import hub, local
from .columns import Found, InvalidRow, record
from .table import CORPORA, PAIR_KINDS, Hub, Role

Kind = Literal["files", "clone", "hub", "world"]
OWN = "own"
"""The name of a corpus that is a user's own file or folder."""

LEAST_OF_PUBLISHED = 0.98
"""The least share of the published rows in each language. Below it, a file counts as truncated."""
_POINTER = b"version https://git-lfs.github.com/spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A corpus in one role, and its place."""

    name: str
    role: Role
    kind: Kind
    """`files` have one of our layouts, a `clone` that of the hub. Text of the `world` is generated."""
    hub: str | None = None
    """The dataset name of a source on the hub."""
    revision: str | None = None
    """The commit on the hub, or the version of the world."""
    sha256: str | None = None
    """The hash of the content of files and clones."""
    path: Path | None = None

    def identity(self) -> dict[str, str]:
        """The identity of a source for a fingerprint: plain values, no path."""
        known = {"hub": self.hub, "revision": self.revision, "sha256": self.sha256}
        return {"corpus": self.name, "role": self.role, **{name: value for name, value in known.items() if value}}


def locate(
    name_or_path: str,
    role: Role,
    languages: Sequence[str],
    *,
    data: Path | None,
    revisions: Path,
    table: Mapping[str, Language] = LANGUAGES,
) -> Source:
    """Finds a corpus by name, as `name@revision`, or by the path of own data.

    A corpus of the world is generated. Any other named corpus is taken from the data folder if it is there, else from the
    hub. In a data folder it has the layout of its row, or it is a clone under its name on the hub. A revision is always taken
    from the hub. Nothing is downloaded. Only the files of the `languages` are hashed.

    Args:
        name_or_path: our name of a corpus, its name on the hub, or a path.
        revisions: the file that records resolved commits.
        table: the languages of the run. A file that is named after another one of them is refused.

    Raises:
        SettingError: the corpus does not exist or lacks the role, or the languages do not fit the role.
        DataError: a folder or a language's file is missing, or the hub cannot be asked for the revision.
    """
    check_languages(role, languages)
    if data is not None and not data.is_dir():
        raise DataError(f"there is no data folder {data}: {instead(data, 'check the path')}")
    name, separator, revision = name_or_path.partition("@")
    if name not in CORPORA and not Path(name_or_path).exists():
        name = next((row.name for row in CORPORA.values() if row.hub and row.hub.name == name), name)
    if name not in CORPORA:
        return _own(name_or_path, role, languages, table)
    corpus = CORPORA[name]
    if role not in corpus.roles:
        offering = ", ".join(row.name for row in CORPORA.values() if role in row.roles)
        raise SettingError(f"{name} holds no {role}, only {', '.join(corpus.roles)}: use {offering}, or a path")
    if separator and corpus.world:
        raise SettingError(f"{name} is made by the embedded world and has no revisions: ask for {name}")
    if separator and not revision:
        advice = f"give a branch, a tag or a commit behind the @, or {name} alone"
        raise SettingError(f"'{name_or_path}' names no revision: {advice}")
    if corpus.world is not None:
        return Source(name=name, role=role, kind="world", revision=f"world-{world.VERSION}")
    if data is not None and not revision:
        if role in corpus.local and (place := data / corpus.local[role]).exists():
            return _files(name, role, place, _listed(place, role, languages))
        if corpus.hub is not None and (place := data / corpus.hub.name).is_dir():
            return _files(name, role, place, _clone_files(corpus.hub, place, languages), kind="clone")
    if corpus.hub is None:
        where = f"give the folder that holds {corpus.local.get(role)} (--data), or its path"
        raise SettingError(f"{name} is not on the hub: {where}")
    commit = resolve(Repository("dataset", corpus.hub.name, role), revision or None, revisions)
    return Source(name=name, role=role, kind="hub", hub=corpus.hub.name, revision=commit)


def check_languages(role: Role, languages: Sequence[str]) -> None:
    """Raises SettingError if the languages do not fit the role. Pairs of English with English do not exist."""
    if not languages or len(set(languages)) < len(languages):
        raise SettingError(f"languages of {role}: {', '.join(languages) or 'none'}; give one or more, each once")
    if role in PAIR_KINDS and "en" in languages:
        raise SettingError(f"{role} pair each language with English: leave 'en' out of the languages")
    if role == "english" and list(languages) != ["en"]:
        raise SettingError(f"the role english is in English: ask for 'en', not {', '.join(languages)}")


def _own(given: str, role: Role, languages: Sequence[str], table: Mapping[str, Language]) -> Source:
    path = Path(given)
    if not path.exists():
        names = [*CORPORA, *(row.hub.name for row in CORPORA.values() if row.hub)]
        advice = instead(path, f"{nearest(given.partition('@')[0], names)} (or a path of your own data)")
        raise SettingError(f"'{given}' is neither a corpus nor an existing path: {advice}")
    return _files(OWN, role, path, _listed(path, role, languages, table))


def _listed(path: Path, role: Role, languages: Sequence[str], table: Mapping[str, Language] = LANGUAGES) -> list[Path]:
    return [file for part in local.parts(path, role, languages, table) for file in part.files]


def _files(name: str, role: Role, path: Path, files: Iterable[Path], kind: Kind = "files") -> Source:
    """Local data in the files, known by a hash of their contents and names, sorted by name."""
    root = path if path.is_dir() else path.parent
    names = sorted({file.relative_to(root).as_posix(): file for file in files}.items())
    total = hashlib.sha256()
    if not is_first_look():
        announce_hashing(root, [file for _, file in names])
        for relative, file in names:
            stat = file.stat()
            total.update(f"{relative}\0{_file_hash(file, stat.st_mtime_ns, stat.st_size)}\n".encode())
    sha256 = NO_HASH if is_first_look() else total.hexdigest()
    return Source(name=name, role=role, kind=kind, sha256=sha256, path=path)


@functools.cache
def _file_hash(path: Path, _changed: int, _size: int) -> str:
    """The hash of one file. A process computes it once unless the file changes."""
    return file_sha256(path)


def _clone_files(hub: Hub, folder: Path, languages: Sequence[str]) -> list[Path]:
    """The files of a clone that are read. Where only the hub library knows them, all files but hidden ones."""
    if hub.file is not None:
        files = [folder / hub.file.format(code=code) for code in languages]
        if missing := [path.name for path in files if not path.is_file()]:
            raise DataError(f"{folder} has no {', '.join(missing)}: fetch the files, or leave the languages out")
    else:
        files = [
            path
            for path in folder.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ]
        if not files:
            raise DataError(f"{folder} is empty: clone {hub.name} into it, or remove the folder")
    for path in files:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise DataError(f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in {folder}")
    return files


@dataclass(frozen=True, slots=True)
class Text:
    """The records of a corpus, and their counts."""

    records: list[Pair | Problem | Document]
    """In the order of the languages asked for, then of the corpus."""
    counts: dict[str, int]
    published: dict[str, int] | None
    """The published number of rows by language. None for own data."""
    dropped: list[dict[str, str]] = field(default_factory=list)
    """`where` and `reason` of each row dropped on request."""
    notes: list[str] = field(default_factory=list)
    """Lines to show to the user."""

    @property
    def problems(self) -> list[Problem]:
        """The records of the roles multilingual, english and test."""
        return [entry for entry in self.records if isinstance(entry, Problem)]


def read(
    source: Source, languages: Sequence[str], table: Mapping[str, Language], *, drop_invalid: bool = False
) -> Text:
    """Reads a corpus in the languages asked for. For pairs these are the X languages.

    Args:
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
