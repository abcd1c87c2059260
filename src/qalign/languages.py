"""The languages: the rows of `languages.toml`. A file of a user's own adds further ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingError, closest
from .untrusted import printable


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
