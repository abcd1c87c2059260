r"""Numbers in running text, read the way each language writes them, exactly.

It reads digits of every script, signs, fractions, percentages, powers, scale words, Chinese numerals, and LaTeX. Separators
and grouping follow Unicode CLDR 46, through the rows of `languages`. Where two readings are possible, these rules hold:

- `1.234` and `1,234` are read by the language. Any other count of digits after one separator is a decimal fraction.
- Where the comma is decimal, `20,000` is still twenty thousand: nobody writes 20 that way, and models trained on
  English write thousands so. `20,500` stays 20.5.
- `1,2,3` is three numbers. A digit after a letter, `_` or `^` is part of a name, as in `m2`, `x_2` and `m^2`.
- A minus is a sign where no number precedes it, and it touches its number or follows `=`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache

from .errors import DataError
from .languages import LANGUAGES, Language
from .numerals import (
    BEFORE_A_FRACTION,
    CLOCK,
    GROUP_SPACE,
    HALF,
    LONGEST_BETWEEN,
    NUMERAL,
    Value,
    decimal_value,
    numeral_value,
    parts_of_a_unit,
    split_run,
    spoken_expression,
    spoken_value,
    with_units,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """A number at characters `start` to `end` of a text."""

    value: Fraction
    """The value of `50%` is 50, with `percent`."""
    start: int
    end: int
    percent: bool
    numeral: bool = False
    """Whether it has Chinese numerals alone (十八). Words contain these too (一般), so numbers in digits win."""
    parts: int = 0
    """How many smaller units make one, in a quantity of two. `2 hours 30 minutes`: value 2.5, 60 parts, so 150
    minutes fit."""


_MAX_BITS = 1200  # of a power; larger ones are no answers
_WINDOW = 16  # How far before a number its sign, currency or percent word can reach.


class _Plain(dict[int, int]):
    """A `str.translate` table that fills itself: digits of any script become ASCII."""

    def __missing__(self, code: int) -> int:
        digit = unicodedata.decimal(chr(code), None)
        self[code] = code if digit is None else ord("0") + digit
        return self[code]


_PLAIN = _Plain(
    (ord(character), ord(plain))
    for characters, plain in (
        ("−–‐‑‒－﹣", "-"), ("．٫", "."), ("٬", ","), ("％٪﹪", "%"), ("／⁄∕", "/"), ("＝", "="), ("＄", "$"),
        ("＋", "+"), ("（", "("), ("）", ")"), ("：", ":"), ("’", "'"), ("＾", "^"), ("\u3000", " "),
        ("\u202f\u2009\u2007\u200a\u2005", GROUP_SPACE),
    )
    for character in characters
)  # fmt: skip

_VULGAR = {
    chr(code): Fraction(*map(int, unicodedata.normalize("NFKC", chr(code)).split("⁄")))
    for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F))
}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_FRACTION_OF = re.compile(r" ?分[之の] ?")

_CURRENCY = re.compile(
    r"(?:(?<![A-Za-z])[A-Z]{0,3}\\?[$€£¥￥₹৳฿₽₩]"
    r"|(?<![A-Za-z])(?:Rs|Tk|KSh|Ksh|TSh|Sh|RM|USD|EUR|GBP|JPY|CNY|RMB|INR|BDT|THB|RUB|KES|TZS|MXN|CHF|CAD|AUD)\.?) ?\Z"
)
_NAMED = re.compile(r"(?:\^\{?-?|[^\W_]_\{?|[A-Za-zÀ-ÖØ-öø-ԯ])\Z")
_COMMAND_OR_TIMES = re.compile(r"(?:\\[A-Za-z]+|[0-9)] ?[xXхХ])\Z")
# `al menos` and `au moins` are "at least", `plus ou moins` and 正负 "about".
_NO_MINUS = "".join(
    rf"(?<!\b{word})"
    for word in (
        "al ", "lo ", "como ", "ao ", "pelo ", "cuando ", "cuanto ", "o ", "ou ", "u ", "ni ", "au ", "du ", "le ", "plus ",
        "plus-", "plus/", "más ", "mas ", "mais ", "or ", "oder ", "плюс ", "плюс-", "или ",
    )
)  # fmt: skip
_MINUS = re.compile(
    r"(?:(?P<spaced>(?<=[=(≈])- |(?<=[=(≈] )- )|(?P<tight>(?<!\+/)-)|(?<![正胜勝抱])[负負]|(?<!プラス)マイナス ?"
    r"|(?<!ยาง)(?<!บวก)(?<!หรือ)ลบ ?"
    rf"|(?<![^\W\d_]){_NO_MINUS}(?:minus|moins|menos|минус) )\Z", re.IGNORECASE)  # fmt: skip
_BEFORE_A_NUMBER = frozenset("-负負スบsSсС$€£¥₹৳฿₽₩.kKhMDRPYNBTFX")  # how signs, their words and currencies end
_OPERAND = re.compile(r"(?:[0-9)\]}%²³½¼¾-]|[0-9] ?[$€£¥₹৳฿₽]|[0-9][^\W\d_]{1,3})\Z")
_PERCENT_BEFORE = re.compile(r"(?:(?<![0-9])(?<![0-9] )%|asilimia )\Z", re.IGNORECASE)
_PERCENT = re.compile(
    rf"[ {GROUP_SPACE}]?(?:\\?%|percent|per cent|prozent|pour cent|por ciento|процент|パーセント|শতাংশ|เปอร์เซ็นต์)",
    re.IGNORECASE)  # fmt: skip

_OVER = re.compile(r"/([0-9]+(?:[.,][0-9]+)*)(?![.,]?[0-9]|/[0-9]|[\^⁰¹²³⁴-⁹])")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)(?!\w)")
_POWER = r"(?:\^(?:\{ ?(-?[0-9]+) ?\}|(-?[0-9]+))|(⁻?[⁰¹²³⁴-⁹]+))"
_RAISED = re.compile(_POWER)
_RAISING = frozenset("^⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_EXPONENTIAL = frozenset("eE ×x*·хX\\")
_TIMES_TEN = re.compile(rf" ?(?:[×x*·хX]|\\times|\\cdot) ?10{_POWER}")


@cache
def _starts(groups: str, myriads: bool, spoken: str) -> re.Pattern[str]:
    """A pattern for the start of a number, in linear time."""
    spaces_and_quotes = "".join(mark for mark in " '" if mark in groups)
    run = rf"[0-9]+(?:(?:[.,，{GROUP_SPACE}{spaces_and_quotes}]|\{{,\}}|,\\!|\\,)[0-9]+)*"
    argument = r" {0,2}\{ {0,2}(-?[0-9][0-9.,]{0,40}) {0,2}\}"
    han = rf"|(?P<han>{NUMERAL})" if myriads else ""
    words = rf"|(?P<spoken>{spoken})" if spoken else ""
    return re.compile(
        rf"(?P<run>{run})|(?P<latex>\\[dt]?frac(?:{argument}{argument}|([0-9])([0-9])))|(?P<vulgar>[{''.join(_VULGAR)}]){han}{words}"
    )


@cache
def _scale_words(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for words that multiply the number before them. Letters may follow only in scripts that join words.

    Even there a virama may not (লক্ষ্য, goal), nor a sign that makes พัน another word (พันธุ์, species).
    """
    longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"[ {GROUP_SPACE}]?({longest_first})(?![A-Za-zÀ-ÖØ-öø-ԯ\u09cd\u0c4dธ])", re.IGNORECASE)


