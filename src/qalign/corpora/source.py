"""Where a corpus is read from, and its identity.

The identity of a source is its content: the revision on the hub, or a hash of the files to be read. The path is not part
of the identity. The same data in another folder is the same data.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .. import world
from ..errors import DataError, SettingError, nearest
from ..fingerprints import NO_HASH, announce_hashing, file_sha256, is_first_look
from ..huggingface import Repository
from ..languages import LANGUAGES, Language
from ..paths import instead
from ..revisions import resolve
from . import local
from .table import CORPORA, OPTIONS, PAIR_KINDS, Corpus, Role

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
    revision: str | None,
    revisions: Path,
    table: Mapping[str, Language] = LANGUAGES,
) -> Source:
    """Finds a corpus by name, as `name@revision`, or by the path of own data.

    A corpus of the world is generated. Any other named corpus is taken from the data folder if it is there, else from the
    hub. In a data folder it has the layout of its row, or it is a clone under its name on the hub. A revision is always taken
    from the hub. Nothing is downloaded. Only the files of the `languages` are hashed.

    Args:
        name_or_path: our name of a corpus, its name on the hub, or a path.
        role: the role of the corpus in a stage.
        languages: codes of languages.
        data: the data folder.
        revision: a branch, tag or commit on the hub.
        revisions: the file that records resolved commits.
        table: the languages of the run. A file that is named after another one of them is refused.

    Raises:
        SettingError: the corpus does not exist or lacks the role, or the languages do not fit the role.
        DataError: a folder or a language's file is missing, or the hub cannot be asked for the revision.
    """
    check_languages(role, languages)
    if data is not None and not data.is_dir():
        raise DataError(f"there is no data folder {data}: {instead(data, 'check the path')}")
    name, separator, reference = name_or_path.partition("@")
    if name not in CORPORA and not Path(name_or_path).exists():
        name = next((row.name for row in CORPORA.values() if row.hub and row.hub.name == name), name)
    if name not in CORPORA:
        return _own(name_or_path, role, languages, revision, table)
    if separator and not reference:
        raise SettingError(
            f"'{name_or_path}' names no revision: give a branch, a tag or a commit behind the @, or {name} alone"
        )
    corpus = CORPORA[name]
    if role not in corpus.roles:
        offering = ", ".join(row.name for row in CORPORA.values() if role in row.roles)
        raise SettingError(f"{name} holds no {role}, only {', '.join(corpus.roles)}: use {offering}, or a path")
    if reference and revision and reference != revision:
        raise SettingError(f"two revisions of {name} are asked for, {reference} and {revision}: give one")
    requested = reference or revision
    if corpus.world is not None:
        if requested:
            raise SettingError(f"{name} is made by the embedded world and has no revisions: ask for {name}")
        return Source(name=name, role=role, kind="world", revision=f"world-{world.VERSION}")
    if data is not None and not requested:
        place, clone = _in_data_folder(corpus, role, data)
        if place is not None:
            kind: Kind = "clone" if clone else "files"
            files = _clone_files(corpus, place, languages) if clone else _files(place, role, languages)
            root = place if place.is_dir() else place.parent
            return Source(name=name, role=role, kind=kind, sha256=content_hash(root, files), path=place)
    if corpus.hub is None:
        raise SettingError(
            f"{name} is not on the hub: give the folder that holds {corpus.local.get(role)} (--data), or its path"
        )
    commit = resolve(Repository("dataset", corpus.hub.name, OPTIONS[role]), requested, revisions)
    return Source(name=name, role=role, kind="hub", hub=corpus.hub.name, revision=commit)


def check_languages(role: Role, languages: Sequence[str]) -> None:
    """Checks that the languages fit the role.

    Raises:
        SettingError: they do not. Pairs of English with English do not exist.
    """
    if not languages or len(set(languages)) < len(languages):
        raise SettingError(f"languages of {role}: {', '.join(languages) or 'none'}; give one or more, each once")
    if role in PAIR_KINDS and "en" in languages:
        raise SettingError(f"{role} pair each language with English: leave 'en' out of the languages")
    if role == "english" and list(languages) != ["en"]:
        raise SettingError(f"the role english is in English: ask for 'en', not {', '.join(languages)}")


def content_hash(root: Path, files: Iterable[Path]) -> str:
    """A hash of the content of files and their names below `root`, sorted by name."""
    if is_first_look():
        return NO_HASH
    names = sorted({path.relative_to(root).as_posix(): path for path in files}.items())
    total = hashlib.sha256()
    announce_hashing(root, [path for _, path in names])
    for name, path in names:
        stat = path.stat()
        total.update(f"{name}\0{_file_hash(path, stat.st_mtime_ns, stat.st_size)}\n".encode())
    return total.hexdigest()


@functools.cache
def _file_hash(path: Path, _changed: int, _size: int) -> str:
    """The hash of one file. A process computes it once unless the file changes."""
    return file_sha256(path)


def _own(
    given: str, role: Role, languages: Sequence[str], revision: str | None, table: Mapping[str, Language]
) -> Source:
    path = Path(given)
    if not path.exists():
        names = [*CORPORA, *(row.hub.name for row in CORPORA.values() if row.hub)]
        close = nearest(given.partition("@")[0], names)
        advice = instead(path, f"{close} (or a path of your own data)")
        raise SettingError(f"'{given}' is neither a corpus nor an existing path: {advice}")
    if revision:
        raise SettingError(f"{given} is a path and has no revision: its content is what it is known by")
    files = _files(path, role, languages, table)
    root = path if path.is_dir() else path.parent
    return Source(name=OWN, role=role, kind="files", sha256=content_hash(root, files), path=path)


def _in_data_folder(corpus: Corpus, role: Role, data: Path) -> tuple[Path | None, bool]:
    """The place of a corpus in a data folder, and whether it is a clone."""
    if role in corpus.local and (data / corpus.local[role]).exists():
        return data / corpus.local[role], False
    if corpus.hub is not None and (data / corpus.hub.name).is_dir():
        return data / corpus.hub.name, True
    return None, False


def _files(path: Path, role: Role, languages: Sequence[str], table: Mapping[str, Language] = LANGUAGES) -> list[Path]:
    return [file for part in local.parts(path, role, languages, table) for file in part.files]


def _clone_files(corpus: Corpus, folder: Path, languages: Sequence[str]) -> list[Path]:
    """The files of a clone that are read.

    Where only the hub library knows them, all files but hidden ones.
    """
    hub = corpus.hub
    assert hub is not None
    if hub.file is not None:
        files = [folder / hub.file.format(code=code) for code in languages]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
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
