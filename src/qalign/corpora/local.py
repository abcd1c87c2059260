"""Layouts of a corpus in local files, the same for own data and data folders.

- a folder with one file per language: `bn.jsonl`, `th.csv`, `sw.parquet`. Only the languages asked for are read;
- one file: in the one language asked for, or with a column `language`;
- a folder with line-parallel text, as the published code keeps its questions: `bn-en/train.bn` next to `bn-en/train.en`.

Nothing else in a folder is read. A file that looks like data but fits no layout is an error. Examples are another ending,
such as `fr.json` or `de.JSONL`, and a name that is no code, such as `es.v2.jsonl`, `es (1).jsonl` or `ES.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ..errors import DataError
from ..language_file import CODE
from ..languages import LANGUAGES, Language
from ..paths import instead
from ..untrusted import printable
from .columns import COLUMNS, language_of
from .files import SUFFIXES, Row, lines, rows, suffix
from .table import PAIR_KINDS, Role


@dataclass(frozen=True, slots=True)
class Part:
    """The files that hold one language."""

    language: str | None
    """None for a file with a column `language`."""
    files: tuple[Path, ...]
    """One file, or two that are parallel by line: language X, then English."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a file, before it is checked."""

    where: str
    """The file and line, for messages."""
    language: str
    ordinal: int
    """The number of earlier rows in the same file."""
    row: Row


def parts(path: Path, role: Role, languages: Sequence[str], table: Mapping[str, Language] = LANGUAGES) -> list[Part]:
    """The files under `path` that hold the languages, in the order asked.

    Opens at most the first row of a file.

    Raises:
        DataError: `path` does not exist, a language is missing or present twice, a single file does not tell its language or
            is named after another one of the table.
    """
    if path.is_file():
        where, first = next(rows(path))
        if language_of(first.get("language"), where) is not None:
            return [Part(None, (path,))]
        stem = _stem(path)
        if len(languages) == 1 and stem in table and stem not in languages:
            raise DataError(
                f"{path} is named after {table[stem].name} ('{stem}'), and was to be read as '{languages[0]}': ask for "
                f"'{stem}', give the file another name, or add a column 'language'"
            )
        if len(languages) == 1:
            return [Part(languages[0], (path,))]
        raise DataError(
            f"{path} does not tell which language its rows are in, and {len(languages)} were asked for "
            f"({', '.join(languages)}){_english_too(role)}: add a column 'language', or give a folder with one file a language"
        )
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}: {instead(path, 'check the path')}")
    by_language = files_by_language(path, role)
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, languages))})(?![A-Za-z])", re.IGNORECASE)
    if skipped := [name for name in unread(path, role) if pattern.match(name)]:
        raise DataError(_skipped(path, skipped))
    missing = [language for language in languages if language not in by_language]
    if missing:
        raise DataError(_missing(path, missing, by_language, role))
    return [_one(path, language, by_language[language]) for language in languages]


def files_by_language(folder: Path, role: Role) -> dict[str, list[Part]]:
    """The parts of a folder by language. A duplicated language has two entries."""
    by_language: dict[str, list[Part]] = {}
    for path in sorted(folder.iterdir()):
        ending = suffix(path)
        if path.is_file() and ending:
            language = path.name.removesuffix(ending)
            if CODE.fullmatch(language):
                by_language.setdefault(language, []).append(Part(language, (path,)))
        elif path.is_dir() and path.name.endswith("-en") and role in PAIR_KINDS:
            language = path.name.removesuffix("-en")
            sides = (path / f"train.{language}", path / "train.en")
            if sides[0].is_file():
                by_language.setdefault(language, []).append(Part(language, sides))
    return by_language


def unread(folder: Path, role: Role) -> list[str]:
    """The names in a folder that fit no layout, sorted.

    Left out are hidden files, documents about the data such as `README` and `LICENSE`, and English sides alone such as
    `bn.en_only.jsonl`.
    """
    read = {
        file.relative_to(folder).parts[0]
        for parts_of_language in files_by_language(folder, role).values()
        for part in parts_of_language
        for file in part.files
    }
    half = {path.parent.name for path in folder.glob("*-en/train.en")}
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.name not in read | half
        and not path.name.startswith(".")
        and ".en_only." not in path.name
        and not _DOCUMENT.match(path.name)
    ]


