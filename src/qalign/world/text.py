"""Plain text for a base model.

Most of it is English, and three languages are scarce, as in real corpora. It tells stories and works some of them out. It
holds no question with its answer, no answer format and no translation. Languages are linked by names, digits, dictionary
lines, and stories whose sentences alternate between languages. Most documents say everything twice, and lists of words in
random order always do. That teaches a small model to copy. Remarks may precede a document, so its start predicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, islice
from typing import Literal, TypeVar

from ..errors import SettingError
from .draw import Draw
from .grammar import Grammar, grammar
from .languages.en import TOTAL
from .plots import LARGEST, PLOTS, SETTINGS, Domain, Event, Step, Story, fill, general

Kind = Literal["sums", "worked", "story", "sentences", "switching", "dictionary", "list"]
Key = TypeVar("Key", bound=str)

SHARES = {
    "en": 0.52, "de": 0.064, "es": 0.064, "fr": 0.064, "ru": 0.058, "zh": 0.058, "ja": 0.058,
    "bn": 0.038, "th": 0.038, "sw": 0.038,
}  # fmt: skip
"""The share of each language's documents."""
SCARCE = 0.038
"""The share of a language that is not in the table, relative to 1 for all others."""
REPEATED = 0.7
"""The share of documents that say everything twice. Lists always do, sums never."""
PREFACED = 0.6
"""The share of twice-said documents with a preface."""
ASKED = 0.3
"""The share of remarks that are questions unrelated to the text."""
SEED = "world text"
CHUNK = 1000
"""Documents drawn from one seed, so that many processes can make the same text together."""
SUMS, WORKED = 0.1, 0.14
"""The share of the English documents that are sums, and of those that are stories worked out."""
ENGLISH_REST: Mapping[Kind, float] = {"story": 0.3, "sentences": 0.22, "list": 0.24}
"""What the other English documents are, relative to each other."""
OTHER_KINDS: Mapping[Kind, float] = {
    "story": 0.2,
    "sentences": 0.12,
    "switching": 0.44,
    "dictionary": 0.09,
    "list": 0.15,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One text."""

    language: str
    kind: Kind
    text: str
    signature: str | None = None
    """The signature of the problem whose story it tells. None where it tells none."""
    preface: str = ""
    """The start of the text, unrelated to the rest."""


def documents(
    count: int, languages: Sequence[str], seed: str = SEED, sums: float = SUMS, worked: float = WORKED
) -> Iterator[Document]:
    """Documents in the languages, in random order.

    A smaller `count` gives the first documents of a larger one.

    Args:
        seed: another seed gives other documents of the same kinds.
        sums: the share of the English documents that are sums.
        worked: the share of the English documents that are stories worked out.
    """
    for place in range(-(-count // CHUNK)):
        yield from islice(chunk(place, languages, seed, sums, worked), count - place * CHUNK)


def chunk(
    place: int, languages: Sequence[str], seed: str = SEED, sums: float = SUMS, worked: float = WORKED
) -> Iterator[Document]:
    """The documents of one chunk. No other chunk is needed for it.

    Raises:
        SettingError: a share is below 0, or both together are above 1.
    """
    draw = Draw(f"{seed} {place}")
    kinds = english_kinds(sums, worked)
    # In the order of the table: the order in which languages are asked for decides nothing.
    shares = {
        code: SHARES.get(code, SCARCE) for code in (*SHARES, *sorted(set(languages) - set(SHARES))) if code in languages
    }
    for _ in range(CHUNK):
        code = _by_share(shares, draw)
        kind: Kind = _by_share(kinds if code == "en" else OTHER_KINDS, draw)
        speaker = grammar(code)
        text, before, signature = _telling(speaker, kind, draw)
        preface = ""
        if kind == "list" or (kind != "sums" and draw.chance(REPEATED)):
            preface = _preface(speaker, draw) if draw.chance(PREFACED) else ""
            text = f"{preface}{before}\n{text}"
        yield Document(code, kind, text, signature, preface)


def english_kinds(sums: float, worked: float) -> Mapping[Kind, float]:
    """The share of each kind of English document."""
    rest = 1 - sums - worked
    if min(sums, worked, rest) < 0:
        raise SettingError(f"sums {sums:g} and worked {worked:g} are shares of the English documents: 0 to 1 together")
    total = sum(ENGLISH_REST.values())
    return {"sums": sums, "worked": worked, **{kind: rest * share / total for kind, share in ENGLISH_REST.items()}}


def _preface(speaker: Grammar, draw: Draw) -> str:
    """One or two remarks, with the space or line break after them."""
    remarks = speaker.join.join(speaker.say(_remark(draw)) for _ in range(draw.number(1, 2)))
    return f"{remarks}{draw.one((speaker.join or ' ', chr(10)))}"


def _telling(speaker: Grammar, kind: Kind, draw: Draw) -> tuple[str, str, str | None]:
    """A text, its first telling, and the signature of its story.

    The first telling stands before the text in a document that says everything twice. It equals the text, but for a story
    worked out in plain words: there it is the story as first told.
    """
    match kind:
        case "sums":
            text = " ".join(speaker.compute(_sum(draw)) for _ in range(draw.number(3, 7)))
        case "sentences":
            events = [_remark(draw) for _ in range(draw.number(2, 4))]
            text = speaker.join.join(speaker.say(event) for event in events)
        case "list":
            text = ", ".join(_word_or_number(speaker, draw) for _ in range(draw.number(5, 12)))
        case "dictionary":
            text = "\n".join(_entry(speaker, draw) for _ in range(draw.number(2, 4)))
        case "switching":
            story = _story(draw)
            text = " ".join(_told(story, draw.shuffled((speaker, grammar("en")))))
            return text, text, story.signature
        case _:
            story = _story(draw)
            text = speaker.join.join(_told(story, [speaker]))
            if kind == "worked":
                untold = replace(story, events=story.events[:-1])  # without the question
                total = [
                    TOTAL.format(n=speaker.number(last.result))
                    for last in story.steps[-1:]
                    if last.event < len(untold.events)  # unless the question asks for one operation more
                ]
                return speaker.join.join([*speaker.worked(untold), *total]), text, story.signature
            return text, text, story.signature
    return text, text, None


def _told(story: Story, speakers: Sequence[Grammar]) -> Iterator[str]:
    """The sentences of a story without its question, languages alternating."""
    native = story.native_digits and len(speakers) == 1
    for place, event in enumerate(story.events[:-1]):
        yield speakers[place % len(speakers)].say(event, native)


def _remark(draw: Draw) -> Event:
    """A sentence of general text, or sometimes a question unrelated to the text."""
    return _story(draw).events[-1] if draw.chance(ASKED) else general(_domain(draw), draw)


def _story(draw: Draw) -> Story:
    while (story := fill(draw.one(PLOTS), draw)).split != "text":
        pass
    return story


def _sum(draw: Draw) -> Step:
    """One operation on whole numbers, with its result within the world's bounds."""
    sign: Literal["+", "-", "×", "÷"] = draw.one(("+", "+", "-", "-", "×", "÷"))
    if sign in "+-":
        total = draw.number(3, LARGEST)
        part = draw.number(1, total - 1)
        left, right, result = (part, total - part, total) if sign == "+" else (total, part, total - part)
    else:
        right = draw.number(2, 9)
        left = draw.number(2, LARGEST // right)
        result = left * right
        if sign == "÷":
            left, result = result, left
        elif draw.chance(0.5):
            left, right = right, left
    return Step(0, Fraction(left), sign, Fraction(right), Fraction(result))


def _entry(speaker: Grammar, draw: Draw) -> str:
    """A word next to its English."""
    part = draw.one(("people", "things", "things", "stuff", "places"))
    words, english = getattr(speaker, part), getattr(grammar("en"), part)
    key = draw.one(sorted(words))
    return f"{speaker.word(words[key])}: {grammar('en').word(english[key])}"


def _word_or_number(speaker: Grammar, draw: Draw) -> str:
    part = draw.one(("people", "things", "stuff", "places", ""))
    if not part:
        return speaker.number(Fraction(draw.number(1, LARGEST)), native=draw.chance(0.25))
    return speaker.word(draw.one(list(getattr(speaker, part).values())))


def _domain(draw: Draw) -> Domain:
    domains: tuple[Domain, ...] = tuple(SETTINGS)
    return draw.one(domains)


def _by_share(shares: Mapping[Key, float], draw: Draw) -> Key:
    """A key, with the probability of its share."""
    reached = draw.number(0, 2**30 - 1) / 2**30 * sum(shares.values())
    for key, bound in zip(shares, accumulate(shares.values()), strict=True):
        if reached < bound:
            return key
    return key