def find_numbers(text: str, language: Language) -> list[Number]:
    """The numbers of a text, in order. Spans include signs and percent signs."""
    plain = text.translate(_PLAIN)
    starts = _starts(language.groups, language.myriads, spoken_expression(language))
    numbers: list[Number] = []
    position = 0
    while match := starts.search(plain, position):
        start, position = match.span()
        value: Value = None
        if match["run"] is not None:
            position = _read_run(plain, match["run"], start, language, numbers)
        elif match["vulgar"] is not None:
            value = _VULGAR[match["vulgar"]]
        elif match["latex"] is not None:
            over, under = (_only(part, language) for part in match.groups()[2:6] if part is not None)
            value = over / under if over is not None and under else None
        elif match.lastgroup == "spoken":
            value = spoken_value(match["spoken"], language)
        else:
            value = numeral_value(plain, start, position, language)
        if value is not None:
            numeral = match.lastgroup == "han"
            _add(numbers, plain, Number(value=value, start=start, end=position, percent=False, numeral=numeral))
    return _joined(numbers, plain)


def _joined(numbers: list[Number], plain: str) -> list[Number]:
    """The numbers, with parts of one quantity joined, as in `2 hours 20 minutes`."""
    joined: list[Number] = []
    for number in numbers:
        if joined and number.start < joined[-1].end:
            continue  # the minutes of 2h30
        last = joined[-1] if joined else None
        if last is not None and number.start - last.end <= LONGEST_BETWEEN and (whole := _pair(last, number, plain)):
            joined[-1] = whole
            continue
        if number.value.denominator == 1 and not number.percent:
            if half := HALF.match(plain, number.end):
                number = replace(number, value=_further(number.value, Fraction(1, 2)), end=half.end())
            elif (clock := CLOCK.match(plain, number.end)) and not plain[number.end - 1].isalpha():
                value = _further(number.value, Fraction(int(clock[1] or clock[2]), 60))
                number = replace(number, value=value, end=clock.end(), parts=60)
        joined.append(number)
    return joined


