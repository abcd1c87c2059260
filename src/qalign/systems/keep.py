"""Keeping what is worth training on of a model's answers: a filter, and a stage that counts what it leaves out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

from ..evaluation import rejection
from ..languages import Language
from ..own_code import is_own, own_faults
from ..pipeline import Stage, Work, local, plain
from ..pipeline.stage import Plain
from ..placement import Placement
from ..records import Prediction, Problem, write_json, write_jsonl
from .artifacts import COUNTS, RECORDS, REJECTIONS, Answers, Kept, Records
from .kinds import Rows, languages_of

Selection = tuple[list[Problem], Counter[str]]
"""Records, and how many answers were left out, by reason."""


@dataclass(frozen=True)
class Filter(ABC):
    """Which answers to a problem become records. Its fields, like its version, are part of the fingerprint."""

    version: ClassVar[int] = 1
    """Raised when the same fields keep other answers."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What it imports, other than the packages of a plain installation."""
    takes: ClassVar[type[Problem]] = Problem
    """The kind of record that the answers are to."""

    @abstractmethod
    def kept(self, problem: Problem, answers: Sequence[Prediction], row: Language) -> Selection:
        """The records that the answers give, and how many answers were left out, by reason."""

    def identity(self) -> dict[str, Plain]:
        """What the fingerprint of a stage takes of the filter."""
        values = {field.name: plain(getattr(self, field.name)) for field in fields(self)}
        return {"filter": type(self).__qualname__, "version": self.version, **values}


@dataclass(frozen=True)
class RejectionSampling(Filter):
    """Right answers with true equations, one for each list of equations: see `evaluation.rejection`."""

    packages: ClassVar[tuple[str, ...]] = ("rapidfuzz",)

    def kept(self, problem: Problem, answers: Sequence[Prediction], row: Language) -> Selection:
        """The problem again with each answer that is kept."""
        chosen, reasons = rejection.kept(problem, answers, row)
        sampled = [
            replace(problem, id=f"{problem.id}/{number}", answer=answer.text, source=f"{problem.source} (sampled)")
            for number, answer in enumerate(chosen)
        ]
        return sampled, reasons


@dataclass(frozen=True, eq=False, kw_only=True)
class Keep(Stage[Kept]):
    """Makes records of the answers that a filter keeps, those of all samplers taken together."""

    on_device: ClassVar[bool] = False
    answers: tuple[Stage[Answers], ...]
    """One stage for each sampler."""
    problems: Stage[Records]
    filter: Filter
    languages: Rows
    label: str = local(default="")
    """What results call the records, where a system trains on several kinds."""

    def run(self, work: Work) -> None:
        """Writes records, their counts, and the counts of what was left out by language and reason."""
        by_problem: defaultdict[tuple[str, str], list[Prediction]] = defaultdict(list)
        for stage in self.answers:
            for answer in work.read(stage).predictions():
                by_problem[answer.language, answer.id].append(answer)
        rows, kind = languages_of(self.languages), type(self.filter)
        records: list[Problem] = []
        drawn, kept, reasons = Counter[str](), Counter[str](), defaultdict[str, Counter[str]](Counter)
        with own_faults(f"{kind.__module__}:{kind.__qualname__} failed") if is_own(kind) else nullcontext():
            for problem in work.read(self.problems).problems(self.filter.takes):
                answers = by_problem[problem.language, problem.id]
                found, left_out = self.filter.kept(problem, answers, rows[problem.language])
                records += found
                drawn[problem.language] += len(answers)
                kept[problem.language] += len(found)
                reasons[problem.language].update(left_out)
        write_jsonl(work.output / RECORDS, records)
        counts = {"corpus": self.name, "counts": kept, "published": None, "kept": kept}
        write_json(work.output / COUNTS, {**counts, "dropped": [], "notes": []})
        table = [
            {"language": code, "answers": count, "kept": kept[code], "left_out": dict(sorted(reasons[code].items()))}
            for code, count in drawn.items()
        ]
        write_json(work.output / REJECTIONS, table)

    def packages(self, placement: Placement) -> Sequence[str]:
        """Those of the filter."""
        return self.filter.packages

    def size(self, runs: Path) -> str:
        """Unknown before: it depends on the answers."""
        return "size known when the answers are there"
