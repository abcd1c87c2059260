"""Results for tests: plain values, as a file has them, turned into what the package works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from qalign.records import Judgement, Problem, Reading
from qalign.results.charts import Curve, Curves
from qalign.results.page import render_page
from qalign.results.run_results import AnsweredProblem, Results
from qalign.results.schema import Content, described, training_stage
from qalign.results.tables import Table
from qalign.results.titles import Titles

Plain = Mapping[str, Any]


def plain_results(
    run: Plain, scores: Plain, trained_on: Plain, published: Plain, corpora: Sequence[Plain] = ()
) -> dict[str, Any]:
    """A `results.json` as plain values."""
    return {
        "format": "qalign-results", "version": 2, "run": run, "rules": msgspec.to_builtins(described()), "systems": scores,
        "trained_on": trained_on, "published": published, "corpora": list(corpora), "notes": [],
    }  # fmt: skip


def content_of(values: Plain) -> Content:
    """The content of plain values, of which parts may lack and contradict each other."""
    return msgspec.convert({**plain_results({}, {}, {}, {}), **values}, Content, dec_hook=training_stage)


def tables(values: Plain, titles: Titles) -> list[Table]:
    """All tables of plain values."""
    return results_of(values, titles).tables()


def curves_of(curves: Plain) -> Curves:
    """Curves of plain values."""
    return msgspec.convert(curves, dict[str, list[Curve]])


def answered(entry: Plain) -> AnsweredProblem:
    """A problem with its answers, of plain values; a system may have none."""
    problem = Problem(
        id=entry["id"],
        language=entry["language"],
        question=entry["question"],
        answer=None,
        gold=entry["gold"],
        source="own",
    )
    return AnsweredProblem(
        entry["benchmark"], problem, {name: _judged(problem, one) for name, one in entry["answers"].items() if one}
    )


def _judged(problem: Problem, answer: Plain) -> tuple[str, Judgement]:
    start, end = answer["start"], answer["end"]
    readings = {
        rule: Reading(
            value=answer["value"], text=answer["text"][start:end], start=start, end=end, by="none", right=right
        )
        for rule, right in answer["right"].items()
    }
    judgement = Judgement(
        id=problem.id, language=problem.language, gold=problem.gold or "", finish="stop", outcome=answer["outcome"],
        readings=readings, answered_in=answer.get("answered_in"),
    )  # fmt: skip
    return answer["text"], judgement


def results_of(
    values: Plain, titles: Titles | None = None, curves: Plain | None = None, answers: Iterable[Plain] = ()
) -> Results:
    """Results of plain values."""
    problems = [answered(entry) for entry in answers]
    return Results(
        data=content_of(values), titles=titles or Titles(), curves=curves_of(curves or {}), answers=lambda: problems
    )


def page_of(values: Plain, titles: Titles, curves: Plain | None = None, answers: Iterable[Plain] = ()) -> str:
    """The page of plain values."""
    return render_page(results_of(values, titles, curves, answers))
