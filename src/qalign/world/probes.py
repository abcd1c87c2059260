"""What a base knows of language and of reasoning, asked before any fine-tuning.

A probe is a text and what has to follow it. The base is asked how likely that is, and whether it would write it itself.
No probe is a problem with its question, so probes choose a base without a look at what the systems are measured on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .draw import Draw
from .grammar import Grammar, grammar
from .plots import PLOTS, Event, Story, fill
from .text import documents

NEW = ("story", "sentences", "list")
"""The kinds of documents whose loss is taken: those that every language has."""
ASKED_OF_ENGLISH = ("sums", "first step", "second step")
COUNT = 40
"""Probes of a kind in a language."""

TITLES: Mapping[str, str] = {
    **{kind: f"a new document: {kind}" for kind in NEW},
    "retold": "a story told again after remarks",
    "word": "a word's English, within a story",
    "in English": "a story told again in English",
    "sums": "a sum",
    "first step": "the first step of a story",
    "second step": "the second step of a story",
}
"""What each kind of probe asks for. The last three need reasoning, all others language alone."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A text, and what has to follow."""

    kind: str
    """A key of `TITLES`."""
    language: str
    before: str
    after: str


def probes(languages: Sequence[str], count: int = COUNT) -> Iterator[Probe]:
    """The probes, kind by kind and language by language: the same on every machine.

    Their stories are of the base's own split, drawn anew. The base has read stories of this kind, and hardly one of these.
    """
    for kind in TITLES:
        for code in ("en",) if kind in ASKED_OF_ENGLISH else languages:
            draw = Draw(f"world probes {kind} {code}")
            made = 0
            while made < count:
                if (pair := _ask(kind, grammar(code), draw)) is not None:
                    yield Probe(kind, code, *pair)
                    made += 1


def _ask(kind: str, spoken: Grammar, draw: Draw) -> tuple[str, str] | None:
    """A text and what follows. None where the draw gives no such probe."""
    if kind in NEW:
        return _document(kind, spoken, draw)
    if kind == "sums":
        sign = draw.one(("+", "-"))
        left, right = draw.number(2, 49), draw.number(2, 49)
        if sign == "-":
            left += right
        return f"{left} {sign} {right} =", f" {left + right if sign == '+' else left - right}."
    story = _story(draw)
    return _STORIES[kind](story, spoken, draw)


def _document(kind: str, spoken: Grammar, draw: Draw) -> tuple[str, str]:
    """A document of the kind, told once."""
    seed = f"world probes {draw.number(0, 2**40)}"
    return "", next(one.text for one in documents(10**6, [spoken.code], seed) if one.kind == kind).split("\n")[-1]


def _story(draw: Draw) -> Story:
    while (story := fill(draw.one(PLOTS), draw, native_share=0.0)).split != "text" or len(story.events) < 3:
        pass
    return story


def _tell(spoken: Grammar, events: Sequence[Event]) -> str:
    return spoken.join.join(spoken.say(event) for event in events)


def _retold(story: Story, spoken: Grammar, draw: Draw) -> tuple[str, str]:
    told = _tell(spoken, story.events[:-1])
    return f"{spoken.say(_story(draw).events[-1])}{spoken.join or ' '}{told}\n", told


def _in_english(story: Story, spoken: Grammar, draw: Draw) -> tuple[str, str]:
    """After English, the story is told again in English: what the others could reach."""
    return f"{_tell(spoken, story.events[:-1])}\n", _tell(grammar("en"), story.events[:-1])


def _word(story: Story, spoken: Grammar, draw: Draw) -> tuple[str, str] | None:
    """A sentence, and the next one in English up to the thing that both are about."""
    first, second = story.events[:2]
    if first.item != second.item or not first.item:
        return None
    english = grammar("en")
    before, found, _ = english.say(second).partition(english.things[first.item][1])
    return (f"{spoken.say(first)} {before}".rstrip(" "), f" {found}") if found and before else None


def _step(number: int) -> Callable[[Story, Grammar, Draw], tuple[str, str] | None]:
    def ask(story: Story, spoken: Grammar, draw: Draw) -> tuple[str, str] | None:
        """The story worked out as far as the step; then the step."""
        if len(story.steps) <= number or story.steps[number].event >= len(story.events) - 1:
            return None
        said = list(spoken.worked(story))
        operations = [
            place for place, text in enumerate(said) if text in {spoken.compute(step) for step in story.steps}
        ]
        place = operations[number]
        return " ".join(said[:place]), f" {said[place]}"

    return ask


_STORIES: Mapping[str, Callable[[Story, Grammar, Draw], tuple[str, str] | None]] = {
    "retold": _retold,
    "word": _word,
    "in English": _in_english,
    "first step": _step(0),
    "second step": _step(1),
}
