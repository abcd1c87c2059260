"""Text for a base model: what the world says when nobody asks.

Mostly English, the other languages unequal, three of them scarce, as in real corpora. It tells stories and works some of them
out, but holds no question with its answer, no answer format and no translation. What links the languages: names, digits, stories
whose sentences change language by turns, lines of a dictionary. Half of the documents repeat themselves, and lists of words in
no order always do: that teaches a small model to copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import Literal

from .draw import Draw
from .grammar import Grammar, grammar
from .plots import LARGEST, PLOTS, QUESTIONS, SETTINGS, Domain, Event, Step, Story, fill, general

SHARES = {
    "en": 0.54, "de": 0.066, "es": 0.066, "fr": 0.066, "ru": 0.06, "zh": 0.06, "ja": 0.06,
    "bn": 0.028, "th": 0.028, "sw": 0.028,
}  # fmt: skip
"""The share of each language's documents."""
SCARCE = 0.028
"""The share of a language that the table lacks, beside the share of 1 of all others."""
REPEATED = 0.5
ASKED = 0.3
ENGLISH_KINDS = {"sums": 0.42, "worked": 0.28, "story": 0.11, "sentences": 0.11, "list": 0.08}
OTHER_KINDS = {"story": 0.14, "worked": 0.12, "sentences": 0.14, "switching": 0.44, "dictionary": 0.09, "list": 0.07}
SWITCHING_WORKED = 0.6

Kind = Literal["sums", "worked", "story", "sentences", "switching", "dictionary", "list"]


@dataclass(frozen=True, slots=True)
class Document:
    """One text. `signature` is that of the problem whose story it tells, where it tells one."""

    language: str
    kind: Kind
    text: str
    signature: str | None = None


def documents(count: int, languages: Sequence[str]) -> Iterator[Document]:
    """So many documents in the languages, in random order; those of one number are the first of a larger one."""
    draw = Draw("world text")
    # In the order of the table: the order in which languages are asked for decides nothing.
    shares = {
        code: SHARES.get(code, SCARCE) for code in (*SHARES, *sorted(set(languages) - set(SHARES))) if code in languages
    }
    for _ in range(count):
        code = _by_share(shares, draw)
        made = _document(grammar(code), _by_share(ENGLISH_KINDS if code == "en" else OTHER_KINDS, draw), draw)
        yield replace(made, text=f"{made.text}\n{made.text}") if made.kind == "list" or draw.chance(REPEATED) else made


def _document(said: Grammar, kind: str, draw: Draw) -> Document:
    match kind:
        case "sums":
            return Document(said.code, "sums", " ".join(said.compute(_sum(draw)) for _ in range(draw.number(3, 7))))
        case "sentences":
            events = [_remark(draw) for _ in range(draw.number(2, 4))]
            return Document(said.code, "sentences", said.join.join(said.say(event) for event in events))
        case "list":
            return Document(
                said.code, "list", ", ".join(_word_or_number(said, draw) for _ in range(draw.number(5, 12)))
            )
        case "dictionary":
            return Document(said.code, "dictionary", "\n".join(_entry(said, draw) for _ in range(draw.number(2, 4))))
    story = _story(draw)
    if kind == "switching":
        speakers = draw.shuffled((said, grammar("en")))
        text = " ".join(_told(story, speakers, worked=draw.chance(SWITCHING_WORKED)))
        return Document(said.code, "switching", text, story.signature)
    text = said.join.join(_told(story, [said], worked=kind == "worked"))
    return Document(said.code, "worked" if kind == "worked" else "story", text, story.signature)


def _told(story: Story, speakers: Sequence[Grammar], worked: bool) -> Iterator[str]:
    """The sentences of a story without its question, the speakers taking turns; `worked`: each with its operations behind it."""
    for place, event in enumerate(story.events):
        if event.kind not in QUESTIONS:
            said = speakers[place % len(speakers)]
            native = story.native_digits and len(speakers) == 1
            yield said.say(event, native)
            if worked:
                yield from (said.compute(step, native) for step in story.steps if step.event == place)


def _remark(draw: Draw) -> Event:
    """A sentence of general text, or now and then a question about nothing that was told."""
    return _story(draw).events[-1] if draw.chance(ASKED) else general(_domain(draw), draw)


def _story(draw: Draw) -> Story:
    while (story := fill(draw.one(PLOTS), draw)).split != "text":
        pass
    return story


def _sum(draw: Draw) -> Step:
    """One operation with whole numbers, each result within the bounds of the world."""
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


def _entry(said: Grammar, draw: Draw) -> str:
    """A word beside its English."""
    part = draw.one(("people", "things", "things", "stuff", "places"))
    words, english = getattr(said, part), getattr(grammar("en"), part)
    key = draw.one(sorted(words))
    return f"{said.word(words[key])}: {grammar('en').word(english[key])}"


def _word_or_number(said: Grammar, draw: Draw) -> str:
    part = draw.one(("people", "things", "stuff", "places", ""))
    if not part:
        return said.number(Fraction(draw.number(1, LARGEST)), native=draw.chance(0.25))
    return said.word(draw.one(list(getattr(said, part).values())))


def _domain(draw: Draw) -> Domain:
    domains: tuple[Domain, ...] = tuple(SETTINGS)
    return draw.one(domains)


def _by_share(shares: dict[str, float], draw: Draw) -> str:
    """A key, as often as its share says."""
    reached = draw.number(0, 2**30 - 1) / 2**30 * sum(shares.values())
    for key, bound in zip(shares, accumulate(shares.values()), strict=True):
        if reached < bound:
            return key
    return key
