"""How numbers are written: with separators, in words, in two parts.

Separators are of thousands, of decimals, or of two numbers. Words are the numerals of Chinese and Japanese (十八, 两千五,
1万5千), and scales before numbers (elfu 5, elfu mbili). Two parts: `2 and 2/3`, `2 hours 20 minutes`, 1時間30分.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise

from .languages import Language

Value = Fraction | None
"""None: too long to read."""
GROUP_SPACE = "\u00a0"
"""The one space that stands for every narrow or no-break space between groups of digits."""
_MAX_DIGITS = 300  # Longer ones are no answers; they are skipped, since arithmetic on them is quadratic.

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

_pattern = partial(re.compile, flags=re.IGNORECASE)

_AND = "(?:and|und|et|y|e|и|na|with|plus|&|и ещё|又|零|と|และ|กับ|เศษ|এবং|ও|পূর্ণ|cel[aey]|цел(?:ая|ых|ые)(?: и)?)"
BEFORE_A_FRACTION = _pattern(rf" ?{_AND} ?\$?")
"""What joins a whole number and a fraction to one: `2 and 2/3`."""
HALF = re.compile(
    r"(?: [^\W\d_]{1,10})? (?:and (?:a|one) half|und (?:ein(?:e|en)? )?halb(?:e[nrs]?)?|et demie?|y medi[oa]"
    r"|с половиной|na nusu)(?!\w)"
    "| ?einhalb|(?:[个個倍天杯斤年]|小时|小時|時間|ヶ月|か月|カ月)?半(?![分径徑導导島岛球数數月日身年額额])"
    "| ?(?:ชั่วโมง|ปี|เดือน|วัน)? ?ครึ่ง",
    re.IGNORECASE,
)

_HOURS = "hours?|hrs?|h|stunden?|std|heures?|horas?|ч|час(?:а|ов)?|時間|[个個]?小[时時]|ชั่วโมง|ชม|ঘণ্টা|ঘন্টা"
_MINUTES = "minutes?|mins?|m|minuten?|minutos?|мин|минут[аыу]?|分[钟鐘間]?|นาที|মিনিট"
_SECONDS = "seconds?|secs?|s|sekunden?|sek|secondes?|segundos?|сек|секунд[аыу]?|秒[钟鐘間]?|วินาที|সেকেন্ড"
_DAYS = "days?|tage?n?|jours?|días?|день|дня|дней|日|天|วัน|দিন"
_WEEKS = "weeks?|wochen?|semaines?|semanas?|недел[яиью]|недель|週間?|[个個]?(?:周|星期|礼拜)|สัปดาห์|সপ্তাহ"
_YEARS = "years?|jahre?n?|ans?|années?|años?|год|года|лет|年|ปี|বছর"
_MONTHS = "months?|monate?n?|mois|mes(?:es)?|месяц(?:а|ев)?|[ヶかカ个個]月|เดือน|মাস"
_MONEY = "dollars?|euros?|pounds?|d[oó]lar(?:es)?|доллар(?:а|ов)?|рубл(?:ь|я|ей)|ドル|美元|元|ดอลลาร์|บาท|ডলার|টাকা|[$€£฿৳]"
_CENTS = (
    "cents?|ct|pence|centavos?|céntimos?|centimes?|цент(?:а|ов)?|копе(?:йка|йки|ек)|セント|美分|เซนต์|สตางค์|সেন্ট|পয়সা"
)

# The larger unit, the smaller one, and how many of these make one of those.
_QUANTITIES = (
    (_HOURS, _MINUTES, 60),
    (_MINUTES, _SECONDS, 60),
    (_DAYS, _HOURS, 24),
    (_WEEKS, _DAYS, 7),
    (_YEARS, _MONTHS, 12),
    (_MONEY, _CENTS, 100),
    ("feet|foot|ft", "inch(?:es)?|in", 12),
)
_AFTER = "(?![A-Za-zÀ-ÖØ-öø-ԯ])(?! (?:a|per|each|every|pro|par|por|al|в) )"
_PAIRS = tuple(
    (_pattern(rf" ?(?:{larger})\.? ?,? ?(?:{_AND} ?)?\$?"), _pattern(rf" ?(?:{smaller}){_AFTER}"), parts)
    for larger, smaller, parts in _QUANTITIES
)
# Where units stand before their numbers: saa 2 na dakika 20.
_LEADING_QUANTITIES = (
    ("ma?saa|saa", "dakika", 60),
    ("dakika", "sekunde", 60),
    ("siku", "ma?saa|saa", 24),
    ("wiki", "siku", 7),
    ("mwaka|miaka", "mwezi|miezi", 12),
    ("dola|shilingi|euro", "senti", 100),
)
_LEADING = tuple(
    (_pattern(rf"(?<!\w)(?:{larger}) \Z"), _pattern(rf" (?:na )?(?:{smaller}) "), parts)
    for larger, smaller, parts in _LEADING_QUANTITIES
)
CLOCK = re.compile(
    r" ?h ?([0-5]?[0-9])(?![0-9]|[.,][0-9])(?: ?m(?:in)?(?![A-Za-z]))?"
    rf"|:([0-5][0-9])(?![0-9:]) ?(?:{_HOURS})(?![A-Za-z])",
    re.IGNORECASE,
)

_ANY_LARGER = re.compile(rf" ?(?:{'|'.join(larger for larger, _, _ in _QUANTITIES)})[^0-9=+*/()-]*", re.IGNORECASE)

LONGEST_BETWEEN = 24
"""No words between two parts are longer, in characters."""


def split_run(run: str, offset: int, language: Language) -> Iterator[tuple[Value, int, int]]:
    """The numbers of a run such as `1.234,5`, each with its span."""
    matches = list(re.finditer("[0-9]+", run))
    digits = [match[0] for match in matches]
    marks = [_mark(run[one.end() : next_one.start()], next_one[0]) for one, next_one in pairwise(matches)]

    def piece(first: int, last: int, rest: str = "") -> tuple[Value, int, int]:
        """The number of groups `first` to `last`, with `rest` as its decimals."""
        final = last + 1 if rest else last
        value = decimal_value("".join(digits[first : last + 1]), rest)
        return value, offset + matches[first].start(), offset + matches[final].end()

    def tight(first: int, last: int) -> Iterator[tuple[Value, int, int]]:
        """The numbers of groups `first` to `last`, which have no spaces between them."""
        between = marks[first:last]
        groups = digits[first : last + 1]
        final = between[-1] if between else ""
        if not between:
            yield piece(first, last)
        elif len(between) == 1 and final != "|":
            thousands = final in language.groups or (language.decimal == "," and groups[1] == "000")
            if thousands and _grouped(groups, final, language):
                yield piece(first, last)
            elif final in ".,":
                yield piece(first, first, groups[1])
            else:  # the apostrophe of 5'10
                yield from (piece(first, first), piece(last, last))
        elif len(set(between)) == 1 and _grouped(groups, final, language):
            yield piece(first, last)
        elif {*between[:-1]} == {between[0]} != {final} <= {".", ","} and _grouped(groups[:-1], between[0], language):
            yield piece(first, last - 1, groups[-1])
        elif "," in between and len(set(between)) > 1:
            start = first
            for index in [*(i for i in range(first, last) if marks[i] == ","), last]:
                yield from tight(start, index)
                start = index + 1
        else:
            yield from (piece(index, index) for index in range(first, last + 1))

    first = 0
    while first < len(digits):
        last = first
        space = marks[first] if first < len(marks) and marks[first] in f" {GROUP_SPACE}" else None
        if space and _leads(digits[first]):
            while last < len(marks) and marks[last] == space and len(digits[last + 1]) == 3:
                last += 1
        if last > first:
            decimal = last < len(marks) and marks[last] in ".," and marks[last + 1 : last + 2] not in (["."], [","])
            yield piece(first, last, digits[last + 1] if decimal else "")
            last += decimal
        else:
            while last < len(marks) and marks[last] not in f" {GROUP_SPACE}":
                last += 1
            yield from tight(first, last)
        first = last + 1


def _mark(written: str, following: str) -> str:
    """The separator that LaTeX or full-width punctuation stands for."""
    full_width = "," if len(following) == 3 else "|"
    return {"，": full_width, "{,}": ",", ",\\!": ",", "\\,": GROUP_SPACE}.get(written, written)


def _leads(digits: str) -> bool:
    """Whether a group of digits can stand before groups of three."""
    return len(digits) <= 3 and digits[0] != "0"


def _grouped(groups: list[str], mark: str, language: Language) -> bool:
    if not _leads(groups[0]) or len(groups[-1]) != 3:
        return False
    inner = {len(group) for group in groups[1:-1]}
    return inner <= {3} or (language.indian_groups and mark == "," and inner == {2} and len(groups[0]) <= 2)


def decimal_value(whole: str, rest: str = "") -> Value:
    """The number with these digits around the decimal sign. None if too long."""
    rest = rest.rstrip("0")  # A model that repeats itself writes 1.000… without end.
    return Fraction(int(whole + rest), 10 ** len(rest)) if len(whole + rest) <= _MAX_DIGITS else None


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


def parts_of_a_unit(before: str, between: str, after: str) -> tuple[int, int] | None:
    """How many of the smaller unit make the larger one, and the length of its name in `after`.

    None where two numbers with these words before, between and after them are not one quantity.
    """
    for larger, smaller, parts in _PAIRS if _ANY_LARGER.fullmatch(between) else ():
        if larger.fullmatch(between) and (name := smaller.match(after)):
            return parts, name.end()
    for leading, middle, parts in _LEADING:
        if middle.fullmatch(between) and leading.search(before):
            return parts, 0
    return None
