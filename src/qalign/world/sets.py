"""The corpora of the world: small mirrors of those of the study, generated.

gsm8k           English problems with worked answers.

gsm8kinstruct   The same problems in every language, one problem per row.

gsm8kinstruct-cross   The same, with English questions and the answers in each language.

metamathqa      Many English problems: new, rephrased, and two kinds backward, as in arXiv 2309.12284.

mathinstruct    Many English problems with worked answers or with programs, see `programs.py`.

evolved         English problems made of those of gsm8k, see `evolve.py`.

flores          General sentences paired with English ones.

mgsm            Test problems with the same plots, people and things.

msvamp          Test problems with other plots, people and things.

development     Problems like those of mgsm, and development-out like those of msvamp, to choose settings on.

text            Plain text for a base model, see `text.py`.

They are the same on every machine. The id of a problem is its signature: its plot and its numbers. Translations of a
problem share it, and no two splits do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from .augment import backward, rephrased, self_verification
from .draw import Draw
from .evolve import evolved
from .grammar import grammar
from .plots import PLOTS, SETTINGS, Domain, Event, Plot, Split, Story, fill, general
from .programs import mixture
from .text import documents

VERSION = 4
"""Part of the identity of every corpus of the world. It is incremented when a byte of any of them changes."""

SIZES: Mapping[str, int] = {
    "gsm8k": 400,
    "gsm8kinstruct": 400,
    "gsm8kinstruct-cross": 400,
    "metamathqa": 24_000,
    "mathinstruct": 24_000,
    "evolved": 1_000,
    "flores": 400,
    "mgsm": 200,
    "msvamp": 200,
    "development": 100,
    "development-out": 100,
    "text": 40_000,
}
"""Rows per language. For `text`, documents in all languages: a base reads more of them (`qalign world base`)."""

AUGMENTED = 0.1
"""The share of the large English set derived from its other problems, in three equal parts."""

Row = dict[str, str]


def rows(name: str, role: str, languages: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a corpus in a role as (language, row), language by language.

    Raises:
        SettingError: the world does not speak one of the languages.
    """
    for code in languages:
        grammar(code)
    if name == "text":
        for place, document in enumerate(documents(SIZES[name], languages)):
            yield document.language, {"id": str(place), "text": document.text}
        return
    for code in languages:
        for key, row in _rows(name, role, code):
            yield code, {"id": key, **row}


def _rows(name: str, role: str, code: str) -> Iterator[tuple[str, Row]]:
    said, english = grammar(code), grammar("en")
    if name == "metamathqa":
        yield from ((key, {"question": q, "answer": a}) for key, q, a in large_english_set())
        return
    if name == "mathinstruct":
        yield from mixture(SIZES[name])
        return
    if name == "evolved":
        yield from evolved(stories("gsm8k"), SIZES[name])
        return
    if name == "flores":
        yield from (
            (str(place), {"text": said.say(event), "text_en": english.say(event)})
            for place, event in enumerate(sentences(SIZES[name]))
        )
        return
    for story in stories(name):
        question, answer = said.question(story), said.solution(story)
        if name == "gsm8kinstruct-cross":
            question = english.question(story)
        columns: Row = {
            "questions": {"question": question, "question_en": english.question(story)},
            "answers": {"answer": answer, "answer_en": english.solution(story)},
            "test": {"question": question, "answer": str(story.answer)},
        }.get(role, {"question": question, "answer": answer, "gold": str(story.answer)})
        yield story.signature, columns


@cache
def stories(name: str) -> tuple[Story, ...]:
    """The stories of a set, all of them different problems."""
    size = SIZES[name]
    match name:
        case "gsm8k" | "gsm8kinstruct" | "gsm8kinstruct-cross":
            return _different("small", "train", "in", size)
        case "mgsm":
            return _different("test", "test", "in", size)
        case "msvamp":
            return _different("test", "test", "out", size)
        case _:
            return _different("development", "development", "out" if name.endswith("out") else "in", size)


def _different(seed: str, split: Split, domain: Domain, count: int) -> tuple[Story, ...]:
    draw = Draw(f"world {seed} {domain}")
    found: dict[str, Story] = {}
    plots = [plot for plot in PLOTS if plot.domain == domain]
    turn = 0
    while len(found) < count:
        # Every plot in turn; one that has no further problem in this split (few numbers to choose from) is passed over.
        story = _of_split(plots[turn % len(plots)], split, draw)
        if story is not None:
            found.setdefault(story.signature, story)
        turn += 1
    return tuple(draw.shuffled(list(found.values())))


def _of_split(plot: Plot, split: Split, draw: Draw) -> Story | None:
    """A story of the plot that belongs to the split.

    None if none comes up: a plot with few problems may have none in the split.
    """
    for _ in range(100):
        if (story := fill(plot, draw)).split == split:
            return story
    return None


@cache
def large_english_set() -> tuple[tuple[str, str, str], ...]:
    """Ids, questions and worked answers of the large English set.

    The problems of the small set come first, then new ones. A tenth of them is rephrased, turned into a statement to verify,
    or asked backward. No two questions are alike. An id consists of the signature of the original problem, the kind of change,
    and a number.
    """
    draw, english = Draw("world large"), grammar("en")
    plots = [plot for plot in PLOTS if plot.domain == "in"]
    kinds = (rephrased, self_verification, backward)
    rows_by_question = {
        english.question(story): (story.signature, "new", english.solution(story)) for story in stories("gsm8k")
    }
    while len(rows_by_question) < SIZES["metamathqa"]:
        story = _of_split(draw.one(plots), "train", draw)
        if story is None:
            continue
        story = replace(story, native_digits=False)
        change = draw.one(kinds) if draw.chance(AUGMENTED) else None
        pair = change(story) if change else (english.question(story), english.solution(story))
        if pair is not None:
            rows_by_question.setdefault(pair[0], (story.signature, change.__name__ if change else "new", pair[1]))
    chosen = draw.shuffled(list(rows_by_question.items()))
    return tuple((f"{signed}/{kind}/{n}", q, a) for n, (q, (signed, kind, a)) in enumerate(chosen))


def sentences(count: int) -> tuple[Event, ...]:
    """Different sentences of general text in both domains.

    They use all words and say nothing of problems.
    """
    draw = Draw("world general")
    domains: tuple[Domain, ...] = tuple(SETTINGS)
    found: dict[Event, None] = {}
    while len(found) < count:
        found.setdefault(general(draw.one(domains), draw))
    return tuple(found)
