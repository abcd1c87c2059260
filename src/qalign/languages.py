"""The languages: the rows of `languages.toml`. A file of a user's own adds further ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingError, closest
from .iso639 import NAMES
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


def _built_in() -> dict[str, Language]:
    """The rows by code, read with the standard library alone, as all that the embedded world needs."""
    rows = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))["language"]
    phrases = ((row, {name: tuple(row[name]) for name in PHRASES if name in row}) for row in rows)
    return {row["code"]: Language(**{**row, **lists}) for row, lists in phrases}


LANGUAGES: Mapping[str, Language] = _built_in()

STUDY = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
"""The ten languages of the study, in the order of its tables."""


def language(code: str, table: Mapping[str, Language] = LANGUAGES) -> Language:
    """The row of a language.

    Raises:
        SettingError: the table lacks the language. The message says how to add it.
    """
    if code not in table:
        raise SettingError(f"unknown language '{printable(code[:80])}': {likely(code, table)}")
    return table[code]


def language_codes(texts: Iterable[str]) -> tuple[str, ...]:
    """The codes in texts, each once. Commas or spaces stand between them."""
    return tuple(dict.fromkeys(code for text in texts for code in text.replace(",", " ").split()))


def likely(text: str, table: Mapping[str, Language]) -> str:
    """The end of a message about an unknown code: the likely one, or how to add it."""
    code = _meant(text, table)
    if code is not None and code in table:
        return f"did you mean '{code}'? It is the code of {table[code].name}"
    if code is not None:
        known = f"the code of {NAMES[code]}, which" if code == text else f"{NAMES[code]} has the code '{code}' and"
        return (
            f"{known} is not built in: describe it in a file, --language-file FILE (built in: {', '.join(LANGUAGES)})"
        )
    return f"known: {', '.join(table)} (a further one is a row in a file: --language-file)"


def _meant(text: str, table: Mapping[str, Language]) -> str | None:
    """The code that a text means: a code such as deu or zh_CN, or a name."""
    folded = text.strip().casefold()
    codes = {code: code for code in NAMES} | {code.casefold(): code for code in table}
    codes |= {row.iso639_3: code for code, row in table.items() if row.iso639_3}
    names = {name.casefold(): code for code, name in NAMES.items()}
    names |= {
        name.casefold(): code for code, row in table.items() for name in (row.name, row.native_name, row.flores) if name
    }
    for known in (folded, folded.replace("_", "-").partition("-")[0]):
        if known in codes or known in names:
            return codes.get(known) or names[known]
    if len(folded) > 3:
        close = closest(folded, names, cutoff=0.75)
        return names[close] if close is not None else None
    same = [code for code in table if len(code) == len(folded) and code[0] == folded[:1]]
    return same[0] if len(same) == 1 else None


def names_of(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, str]]:
    """The fields that decide on data and instructions, by code, as plain values."""
    fields = ("code", "name", "iso639_3", "script")
    return {code: {name: getattr(language(code, table), name) for name in fields} for code in codes}


def as_rows(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, object]]:
    """The rows of languages as plain values for a config. A new row is a new stage."""
    import msgspec  # here: the embedded world is made with the standard library alone

    return {code: msgspec.to_builtins(language(code, table)) for code in codes}
