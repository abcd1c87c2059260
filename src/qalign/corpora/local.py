"""Layouts of a corpus in local files, the same for own data and data folders.

- a folder with one file per language: `bn.jsonl`, `th.csv`, `sw.parquet`. Only the languages asked for are read;
- one file: in the one language asked for, or with a column `language`;
- a folder with line-parallel text, as the published code keeps its questions: `bn-en/train.bn` next to `bn-en/train.en`.

Nothing else in a folder is read. A file that looks like data but fits no layout is an error. Examples are another ending,
such as `fr.json` or `de.JSONL`, and a name that is no code, such as `es.v2.jsonl`, `es (1).jsonl` or `ES.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ..errors import DataError
from ..languages import CODE, LANGUAGES, Language
from ..paths import instead
from ..untrusted import printable
from .columns import COLUMNS, Found, language_of
from .files import SUFFIXES, Row, lines, rows, suffix
from .table import PAIR_KINDS, Role

ENDINGS = "|".join(SUFFIXES)
_DOCUMENT = re.compile(r"(?:readme|licen[cs]e|notice|citation|changelog|copying|authors)(?:[._-].*)?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The files that hold one language."""

    language: str | None
    """None for a file with a column `language`."""
    files: tuple[Path, ...]
    """One file, or two that are parallel by line: language X, then English."""


def parts(path: Path, role: Role, languages: Sequence[str], table: Mapping[str, Language] = LANGUAGES) -> list[Part]:
    """The files under `path` that hold the languages, in the order asked. Opens at most the first row of a file.

    Raises DataError if a language is missing or there twice, or a single file does not tell its language or tells another.
    """
    why = ", for multilingual data hold English too" if role == "multilingual" and "en" in languages else ""
    if path.is_file():
        where, first = next(rows(path))
        if language_of(first.get("language"), where) is not None:
            return [Part(None, (path,))]
        stem = _stem(path)
        if len(languages) > 1:
            raise DataError(
                f"{path} does not tell which language its rows are in, and {len(languages)} were asked for "
                f"({', '.join(languages)}){why}: add a column 'language', or give a folder with one file a language"
            )
        if stem in table and stem not in languages:
            raise DataError(
                f"{path} is named after {table[stem].name} ('{stem}'), and was to be read as '{languages[0]}': ask for "
                f"'{stem}', give the file another name, or add a column 'language'"
            )
        return [Part(languages[0], (path,))]
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}: {instead(path, 'check the path')}")
    available = _by_language(path, role)
    begins = re.compile(rf"(?:{'|'.join(map(re.escape, languages))})(?![A-Za-z])", re.IGNORECASE)
    _refuse([name for name in _unread(path, role) if begins.match(name)], path)
    if missing := [language for language in languages if language not in available]:
        half = [file.name for code in missing for file in path.glob(f"{code}.en_only.*")]
        half += [f"{code}-en" for code in missing if (path / f"{code}-en" / "train.en").is_file()]
        only = f" ({', '.join(sorted(half))}: only the English side is there)" if half else ""
        why = why if "en" in missing else ""
        if not available:
            raise DataError(
                f"{path} holds no file for {', '.join(missing)}{only}{why}: name files {missing[0]}{ENDINGS}"
            )
        has = f"it has {', '.join(available)}: {'' if why else 'leave these languages out, or '}add files {missing[0]}{ENDINGS}"
        raise DataError(f"{path} has no {', '.join(missing)}{only}{why}; {has}")
    for language in languages:
        if len(available[language]) > 1:
            names = ", ".join(part.files[0].relative_to(path).as_posix() for part in available[language])
            raise DataError(f"{path} holds '{language}' more than once: {names}; keep one")
    return [available[language][0] for language in languages]


def _by_language(folder: Path, role: Role) -> dict[str, list[Part]]:
    """The parts of a folder by language. A duplicated language has two entries."""
    by_language: dict[str, list[Part]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and suffix(path) and CODE.fullmatch(_stem(path)):
            language, files = _stem(path), [path]
        elif path.is_dir() and path.name.endswith("-en") and role in PAIR_KINDS:
            language = path.name.removesuffix("-en")
            files = [path / f"train.{language}", path / "train.en"]
        else:
            continue
        if files[0].is_file():
            by_language.setdefault(language, []).append(Part(language, tuple(files)))
    return by_language


def _unread(folder: Path, role: Role) -> list[str]:
    """The names in a folder that fit no layout, but hidden files, documents, and English sides alone."""
    read = {part.files[0].relative_to(folder).parts[0] for of in _by_language(folder, role).values() for part in of}
    read |= {path.parent.name for path in folder.glob("*-en/train.en")}
    names = sorted(path.name for path in folder.iterdir())
    read |= {name for name in names if name.startswith(".") or ".en_only." in name or _DOCUMENT.match(name)}
    return [name for name in names if name not in read]


def _refuse(unread: Sequence[str], folder: Path) -> None:
    if unread:
        shown = ", ".join(map(printable, unread[:20])) + f" and {len(unread) - 20} more" * (len(unread) > 20)
        advice = f"name data CODE{ENDINGS}, such as de.jsonl, and move the rest out of the folder"
        raise DataError(f"{folder} holds what would not be read: {shown}; {advice}")


def languages_of(path: Path, role: Role, table: Mapping[str, Language]) -> tuple[str, ...]:
    """The languages of own data: those of a folder's files, of a file's column `language`, or of a file's name.

    Raises DataError if there is no data, or a file does not tell its language.
    """
    if path.is_dir():
        _refuse(_unread(path, role), path)
        languages = tuple(_by_language(path, role))
        if not languages:
            raise DataError(f"{path} holds no data; name its files by language: en{ENDINGS}")
        return languages
    codes = dict.fromkeys(language_of(row.get("language"), where) for where, row in rows(path))
    if stated := tuple(code for code in codes if code is not None):
        return stated
    if _stem(path) not in table:
        raise DataError(
            f"{path} does not tell its language: name it so (en{suffix(path)}), add a column 'language', or say which: "
            "--language (score), --test-languages (run, eval) or --languages (check)"
        )
    return (_stem(path),)


def _stem(path: Path) -> str:
    """The name of a file without its ending."""
    return path.name.removesuffix(suffix(path) or "")


def read_part(part: Part, role: Role) -> Iterator[Found]:
    """The rows of a part, with the language of each.

    Raises DataError as `files.rows`, and where languages contradict each other or parallel files differ in length.
    """
    for ordinal, (where, row) in enumerate(_parallel(part, role) if len(part.files) == 2 else rows(part.files[0])):
        language = language_of(row.get("language"), where) or part.language
        if language is None:
            raise DataError(f"{where}: 'language' is missing; it must be a code, such as bn")
        if part.language not in (None, language):
            raise DataError(f"{where}: 'language' is '{language}', the file's is '{part.language}'; make them agree")
        yield Found(where=where, language=language, ordinal=ordinal, row=row)


def _parallel(part: Part, role: Role) -> Iterator[tuple[str, Row]]:
    text, text_en = COLUMNS[role][0]
    for left, right in zip_longest(*map(lines, part.files)):
        if left is None or right is None:
            short, where = (part.files[0], right[0]) if left is None else (part.files[1], left[0])
            raise DataError(f"{where} has no counterpart: {short} has fewer lines; the two must be parallel by line")
        # The place is that of the side that is empty, if one is.
        yield (left[0] if right[1].strip() or not left[1].strip() else right[0]), {text: left[1], text_en: right[1]}