def _pair(last: Number, number: Number, plain: str) -> Number | None:
    """The quantity whose parts are two neighbouring numbers, or None."""
    between, written = plain[last.end : number.start], plain[number.start : number.end]
    if last.value.denominator != 1 or last.percent or number.percent or number.value <= 0 or "\n" in between:
        return None
    if number.value < 1:
        over = "/" in written or "分" in written or not written[0].isdigit()
        if over and plain[last.end - 1].isalnum() and BEFORE_A_FRACTION.fullmatch(between):
            numeral = last.numeral and number.numeral
            return replace(last, value=_further(last.value, number.value), end=number.end, numeral=numeral)
        return None
    before = plain[max(0, last.start - _WINDOW) : last.start]
    unit = parts_of_a_unit(before, between, plain[number.end : number.end + LONGEST_BETWEEN])
    if unit is None or number.value >= unit[0]:
        return None
    value = _further(last.value, number.value / unit[0])
    return replace(last, value=value, end=number.end + unit[1], parts=unit[0])


def _further(whole: Fraction, rest: Fraction) -> Fraction:
    """A whole number plus its rest, away from zero: -1 1/2 is -1.5."""
    return whole + (rest if whole >= 0 else -rest)


def _read_run(plain: str, run: str, offset: int, language: Language, numbers: list[Number]) -> int:
    """Adds the numbers of a run of digits and separators. Returns the end of the last of them, with its tail."""
    end = offset
    pieces = list(split_run(run, offset, language))
    for index, (value, start, end) in enumerate(pieces):
        before = plain[max(0, start - _WINDOW) : start]
        touching = None if before[-1:] == " " else _NAMED.search(before)
        named = touching and not (_CURRENCY.search(before) or _COMMAND_OR_TIMES.search(before))
        if run.isdigit() and before.endswith(".") and (before[-2:-1] or " ") in f" =($-:{{\n{GROUP_SPACE}":
            value, start = decimal_value("0", run), start - 1
        percent = False
        if index == len(pieces) - 1:
            value, end, percent = _read_tail(plain, value, start, end, language)
        if value is not None and not named:
            _add(numbers, plain, Number(value=value, start=start, end=end, percent=percent))
    return end


def _read_tail(plain: str, value: Value, start: int, end: int, language: Language) -> tuple[Value, int, bool]:
    """Reads on after a number: denominator, exponent, scale, percent sign. Returns its value, its end, and `percent`."""
    following = plain[end : end + 1]  # Most numbers end here: a look at one character saves most of the searches.
    if (following in _RAISING) and (raised := _RAISED.match(plain, end)):
        value, end = _power(value, raised), raised.end()
    if plain.startswith("/", end) and (over := _OVER.match(plain, end)):
        date = re.match("[0-9]/", plain[max(0, start - 2) : start])
        if not date and (under := _only(over[1], language)):
            value, end = _times(value, 1 / under), over.end()
    exponential = plain[end : end + 1] in _EXPONENTIAL
    if exponential and (exponent := _EXPONENT.match(plain, end) or _TIMES_TEN.match(plain, end)):
        value, end = _times(value, _power(Fraction(10), exponent)), exponent.end()
    if language.myriads and value is not None:
        value, end = with_units(value, plain, end, language)
    scale = _scale_words(tuple(language.scales)).match(plain, end) if language.scales else None
    spoken = spoken_expression(language)
    if scale and not (spoken and re.compile(spoken).match(plain, scale.start(1))):  # not the elfu of 5 elfu 3
        # Found as it was matched: ignoring case, a pattern takes ı and İ for i, and casefold does not.
        factors = (f for word, f in language.scales.items() if re.fullmatch(re.escape(word), scale[1], re.IGNORECASE))
        value, end = _times(value, Fraction(next(factors))), scale.end()
    percent = _PERCENT.match(plain, end)
    return value, percent.end() if percent else end, percent is not None


