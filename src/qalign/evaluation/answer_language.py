"""The language of an answer: by its script where that decides, else by py3langid.

The candidates are the languages of the study and of the test set. The figure is from the study's follow-up, arXiv
2405.01345.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..languages import LANGUAGES, STUDY, Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

NONE = "none"
"""The language of a text of few letters, and of one whose language cannot be told."""
OTHER = "other"
"""The language of a text in a script that no language at hand has."""
FEW_LETTERS = 12
"""Letters below which a text has no language."""
UNTOLD = "The languages of the answers are not told, which needs py3langid: pip install 'qalign[languages]'"
"""What is said where py3langid is missing."""

_NO_PROSE = re.compile(r"<<.*?>>|\\[A-Za-z]+|(?<![^\W\d_])[A-Za-z](?![^\W\d_])")
"""Calculations, commands of LaTeX, and letters that stand alone, as unknowns do."""
_MOST_CHARACTERS = 4000
_KANA = {"HIRAGANA", "KATAKANA"}
_LETTERS_OF_A_SIGN = {"CJK": 3, "HIRAGANA": 3, "KATAKANA": 3, "HANGUL": 3}
_SCRIPTS: Mapping[str, frozenset[str]] = {
    code: frozenset(names.split())
    for code, names in {
        "Arab": "ARABIC", "Armn": "ARMENIAN", "Beng": "BENGALI", "Cyrl": "CYRILLIC", "Deva": "DEVANAGARI", "Ethi": "ETHIOPIC",
        "Geor": "GEORGIAN", "Grek": "GREEK", "Gujr": "GUJARATI", "Guru": "GURMUKHI", "Hani": "CJK", "Hans": "CJK",
        "Hant": "CJK", "Hebr": "HEBREW", "Jpan": "HIRAGANA KATAKANA CJK", "Khmr": "KHMER", "Knda": "KANNADA",
        "Kore": "HANGUL CJK", "Laoo": "LAO", "Latn": "LATIN", "Mlym": "MALAYALAM", "Mymr": "MYANMAR", "Orya": "ORIYA",
        "Sinh": "SINHALA", "Taml": "TAMIL", "Telu": "TELUGU", "Thai": "THAI", "Tibt": "TIBETAN",
    }.items()
}  # fmt: skip
"""The scripts of ISO 15924, by the words with which Unicode's names of their letters begin."""


def language_of_answer(text: str, asked: Language, at_hand: Mapping[str, Language]) -> str | None:
    """The language of an answer to a question in `asked`: a code, `OTHER`, `NONE`, or None without py3langid.

    `at_hand` are candidates besides those of the study, by code.
    """
    if not _is_installed():
        return None
    prose = _NO_PROSE.sub(" ", unicodedata.normalize("NFKC", text[:_MOST_CHARACTERS]))
    script = _script(prose)
    if script is None:
        return NONE
    languages = {**{code: LANGUAGES[code] for code in STUDY}, **at_hand, asked.code: asked}
    there = [code for code, row in languages.items() if script in _SCRIPTS.get(row.script, ())]
    if script == "CJK":  # Japanese has kana too
        there = [code for code in there if not _SCRIPTS[languages[code].script] & _KANA]
    spoken = {_base(code): code for code in [*there, *([asked.code] if asked.code in there else [])]}
    if len(spoken) < 2:
        # A language of a user's own may not say what its script is.
        return next(iter(spoken.values()), OTHER if asked.code in LANGUAGES else NONE)
    known = tuple(sorted(spoken.keys() & set(_identifier(None).nb_classes)))
    if not known or (asked.code in there and _base(asked.code) not in known):
        return NONE
    # Each word once: the names of a story are not of its language, and come again and again.
    words = " ".join(dict.fromkeys(re.findall(r"[^\W\d_]+", prose.lower())))
    return spoken[_identifier(known).classify(words)[0]]


def _script(prose: str) -> str | None:
    """The script that most letters of a text have. None where there are few letters."""
    counts = Counter[str]()
    for character, count in Counter(prose).items():
        if character.isalpha():
            name = unicodedata.name(character, "").partition(" ")[0]
            counts[name] += count * _LETTERS_OF_A_SIGN.get(name, 1)
    if sum(counts.values()) < FEW_LETTERS:
        return None
    east = {name: counts[name] for name in ("CJK", *_KANA) if counts[name]}
    [(most, _)] = counts.most_common(1)
    if most in east and 10 * sum(east.get(name, 0) for name in _KANA) >= sum(east.values()):
        return "HIRAGANA"
    return most


def _base(code: str) -> str:
    """`zh` for `zh-Hant` and `zh_TW`."""
    return re.split("[-_]", code)[0].lower()


@cache
def _is_installed() -> bool:
    return find_spec("py3langid") is not None


@cache
def _identifier(codes: tuple[str, ...] | None) -> LanguageIdentifier:
    """The identifier of some languages. None for all that the library knows."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_pickled_model(MODEL_FILE)
    identifier.set_languages(codes and list(codes))
    return identifier
