r"""Where an answer announces its result: `####`, `\boxed{}`, answer phrases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

from ..languages import LANGUAGES, Language


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
    phrases = _phrases(language.answer_markers, language.no_answer)
    past = begin
    for start in phrases.begin.finditer(text, begin, end):
        if start.start() < past:
            continue
        if match := phrases.phrase.match(text, start.start(), end):
            yield match.end(), "phrase", match.lastgroup == "colon", match.lastgroup == "denied"
            past = match.end()
        elif (match := phrases.heading.match(text, start.start(), end)) and _opens_a_line(text, start.start(), begin):
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


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The expressions for a language's phrases: how they begin, which fits there, and which makes a heading of it."""

    begin: re.Pattern[str]
    phrase: re.Pattern[str]
    heading: re.Pattern[str]


@cache
def _phrases(markers: tuple[str, ...], denials: tuple[str, ...]) -> _Phrases:
    """The phrases that announce an answer, in any case and with any space.

    More words and a parenthesis may stand within a phrase. A marker with a colon also counts as a heading, or right
    before a number.
    """
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
    return _Phrases(re.compile(_any_of(sorted(begin, key=len, reverse=True)), re.IGNORECASE), phrase, heading)


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
