"""Rows for further languages, from a TOML file with checked fields.

A row of a known code changes the fields that it gives. English is fixed: all other languages are compared with it.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .errors import DataError, SettingError, nearest
from .languages import LANGUAGES, PHRASES, Language, as_rows
from .toml_file import read_toml
from .untrusted import parse_json, printable

RESERVED = ("all", "average", "non_english")
"""Names in tables in place of codes of languages."""

KEPT_ROWS = "languages.json"
"""The file in a model's folder with the rows of further languages."""
CODE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
"""The code of a language, and the name of its file."""


def load_languages(path: Path | None) -> dict[str, Language]:
    """The language table, with the rows of a TOML file added.

    The tables are `[[language]]` with the fields of `Language`. Code and name are required.

    Raises:
        SettingError: the file is missing or not TOML, a row lacks a field or has an invalid one, or a code or a name is
            duplicated or taken.
    """
    table = dict(LANGUAGES)
    if path is None:
        return table
    added: list[str] = []
    for row in _rows(path):
        code = row.get("code")
        if code in added:
            raise SettingError(f"{path}: the language '{printable(str(code))}' stands twice; keep one row")
        known = dataclasses.asdict(table[code]) if isinstance(code, str) and code in table else {}
        language = language_from({**known, **row} if "name" in row else row, str(path))
        if language.code == "en":
            raise SettingError(f"{path}: English ('en') cannot be changed; give the row another code")
        for other in table.values():
            if other.code != language.code and _folded(other.code) == _folded(language.code):
                raise SettingError(
                    f"{path}: the code '{language.code}' differs from '{other.code}' in its letters' case or separator only"
                )
            if other.code != language.code and _folded(other.name) == _folded(language.name):
                raise SettingError(
                    f"{path}: '{language.code}' is named {language.name}, as '{other.code}' is; give it its own name"
                )
        table[language.code] = language
        added.append(language.code)
    return table


def further_rows(table: Mapping[str, Language]) -> Mapping[str, Mapping[str, object]]:
    """The rows of languages that are not built in, as plain values: what a trained model keeps."""
    return as_rows([code for code in table if code not in LANGUAGES], table)


def with_rows_of_models(models: Iterable[str], table: Mapping[str, Language]) -> dict[str, Language]:
    """The language table, with the further languages that models keep.

    No model changes a language that the table has: it would decide how its own answers are read.

    Args:
        models: names or folders. Folders alone keep rows.
        table: the languages so far.

    Raises:
        SettingError: a model's file is not usable, or two models describe a language differently.
    """
    rows: dict[str, tuple[Language, str]] = {}
    for model in models:
        for row in _kept_rows(Path(model) / KEPT_ROWS):
            other, where = rows.setdefault(row.code, (row, model))
            if other != row and row.code not in table:
                raise SettingError(
                    f"{where} and {model} describe the language '{row.code}' differently; give one row with --language-file"
                )
    return {**{code: row for code, (row, _) in rows.items()}, **table}


def _kept_rows(path: Path) -> list[Language]:
    """The rows in a file of `further_rows`, none if there is no such file."""
    if not path.is_file():
        return []
    where = printable(str(path))
    try:
        rows = parse_json(path.read_bytes(), where)
    except (DataError, OSError) as error:
        raise SettingError(f"{error}; remove it, and give the languages with --language-file") from error
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise SettingError(f"{where} holds no rows of languages; remove it, and give them with --language-file")
    return [language_from(row, where) for row in rows.values()]


def _folded(text: str) -> str:
    """A code or a name without case, width, separators and outer spaces.

    A reader of a table does not see these.
    """
    return unicodedata.normalize("NFKC", text).strip().casefold().replace("-", "_")


