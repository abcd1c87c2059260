"""No problem is in two of: training, development, test, the base's text. Shown over the whole of all corpora in two independent
ways: by the ids, which are signatures; and by the texts, read back word by word in whatever language and phrasing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import pytest
from reading_back import OPERATION, Tale, Told, read_back, statements, without_preface, without_total

from qalign.languages import STUDY
from qalign.world.augment import backward, rephrased, self_verification
from qalign.world.grammar import grammar
from qalign.world.plots import PLOTS, Event, Story
from qalign.world.sets import SIZES, large_english_set, rows, stories
from qalign.world.text import Document

SPLITS = {
    "gsm8k": "train",
    "gsm8kinstruct": "train",
    "development": "development",
    "development-out": "development",
    "mgsm": "test",
    "msvamp": "test",
}
"""The splits of the sets of stories; besides, `metamathqa` is for training, and the base's text a split of its own."""

OTHERS = [code for code in STUDY if code != "en"]
TELLING = ("story", "worked", "switching")
"""The kinds of document that tell a story."""

STATEMENTS_OF = {plot.name: [event.partition(":")[0] for event in plot.events[:-1]] for plot in PLOTS}


# --- the two ways -----------------------------------------------------------------------------------------------------


def problem_rows() -> Iterator[tuple[str, str, str, str]]:
    """(split, signature, language, question) of all problems but those of the large English set."""
    for name, split in SPLITS.items():
        role = "test" if split != "train" else "multilingual"
        for code, row in rows(name, role, STUDY if name != "gsm8k" else ["en"]):
            yield split, row["id"], code, row["question"]


def signatures(documents: list[Document]) -> dict[str, set[str]]:
    """By ids: the signatures of each split."""
    found: dict[str, set[str]] = {"text": {document.signature for document in documents if document.signature}}
    for split, signed, _, _ in problem_rows():
        found.setdefault(split, set()).add(signed)
    for role in ("questions", "answers"):
        found["train"] |= {row["id"] for _, row in rows("gsm8kinstruct", role, OTHERS)}
    found["train"] |= {row["id"].rsplit("/", 2)[0] for _, row in rows("metamathqa", "english", ["en"])}
    for name in ("mathinstruct", "evolved"):
        found["train"] |= {row["id"].rsplit("/", 1)[0] for _, row in rows(name, "english", ["en"])}
    return found


Tales = Mapping[str, Mapping[Tale, str]]
"""By split: each tale, and the signature that it is said to have."""


@pytest.fixture(scope="module")
def tales(text_documents: list[Document]) -> Tales:
    """By texts: what each split tells. Problems have their question at the end, the documents of the base none."""
    of_base = {tale_of(document): document.signature for document in text_documents if document.signature}
    found: dict[str, dict[Tale, str]] = {"text": of_base}
    for split, signed, code, question in problem_rows():
        found.setdefault(split, {})[read_back(question, code)] = signed
    for key, question, answer in large_english_set():
        found["train"][tale_of_large_set(question, answer)] = key.rsplit("/", 2)[0]
    return found


def tale_of(document: Document) -> Tale:
    """What a document of the base's text tells."""
    once = without_preface(document).split("\n")[0]
    return read_back(without_total(once), document.language, *(["en"] if document.kind == "switching" else []))


def tale_of_large_set(question: str, answer: str) -> Tale:
    """The problem that a row of the large English set is made from: x is what the answer finds."""
    concluded = re.search(r"The answer is (\d+)\.$", answer)
    assert concluded
    question = re.sub(r" If we know that the answer .* unknown x\?$", "", question)
    question, ended = re.subn(r" In the end \w+ has \d+ \w+\. What is the value of the unknown x\?$", "", question)
    tale = read_back(question, "en", unknown=Fraction(concluded[1]))
    return (*tale, Told("ask_now", tale[0].who, -1, None, None)) if ended else tale


def shared(by_split: Mapping[str, Collection[object]]) -> dict[tuple[str, str], set[object]]:
    """What two splits have in common, if any do."""
    pairs = {(a, b): set(by_split[a]) & set(by_split[b]) for a, b in combinations(sorted(by_split), 2)}
    return {pair: common for pair, common in pairs.items() if common}


# --- the claims -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_two_splits_share_an_id(text_documents: list[Document]) -> None:
    found = signatures(text_documents)
    assert {split: len(signed) for split, signed in found.items() if split in ("development", "test")} == {
        "development": SIZES["development"] + SIZES["development-out"],
        "test": SIZES["mgsm"] + SIZES["msvamp"],
    }
    assert min(len(found["train"]), len(found["text"])) > 10_000
    assert shared(found) == {}


@pytest.mark.slow
def test_no_two_splits_share_a_problem(tales: Tales) -> None:
    assert {split: len(problems) for split, problems in tales.items() if split in ("development", "test")} == {
        "development": SIZES["development"] + SIZES["development-out"],
        "test": SIZES["mgsm"] + SIZES["msvamp"],
    }, "in all languages a problem is the same, and different problems differ"
    assert min(len(tales["train"]), len(tales["text"])) > 10_000
    assert shared(tales) == {}


