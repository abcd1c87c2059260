"""MetaMath's augmentation and WizardMath's evolution as stages: a teacher replies, and filters keep what is right.

Sources: arXiv 2309.12284 and arXiv 2308.09583."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from .. import world
from ..alignment import augmentation
from ..alignment.augmentation import Backward, Evolution, Kind, Phrases, original_of, reply, variant_id
from ..corpora import CORPORA
from ..errors import DataError
from ..evaluation.extraction import strict
from ..languages import Language, as_rows
from ..numbers import find_numbers, parse_gold
from ..pipeline import Stage, Work
from ..records import Prediction, Problem, sha256, write_jsonl
from ..world.augment import rephrased, statement, worked_backward
from ..world.grammar import grammar
from ..world.languages.en import BACKWARD, UNKNOWN
from ..world.plots import Story
from ..world.sets import stories
from .artifacts import PREDICTIONS, RECORDS, Answers, Records
from .keep import Filter, Keep, Selection
from .kinds import ReadCorpus, Rows, languages_of
from .study import Study

Wanted = Literal["answer", "rephrasing", "statement"]
WORLD_PHRASES = {"en": (f" {BACKWARD}", f" {UNKNOWN}")}
TOLD = ("gsm8k", "gsm8kinstruct")
"""The sets of the world whose problems the world itself can say in other words."""


def _said(answer: Prediction) -> tuple[str, str]:
    """The text of a teacher's reply, and why it cannot be used; empty where it can."""
    text, ran_on = reply(answer.text)
    return text, "truncated" if answer.finish == "length" and not ran_on else "" if text else "no text"


@dataclass(frozen=True)
class FromReplies(Filter):
    """A variant of the problem for each reply that makes one."""

    kind: Kind

    @abstractmethod
    def made(self, problem: Problem, text: str, row: Language) -> Problem | str:
        """The variant that a reply makes, or why it is left out."""

    def kept(self, problem: Problem, answers: Sequence[Prediction], row: Language) -> Selection:
        """The variants, each once."""
        found, reasons = dict[Problem, None](), Counter[str]()
        for answer in answers:
            text, fault = _said(answer)
            made = fault or self.made(problem, text, row)
            if isinstance(made, str) or made in found:
                reasons[made if isinstance(made, str) else "same text"] += 1
            else:
                found[made] = None
        return [replace(one, id=variant_id(one.id, self.kind, n)) for n, one in enumerate(found)], reasons


class RightAnswers(FromReplies):
    """The problem with each answer that gives its number."""

    def made(self, problem: Problem, text: str, row: Language) -> Problem | str:
        """The problem with the answer."""
        if problem.gold is None:
            return "no gold answer"
        read = strict(text, problem.gold, row, "stop")
        if not read.right:
            return "no number" if read.value is None else "wrong number"
        return replace(problem, answer=text, source=f"{problem.source} ({self.kind})")


class Rephrasings(FromReplies):
    """The problem in other words. Its answers show whether it is still the same."""

    def made(self, problem: Problem, text: str, row: Language) -> Problem | str:
        """The problem with the new question."""
        is_same = text.split() == problem.question.split()
        return "same text" if is_same else replace(problem, question=text, answer=None)


class Evolutions(Rephrasings):
    """Problems evolved from the problem. What they ask for is not known yet."""

    def made(self, problem: Problem, text: str, row: Language) -> Problem | str:
        """The problem with the new question, and without a gold answer."""
        made = super().made(problem, text, row)
        return made if isinstance(made, str) else replace(made, gold=None)


@dataclass(frozen=True)
class Agreed(Filter):
    """The problem with the number that more than half of its answers give, two at least, and the first of these answers."""

    def kept(self, problem: Problem, answers: Sequence[Prediction], row: Language) -> Selection:
        """The problem, or nothing where the answers differ."""
        texts, reasons = dict[str, list[str]](), Counter[str]()
        for answer in answers:
            text, fault = _said(answer)
            value = None if fault else strict(text, "0", row, "stop").value
            if value is None:
                reasons[fault or "no number"] += 1
            else:
                texts.setdefault(value, []).append(text)
        for value, equal in texts.items():
            if len(equal) > max(1, len(answers) / 2):
                others = sum(map(len, texts.values())) - len(equal)
                reasons += Counter({"same number": len(equal) - 1, "another number": others})
                return [replace(problem, answer=equal[0], gold=value)], reasons
        reasons["answers differ"] += sum(map(len, texts.values()))
        return [], +reasons