def _rows(path: Path) -> list[dict[str, object]]:
    """The `[[language]]` tables of a TOML file."""
    content = read_toml(path, "language file", "see [[language]] in docs/data.md")
    rows = content.pop("language", None)
    if content:
        raise SettingError(
            f"{path} holds '{printable(next(iter(content)))}', which is not a [[language]] row; see docs/data.md"
        )
    if not isinstance(rows, list) or not rows:
        raise SettingError(f"{path} has no [[language]] row; see docs/data.md")
    for row in rows:
        if not isinstance(row, dict):
            raise SettingError(
                f"{path}: 'language' holds {row!r:.80}; it must be [[language]] tables, see docs/data.md"
            )
    return rows


def language_from(row: Mapping[str, object], where: str) -> Language:
    """The language of a mapping: a row of a TOML file, or of a stage's config.

    Raises:
        SettingError: a field is unknown, missing or invalid, or two fields contradict each other.
    """
    names = [f.name for f in dataclasses.fields(Language)]
    for field in row:
        if field not in names:
            raise SettingError(f"{where}: a language has no field '{printable(field)[:80]}': {nearest(field, names)}")
    code, name = row.get("code"), row.get("name")
    if not isinstance(code, str) or not code or not isinstance(name, str) or not name:
        lacking = "name" if isinstance(code, str) and code else "code"
        raise SettingError(f"{where}: a language row needs '{lacking}', a text")
    if _folded(code) in RESERVED or not CODE.fullmatch(code):
        raise SettingError(
            f"{where}: '{printable(code)[:80]}' is not a code of a language; give one such as vi, yue or zh-Hant (not "
            f"{', '.join(RESERVED)})"
        )
    for name, value in row.items():
        fits, expected = _FIELDS[name]
        if not fits(value):
            raise SettingError(f"{where}: '{name}' of the language {code} is {value!r:.80}; it must be {expected}")
    import msgspec  # here: the embedded world is made with the standard library alone

    language = msgspec.convert(dict(row), Language)
    if language.decimal in language.groups:
        raise SettingError(
            f"{where}: the language {code} has '{language.decimal}' both as 'decimal' and in 'groups'; state both fields"
        )
    return language


def _is_line(value: object) -> bool:
    """Whether a value is a visible text of one line."""
    return isinstance(value, str) and 0 < len(value) <= 200 and bool(value.strip()) and value.isprintable()


def _is_zero(value: object) -> bool:
    return value == "" or (isinstance(value, str) and len(value) == 1 and unicodedata.decimal(value, None) == 0)


def _are_scales(value: object, least: int = 2) -> bool:
    if not isinstance(value, Mapping):
        return False
    factors: dict[str, int] = {}
    for word, factor in value.items():
        if not _is_line(word) or any(map(str.isdigit, word)) or not any(map(str.isalpha, word)):
            return False
        if (
            type(factor) is not int
            or not least <= factor <= 10**18
            or factors.setdefault(word.casefold(), factor) != factor
        ):
            return False
    return True


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


_TRUE_OR_FALSE = (lambda value: isinstance(value, bool), "true or false")
_PHRASES = (lambda value: isinstance(value, list | tuple) and all(map(_is_line, value)), "a list of texts")
_WORDS = "a table from words to whole numbers from {} to 10^18, each word once, with letters and without digits"
_FIELDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "code": (_is_line, "a text"),
    "name": (_is_line, "a text of one line"),
    "native_name": (lambda value: value == "" or _is_line(value), "a text of one line"),
    "iso639_3": (_matches("([a-z]{3})?"), "three small letters"),
    "script": (_matches("[A-Z][a-z]{3}"), "a code such as Latn"),
    "zero": (_is_zero, "the digit for 0 of a script, or empty"),
    "decimal": (_matches("[.,]"), "'.' or ',' (the Arabic ones are read as these)"),
    "groups": (
        _matches("[.,' \u00a0\u202f]*"),
        "characters out of . , ' and space (the Arabic ones are read as these)",
    ),
    "indian_groups": _TRUE_OR_FALSE,
    "myriads": _TRUE_OR_FALSE,
    **dict.fromkeys(PHRASES, _PHRASES),
    **dict.fromkeys(("scales", "leading_scales"), (_are_scales, _WORDS.format(2))),
    "number_words": (lambda value: _are_scales(value, least=1), _WORDS.format(1)),
}
