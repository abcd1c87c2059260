"""The languages: one row each. Adding a language is adding a row here, or giving one in a file.

Codes are ISO 639-1 (ISO 639-3 for Flores), scripts ISO 15924; separators and grouping follow Unicode CLDR 46.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SettingError, nearest


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    `name` is the English name that prompts use. `zero` is the native digit for 0 (the others follow it in Unicode),
    empty where digits are ASCII. `groups` are the characters that may separate thousands. `myriads` says that numbers
    may be written with the numerals of Chinese (十八). `answer_markers` are phrases that announce the final answer.
    `scales` are words after a number that multiply it.
    """

    code: str
    name: str
    native_name: str = ""
    iso639_3: str = ""
    script: str = "Latn"
    zero: str = ""
    decimal: str = "."
    groups: str = ","
    indian_groups: bool = False
    myriads: bool = False
    answer_markers: tuple[str, ...] = ()
    scales: Mapping[str, int] = field(default_factory=dict)

    @property
    def flores(self) -> str:
        """The name of this language in Flores-200, such as `ben_Beng`."""
        return f"{self.iso639_3}_{self.script}"


# fmt: off
_ROWS = (
    Language("bn", "Bengali", "বাংলা", "ben", "Beng", zero="০", indian_groups=True,
             answer_markers=("উত্তর হল", "উত্তর হলো", "উত্তরটি হল", "উত্তর হবে", "উত্তর:", "উত্তরঃ"),
             scales={"হাজার": 10**3, "লক্ষ": 10**5, "লাখ": 10**5, "কোটি": 10**7}),
    Language("th", "Thai", "ไทย", "tha", "Thai", zero="๐",
             answer_markers=("คำตอบคือ", "คำตอบก็คือ", "คำตอบสุดท้ายคือ", "คำตอบ:"),
             scales={"พัน": 10**3, "หมื่น": 10**4, "แสน": 10**5, "ล้าน": 10**6}),
    Language("sw", "Swahili", "Kiswahili", "swh",
             answer_markers=("jibu ni", "jibu sahihi ni", "jibu la mwisho ni", "jibu:")),
    Language("ja", "Japanese", "日本語", "jpn", "Jpan", myriads=True,
             answer_markers=("答えは", "答え:", "答:")),
    Language("zh", "Chinese", "中文", "zho", "Hans", myriads=True,
             answer_markers=("答案是", "答案为", "答案為", "答案:", "答:")),
    Language("de", "German", "Deutsch", "deu", decimal=",", groups=".'",
             answer_markers=("die antwort ist", "die antwort lautet", "die lösung ist", "antwort:", "lösung:"),
             scales={"tausend": 10**3, "tsd": 10**3, "million": 10**6, "millionen": 10**6, "mio": 10**6,
                     "milliarde": 10**9, "milliarden": 10**9, "mrd": 10**9}),
    Language("fr", "French", "Français", "fra", decimal=",", groups=" .",
             answer_markers=("la réponse est", "la réponse finale est", "réponse:", "réponse finale:"),
             scales={"mille": 10**3, "million": 10**6, "millions": 10**6, "milliard": 10**9, "milliards": 10**9}),
    Language("ru", "Russian", "Русский", "rus", "Cyrl", decimal=",", groups=" ",
             answer_markers=("ответ:", "ответ —", "ответ равен", "ответ составляет"),
             scales={"тысяча": 10**3, "тысячи": 10**3, "тысяч": 10**3, "тыс": 10**3, "миллион": 10**6,
                     "миллиона": 10**6, "миллионов": 10**6, "млн": 10**6, "миллиард": 10**9, "миллиарда": 10**9,
                     "миллиардов": 10**9, "млрд": 10**9}),
    Language("es", "Spanish", "Español", "spa", decimal=",", groups=". ",
             answer_markers=("la respuesta es", "la respuesta final es", "la respuesta correcta es", "respuesta:"),
             scales={"mil": 10**3, "millón": 10**6, "millones": 10**6, "mil millones": 10**9}),
    Language("en", "English", "English", "eng",
             answer_markers=("the answer is", "the final answer is", "the correct answer is", "answer:"),
             scales={"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}),
    # Below the ten of the study: known to the table, in no default.
    Language("te", "Telugu", "తెలుగు", "tel", "Telu", zero="౦", indian_groups=True,
             answer_markers=("సమాధానం",),
             scales={"వేల": 10**3, "వేలు": 10**3, "లక్ష": 10**5, "లక్షల": 10**5, "లక్షలు": 10**5, "కోట్లు": 10**7}),
)
# fmt: on

LANGUAGES: Mapping[str, Language] = {row.code: row for row in _ROWS}

STUDY = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
"""The ten languages of the study, in the order of its tables."""


def language(code: str, table: Mapping[str, Language] = LANGUAGES) -> Language:
    """The row of a language.

    Raises:
        SettingError: the table has no such language; the message says how to give one.
    """
    if code not in table:
        raise SettingError(
            f"unknown language '{code}': {nearest(code, table)} (a further one is a row in a file: --language-file)"
        )
    return table[code]


def names_of(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, str]]:
    """The part of the rows that reading data and writing instructions need, likewise: a new answer marker, say, is then no
    reason to train again."""
    fields = ("code", "name", "iso639_3", "script")
    return {code: {name: getattr(language(code, table), name) for name in fields} for code in codes}


def as_rows(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, Any]]:
    """The rows of some languages as plain values, for a stage's config: a changed row is a changed stage."""
    return {
        code: {**dataclasses.asdict(language(code, table)), "answer_markers": list(table[code].answer_markers)}
        for code in codes
    }
