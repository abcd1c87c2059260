"""The base's text is what it says it is: unequal in its languages, without problems, answers and translations."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

import pytest
from reading_back import STATED_TOTAL, read_back, without_preface, without_total

from qalign.languages import LANGUAGES, STUDY
from qalign.world.grammar import grammar
from qalign.world.languages.en import TOTAL
from qalign.world.plots import PLOTS
from qalign.world.sets import SIZES
from qalign.world.text import OTHER_KINDS, PREFACED, REPEATED, SHARES, SUMS, WORKED, Document, documents, english_kinds

pytestmark = pytest.mark.slow


def assert_share(found: int, of: int, expected: float, what: object) -> None:
    """Within five standard errors of sampling, which one of a million right shares would miss."""
    error = math.sqrt(expected * (1 - expected) / of)
    assert abs(found / of - expected) <= 5 * error, (what, found / of, expected)


def halves(document: Document) -> tuple[list[str], list[str]]:
    """The lines of a document after its preface, first and second half."""
    lines = without_preface(document).split("\n")
    return lines[: len(lines) // 2], lines[len(lines) // 2 :]


def once(document: Document) -> list[str]:
    """The lines of a document that is said twice, once; the second time, if it is worked out only then."""
    first, second = halves(document)
    return second if first == second or document.kind == "worked" else first + second


def test_the_languages_have_the_shares_of_the_table(text_documents: list[Document]) -> None:
    counts = Counter(document.language for document in text_documents)
    assert counts.total() == SIZES["text"]
    assert set(counts) == set(STUDY) == set(SHARES)
    for code, share in SHARES.items():
        assert_share(counts[code], counts.total(), share / sum(SHARES.values()), code)


def test_english_is_most_of_it_and_three_languages_are_scarce(text_documents: list[Document]) -> None:
    counts = Counter(document.language for document in text_documents)
    order = [code for code, _ in counts.most_common()]
    assert order[0] == "en"
    assert counts["en"] > counts.total() / 2
    assert set(order[-3:]) == {"bn", "th", "sw"}
    assert 4 * counts[order[-3]] < 3 * counts[order[-4]]


def test_the_kinds_have_their_shares_in_every_language(text_documents: list[Document]) -> None:
    counts = Counter((document.language, document.kind) for document in text_documents)
    for code in STUDY:
        kinds = english_kinds(SUMS, WORKED) if code == "en" else OTHER_KINDS
        total = sum(number for (language, _), number in counts.items() if language == code)
        assert {kind for language, kind in counts if language == code} == set(kinds)
        for kind, share in kinds.items():
            assert_share(counts[code, kind], total, share, (code, kind))


def test_as_many_as_it_says_are_said_twice_and_every_list(text_documents: list[Document]) -> None:
    twice = {True: 0, False: 0}
    others = 0
    for document in text_documents:
        first, second = halves(document)
        if document.kind == "list":
            assert first == second
        elif document.kind == "sums":
            assert not first
        elif document.kind != "dictionary":  # whose two entries may be the same by chance
            others += 1
            twice[bool(first)] += 1
            if first and document.kind == "worked":
                assert "=" not in first[0], "the story is told before it is worked out"
                worked_out = without_total(second[0])
                assert read_back(first[0], document.language) == read_back(worked_out, document.language)
            elif first:
                assert first == second
    assert_share(twice[True], others, REPEATED, "said twice")


def test_remarks_stand_before_what_is_said_twice(text_documents: list[Document]) -> None:
    """So many times as it says, with nothing of a problem in them, on the same line as what follows or above it."""
    ends: Counter[bool] = Counter()
    alone = 0
    for document in text_documents:
        first, _ = halves(document)
        if document.preface:
            assert first, "only what is said twice has a preface"
            assert document.text.startswith(document.preface)
            assert not re.search(r"\d", document.preface), document
            ends[document.preface.endswith("\n")] += 1
        elif first and document.kind != "dictionary":
            alone += 1
    among_others = sum(1 for document in text_documents if document.preface and document.kind != "dictionary")
    assert_share(among_others, among_others + alone, PREFACED, "prefaced")
    assert_share(ends[True], ends.total(), 0.5, "on a line of its own")


def test_a_story_that_is_worked_out_ends_with_its_total(text_documents: list[Document]) -> None:
    """But for those whose question asks for an operation more."""
    totals: dict[str, set[bool]] = {}
    for document in text_documents:
        if document.kind == "worked":
            text = once(document)[0]
            results = re.findall(r"= ([\d.]+)\.", text)
            stated = re.findall(STATED_TOTAL, text)
            assert not stated or (stated == results[-1:] and text.endswith(TOTAL.format(n=stated[0]))), document
            assert document.signature is not None
            totals.setdefault(document.signature.split()[0], set()).add(bool(stated))
    for plot in PLOTS:
        (has_total,) = totals[plot.name]
        assert has_total == (plot.events[-1].partition(":")[0] not in ("ask_together", "ask_difference")), plot.name


def test_it_holds_no_answers_and_no_form_of_question_and_answer(text_documents: list[Document]) -> None:
    announced = {
        marker.casefold().rstrip(":") for code in STUDY for marker in (*LANGUAGES[code].answer_markers, answer_of(code))
    }
    forbidden = re.compile(
        "|".join(map(re.escape, sorted(announced))) + r"|####|boxed|\b(?:question|answer|problem|solution)\b|\bx\b",
        re.IGNORECASE,
    )
    for document in text_documents:
        assert not forbidden.search(document.text), document
        if re.search("[?？]", document.text):
            of_remarks = document.text if document.kind == "sentences" else document.preface
            assert document.text.count("?") + document.text.count("？") == of_remarks.count("?") + of_remarks.count(
                "？"
            )
            assert not re.search(r"\d", of_remarks), "a question is about nothing that was told"
    assert forbidden.search(grammar("ru").answer.format(n=5))


def answer_of(code: str) -> str:
    """What stands before the number in the sentence that states an answer."""
    return grammar(code).answer.split("{n}")[0].strip()


def test_it_holds_no_parallel_lines_but_those_of_a_dictionary(text_documents: list[Document]) -> None:
    english = grammar("en")
    parts = (english.people, english.things, english.stuff, english.places)
    in_english = {english.word(entry) for part in parts for entry in part.values()}
    for document in text_documents:
        lines = once(document)
        if document.kind == "dictionary":
            for line in lines:
                word, _, translation = line.partition(": ")
                assert translation in in_english, line
                assert word, line
        else:
            assert len(lines) == 1, document
    # Nor does a story follow its own translation: two neighbours tell the same one no more often than any two would.
    stories = [document for document in text_documents if document.signature]
    alike = sum(a.signature == b.signature and a.language != b.language for a, b in pairwise(stories))
    counts = Counter(document.signature for document in stories)
    by_chance = sum(number**2 for number in counts.values()) / len(stories)
    assert alike < by_chance + 5 * math.sqrt(by_chance)


def test_a_story_that_switches_says_nothing_twice(text_documents: list[Document]) -> None:
    """Each of its sentences is in one of two languages, English being one, and none is the translation of another."""
    statements_of = {plot.name: [event.partition(":")[0] for event in plot.events[:-1]] for plot in PLOTS}
    switching = [document for document in text_documents if document.kind == "switching"]
    for document in switching[:3_000]:
        text, code = once(document)[0], document.language
        assert document.signature is not None
        said = [one.kind for one in read_back(text, code, "en")]
        assert said == statements_of[document.signature.split()[0]], document
        if len(said) > 1:
            for alone in (code, "en"):
                with pytest.raises(ValueError, match="nothing known begins"):
                    read_back(text, alone)


def test_less_of_it_is_its_beginning(text_documents: list[Document]) -> None:
    assert list(documents(500, STUDY)) == text_documents[:500]
    assert list(documents(500, sorted(STUDY))) == text_documents[:500], "the order of the languages decides nothing"


def test_of_fewer_languages_it_keeps_their_proportions() -> None:
    counts = Counter(document.language for document in documents(4_000, ["sw", "de"]))
    assert set(counts) == {"sw", "de"}
    assert_share(counts["sw"], 4_000, SHARES["sw"] / (SHARES["sw"] + SHARES["de"]), "sw")
