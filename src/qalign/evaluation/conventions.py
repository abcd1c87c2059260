"""The convention of a text's numbers: `1,250` or `1.250`.

The language decides, unless the text shows the opposite. It does so by an equation, by numbers that read one way only,
by a currency sign, or by being in English. Models trained on English write English numbers in every language.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..languages import Language
from ..numbers import Number, find_numbers
from .equations import equations

# Numbers that each convention reads in its own way.
_AMBIGUOUS = {
    mark: re.compile(rf"(?<![\d.,])(?<!\d[ \u00a0\u202f])[1-9১-৯๑-๙１-９]\d{{0,2}}[{mark}]\d{{3}}(?!\d|[.,]\d)")
    for mark in ",."
}
_ALONE = r"(?![\d.,]?\d)"
_DECIMAL_COMMA = re.compile(
    rf"(?<![\d.,])(?:\d+,(?:\d\d?|\d{{4,}})|0,\d+|\d{{4,}},\d{{3}}|\d{{1,3}}(?:\.\d{{3}})+,\d+){_ALONE}"
)
_DECIMAL_POINT = re.compile(
    rf"(?<![\d.,])(?:\d+\.(?:\d\d?|\d{{4,}})|0\.\d+|\d{{4,}}\.\d{{3}}|\d{{1,3}}(?:,\d{{3}})+\.\d+){_ALONE}(?! ?(?:Uhr|h)\b)"
)
_COMMAS_GROUP = re.compile(rf"(?<![\d.,])[1-9]\d{{0,2}}(?:(?:,\d{{3}}){{2,}}|,000){_ALONE}")
_POINTS_GROUP = re.compile(rf"(?<![\d.,])[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}}{_ALONE}")
_CURRENCY_BEFORE = re.compile(r"[$€£¥₹৳฿₽＄]\s?[1-9]\d{0,2},\d{3}(?!\d|[.,]\d)")
# Prices have two decimal places, or (of petrol) three of which the last is no 0.
_CURRENCY_BEHIND = re.compile(
    r"(?<![\d.,])[1-9]\d{0,2},\d\d0\s?(?:[$€£¥₽]|(?:US-?)?(?:dollars?|d[oó]lar(?:es)?|euros?|pesos|доллар|рубл|руб\.))",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
# Words of English that no other language of the table has.
_ENGLISH = frozenset({
    "the", "of", "is", "are", "and", "answer", "each", "she", "they", "there", "first", "then", "with", "which",
    "makes", "have", "from", "that", "this", "together", "earns", "bought", "sold", "costs", "left", "how",
    "many", "much", "therefore", "thus", "since", "we", "it", "its", "his", "their",
})  # fmt: skip


def text_numbers(text: str, language: Language) -> list[Number]:
    """The numbers of an answer, in the convention that it shows or the language's."""
    own = find_numbers(text, language)
    if language.decimal not in _AMBIGUOUS or not _AMBIGUOUS[language.decimal].search(text):
        return own
    other = find_numbers(text, _opposite(language))
    if _shows_the_opposite(text, own, other, language):
        return other
    if "." in language.groups:  # 50 * 1.150 = 57,500 has both
        both = find_numbers(text, replace(language, groups="," + language.groups))
        return both if _holds_only_so(text, own, both) else own
    return own


def _opposite(language: Language) -> Language:
    """The language with comma and point exchanged."""
    spaces = "".join(mark for mark in language.groups if mark not in ".,")
    return replace(language, decimal="," if language.decimal == "." else ".", groups=language.decimal + spaces)


def _shows_the_opposite(text: str, own: list[Number], other: list[Number], language: Language) -> bool:
    """Whether ambiguous numbers are not in the language's convention."""
    only_own, only_other = _holds_only_so(text, other, own), _holds_only_so(text, own, other)
    if only_own != only_other:
        return only_other
    comma = bool(_DECIMAL_COMMA.search(text) or _POINTS_GROUP.search(text))
    point = bool(_DECIMAL_POINT.search(text) or _COMMAS_GROUP.search(text))
    if comma != point:
        return point if language.decimal == "," else comma
    return language.decimal == "," and bool(
        _CURRENCY_BEFORE.search(text) or _CURRENCY_BEHIND.search(text) or _is_english(text)
    )


def _holds_only_so(text: str, numbers: list[Number], others: list[Number]) -> bool:
    """Whether an equation holds with the second reading of the numbers only."""
    holding = {equation.at for equation in equations(text, numbers) if equation.holds}
    return any(equation.holds and equation.at not in holding for equation in equations(text, others))


def _is_english(text: str) -> bool:
    """Whether at least a fifth of the words of a text are words of English alone."""
    words = _WORD.findall(text[:10_000].lower())
    return 5 * sum(word in _ENGLISH for word in words) >= len(words) > 0
