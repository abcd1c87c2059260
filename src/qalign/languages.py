"""The languages: the rows of `languages.toml`, and further ones from a file of a user's own, with checked fields.

A row of a known code changes the fields that it gives. English is fixed: all other languages are compared with it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import DataError, SettingError, closest, nearest
from .paths import read_toml
from .untrusted import parse_json, printable


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    code: str
    name: str
    """The English name, which prompts use."""
    native_name: str = ""
    iso639_3: str = ""
    script: str = "Latn"
    zero: str = ""
    """The native digit 0, which the others follow in Unicode. Empty where digits are ASCII."""
    decimal: str = "."
    groups: str = ","
    """The characters that may separate thousands."""
    indian_groups: bool = False
    myriads: bool = False
    """Whether numbers may be written with Chinese numerals, such as 十八."""
    answer_markers: tuple[str, ...] = ()
    """Phrases that announce the final answer."""
    scales: Mapping[str, int] = field(default_factory=dict)
    """Words after a number that multiply it."""
    leading_scales: Mapping[str, int] = field(default_factory=dict)
    """Words before a number that multiply it, such as elfu 5."""
    number_words: Mapping[str, int] = field(default_factory=dict)
    """Numbers written in words after `leading_scales`."""
    question_markers: tuple[str, ...] = ()
    """Words that head a question."""
    no_answer: tuple[str, ...] = ()
    """Phrases that say that there is no answer."""
    result_markers: tuple[str, ...] = ()
    """Phrases that announce a result. The last result is the answer."""

    @property
    def flores(self) -> str:
        """The name of this language in Flores-200, such as `ben_Beng`."""
        return f"{self.iso639_3}_{self.script}"


PHRASES = ("answer_markers", "question_markers", "no_answer", "result_markers")
"""The fields of a language that are lists of phrases."""


_ROWS = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))["language"]
LANGUAGES: Mapping[str, Language] = {
    row["code"]: Language(**row | {name: tuple(row[name]) for name in PHRASES if name in row}) for row in _ROWS
}
"""The built-in rows by code, read with the standard library alone, as all that the embedded world needs."""

STUDY = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
"""The ten languages of the study, in the order of its tables."""


def language(code: str, table: Mapping[str, Language] = LANGUAGES) -> Language:
    """The row of a language. Raises SettingError if the table lacks it: the message says how to add it."""
    if code not in table:
        raise SettingError(f"unknown language '{printable(code[:80])}': {likely(code, table)}")
    return table[code]


def likely(text: str, table: Mapping[str, Language]) -> str:
    """The end of a message about an unknown code: the likely one, or how to add one. A text may be a name, or as zh_CN."""
    names = {code.casefold(): code for code in table}
    for code, row in table.items():
        names |= {name.casefold(): code for name in (row.iso639_3, row.name, row.native_name, row.flores) if name}
    folded = text.strip().casefold()
    close = closest(folded, names, cutoff=0.75) if len(folded) > 3 else None
    for known in (folded, folded.replace("_", "-").partition("-")[0], close):
        if known in names:
            code = names[known]
            return f"did you mean '{code}'? It is the code of {table[code].name}"
    return f"known codes: {', '.join(table)} (a further one is a row in a file: --language-file)"


def names_of(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, str]]:
    """The fields that decide on data and instructions, by code, as plain values."""
    fields = ("code", "name", "iso639_3", "script")
    return {code: {name: getattr(language(code, table), name) for name in fields} for code in codes}


def as_rows(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, object]]:
    """The rows of languages as plain values for a config. A new row is a new stage."""
    import msgspec  # here: the embedded world is made with the standard library alone

    return {code: msgspec.to_builtins(language(code, table)) for code in codes}


# --- further languages, from a file of a user ----------------------------------------------------------------------------

RESERVED = ("all", "average", "non_english")
"""Names in tables in place of codes of languages."""
KEPT_ROWS = "languages.json"
"""The file in a model's folder with the rows of further languages."""
CODE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
"""The code of a language, and the name of its file."""
SEE = "see [[language]] in docs/data.md"


def load_languages(path: Path | None) -> dict[str, Language]:
    """The language table, with the `[[language]]` rows of a TOML file added, which have the fields of `Language`.

    Raises SettingError if the file or a row is not usable, or a code or a name is taken.
    """
    table = dict(LANGUAGES)
    if path is None:
        return table
    content = read_toml(path, "language file", SEE)
    rows = content.pop("language", None)
    if content:
        unknown = printable(next(iter(content)))
        raise SettingError(f"{path} holds '{unknown}', which is not a [[language]] row; {SEE}")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SettingError(f"{path} has no [[language]] row; {SEE}")
    added: set[str] = set()
    for row in rows:
        code = row.get("code")
        known = asdict(table[code]) if isinstance(code, str) and code in table else {}
        language = language_from({**known, **row}, str(path))
        if language.code == "en" or language.code in added:
            reason = "is English, which cannot be changed" if language.code == "en" else "stands twice"
            raise SettingError(f"{path}: the language '{language.code}' {reason}; give each row its own code")
        for other in table.values():
            same = _folded(other.code) == _folded(language.code) or _folded(other.name) == _folded(language.name)
            if same and other.code != language.code:
                raise SettingError(
                    f"{path}: '{language.code}' ({language.name}) looks like '{other.code}' ({other.name}) in tables; give it "
                    "a code and a name of its own"
                )
        table[language.code] = language
        added.add(language.code)
    return table


