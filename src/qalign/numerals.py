"""Numbers in words, in two kinds.

The numerals of Chinese and Japanese: 十八, 两千五, 1万5千. Scales before numbers: elfu 5, elfu mbili.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from .languages import Language

_DIGITS = dict(zip("〇零一二三四五六七八九两兩", (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 2), strict=True))
_UNITS = dict(zip("十百千万萬亿億兆", (10, 100, 1000, 10**4, 10**4, 10**8, 10**8, 10**12), strict=True))
_D, _U = "".join(_DIGITS), "".join(_UNITS)

NUMERAL = rf"[{_D}{_U}]+(?:[点點][{_D}]+)?"
"""An expression for a run of numerals."""

# After digits: 5千克 is five kilograms and 5百分点 five points, so there 千 and 百 do not multiply.
_UNIT = "(?:[十万萬亿億兆]|千(?![克米瓦卡焦赫帕伏])|百(?!分))"
_MIXED = re.compile(rf" ?({_UNIT}{{1,3}}(?:(?:[0-9],[0-9]{{3}}|[0-9]{{1,4}}|[{_D}])(?!,?[0-9]){_UNIT}{{0,3}}){{0,8}})")
_TOKEN = re.compile(rf"[0-9,]+|[{_D}{_U}]")
# Words that contain a numeral, here in angle brackets, and mean no number.
_WORD = re.compile(
    "[唯统統同单單逐专專]<一>|(?<!分)之<一>|<一>[共些起样樣定直般旦切致步边邊方緒番部度]|<十>分(?![之の钟鐘])"
    "|<(?:[万萬亿億兆]|万一)>|[0-9]<[百千]>|<零>[0-9]"
)


def numeral_value(plain: str, start: int, end: int, language: Language) -> Fraction | None:
    """The value of numerals. None where they are part of a word, or not one number."""
    run = plain[start:end]
    if len(run) > 40 or _WORD.search(f"{plain[max(0, start - 2) : start]}<{run}>{plain[end : end + 2]}"):
        return None
    whole, _, rest = run.replace("點", "点").partition("点")
    digits = "".join(str(_DIGITS.get(character, "")) for character in whole + rest)
    if len(whole) == 1 or not _UNITS.keys().isdisjoint(whole):
        value = _sum([_token(token) for token in whole], language)
        return value + Fraction(int(digits[len(digits) - len(rest) :] or 0), 10 ** len(rest))
    if len(whole) > 2 or "〇" in whole or "零" in whole:  # digit by digit, as years are written
        return Fraction(int(digits), 10 ** len(rest))
    return None  # 三四个: three or four


def with_units(value: Fraction, plain: str, end: int, language: Language) -> tuple[Fraction, int]:
    """A value in digits with the units after it, as in 1万5千, and their end."""
    mixed = _MIXED.match(plain, end)
    if mixed is None:
        return value, end
    return _sum([value, *(_token(token) for token in _TOKEN.findall(mixed[1]))], language), mixed.end()


def spoken_expression(language: Language) -> str:
    """A pattern for numbers such as elfu 5 na mia 3, or empty."""
    return _spoken(tuple(language.leading_scales), tuple(language.number_words)) if language.leading_scales else ""


def begins_a_number(plain: str, position: int, language: Language) -> bool:
    """Whether a scale word at a position belongs to the number after it."""
    expression = spoken_expression(language)
    return bool(expression) and re.compile(expression).match(plain, position) is not None


@cache
def _spoken(scales: tuple[str, ...], words: tuple[str, ...]) -> str:
    word = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    scale = "|".join(map(re.escape, sorted(scales, key=len, reverse=True)))
    in_words = rf"|(?:{word})(?: na (?:{word}))?(?!\w)" if word else ""
    count = rf"(?:[0-9]{{1,3}}(?:\.[0-9]{{1,9}})?(?![.,]?[0-9]){in_words})"
    rest = rf" na (?:[0-9]{{3}}(?![.,]?[0-9]){in_words})"
    return rf"(?i:(?<!\w)(?:{scale}) {count}(?:(?: na)? (?:{scale}) {count}){{0,4}}(?:{rest})?)"


def spoken_value(written: str, language: Language) -> Fraction:
    """The value of a text that matches `spoken_expression`."""
    scales = {scale.casefold(): factor for scale, factor in language.leading_scales.items()}
    words = {word.casefold(): value for word, value in language.number_words.items()}
    total, factor, count = Fraction(0), 1, Fraction(0)
    for word in written.casefold().replace(",", " ").split():
        if word in scales:
            total, factor, count = total + factor * count, scales[word], Fraction(0)
        elif word != "na":
            value = Fraction(words[word]) if word in words else Fraction(word)
            if count and value >= count:  # elfu mbili na hamsini: 2,050
                total, factor, count = total + factor * count, 1, Fraction(0)
            count += value
    return total + factor * count


def _token(token: str) -> Fraction | str:
    number = _DIGITS[token] if token in _DIGITS else token.replace(",", "")
    return token if token in _UNITS else Fraction(number)


def _sum(tokens: list[Fraction | str], language: Language) -> Fraction:
    """The value of numerals and units, of which 万, 亿 and 兆 multiply."""
    total = section = Fraction(0)
    digit: Fraction | None = None
    for token in tokens:
        if isinstance(token, Fraction):
            digit = token
        elif _UNITS[token] < 10**4:
            section += (Fraction(1) if digit is None else digit) * _UNITS[token]
            digit = None
        else:
            section += digit or 0
            total = total + section * _UNITS[token] if section else (total or Fraction(1)) * _UNITS[token]
            section, digit = Fraction(0), None
    # Chinese says 两千五 for 2500, and 两千零五 for 2005; Japanese has no such form.
    last = tokens[-2] if len(tokens) > 1 and isinstance(tokens[-2], str) else "十"
    if language.script != "Jpan" and digit is not None and 0 < digit < 10 and _UNITS[last] > 10:
        digit = digit * _UNITS[last] / 10
    return total + section + (digit or 0)