def _add(numbers: list[Number], plain: str, number: Number) -> None:
    """Adds a number with its sign, or joins it to the last: `1 1/2`, 三分之二."""
    value, start, end = number.value, number.start, number.end
    before = plain[max(0, start - _WINDOW) : start]
    percent = number.percent or (before.endswith(("%", "a ", "A ")) and bool(_PERCENT_BEFORE.search(before)))
    if sign := _sign_length(before):
        value, start = -value, start - sign
    elif numbers and start - numbers[-1].end <= 4:
        last, between = numbers[-1], plain[numbers[-1].end : start]
        if _FRACTION_OF.fullmatch(between) and last.value:
            hundredth = last.value == 100
            value = value if hundredth else value / last.value
            numeral = last.numeral and number.numeral
            numbers[-1] = Number(value=value, start=last.start, end=end, percent=hundredth, numeral=numeral)
            return
        whole_before = last.value.denominator == 1 and not last.percent and plain[last.end - 1].isdigit()
        written_over = "/" in plain[start:end] or not plain[start].isdigit()  # and not as a decimal such as 0.5
        if 0 < value < 1 and written_over and whole_before and between in ("", " ", GROUP_SPACE) and not percent:
            numbers[-1] = replace(last, value=_further(last.value, value), end=end)
            return
    numbers.append(Number(value=value, start=start, end=end, percent=percent, numeral=number.numeral))


def _sign_length(before: str) -> int:
    """The length of a minus sign at the end of the text before a number."""
    if before.rstrip(" ")[-1:] not in _BEFORE_A_NUMBER:
        return 0
    currency = _CURRENCY.search(before)
    body = before[: currency.start()] if currency else before
    minus = _MINUS.search(body)
    if minus is None:
        return 0
    leading = body[: minus.start()].rstrip(f" {GROUP_SPACE}")
    # Scripts below U+0E00 put spaces between words: there a minus that touches a word is a hyphen (Covid-19).
    touching = minus["tight"] and len(leading) == minus.start() > 0
    hyphen = touching and leading[-1].isalpha() and leading[-1] < "\u0e00"
    amount = re.search(r"(?:^|[^0-9 ]) *[A-Z]{0,3}\\?[$€£¥₹৳฿₽]\Z", leading)  # $-5, and not 10$-5
    operand = _OPERAND.search(leading) and not minus["spaced"]
    return 0 if (hyphen or operand) and not amount else len(before) - minus.start()


def _only(run: str, language: Language) -> Value:
    """The number that a whole run is, with its minus sign. None if it is several."""
    pieces = list(split_run(run.lstrip("-").rstrip(".,"), 0, language))
    return _times(pieces[0][0], Fraction(-1 if run[0] == "-" else 1)) if len(pieces) == 1 else None


def _power(base: Value, written: re.Match[str]) -> Value:
    """`base` to the power that a group of a match holds. None if too long."""
    exponent = next(group for group in written.groups() if group is not None).translate(_SUPERSCRIPT)
    if base is None or len(exponent) > 5 or (base == 0 and exponent.startswith("-")):
        return None
    size = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
    return base ** int(exponent) if size * abs(int(exponent)) <= _MAX_BITS else None


def _times(value: Value, factor: Value) -> Value:
    return None if value is None or factor is None else value * factor


@lru_cache(maxsize=10_000)  # the same problems are judged for every model
def parse_gold(text: str) -> Fraction:
    """The answer of a benchmark in English conventions, such as `-3`. Raises DataError if it is not exactly one number."""
    stripped = text.strip()
    numbers = find_numbers(stripped, LANGUAGES["en"])
    if len(numbers) != 1 or stripped[: numbers[0].start].strip("$€£+ ") or stripped[numbers[0].end :].strip(".$€£ "):
        raise DataError(f"the gold answer '{text[:80]}' is not a number; expected one such as 18, 5.5 or 1,080")
    return numbers[0].value


def plain_number(value: Fraction) -> str:
    """A number such as `1080`, `-2.5`, or `1/3` where no decimal is finite."""
    sizes = range(value.denominator.bit_length())
    places = next((size for size in sizes if 10**size % value.denominator == 0), 0)
    if not places:
        return str(value)
    digits = str(abs(value) * 10**places).zfill(places + 1)
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