@dataclass(frozen=True)
class Statements(FromReplies):
    """The backward problem with a statement in the place of its last sentence."""

    takes: ClassVar[type[Problem]] = Backward
    phrases: Phrases

    def made(self, problem: Problem, text: str, row: Language) -> Problem | str:
        """The problem with the statement."""
        assert isinstance(problem, Backward)
        if parse_gold(problem.known) not in [number.value for number in find_numbers(text, row)]:
            return "answer not stated"
        question = augmentation.verified(problem, text, row, self.phrases)
        if question is None:
            return "unknown not kept"
        return Problem(
            id=problem.id, language=problem.language, question=question, answer=None, gold=problem.gold,
            source=problem.source,
        )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class BackwardQuestions(Stage[Records]):
    """Asks each problem backward, once for each of its numbers. Needs no model."""

    on_device: ClassVar[bool] = False
    problems: Stage[Records]
    kind: Literal["SV", "FOBAR"]
    phrases: Phrases
    languages: Rows

    def run(self, work: Work) -> None:
        """Writes the backward problems."""
        rows, problems = languages_of(self.languages), list(work.read(self.problems).problems())
        made = [one for p in problems for one in augmentation.backward(p, rows[p.language], self.kind, self.phrases)]
        if not made:
            lacking = "a final number (column gold, or #### in the answer) and numbers in their questions"
            raise DataError(f"none of {len(problems):,} problems can be asked backward; give problems with {lacking}")
        write_jsonl(work.output / RECORDS, made)

    def size(self, runs: Path) -> str:
        """Unknown before: it depends on the numbers of the questions."""
        return "a question for each number of each problem"


@dataclass(frozen=True, eq=False, kw_only=True)
class WorldReplies(Stage[Answers]):
    """What the embedded world itself replies about problems of a set. It knows the story of each."""

    on_device: ClassVar[bool] = False
    records: Stage[Records]
    corpus: str
    wanted: Wanted
    revision: str = f"world-{world.VERSION}"

    def run(self, work: Work) -> None:
        """Writes a reply to each record, empty where the world has none."""
        told = {story.signature: story for story in stories(self.corpus)}
        replies = []
        for problem in work.read(self.records).problems():
            original, kind, number = original_of(problem.id)
            text = self._said(told[original], kind, number)
            said = Prediction(
                id=problem.id, language=problem.language, text=text, prompt_sha256=sha256(""), tokens=len(text.split()),
                finish="stop",
            )  # fmt: skip
            replies.append(said)
        write_jsonl(work.output / PREDICTIONS, replies)

    def size(self, runs: Path) -> str:
        """It has one reply to a record at most."""
        return "what the world replies"

    def _said(self, story: Story, kind: str, number: int) -> str:
        if self.wanted == "rephrasing":
            return rephrased(story)[0]
        if self.wanted == "statement":
            return statement(story)
        if kind in ("SV", "FOBAR"):  # the world goes back to the first number alone
            return "" if number else worked_backward(story)
        return grammar("en").solution(story)


def augmented(study: Study, problems: ReadCorpus, sampled: Callable[[], Stage[Answers]]) -> list[Keep]:
    """The problems with new answers, rephrased, and asked backward in two ways: a stage of records each.

    The study's teacher replies, by default the base. In the embedded world the world itself does. It has one answer to a
    problem, so `sampled` gives the new ones.
    """
    told = CORPORA[problems.source.name].world if problems.source.name in CORPORA else None
    phrases, languages = WORLD_PHRASES if told else augmentation.PHRASES, as_rows(problems.languages, study.table)
    if told not in TOLD or study.teacher is not None:
        told = None

    def asked(what: str, wanted: Wanted, records: Stage[Records]) -> Stage[Answers]:
        if told is None:
            return study.taught(f"ask-{what}", records, augmentation.PROMPTS[wanted])
        return WorldReplies(name=f"ask-{what}", records=records, corpus=told, wanted=wanted)

    def answered(kind: Kind, records: Stage[Records]) -> Keep:
        return _kept(kind, records, asked(kind.lower(), "answer", records), RightAnswers(kind), languages)

    def backward(kind: Literal["SV", "FOBAR"]) -> BackwardQuestions:
        name = f"backward-{kind.lower()}"
        return BackwardQuestions(name=name, problems=problems, kind=kind, phrases=phrases, languages=languages)

    masked = backward("SV")
    replies = asked("rephrasings", "rephrasing", problems), asked("statements", "statement", masked)
    rephrasings = _kept("Rephrased, questions", problems, replies[0], Rephrasings("Rephrased"), languages)
    statements = _kept("SV, questions", masked, replies[1], Statements("SV", phrases), languages)
    if told is None:
        new = answered("AnsAug", problems)
    else:
        new = _kept("AnsAug", problems, sampled(), RightAnswers("AnsAug"), languages)
    return [new, answered("Rephrased", rephrasings), answered("SV", statements), answered("FOBAR", backward("FOBAR"))]


def evolved(study: Study, problems: ReadCorpus) -> list[Keep]:
    """Harder, easier and other problems that the study's teacher makes, each kept where the teacher's answers agree."""
    languages, found = as_rows(problems.languages, study.table), []
    for kind in get_args(Evolution):
        name = kind.lower()
        replies = study.taught(f"ask-{name}-questions", problems, augmentation.PROMPTS[name])
        questions = _kept(f"{kind}, questions", problems, replies, Evolutions(kind), languages)
        answers = study.taught(f"ask-{name}", questions, augmentation.PROMPTS["answer"])
        found.append(_kept(kind, questions, answers, Agreed(), languages))
    return found


def _kept(label: str, records: Stage[Records], replies: Stage[Answers], keep: Filter, languages: Rows) -> Keep:
    name = f"kept-{label.lower().replace(', ', '-')}"
    return Keep(name=name, label=label, answers=(replies,), problems=records, filter=keep, languages=languages)
