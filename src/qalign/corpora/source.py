"""Where a corpus is read from, and its identity.

The identity of a source is its content: the revision on the hub, or a hash of the files to be read. The path is not part
of the identity. The same data in another folder is the same data.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .. import world
from ..errors import DataError, SettingError, nearest
from ..fingerprints import NO_HASH, announce_hashing, file_sha256, is_first_look
from ..huggingface import Repository, resolve
from ..languages import LANGUAGES, Language
from ..paths import instead
from . import local
from .table import CORPORA, PAIR_KINDS, Hub, Role

Kind = Literal["files", "clone", "hub", "world"]
OWN = "own"
"""The name of a corpus that is a user's own file or folder."""

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
    """The place of files and clones."""

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
    if separator and (not revision or corpus.world):
        advice = "and has none" if corpus.world else "give a branch, a tag or a commit behind the @"
        raise SettingError(f"'{name_or_path}' names no revision of {name}, {advice}: ask for {name} alone")
    if corpus.world is not None:
        return Source(name=name, role=role, kind="world", revision=f"world-{world.VERSION}")
    if data is not None and not revision:
        if role in corpus.local and (place := data / corpus.local[role]).exists():
            return _files(
                name, role, place, [file for part in local.parts(place, role, languages) for file in part.files]
            )
        if corpus.hub is not None and (place := data / corpus.hub.name).is_dir():
            return dataclasses.replace(
                _files(name, role, place, _clone_files(corpus.hub, place, languages)), kind="clone"
            )
    if corpus.hub is None:
        where = f"give the folder that holds {corpus.local.get(role)} (--data), or its path"
        raise SettingError(f"{name} is not on the hub: {where}")
    commit = resolve(Repository("dataset", corpus.hub.name), revision or None, revisions)
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
    return _files(OWN, role, path, [file for part in local.parts(path, role, languages, table) for file in part.files])


def _files(name: str, role: Role, path: Path, files: Iterable[Path]) -> Source:
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
    return Source(name=name, role=role, kind="files", sha256=sha256, path=path)


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
