"""Rejection sampling: which answers of a model are worth training on (Yuan et al. 2023, arXiv 2308.01825).

An answer is kept when its number is right and each of its equations is true. Of answers with the same list of equations
one is kept, so that the texts that stay differ most (collect_rejection_sampling.py of OFA-Sys/gsm8k-ScRel).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ..languages import Language
from ..records import Prediction, Problem
from .equations import annotated_equations, is_true, written_equations
from .extraction import hashes, strict


def kept(problem: Problem, answers: Iterable[Prediction], row: Language) -> tuple[list[Prediction], Counter[str]]:
    """The answers to a problem that are worth training on, and how many were left out, by reason.

    Args:
        problem: with its gold answer. Where its worked answer ends in `#### 72`, so must the answers.
        answers: in the order in which they were drawn, which decides between equals.
        row: the language of the answers.
    """
    chosen, reasons = dict[str, Prediction](), Counter[str]()
    for drawn in answers:
        answer = replace(drawn, text=drawn.text.partition("\0")[0])  # the published filter stops at a NUL
        reason = fault(problem, answer, row)
        if reason is None:
            path = "|".join(equations(problem, answer, row)).replace(" ", "")
            others = [other.text for key, other in chosen.items() if key != path]
            if path in chosen:
                reason = "same equations"
            if path not in chosen or _edits(answer, others) > _edits(chosen[path], others):
                chosen[path] = answer
        if reason is not None:
            reasons[reason] += 1
    return list(chosen.values()), reasons


def fault(problem: Problem, answer: Prediction, row: Language) -> str | None:
    """Why an answer is left out; None for one that is kept."""
    if answer.finish == "length":
        return "truncated"
    gold = problem.gold
    assert gold is not None, "problems to sample answers for have a gold answer"
    read = hashes(answer.text, gold) if _is_annotated(problem) else strict(answer.text, gold, row, answer.finish)
    if read.value is None:
        return "no number"
    if not read.right:
        return "wrong number"
    return None if all(map(is_true, equations(problem, answer, row))) else "false equation"


def equations(problem: Problem, answer: Prediction, row: Language) -> list[str]:
    """The annotated equations of an answer. Where the corpus has no annotations, those of its sentences."""
    annotated = annotated_equations(answer.text)
    return annotated if annotated or _is_annotated(problem) else written_equations(answer.text, row)


def _is_annotated(problem: Problem) -> bool:
    """Whether a problem is written as GSM8K's are: `<<48/2=24>>` within its answer, `#### 24` at its end."""
    return problem.answer is not None and hashes(problem.answer, "0").by != "none"


def _edits(answer: Prediction, others: Iterable[str]) -> int:
    """The edits that make an answer's text each of the others, summed."""
    from rapidfuzz.distance import Levenshtein

    return sum(Levenshtein.distance(answer.text, other) for other in others)
