r"""Where an answer announces its result, with `####`, `\boxed{}` or an answer phrase, and the number that it gives there.

The sentence of an announcement may hold an equation, a condition, or that there is no answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from ..languages import LANGUAGES, Language
from ..numbers import Number
from .equations import Equation, holds_an_unknown, is_expression


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is announced stands at characters `begin` to `end`."""

    begin: int
    end: int
    by: str
    """`####`, `boxed` or `phrase`."""
    heads: bool = False
    """The phrase ends in a colon or is a heading: whole sentences may follow. `The answer is` wants the number itself."""
    denies: bool = False
    """The phrase itself says that there is no answer."""


# A full stop ends a sentence only before a space, and not behind Rs. or approx., or in am 5. Tag.
# Inside a number no space follows it.
SENTENCE_END = (
    r"[。！？!?।॥৷\n]|(?<!\bRs)(?<!\bTk)(?<!\bca)(?<!approx)\.(?=[\s*)”»]|$)"
    r"(?!(?<=\d\.) (?:Tag|Woche|Monat|Jahr|Stunde|Minute|Runde|Spiel|Etage|Stock|Januar|Februar|März|April|Mai|Juni"
    r"|Juli|August|September|Oktober|November|Dezember)(?:e?s|en?)?\b)"
)
_SENTENCE_END = re.compile(SENTENCE_END)
_HASHES = re.compile("####(?!#)")
_BRACES = re.compile(r"\\(?:boxed|fbox)\s?\{|\\?[{}]")
_BLANK = re.compile(r"[\s*_:：]*")
# One more word within a phrase (the final answer is), unless it turns the phrase around.
_WORD = (
    r"(?!(?:no|not|nicht|ne|не|ni|wrong|incorrect|falsch\w*|falsa|fausse)\b)[^\s\d.,:;!?。！？।()（）=，、：；]{1,24}"
)
_IN_PARENTHESES = r"(?:[^\S\n]{0,9}[(（][^()（）\n]{0,60}[)）])?"
_COLON = r"[\s*_]{0,9}(?:[:：]|\s[—–-]\s|=)"
_LINE_START = re.compile(rf"[ \t#*_>]*(?:{_WORD}[^\S\n]*){{0,2}}")
# Nouns that are verbs too (to answer 5 questions), or number attempts (Lösung 2).
_VERBS = ("answer", "回答", "解答", "lösung", "solución", "solution")
# In scripts without spaces, up to twenty characters that are no digit, no mark and no negation, and a parenthesis.
_JOINED = (
    rf"{_IN_PARENTHESES}[^\S\n]{{0,9}}(?:(?!不|非|没|沒|ない|ไม่)[^\s\d，。、,.:：;；()（）]){{0,20}}?"
    rf"{_IN_PARENTHESES}[^\S\n]{{0,9}}"
)


def announcements(text: str, language: Language, begin: int, end: int) -> list[Announcement]:
    """The announcements at characters `begin` to `end` of a text, in order."""
    ends = [match.start() for match in _SENTENCE_END.finditer(text, begin, end)]
    ends.append(end)
    position = 0
    found: list[Announcement] = []
    for start, by, heads, denies in sorted(_phrases_in(text, language, begin, end)):
        first = _BLANK.match(text, start, end).end()  # type: ignore[union-attr]
        while ends[position] < first:
            position += 1
        found.append(Announcement(begin=first, end=ends[position], by=by, heads=heads, denies=denies))
    found += _boxes(text, begin, end)
    return sorted(found, key=attrgetter("begin"))


def _phrases_in(text: str, language: Language, begin: int, end: int) -> Iterator[tuple[int, str, bool, bool]]:
    for hashes in _HASHES.finditer(text, begin, end):
        yield hashes.end(), "####", False, False
    begins, phrase, heading = _phrases(language.answer_markers, language.no_answer)
    past = begin
    for start in begins.finditer(text, begin, end):
        if start.start() < past:
            continue
        if match := phrase.match(text, start.start(), end):
            yield match.end(), "phrase", match.lastgroup == "colon", match.lastgroup == "denied"
            past = match.end()
        elif (match := heading.match(text, start.start(), end)) and _opens_a_line(text, start.start(), begin):
            yield match.end(), "phrase", True, False


