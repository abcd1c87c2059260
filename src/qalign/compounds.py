"""Numbers written in two parts: `2 and 2/3`, `2 hours 20 minutes`, 1時間30分."""

from __future__ import annotations

import re
from functools import partial

_pattern = partial(re.compile, flags=re.IGNORECASE)

_AND = "(?:and|und|et|y|e|и|na|with|plus|&|и ещё|又|零|と|และ|กับ|เศษ|এবং|ও|পূর্ণ|cel[aey]|цел(?:ая|ых|ые)(?: и)?)"
_BETWEEN_WHOLE_AND_FRACTION = _pattern(rf" ?{_AND} ?\$?")
_HALF = re.compile(
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
_UNITS = (
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
    for larger, smaller, parts in _UNITS
)
# Where units stand before their numbers: saa 2 na dakika 20.
_LEADING_UNITS = (
    ("ma?saa|saa", "dakika", 60),
    ("dakika", "sekunde", 60),
    ("siku", "ma?saa|saa", 24),
    ("wiki", "siku", 7),
    ("mwaka|miaka", "mwezi|miezi", 12),
    ("dola|shilingi|euro", "senti", 100),
)
_LEADING = tuple(
    (_pattern(rf"(?<!\w)(?:{larger}) \Z"), _pattern(rf" (?:na )?(?:{smaller}) "), parts)
    for larger, smaller, parts in _LEADING_UNITS
)
_HOURS_OF_A_CLOCK = re.compile(
    r" ?h ?([0-5]?[0-9])(?![0-9]|[.,][0-9])(?: ?m(?:in)?(?![A-Za-z]))?"
    rf"|:([0-5][0-9])(?![0-9:]) ?(?:{_HOURS})(?![A-Za-z])",
    re.IGNORECASE,
)

_ANY_LARGER = re.compile(rf" ?(?:{'|'.join(larger for larger, _, _ in _UNITS)})[^0-9=+*/()-]*", re.IGNORECASE)

LONGEST_BETWEEN = 24
"""No words between two parts are longer, in characters."""


def joins_a_fraction(between: str) -> bool:
    """Whether words join a whole number and a fraction to one: `2 and 2/3`."""
    return _BETWEEN_WHOLE_AND_FRACTION.fullmatch(between) is not None


def half_end(plain: str, end: int) -> int | None:
    """The end of `and a half` after a number that ends at `end`, or None."""
    half = _HALF.match(plain, end)
    return half.end() if half else None


def clock_minutes(plain: str, end: int) -> tuple[int, int] | None:
    """The minutes of `2h30`, whose hours end at `end`, and their end."""
    minutes = _HOURS_OF_A_CLOCK.match(plain, end)
    return (int(minutes[1] or minutes[2]), minutes.end()) if minutes else None


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
