"""The numbers and equations of an answer's text, and expressions that leave something unknown.

The convention of the numbers, `1,250` or `1.250`, is the language's, unless the text shows the opposite. It does so by an
equation, by numbers that read one way only, by a currency sign, or by being in English. Models trained on English write
English numbers in every language.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction

from ..languages import Language
from ..numbers import Number, find_numbers

_EQUALS = re.compile("[=＝≈]")
_LONGEST_GAP = 40  # characters between two numbers of one equation: units, currencies, an operator
_MOST_TERMS = 12
_OPERATOR = re.compile(
    r"(?<![^\W\d_])[-−–+＋*×·÷/](?![^\W\d_])|\\times|\\cdot|\\div|(?<!\w)[xXхХ](?!\w)|(?<=\d)[xXхХ](?= ?\d)"
)
_BREAK = re.compile(r"[()（）\[\]=＝≈<>\n;；。]|[.,:](?:\s|$)")

# What follows a number that is only the first part of an expression: an operator and one more number.
_FURTHER = re.compile(
    r"[ \u00a0]?(?:\\?[%$€£¥]|[^\W\d_]{1,12}\b)?[\s$]*(?:[-−–+＋*×·÷/]|\\times|\\cdot|\\div|[xXхХ](?=[\s$]*\d))"
    r"[\s(（$€£¥\\]*[-−]?\d"
)

_LETTER = r"[b-df-hj-np-tv-zB-DF-HJ-NP-TV-ZхХ]"  # a, e, i, o, u are words in some language
_TIMES_OR_MINUS = r"[-−–+＋*×·÷]|\\times|\\cdot|\\div"
_UNKNOWN_AFTER = re.compile(
    rf"\s*(?:{_TIMES_OR_MINUS}|/(?=\s*[xyznk]))\s*[(（]?[0-9.]*\s?{_LETTER}(?![^\W_]|')"  # 160 - x
    rf"|\s?{_LETTER}\s*[-−–+＋*×·÷]\s*[(（]?[\w$]"  # 3t + 3.5
    r"|\s*[×÷]\s*[^\W\d_]{2}|\s\+\s[^\W\d_]{2,}(?![^\n]{0,20}\d)"  # 3 × price
    rf"|[xyzn]\s*(?:[.。,;)\]}}$]|\Z)|\s?[(（]\s*{_LETTER}\s*[-−+]"  # 5x, 2(x + 3)
)
_UNKNOWN_BEFORE = re.compile(
    rf"(?<![^\W\d_]){_LETTER}\s*(?:{_TIMES_OR_MINUS}|/)\s*[(（$€£\\]*\Z"  # x + 5
    r"|(?:^|[\[(（「:：=＝+×÷*]\s*)[^\W\d_][^\d=×÷+*()（）\[\]:：]{0,30}(?:[×÷]|\s[+*])\s*\Z"  # [amount × 3]
    r"|frac\{[^{}\d]*[A-Za-z][^{}]{0,20}\}\{\s?\Z"
)


@dataclass(frozen=True, slots=True)
class Equation:
    """An `=` at character `at`, the number behind it, and the value of what stands before it.

    `left` is None where that is no chain of numbers and operators.
    """

    at: int
    left: Fraction | None
    right: Number

    @property
    def holds(self) -> bool:
        """Whether both sides are the same, but for rounding."""
        return self.left is not None and abs(self.left - self.right.value) <= abs(self.right.value) / 1000


def equations(text: str, numbers: list[Number]) -> list[Equation]:
    """The equations of a text whose numbers are given, in order."""
    starts = [number.start for number in numbers]
    found = []
    for match in _EQUALS.finditer(text):
        index = bisect_left(starts, match.end())
        if index == len(numbers) or numbers[index].start - match.end() > _LONGEST_GAP:
            continue
        if not _BREAK.search(text, match.end(), numbers[index].start):
            found.append(Equation(match.start(), _left(text, numbers, index, match.start()), numbers[index]))
    return found


def _left(text: str, numbers: list[Number], index: int, equals: int) -> Fraction | None:
    """The value of the chain of numbers and operators that ends before an equals sign; None where there is none."""
    terms: list[tuple[str, Fraction]] = []
    end = equals
    for number in reversed(numbers[max(0, index - _MOST_TERMS) : index]):
        gap = text[number.end : end]
        if len(gap) > _LONGEST_GAP or _BREAK.search(gap):
            break
        operators = _OPERATOR.findall(gap) if end != equals else [""]
        if len(operators) != 1:
            break
        terms.append((operators[0], number.value / 100 if number.percent else number.value))
        end = number.start
    if len(terms) < 2:
        return None
    # From the left: products are closed before they are added.
    total, product = Fraction(0), terms[-1][1]
    for after, (_, value) in zip(reversed(terms), list(reversed(terms))[1:], strict=False):
        operator = after[0]
        if operator in "+＋-−–":
            total, product = total + product, value if operator in "+＋" else -value
        elif operator in ("÷", "/", "\\div"):
            if not value:
                return None
            product /= value
        else:
            product *= value
    return total + product


def is_expression(text: str, number: Number) -> bool:
    """Whether a number is followed by an operator and another number."""
    return _FURTHER.match(text, number.end) is not None


def holds_an_unknown(text: str, number: Number) -> bool:
    """Whether a number is part of an expression with an unknown, such as `160 - x` or `amount × 3`."""
    before = text[max(0, number.start - _LONGEST_GAP) : number.start]
    return bool(_UNKNOWN_AFTER.match(text, number.end) or _UNKNOWN_BEFORE.search(before))


# --- the convention of the numbers --------------------------------------------------------------------------------------

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