def _opens_a_line(text: str, position: int, begin: int) -> bool:
    """Whether only marks and up to two words stand before a position on its line."""
    before = text[max(begin, position - 60) : position]
    line = before[before.rfind("\n") + 1 :]
    return _LINE_START.fullmatch(line) is not None and (len(line) < 60)


def _boxes(text: str, begin: int, end: int) -> Iterator[Announcement]:
    opened: list[tuple[int, bool]] = []
    for match in _BRACES.finditer(text, begin, end):
        if len(match[0]) > 2 or match[0] == "{":
            opened.append((match.end(), len(match[0]) > 2))
        elif match[0] == "}" and opened:
            start, boxed = opened.pop()
            if boxed:
                yield Announcement(begin=start, end=match.start(), by="boxed")


@cache
def _phrases(markers: tuple[str, ...], denials: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The phrases that announce an answer, in any case and with any space: how they begin, which fits there, and headings."""
    known = {marker.casefold(): marker for marker in (*markers, *LANGUAGES["en"].answer_markers)}
    longest_first = sorted(known, key=len, reverse=True)
    phrases = [_words(marker) for marker in longest_first if marker[-1] != ":"]
    nouns = [marker.rstrip(":") for marker in longest_first if marker[-1] == ":"]
    long_nouns = _any_of([noun for noun in nouns if len(noun) > 1])
    bare = _any_of([noun for noun in nouns if len(noun) > 1 and noun not in _VERBS])
    with_colon = [re.escape(noun) + _more(noun) + _IN_PARENTHESES + _COLON for noun in nouns]
    number = r"[\s*_$\\(]{0,6}[-−]?[$€£]?\d(?![\d.,/]*[:：)）])"
    begin = {words[0] for words in phrases} | set(nouns)
    phrase = re.compile(
        rf"(?P<colon>{'|'.join(with_colon)})"
        rf"|(?P<plain>{'|'.join(_in_words(words) for words in phrases)})"
        rf"|(?P<denied>(?:{long_nouns})[^.!?。！？।\n\d]{{0,40}}?(?:{denial_expression(denials)}))"
        rf"|(?P<bare>(?:{bare}){_IN_PARENTHESES}(?={number}))",
        re.IGNORECASE,
    )
    heading = re.compile(rf"(?:{long_nouns})(?:[^\S\n]+{_WORD}){{0,2}}[ \t*_#]*$", re.IGNORECASE | re.MULTILINE)
    return re.compile(_any_of(sorted(begin, key=len, reverse=True)), re.IGNORECASE), phrase, heading


def _words(marker: str) -> list[str]:
    """The words of a phrase without its article."""
    words = marker.split()
    return words[1:] if len(words) > 2 and len(words[0]) <= 3 else words


def _in_words(words: list[str]) -> str:
    """An expression for a phrase in which more words may stand."""
    if words[0][0] >= "\u0e00":
        return _JOINED.join(re.escape(word) for word in words)
    more = rf"{_IN_PARENTHESES}\s+(?:{_WORD}\s+){{0,3}}?"
    return more.join(re.escape(word) for word in words) + (r"(?!\w)" if words[-1][-1] < "\u0250" else "")


def _more(noun: str) -> str:
    """An expression for the words between a noun and its colon."""
    if noun[0] < "\u0e00":
        return rf"(?:[^\S\n]+{_WORD}){{0,3}}?"
    return _JOINED if len(noun) > 1 else ""


def _any_of(words: list[str]) -> str:
    """An expression for whole words. Scripts that join words have them anywhere."""
    return "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" if word[0] < "\u0e00" else re.escape(word) for word in words)


@cache
def denial_expression(denials: tuple[str, ...]) -> str:
    """An expression for phrases that deny an answer, English ones included."""
    phrases = sorted({*denials, *LANGUAGES["en"].no_answer}, key=len, reverse=True)
    other = "other|further|ander|autre|otr[ao]|друг|nyingine"  # that there is no other solution is no denial
    more = rf"\s+(?:(?!{other})[^\s\d.:;!?]{{1,20}}\s+){{0,2}}?"
    return "|".join(more.join(re.escape(word) for word in phrase.split()) for phrase in phrases)


@cache
def denial(language_denials: tuple[str, ...]) -> re.Pattern[str]:
    """The phrases that deny an answer, in any case."""
    return re.compile(denial_expression(language_denials), re.IGNORECASE)


@cache
def result_expression(markers: tuple[str, ...]) -> re.Pattern[str]:
    """The phrases that announce a result, in a language and in English."""
    known = sorted({*markers, *LANGUAGES["en"].result_markers}, key=len, reverse=True)
    words = [rf"{re.escape(word.rstrip(':'))}{r'[ *_]{0,5}[:：]' if word[-1] == ':' else ''}" for word in known]
    return re.compile(rf"(?<![A-Za-zÀ-ÖØ-öø-ԯ])(?:{'|'.join(words)})(?![A-Za-zÀ-ÖØ-öø-ԯ])", re.IGNORECASE)


# --- what is announced -------------------------------------------------------------------------------------------------

_EQUALS = re.compile("[=＝≈]")
_MOST_NUMBERS = 50  # of one sentence are looked at
_LONGEST_REFUSAL = 1000  # characters behind the last number
_REACH = 200  # characters behind an announcement within which it is taken back
# What may stand between an announcement and its number for the number to follow directly.
_DIRECTLY = re.compile(
    r"[\s*_:：=≈~±$€£¥₹৳฿₽#\\(（\[{`\"'“”„«»「『-]*"
    r"(?:(?:about|approximately|exactly|just|only|at least|at most|circa|ca\.|etwa|ungefähr|genau|mindestens|environ"
    r"|exactement|au moins|unos|unas|aproximadamente|exactamente|al menos|por lo menos|más o menos|alrededor de"
    r"|примерно|около|ровно|至少|大约|约|約|恰好|ちょうど|およそ|ประมาณ|প্রায়|takriban|kama|angalau)[\s*_:$€£]*)?"
    r"(?:US|R)?[$€£¥₹৳฿₽\\{(\[\s*_]*",
    re.IGNORECASE,
)
# An aside behind the result: 7 (3 + 4 = 7), or a reason.
_ASIDE = re.compile(r"[(（\[,;，；、]|\b(?:because|since|as|da|denn|weil|car|puisque|porque|ya que|так как)\b")
# A refusal that stands in a sentence of its own, or behind a comma and a but. Thai ends its sentences with spaces.
_CLAUSE_END = re.compile(
    rf"{SENTENCE_END}|[,，、;] ?(?:but|aber|jedoch|mais|pero|но|lakini|但|可是|不过|কিন্তু)|が、"
    r"|(?<=[\u0e00-\u0e4f]) (?=[\u0e00-\u0e4f])"
)
# It is about knowing: that it is impossible to rent half a bus is no refusal.
_KNOWING = re.compile(
    r"determin|calculat|comput|\bknow|answer|\bsolv|solution|\bfind\b|\bfound\b|figure|\btell|informati|\bdata\b"
    r"|bestimm|berechn|beantwort|antwort|ermittel|lösung|lösbar|\bwissen|\bsagen|herausf|bekannt"
    r"|détermin|calcul|répon|solution|savoir|connaître|connu|trouver|определ|вычисл|рассчит|узнать|найти|сказать|ответ"
    r"|решени|данных|информац|известн|saber|respond|respuesta|solución|resolver|encontrar|conocid|conoce|informaci"
    r"|kujib|kujua|kujulikana|julikani|kubain|kuhesab|kupat|jibu|suluhisho|taarifa|habari"
    r"|确定|確定|求|计算|計算|知|得出|答|判断|判斷|解|信息|条件|分か|わか|特定|決|情報"
    r"|ระบุ|หา|คำนวณ|กำหนด|ทราบ|ตอบ|บอก|สรุป|ข้อมูล|নির্ধারণ|নির্ণয়|বলা|বের|গণনা|উত্তর|সমাধান|তথ্য|জানা|অজানা",
    re.IGNORECASE,
)
# On the 5th day, am 5. Tag, 第5天, 5日目, วันที่ 5.
_ORDINAL_AFTER = re.compile(
    r"(?:st|nd|rd|th|e|er|ère|ème)(?!\w)|-(?:й|го|му|ом|ый|ий|ой|я|ая)(?!\w)|\.?[ºª]|\.(?= [^\W\d_])"
    r"|[日回番年週月人個枚本冊つ]目(?![標的])|(?:ম|য়|র্থ|ষ্ঠ|তম)(?!\w)"
)
_ORDINAL_BEFORE = re.compile(r"第 ?\Z|(?:วัน|สัปดาห์|เดือน|ปี|ชั่วโมง|ครั้ง)ที่ ?\Z")
_UNKNOWN = re.compile("unknown|unbekannt|inconnu|desconocid|неизвест|未知|不明|অজানা", re.IGNORECASE)
_ENDS = re.compile(r"[^\W\d_\u0e00-\uffff]{0,3}\s*(?:[.,;!。，、；।]|\Z)|[なでだ]")
_LIST = re.compile(r"[^\n]{0,3}[1１১๑][.)．）] [^\n]{3,500}\n(?:[^\n]{0,500}\n){0,9}?[ \t*_]{0,9}[2２২๒][.)．）] ")
_MORE = re.compile(r"[,;:=，、；。।.!?\n+*×÷/]")
_NUMBERS_A_LINE = re.compile(r"[*_]*(?:[:：)]|\.\s)")


class Answer:
    """An answer's text, which ends at `end`, and what was found in it, in order."""

    def __init__(
        self, text: str, numbers: list[Number], equations: list[Equation], no_answer: tuple[str, ...], end: int
    ) -> None:
        self.text, self.numbers, self.equations = text, numbers, equations
        self.starts = [number.start for number in numbers]
        self.equals = [match.start() for match in _EQUALS.finditer(text, 0, end)]
        self.no_answer = denial(no_answer)


class Announced(NamedTuple):
    """What an announcement says: a number, or None for no answer or an unknown."""

    number: Number | None


def announced(answer: Answer, announcement: Announcement) -> Announced | None:
    """What an announcement says. None for a heading of the way to the answer."""
    text, begin, end = answer.text, announcement.begin, announcement.end
    goes_on = bool(answer.equations) and answer.equations[-1].at >= end
    first = bisect_left(answer.starts, begin)
    within = answer.numbers[first : min(bisect_left(answer.starts, end), first + _MOST_NUMBERS)]
    near = bool(within) and within[0].start - begin <= _REACH
    directly = near and _DIRECTLY.fullmatch(text, begin, within[0].start) is not None
    denied = announcement.denies or (
        not directly and answer.no_answer.search(text, begin, min(end, begin + _REACH)) is not None
    )
    if denied:
        return None if goes_on else Announced(None)
    if not within:
        return None
    if directly and within[0].value == 1 and _LIST.match(text, begin):
        return None  # Answer: 1. She has 16 eggs. 2. ...
    if announcement.by == "####" and not directly and _NUMBERS_A_LINE.match(text, within[0].end):
        return None  # a heading: #### Step 2:
    calculated_before = bool(answer.equations) and answer.equations[0].at < begin
    if announcement.heads and not directly and goes_on and not calculated_before:
        return None  # Answer: She has 16 eggs and eats 3. 16 - 3 = 13 ...
    number = _number(answer, announcement, within, directly)
    return Announced(None if holds_an_unknown(text, number) else number)


def _number(answer: Answer, announcement: Announcement, within: list[Number], directly: bool) -> Number:
    """The number that is meant among those of an announcement."""
    counted = [number for number in within if not _is_ordinal(answer.text, number)]
    first = preferred(counted or within, last=False)
    low, high = bisect_left(answer.equals, announcement.begin), bisect_left(answer.equals, announcement.end)
    if low < high:
        return _of_equation(answer, answer.equals[low:high][-_MOST_NUMBERS:], first, announcement.end, directly)
    if announcement.by == "phrase" and (announcement.heads or not directly):
        # Not the condition before it (in 10 years he is 109), but what was calculated.
        calculated = answer.equations[-_MOST_NUMBERS:]
        before = bisect_left([equation.at for equation in calculated], announcement.begin)
        # A working may follow its answer.
        for equation in reversed(calculated[:before] or ([] if directly else calculated)):
            if not is_expression(answer.text, equation.right):
                same = [number for number in within if number.value == equation.right.value]
                return same[0] if same else first
    if first.percent and len(counted) > 2:  # 25% of 80, which is 20
        part = first.value * counted[1].value / 100
        return next((number for number in counted[2:] if number.value == part), first)
    return first


def _is_ordinal(text: str, number: Number) -> bool:
    """Whether a number says which one, as in `on the 5th day`."""
    before = text[max(0, number.start - 10) : number.start]
    return bool(_ORDINAL_AFTER.match(text, number.end) or _ORDINAL_BEFORE.search(before))


def _of_equation(answer: Answer, equals: list[int], first: Number, end: int, directly: bool) -> Number:
    """The result behind the last equals sign that no expression follows."""
    text = answer.text
    alone = first.start < equals[0] and not is_expression(text, first)
    if directly and alone and _ASIDE.search(text, first.end, equals[0]):
        return first
    latest: Number | None = None
    for at in reversed(equals):
        side = answer.numbers[bisect_left(answer.starts, at) : bisect_left(answer.starts, end)][:_MOST_NUMBERS]
        end = at
        if side:
            number = preferred(side, last=False)
            if not is_expression(text, number):
                return number
            latest = latest or number
    return first if alone else latest or first


def stated_result(answer: Answer, last: Number, markers: tuple[str, ...]) -> Number | None:
    """The number right behind the last `the result is`, before words alone."""
    begin = max(0, last.start - _REACH)
    for phrase in reversed(list(result_expression(markers).finditer(answer.text, begin, last.start))):
        index = bisect_left(answer.starts, phrase.end())
        number = answer.numbers[index]
        follows = _DIRECTLY.fullmatch(answer.text, phrase.end(), number.start)
        return number if follows and not _MORE.search(answer.text, number.end, last.start) else None
    return None


def refuses(answer: Answer, last: Number, end: int) -> bool:
    """Whether an answer ends by denying that there is an answer."""
    clause = _CLAUSE_END.search(answer.text, last.end, end)
    if clause is None:
        return False
    begin = max(clause.start(), end - _LONGEST_REFUSAL)
    for said in islice(answer.no_answer.finditer(answer.text, begin, end), _MOST_NUMBERS):
        if _UNKNOWN.match(said[0]):  # ... is unknown; and not: it is the unknown number that was asked for
            refused = _ENDS.match(answer.text, said.end(), end)
        else:
            refused = _KNOWING.search(answer.text, max(begin, said.start() - _REACH), min(end, said.end() + _REACH))
        if refused:
            return True
    return False


def preferred(numbers: list[Number], *, last: bool) -> Number:
    """The first or last of the numbers, in digits if there are such."""
    digits = [number for number in numbers if not number.numeral] or numbers
    return digits[-1 if last else 0]
