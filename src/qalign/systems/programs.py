"""Answers by programs: a model is asked for a program first, which is run, and for an answer in words where that gives none.

So MAmmoTH was measured (arXiv 2309.05653): a program that failed is followed by the same question in words, a program that
printed a wrong number is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ..evaluation import sandbox
from ..pipeline import Node, Stage, Work, in_order, local
from ..records import Prediction, read_jsonl, write_jsonl
from ..results.schema import ProgramCounts
from ..terminal import log
from .artifacts import PREDICTIONS, RECORDS, Answers, Records
from .ask import Ask
from .kinds import Judge

ENDS = "ends.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramConfig:
    """How systems that write programs are asked."""

    fallback: bool = True
    """A question whose program gives no number is asked again, for an answer in words."""


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How the program for a problem ended."""

    id: str
    language: str
    end: sandbox.End


class Programs(Answers, Records):
    """Answers by programs, and the problems that have none as records."""

    def ends(self) -> Iterator[ProgramEnd]:
        """How each program ended."""
        return read_jsonl(self.folder / ENDS, ProgramEnd)


@dataclass(frozen=True, eq=False, kw_only=True)
class RunPrograms(Stage[Programs]):
    """Runs the programs in answers."""

    version: ClassVar[int] = sandbox.VERSION
    on_device: ClassVar[bool] = False
    answers: Stage[Answers]
    problems: Stage[Records]
    sandbox: str
    """What runs programs that need more than plain arithmetic: `bubblewrap`, or `none`, where they are refused."""
    label: str = local(default="")
    """What people call the test set."""

    def run(self, work: Work) -> None:
        """Writes what the programs printed as answers, how each ended, and the problems without an answer."""
        asked = list(work.read(self.answers).predictions())
        ends = sandbox.run_all([one.text for one in asked], sandboxed=self.sandbox != NONE)
        write_jsonl(work.output / PREDICTIONS, map(_answer, asked, ends))
        rows = zip(asked, ends, strict=True)
        write_jsonl(work.output / ENDS, (ProgramEnd(one.id, one.language, ran.end) for one, ran in rows))
        without = {(one.language, one.id) for one, ran in zip(asked, ends, strict=True) if not _is_answered(one, ran)}
        problems = work.read(self.problems).problems()
        write_jsonl(work.output / RECORDS, (one for one in problems if (one.language, one.id) in without))
        if refused := sum(ran.end == "refused" for ran in ends):
            log(f"qalign: {self.label}: {refused} of {len(ends)} programs refused: {sandbox.fault()}")

    def size(self, runs: Path) -> str:
        """What runs the programs."""
        return without_sandbox([self]) or "programs of plain arithmetic interpreted, others in bubblewrap"


NONE = "none"


def _is_answered(asked: Prediction, ran: sandbox.Ran) -> bool:
    return ran.end == "ran" or (ran.end == "no program" and any(map(str.isdigit, asked.text)))


def _answer(asked: Prediction, ran: sandbox.Ran) -> Prediction:
    """The number that a program printed; the text itself where it is no program; else an empty answer."""
    if ran.end == "no program":
        return asked
    return replace(asked, text=ran.number or "", finish="stop" if ran.end == "ran" else asked.finish)


@dataclass(frozen=True, eq=False, kw_only=True)
class ThenInWords(Stage[Answers]):
    """The answers by programs. Where there is none, that in words."""

    on_device: ClassVar[bool] = False
    programs: Stage[Programs]
    words: Stage[Answers]

    def run(self, work: Work) -> None:
        """Writes the answers in the order of the problems."""
        words = {(one.language, one.id): one for one in work.read(self.words).predictions()}
        first = work.read(self.programs).predictions()
        write_jsonl(work.output / PREDICTIONS, (words.get((one.language, one.id), one) for one in first))


def by_programs(ask: Ask, label: str, config: ProgramConfig) -> Stage[Answers]:
    """Answers by programs, from the stage that would ask for them in words."""
    engine = NONE if sandbox.fault() else "bubblewrap"
    decoding = replace(ask.decoding, template=ask.decoding.template or "program")
    asked = replace(ask, name=f"{ask.name}-programs", decoding=decoding)
    ran = RunPrograms(
        name=ask.name.replace("generate", "programs"), answers=asked, problems=ask.records, sandbox=engine, label=label
    )
    if not config.fallback:
        return ran
    words = replace(ask, name=f"{ask.name}-words", records=ran)
    return ThenInWords(name=ask.name.replace("generate", "answers"), programs=ran, words=words)


def without_sandbox(stages: list[Node]) -> str:
    """What to say before programs run where there is no sandbox; empty where there is one or no programs are run."""
    if not any(isinstance(stage, RunPrograms) and stage.sandbox == NONE for stage in stages):
        return ""
    return f"programs that need more than plain arithmetic are refused, for there is no sandbox: {sandbox.fault()}"


def counts(judge: Judge, runs: Path) -> list[ProgramCounts]:
    """How the programs behind judgements ended, by language; none where no programs were run."""
    stage = next((stage for stage in in_order([judge]) if isinstance(stage, RunPrograms)), None)
    made = stage.result(runs) if stage else None
    if made is None:
        return []
    right = {(one.language, one.id): one.outcome == "correct" for one in judge.open(judge.folder(runs)).judgements()}
    ends, in_words = defaultdict[str, Counter[str]](Counter), Counter[str]()
    for one in made.ends():
        is_right = right[one.language, one.id]
        ran = "right" if is_right else "wrong"
        ends[one.language][ran if one.end == "ran" else one.end] += 1
        in_words[one.language] += is_right and one.end != "ran"
    return [
        ProgramCounts(language=code, ends=dict(found), right_in_words=in_words[code]) for code, found in ends.items()
    ]