@pytest.mark.slow
def test_no_two_splits_tell_the_same_story(tales: Tales) -> None:
    """Nor the same story with another question: what a problem tells, and works out on the way, is not known from elsewhere."""
    told = {split: {statements(tale): signed for tale, signed in problems.items()} for split, problems in tales.items()}
    found = {
        pair: sorted(f"{told[pair[0]][tale]} = {told[pair[1]][tale]}" for tale in common)
        for pair, common in shared(told).items()
    }
    assert not found, "\n".join(f"{a} and {b} share {len(each)}: {each[:4]}" for (a, b), each in found.items())


@pytest.mark.slow
def test_the_signatures_say_what_the_texts_say(tales: Tales) -> None:
    for split, problems in tales.items():
        for tale, signed in problems.items():
            told = statements(tale)
            numbers = [str(number) for one in told for number in (one.k, one.n) if number is not None]
            plot, *said = signed.split()
            assert said == numbers, (split, signed, tale)
            assert [one.kind for one in told] == STATEMENTS_OF[plot], (split, signed, tale)


@pytest.mark.slow
def test_what_tells_no_story_holds_no_problem(text_documents: list[Document]) -> None:
    """Sums without a story; lists of single words and numbers; and sentences without a number."""
    for document in text_documents:
        assert (document.kind in TELLING) == (document.signature is not None)
        if document.kind == "sums":
            assert re.fullmatch(rf"({OPERATION}\.\s?)+", document.text), document
        elif document.kind == "list":
            items = [item for line in without_preface(document).split("\n") for item in line.split(", ")]
            assert all(re.fullmatch(r"\d+", item) or not re.search(r"[\d.?!।。？]", item) for item in items), document
        elif document.kind not in TELLING:
            assert not re.search(r"\d", document.text), document
    for code, row in rows("flores", "general", OTHERS):
        assert not re.search(r"\d", row["text"] + row["text_en"]), code


# --- and that they can fail -------------------------------------------------------------------------------------------


def retold(story: Story) -> Story:
    """The same problem with other people and things, in other places, each sentence phrased the other way."""
    english = grammar("en")

    def next_of(key: str, keys: Collection[str]) -> str:
        known = list(keys)
        return known[(known.index(key) + 1) % len(known)] if key else ""

    def moved(event: Event) -> Event:
        return replace(
            event, phrasing=1 - event.phrasing,
            who=next_of(event.who, english.people), other=next_of(event.other, english.people),
            item=next_of(event.item, english.things), stuff=next_of(event.stuff, english.stuff),
            container=next_of(event.container, english.containers), place=next_of(event.place, english.places),
        )  # fmt: skip

    return replace(story, events=tuple(map(moved, story.events)), native_digits=not story.native_digits)


@pytest.mark.parametrize("code", STUDY)
@pytest.mark.parametrize("name", ["mgsm", "msvamp"])
def test_a_planted_leak_is_found(name: str, code: str) -> None:
    """A problem of the test, retold: as a problem in training, and as a story in the base's text."""
    english, said = grammar("en"), grammar(code)
    for story in {story.plot: story for story in stories(name)}.values():
        tested = {read_back(english.question(story), "en"): ""}
        planted = read_back(said.question(retold(story)), code)
        assert shared({"test": tested, "train": {planted: ""}}) == {("test", "train"): {planted}}
        document = Document(code, "story", said.join.join(map(said.say, retold(story).events[:-1])) + "\n", "")
        assert tale_of(document) == statements(planted)
        assert shared({"test": {statements(tale) for tale in tested}, "text": {tale_of(document)}})
        assert shared({"test": {story.signature}, "text": {retold(story).signature}})


def test_a_planted_leak_is_found_when_rephrased_or_backward() -> None:
    made = 0
    for story in {story.plot: story for story in stories("mgsm")}.values():
        for kind in (rephrased, backward, self_verification):
            if pair := kind(retold(story)):
                made += 1
                assert tale_of_large_set(*pair) == read_back(grammar("en").question(story), "en"), kind.__name__
    assert made > 60


def test_another_problem_is_no_leak() -> None:
    """One number more, or the giver and the receiver exchanged."""
    said = grammar("en")
    story = next(story for story in stories("mgsm") if story.plot == "give")
    have, give, ask = story.events
    assert give.n is not None
    more = replace(story, events=(have, replace(give, n=give.n + 1), ask))
    exchanged = replace(story, events=(have, replace(give, who=give.other, other=give.who), ask))
    other_question = replace(story, events=(have, give, replace(ask, who=give.other)))
    read = [read_back(said.question(one), "en") for one in (story, more, exchanged, other_question)]
    assert len(set(read)) == 4
    assert statements(read[0]) == statements(read[3])
