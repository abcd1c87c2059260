r"""Numbers in running text, read the way each language writes them, exactly.

Digits of every script, separators and grouping (Unicode CLDR 46, through the rows of `languages`), signs, fractions,
percentages, powers, scale words, the numerals of Chinese, and LaTeX. Where two readings are possible, these hold:

- `1.234` and `1,234` are read by the language; any other count of digits after one separator is a decimal fraction.
- Where the comma is decimal, `20,000` is still twenty thousand: nobody writes 20 that way, and models trained on
  English write thousands so. `20,500` stays 20.5.
- `1,2,3` is three numbers. A digit behind a letter, `_` or `^` (`m2`, `x_2`, `m^2`) names something and is no number.
- A minus is a sign where nothing stands before it to subtract from, and it touches its number or follows `=`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise

from .errors import DataError
from .languages import LANGUAGES, Language


@dataclass(frozen=True, slots=True)
class Number:
    """A number at characters `start` to `end` of a text. `50%` has the value 50 and `percent`.

    `numeral` says that it is written in the numerals of Chinese alone (十八), which words contain too (一般): a reader
    prefers the numbers in digits.
    """

    value: Fraction
    start: int
    end: int
    percent: bool
    numeral: bool = False


_Value = Fraction | None  # None: too long to be read.
_MAX_DIGITS = 300  # Longer ones are no answers; they are skipped, since arithmetic on them is quadratic.
_WINDOW = 16  # How far before a number its sign, currency or percent word can reach.
_GROUP_SPACE = "\u00a0"


class _Plain(dict[int, int]):
    """`str.translate` table, one character for one: decimal digits of any script become ASCII, others stay."""

    def __missing__(self, code: int) -> int:
        digit = unicodedata.decimal(chr(code), None)
        return code if digit is None else ord("0") + digit


_PLAIN = _Plain(
    (ord(character), ord(plain))
    for characters, plain in (
        ("−–‐‑‒－﹣", "-"), ("．٫", "."), ("٬", ","), ("％٪﹪", "%"), ("／⁄∕", "/"), ("＝", "="), ("＄", "$"),
        ("＋", "+"), ("（", "("), ("）", ")"), ("：", ":"), ("’", "'"), ("＾", "^"), ("\u3000", " "),
        ("\u202f\u2009\u2007\u200a\u2005", _GROUP_SPACE),
    )
    for character in characters
)  # fmt: skip

_VULGAR = {
    chr(code): Fraction(*map(int, unicodedata.normalize("NFKC", chr(code)).split("⁄")))
    for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F))
}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_HAN_DIGITS = dict(zip("〇零一二三四五六七八九两兩", (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 2), strict=True))
_HAN_UNITS = dict(zip("十百千万萬亿億兆", (10, 100, 1000, 10**4, 10**4, 10**8, 10**8, 10**12), strict=True))
_D, _U = "".join(_HAN_DIGITS), "".join(_HAN_UNITS)
# After digits: 5千克 is five kilograms and 5百分点 five points, so there 千 and 百 do not multiply.
_UNIT = "(?:[十万萬亿億兆]|千(?![克米瓦卡焦赫帕伏])|百(?!分))"
_MIXED = re.compile(rf" ?({_UNIT}{{1,3}}(?:(?:[0-9],[0-9]{{3}}|[0-9]{{1,4}}|[{_D}])(?!,?[0-9]){_UNIT}{{0,3}}){{0,8}})")
_MIXED_TOKEN = re.compile(rf"[0-9,]+|[{_D}{_U}]")
# Words that contain a numeral, here in angle brackets, and mean no number.
_HAN_WORD = re.compile(
    "[唯统統同单單逐专專]<一>|(?<!分)之<一>|<一>[共些起样樣定直般旦切致步边邊方緒番部度]|<十>分(?![之の钟鐘])"
    "|<(?:[万萬亿億兆]|万一)>|[0-9]<[百千]>"
)
_FRACTION_OF = re.compile(r" ?分[之の] ?")

_CURRENCY = re.compile(
    r"(?:(?<![A-Za-z])[A-Z]{0,3}\\?[$€£¥￥₹৳฿₽₩]"
    r"|(?<![A-Za-z])(?:Rs|Tk|KSh|Ksh|TSh|Sh|RM|USD|EUR|GBP|JPY|CNY|RMB|INR|BDT|THB|RUB|KES|TZS|MXN|CHF|CAD|AUD)\.?) ?\Z"
)
_NAMED = re.compile(r"(?:\^\{?-?|[^\W_]_\{?|[A-Za-zÀ-ÖØ-öø-ԯ])\Z")
_COMMAND_OR_TIMES = re.compile(r"(?:\\[A-Za-z]+|[0-9)] ?[xXхХ])\Z")
_MINUS = re.compile(
    r"(?:(?P<spaced>(?<=[=(≈])- |(?<=[=(≈] )- )|(?P<tight>-)|负|負|マイナス ?|(?<!ยาง)ลบ ?"
    r"|(?<![^\W\d_])(?:minus|moins|menos|минус) )\Z", re.IGNORECASE)  # fmt: skip
_OPERAND = re.compile(r"(?:[0-9)\]}%²³½¼¾-]|[0-9] ?[$€£¥₹৳฿₽]|[0-9][^\W\d_]{1,3})\Z")
_PERCENT_BEFORE = re.compile(r"(?:(?<![0-9])(?<![0-9] )%|asilimia )\Z", re.IGNORECASE)
_PERCENT = re.compile(
    rf"[ {_GROUP_SPACE}]?(?:\\?%|percent|per cent|prozent|pour cent|por ciento|процент|パーセント|শতাংশ|เปอร์เซ็นต์)",
    re.IGNORECASE)  # fmt: skip

_OVER = re.compile(r"/([0-9]+(?:[.,][0-9]+)*)(?![.,]?[0-9]|/[0-9]|[\^⁰¹²³⁴-⁹])")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)(?!\w)")
_POWER = r"(?:\^(?:\{ ?(-?[0-9]+) ?\}|(-?[0-9]+))|(⁻?[⁰¹²³⁴-⁹]+))"
_RAISED = re.compile(_POWER)
_TIMES_TEN = re.compile(rf" ?(?:[×x*·хX]|\\times|\\cdot) ?10{_POWER}")


@cache
def _starts(groups: str, myriads: bool) -> re.Pattern[str]:
    """What can begin a number. Each alternative is read in one pass, so that a hostile text costs linear time."""
    spaces_and_quotes = "".join(mark for mark in " '" if mark in groups)
    run = rf"[0-9]+(?:(?:[.,，{_GROUP_SPACE}{spaces_and_quotes}]|\{{,\}}|,\\!|\\,)[0-9]+)*"
    argument = r" {0,2}\{ {0,2}(-?[0-9][0-9.,]{0,40}) {0,2}\}"
    han = rf"|(?P<han>[{_D}{_U}]+(?:[点點][{_D}]+)?)" if myriads else ""
    return re.compile(
        rf"(?P<run>{run})|(?P<latex>\\[dt]?frac(?:{argument}{argument}|([0-9])([0-9])))|(?P<vulgar>[{''.join(_VULGAR)}]){han}"
    )


@cache
def _scale_words(words: tuple[str, ...]) -> re.Pattern[str]:
    """The words that multiply the number before them. Letters may follow only in scripts that join words, and there
    neither a virama (লক্ষ্য, goal) nor what makes พัน another word (พันธุ์, species)."""
    longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"[ {_GROUP_SPACE}]?({longest_first})(?![A-Za-zÀ-ÖØ-öø-ԯ\u09cd\u0c4dธ])", re.IGNORECASE)


def find_numbers(text: str, language: Language) -> list[Number]:
    """The numbers of a text, in order; spans index `text` as given and include sign and percent sign."""
    plain = text.translate(_PLAIN)
    starts = _starts(language.groups, language.myriads)
    found: list[Number] = []
    position = 0
    while match := starts.search(plain, position):
        start, position = match.span()
        if match["run"] is not None:
            position = _read_run(plain, match["run"], start, language, found)
        elif match["vulgar"] is not None:
            _add(found, plain, Number(_VULGAR[match["vulgar"]], start, position, False))
        elif match["latex"] is not None:
            over, under = (_only(part, language) for part in match.groups()[2:6] if part is not None)
            if over is not None and under:
                _add(found, plain, Number(over / under, start, position, False))
        else:
            _read_han(plain, match["han"], start, language, found)
    return found


def _read_run(plain: str, run: str, offset: int, language: Language, found: list[Number]) -> int:
    """Adds the numbers of a run of digits and separators; returns where what belongs to the last of them ends."""
    end = offset
    pieces = list(_split(run, offset, language))
    for index, (value, start, end) in enumerate(pieces):
        before = plain[max(0, start - _WINDOW) : start]
        named = _NAMED.search(before) and not (_CURRENCY.search(before) or _COMMAND_OR_TIMES.search(before))
        if run.isdigit() and before.endswith(".") and (before[-2:-1] or " ") in f" =($-:{{\n{_GROUP_SPACE}":
            value, start = _decimal("0", run), start - 1
        percent = False
        if index == len(pieces) - 1:
            value, end, percent = _read_tail(plain, value, start, end, language)
        if value is not None and not named:
            _add(found, plain, Number(value, start, end, percent))
    return end


def _read_tail(plain: str, value: _Value, start: int, end: int, language: Language) -> tuple[_Value, int, bool]:
    """Reads on after a number: denominator, exponent, scale, percent sign. Returns its value, end, and `percent`."""
    if raised := _RAISED.match(plain, end):
        value, end = _power(value, raised), raised.end()
    date = re.match("[0-9]/", plain[max(0, start - 2) : start])
    if (over := _OVER.match(plain, end)) and not date and (under := _only(over[1], language)):
        value, end = _times(value, 1 / under), over.end()
    if exponent := _EXPONENT.match(plain, end) or _TIMES_TEN.match(plain, end):
        value, end = _times(value, _power(Fraction(10), exponent)), exponent.end()
    if language.myriads and value is not None and (mixed := _MIXED.match(plain, end)):
        tokens = _MIXED_TOKEN.findall(mixed[1])
        value, end = _han([value, *(_han_token(token) for token in tokens)], language), mixed.end()
    if language.scales and (scale := _scale_words(tuple(language.scales)).match(plain, end)):
        # Found as it was matched: ignoring case, a pattern takes ı and İ for i, and casefold does not.
        factors = (f for word, f in language.scales.items() if re.fullmatch(re.escape(word), scale[1], re.IGNORECASE))
        value, end = _times(value, Fraction(next(factors))), scale.end()
    percent = _PERCENT.match(plain, end)
    return value, percent.end() if percent else end, percent is not None


def _add(found: list[Number], plain: str, number: Number) -> None:
    """Adds a number with its sign, or joins it to the one before: `1 1/2`, `3½`, 三分之二, 百分之五十."""
    value, start, end = number.value, number.start, number.end
    before = plain[max(0, start - _WINDOW) : start]
    percent = number.percent or bool(_PERCENT_BEFORE.search(before))
    if sign := _sign_length(before):
        value, start = -value, start - sign
    elif found and start - found[-1].end <= 4:
        last, between = found[-1], plain[found[-1].end : start]
        if _FRACTION_OF.fullmatch(between) and last.value:
            hundredth = last.value == 100
            value = value if hundredth else value / last.value
            found[-1] = Number(value, last.start, end, hundredth, last.numeral and number.numeral)
            return
        whole_before = last.value.denominator == 1 and not last.percent and plain[last.end - 1].isdigit()
        written_over = "/" in plain[start:end] or not plain[start].isdigit()  # and not as a decimal such as 0.5
        if 0 < value < 1 and written_over and whole_before and between in ("", " ", _GROUP_SPACE) and not percent:
            found[-1] = replace(last, value=last.value + (value if last.value >= 0 else -value), end=end)
            return
    found.append(Number(value, start, end, percent, number.numeral))


def _sign_length(before: str) -> int:
    """How many characters of `before`, the text that leads to a number, are its minus sign and what stands between."""
    currency = _CURRENCY.search(before)
    body = before[: currency.start()] if currency else before
    minus = _MINUS.search(body)
    if minus is None:
        return 0
    left = body[: minus.start()].rstrip(f" {_GROUP_SPACE}")
    # Scripts below U+0E00 put spaces between words: there a minus that touches a word is a hyphen (Covid-19).
    touching = minus["tight"] and len(left) == minus.start() > 0
    hyphen = touching and left[-1].isalpha() and left[-1] < "\u0e00"
    amount = re.search(r"(?:^|[^0-9 ]) *[A-Z]{0,3}\\?[$€£¥₹৳฿₽]\Z", left)  # $-5, and not 10$-5
    operand = _OPERAND.search(left) and not minus["spaced"]
    return 0 if (hyphen or operand) and not amount else len(before) - minus.start()


def _split(run: str, offset: int, language: Language) -> Iterator[tuple[_Value, int, int]]:
    """The numbers of a run such as `1.234,5`, each with its span."""
    matches = list(re.finditer("[0-9]+", run))
    digits = [match[0] for match in matches]
    marks = [_mark(run[one.end() : next_one.start()], next_one[0]) for one, next_one in pairwise(matches)]

    def piece(first: int, last: int, rest: str = "") -> tuple[_Value, int, int]:
        """The number of groups `first` to `last`, and then `rest` behind the decimal sign as one more group."""
        final = last + 1 if rest else last
        value = _decimal("".join(digits[first : last + 1]), rest)
        return value, offset + matches[first].start(), offset + matches[final].end()

    def tight(first: int, last: int) -> Iterator[tuple[_Value, int, int]]:
        """The numbers of groups `first` to `last`, between which stand no spaces."""
        between = marks[first:last]
        groups = digits[first : last + 1]
        final = between[-1] if between else ""
        if not between:
            yield piece(first, last)
        elif len(between) == 1 and final != "|":
            thousands = final in language.groups or (final == language.decimal == "," and groups[1] == "000")
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
        space = marks[first] if first < len(marks) and marks[first] in f" {_GROUP_SPACE}" else None
        if space and _leads(digits[first]):
            while last < len(marks) and marks[last] == space and len(digits[last + 1]) == 3:
                last += 1
        if last > first:
            decimal = last < len(marks) and marks[last] in ".," and marks[last + 1 : last + 2] not in (["."], [","])
            yield piece(first, last, digits[last + 1] if decimal else "")
            last += decimal
        else:
            while last < len(marks) and marks[last] not in f" {_GROUP_SPACE}":
                last += 1
            yield from tight(first, last)
        first = last + 1


def _mark(written: str, following: str) -> str:
    """The separator that LaTeX or full-width punctuation stands for; `，` not before thousands ends a clause."""
    full_width = "," if len(following) == 3 else "|"
    return {"，": full_width, "{,}": ",", ",\\!": ",", "\\,": _GROUP_SPACE}.get(written, written)


def _leads(digits: str) -> bool:
    """Whether a group of digits can stand before groups of three."""
    return len(digits) <= 3 and digits[0] != "0"


def _grouped(groups: list[str], mark: str, language: Language) -> bool:
    if not _leads(groups[0]) or len(groups[-1]) != 3:
        return False
    inner = {len(group) for group in groups[1:-1]}
    return inner <= {3} or (language.indian_groups and mark == "," and inner == {2} and len(groups[0]) <= 2)


def _decimal(whole: str, rest: str = "") -> _Value:
    rest = rest.rstrip("0")  # A model that repeats itself writes 1.000… without end.
    return Fraction(int(whole + rest), 10 ** len(rest)) if len(whole + rest) <= _MAX_DIGITS else None


def _only(run: str, language: Language) -> _Value:
    """The number that a whole run is, with its minus sign; None if it is several."""
    pieces = list(_split(run.lstrip("-").rstrip(".,"), 0, language))
    return _times(pieces[0][0], Fraction(-1 if run[0] == "-" else 1)) if len(pieces) == 1 else None


def _power(base: _Value, written: re.Match[str]) -> _Value:
    """`base` to the power that a match holds in one of its groups; None where the result is too long."""
    exponent = next(group for group in written.groups() if group is not None).translate(_SUPERSCRIPT)
    if base is None or len(exponent) > 5 or (base == 0 and exponent.startswith("-")):
        return None
    size = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
    return base ** int(exponent) if size * abs(int(exponent)) <= 4 * _MAX_DIGITS else None


def _times(value: _Value, factor: _Value) -> _Value:
    return None if value is None or factor is None else value * factor


def _read_han(plain: str, run: str, start: int, language: Language, found: list[Number]) -> None:
    """Adds the numbers of a run of Chinese numerals, unless it is part of a word."""
    end = start + len(run)
    if len(run) > 40 or _HAN_WORD.search(f"{plain[max(0, start - 2) : start]}<{run}>{plain[end : end + 2]}"):
        return
    whole, _, rest = run.replace("點", "点").partition("点")
    digits = "".join(str(_HAN_DIGITS.get(character, "")) for character in whole + rest)
    if len(whole) == 1 or not _HAN_UNITS.keys().isdisjoint(whole):
        value = _han([_han_token(token) for token in whole], language)
        value += Fraction(int(digits[len(digits) - len(rest) :] or 0), 10 ** len(rest))
    elif len(whole) > 2 or "〇" in whole or "零" in whole:  # digit by digit, as years are written
        value = Fraction(int(digits), 10 ** len(rest))
    else:
        return  # 三四个: three or four
    _add(found, plain, Number(value, start, end, percent=False, numeral=True))


def _han_token(token: str) -> Fraction | str:
    number = _HAN_DIGITS[token] if token in _HAN_DIGITS else token.replace(",", "")
    return token if token in _HAN_UNITS else Fraction(number)


def _han(tokens: list[Fraction | str], language: Language) -> Fraction:
    """The value of numerals and units: below ten thousand they add up, and 万 亿 兆 multiply what is below."""
    total = section = Fraction(0)
    digit: Fraction | None = None
    for token in tokens:
        if isinstance(token, Fraction):
            digit = token
        elif _HAN_UNITS[token] < 10**4:
            section += (Fraction(1) if digit is None else digit) * _HAN_UNITS[token]
            digit = None
        else:
            section += digit or 0
            total = total + section * _HAN_UNITS[token] if section else (total or Fraction(1)) * _HAN_UNITS[token]
            section, digit = Fraction(0), None
    # Chinese says 两千五 for 2500, and 两千零五 for 2005; Japanese has no such form.
    last = tokens[-2] if len(tokens) > 1 and isinstance(tokens[-2], str) else "十"
    if language.script != "Jpan" and digit is not None and 0 < digit < 10 and _HAN_UNITS[last] > 10:
        digit = digit * _HAN_UNITS[last] / 10
    return total + section + (digit or 0)


def parse_gold(text: str) -> Fraction:
    """The number a benchmark gives as the answer, such as `18`, `5.5`, `-3` or `1,080` (English conventions).

    Raises:
        DataError: the text is not one number and nothing else.
    """
    stripped = text.strip()
    numbers = find_numbers(stripped, LANGUAGES["en"])
    if len(numbers) != 1 or stripped[: numbers[0].start].strip("$€£+ ") or stripped[numbers[0].end :].strip(".$€£ "):
        raise DataError(f"the gold answer '{text[:80]}' is no number; expected one such as 18, 5.5 or 1,080")
    return numbers[0].value


def plain_number(value: Fraction) -> str:
    """A number without separators of thousands: `1080`, `-2.5`, and `1/3` where there is no finite decimal."""
    sizes = range(value.denominator.bit_length())
    places = next((size for size in sizes if 10**size % value.denominator == 0), 0)
    digits = str(abs(value) * 10**places).zfill(places + 1)
    if not places:
        return str(value)
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def write_number(value: Fraction, language: Language) -> str:
    """A number in ASCII digits with the language's separators; a fraction where there is no finite decimal."""
    plain = plain_number(value)
    if "/" in plain or not language.groups:
        return plain.replace(".", language.decimal)
    whole, point, rest = plain.lstrip("-").partition(".")
    size = 2 if language.indian_groups else 3
    head, groups = whole[:-3], [whole[-3:]]
    while head:
        head, groups = head[:-size], [head[-size:], *groups]
    return ("-" if value < 0 else "") + language.groups[0].join(groups) + (language.decimal + rest if point else "")