def further_rows(table: Mapping[str, Language]) -> Mapping[str, Mapping[str, object]]:
    """The rows of languages that are not built in, as plain values: what a trained model keeps."""
    return as_rows([code for code in table if code not in LANGUAGES], table)


def with_rows_of_models(models: Iterable[str], table: Mapping[str, Language]) -> dict[str, Language]:
    """The language table, with the further languages that models keep in their folders.

    No model changes a language that the table has: it would decide how its own answers are read. Raises SettingError if a
    file is not usable, or two models describe a language differently.
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
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise DataError(f"{where} holds no rows of languages")
    except (DataError, OSError) as error:
        raise SettingError(f"{error}; remove it, and give the languages with --language-file") from error
    return [language_from(row, where) for row in rows.values()]


def _folded(text: str) -> str:
    """A code or a name without what a reader of a table does not see: case, width, separators, outer spaces."""
    return unicodedata.normalize("NFKC", text).strip().casefold().replace("-", "_")


def language_from(row: Mapping[str, object], where: str) -> Language:
    """The language of a mapping: a row of a TOML file, or of a stage's config.

    Raises SettingError if a field is unknown, missing or invalid, or two fields contradict each other.
    """
    import msgspec  # here: the embedded world is made with the standard library alone

    names = Language.__dataclass_fields__
    for name in row:
        if name not in names:
            raise SettingError(f"{where}: a language has no field '{printable(name)[:80]}': {nearest(name, names)}")

    def unusable(name: str) -> SettingError:
        if name not in row:
            return SettingError(f"{where}: a language row needs '{name}', a text; {SEE}")
        of = f" of the language {printable(str(row['code']))[:20]}" if name != "code" and "code" in row else ""
        shown = repr(row[name]) if isinstance(row[name], str) else str(row[name])
        return SettingError(f"{where}: '{name}'{of} is {shown:.80}; it must be {_VALUES[name][1]}")

    try:
        language = msgspec.convert(dict(row), Language)
    except msgspec.ValidationError as error:
        raise unusable(re.findall(r"`(?:\$\.)?(\w+)", str(error))[-1]) from error  # the field stands last
    for name, (fits, _) in _VALUES.items():
        if not fits(getattr(language, name)):
            raise unusable(name)
    if language.decimal in language.groups:
        both = f"'{language.decimal}' both as 'decimal' and in 'groups'"
        raise SettingError(f"{where}: the language {language.code} has {both}; state both fields")
    return language


def _is_line(text: str) -> bool:
    """Whether a text is one visible line."""
    return 0 < len(text) <= 200 and bool(text.strip()) and text.isprintable()


def _are_factors(words: Mapping[str, int], least: int = 2) -> bool:
    """Whether the words are such as multiply, each once, and the numbers in range."""
    fit = all(_is_line(word) and any(map(str.isalpha, word)) and not any(map(str.isdigit, word)) for word in words)
    once = len({word.casefold() for word in words}) == len({(word.casefold(), words[word]) for word in words})
    return fit and once and all(least <= factor <= 10**18 for factor in words.values())


_LINE = "a text of one line"
_WORDS = "a table from words to whole numbers from {} to 10^18, each word once, with letters and without digits"
_VALUES: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "code": (
        lambda code: CODE.fullmatch(code) and _folded(code) not in RESERVED,
        f"the code of a language, such as vi, yue or zh-Hant (not {', '.join(RESERVED)})",
    ),
    "name": (_is_line, _LINE),
    "native_name": (lambda name: not name or _is_line(name), _LINE),
    "iso639_3": (re.compile("([a-z]{3})?").fullmatch, "three small letters"),
    "script": (re.compile("[A-Z][a-z]{3}").fullmatch, "a code such as Latn"),
    "zero": (
        lambda zero: not zero or (len(zero) == 1 and unicodedata.decimal(zero, None) == 0),
        "the digit for 0 of a script, or empty",
    ),
    "decimal": (re.compile("[.,]").fullmatch, "'.' or ','"),
    **dict.fromkeys(("indian_groups", "myriads"), (lambda _: True, "true or false")),
    "groups": (re.compile("[.,' \u00a0\u202f]*").fullmatch, "characters out of . , ' and space"),
    **dict.fromkeys(PHRASES, (lambda phrases: all(map(_is_line, phrases)), "a list of texts of one line")),
    **dict.fromkeys(("scales", "leading_scales"), (_are_factors, _WORDS.format(2))),
    "number_words": (lambda words: _are_factors(words, least=1), _WORDS.format(1)),
}
"""What the values of fields must be."""