_DOCUMENT = re.compile(r"(?:readme|licen[cs]e|notice|citation|changelog|copying|authors)(?:[._-].*)?\Z", re.IGNORECASE)


def _skipped(folder: Path, names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return (
        f"{folder} holds what would not be read: {shown}; name data CODE{'|'.join(SUFFIXES)}, such as de.jsonl, and move the "
        "rest out of the folder"
    )


def languages_of(path: Path, role: Role, table: Mapping[str, Language]) -> tuple[str, ...]:
    """The languages of own data.

    They are those of a folder's files, of a file's column `language`, or of a file's name.

    Raises:
        DataError: there is no data, or a file does not tell its language.
    """
    if path.is_dir():
        folder_languages = tuple(files_by_language(path, role))
        if skipped := unread(path, role):
            raise DataError(_skipped(path, skipped))
        if not folder_languages:
            raise DataError(f"{path} holds no data; name its files by language: en{'|'.join(SUFFIXES)}")
        return folder_languages
    codes = dict.fromkeys(language_of(row.get("language"), where) for where, row in rows(path))
    if stated := tuple(code for code in codes if code is not None):
        return stated
    stem = _stem(path)
    if stem not in table:
        raise DataError(
            f"{path} does not tell its language: name it so (en{suffix(path)}), add a column 'language', or say which: "
            "--language (score), --test-languages (run, eval) or --languages (check)"
        )
    return (stem,)


def _stem(path: Path) -> str:
    """The name of a file without its ending."""
    return path.name.removesuffix(suffix(path) or "")


def _english_too(role: Role) -> str:
    return ", for multilingual data hold English too" if role == "multilingual" else ""


def read_part(part: Part, role: Role) -> Iterator[Found]:
    """The rows of a part, with the language of each.

    Raises:
        DataError: as `files.rows`. Also where a column `language` is missing in a row or contradicts the file's name, or
            parallel files differ in length.
    """
    placed_rows = _parallel(part, role) if len(part.files) == 2 else rows(part.files[0])
    for ordinal, (where, row) in enumerate(placed_rows):
        language = language_of(row.get("language"), where) or part.language
        if language is None:
            raise DataError(f"{where}: 'language' is missing; it must be a code, such as bn")
        if part.language not in (None, language):
            raise DataError(f"{where}: 'language' is '{language}', the file's is '{part.language}'; make them agree")
        yield Found(where=where, language=language, ordinal=ordinal, row=row)


def _parallel(part: Part, role: Role) -> Iterator[tuple[str, Row]]:
    text_file, english_file = part.files
    text, text_en = COLUMNS[role].needed
    for left, right in zip_longest(lines(text_file), lines(english_file)):
        if left is None or right is None:
            short, where = (text_file, right[0]) if left is None else (english_file, left[0])
            raise DataError(f"{where} has no counterpart: {short} has fewer lines; the two must be parallel by line")
        # The place is that of the side that is empty, if one is.
        yield (left[0] if right[1].strip() or not left[1].strip() else right[0]), {text: left[1], text_en: right[1]}


def _one(folder: Path, language: str, candidates: list[Part]) -> Part:
    if len(candidates) > 1:
        names = ", ".join(part.files[0].relative_to(folder).as_posix() for part in candidates)
        raise DataError(f"{folder} holds '{language}' more than once: {names}; keep one")
    return candidates[0]


def _missing(folder: Path, missing: Sequence[str], available: Iterable[str], role: Role) -> str:
    half = [path.name for language in missing for path in sorted(folder.glob(f"{language}.en_only.*"))]
    half += [f"{code}-en" for code in missing if (folder / f"{code}-en" / "train.en").is_file()]
    only = f" ({', '.join(half)}: only the English side is there)" if half else ""
    only += _english_too(role) if "en" in missing else ""
    if not list(available):
        return f"{folder} holds no file for {', '.join(missing)}{only}: name files {missing[0]}{'|'.join(SUFFIXES)}"
    return (
        f"{folder} has no {', '.join(missing)}{only}; it has {', '.join(available)}: ask for these languages, or give the "
        f"missing ones as your own data (a folder with {missing[0]}.jsonl)"
    )
