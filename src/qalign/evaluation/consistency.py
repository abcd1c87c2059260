"""Consistency: how far one model gives the same answer in different languages.

The study compares the answers to non-English questions with the English answer (arXiv 2401.07817). Two answers agree if
the strict rule read exactly the same number from both, right or wrong. An answer without a number agrees with nothing.
Two right answers may differ as numbers, such as 50% and 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from ..errors import DataError
from ..records import Judgement
from ..wording import counted
from .extraction import MAIN
from .scores import Count, Percent, StandardError, clustered_standard_error

Matrix = list[list[Percent | None]]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far answers in one language agree with those in English, or the mean over languages."""

    n: Count
    """The problems."""
    agree: Percent
    """The percent of problems with the same number in both."""
    correct: Percent
    """The percent right in both."""
    agree_given_english_right: Percent | None
    """The percent right here, of the problems that are right in English. None where there are none."""
    standard_error: StandardError
    """The standard error of `agree` in percent points, clustered by problem."""


class Consistency(msgspec.Struct, frozen=True, kw_only=True):
    """The agreement of a model's answers across languages."""

    with_english: dict[str, Agreement]
    """A row for each language but English. Empty where English is missing."""
    mean_with_english: Agreement | None
    languages: list[str]
    """The order of the rows and columns of the matrices."""
    matrix: Matrix
    """The percent of problems with the same number in two languages. On the diagonal: with a number at all."""
    matrix_correct: Matrix
    """The percent of problems right in both, of those right in either (Jaccard 1912). None where none is right."""


def consistency(judgements: Iterable[Judgement]) -> Consistency:
    """The consistency of one system on one benchmark. Raises as `parallel`."""
    table = parallel(judgements)
    languages = list(table)
    ids = list(table[languages[0]])
    read = {code: [rows[key].readings[MAIN] for key in ids] for code, rows in table.items()}
    numbers = {
        code: [None if row.value is None else Fraction(row.value) for row in rows] for code, rows in read.items()
    }

    def same(one: str, other: str) -> list[float]:
        """By problem, whether two languages agree."""
        return [float(a is not None and a == b) for a, b in zip(numbers[one], numbers[other], strict=True)]

    def right(one: str, other: str) -> tuple[int, int]:
        """The problems right in both languages, and in either."""
        pairs = [(a.right, b.right) for a, b in zip(read[one], read[other], strict=True)]
        return sum(a and b for a, b in pairs), sum(a or b for a, b in pairs)

    others = [code for code in languages if code != "en"] if "en" in table else []
    agreeing = {code: list(zip(ids, same("en", code), strict=True)) for code in others}
    with_english = {}
    for code in others:
        both = right("en", code)[0]
        with_english[code] = Agreement(
            n=len(ids),
            agree=100 * sum(value for _, value in agreeing[code]) / len(ids),
            correct=100 * both / len(ids),
            agree_given_english_right=_percent(both, right("en", "en")[0]),
            standard_error=100 * clustered_standard_error([agreeing[code]]),
        )
    error = 100 * clustered_standard_error([*agreeing.values()]) if others else 0.0
    return Consistency(
        with_english=with_english,
        mean_with_english=_mean([*with_english.values()], error) if others else None,
        languages=languages,
        matrix=[[100 * sum(same(one, other)) / len(ids) for other in languages] for one in languages],
        matrix_correct=[[_percent(*right(one, other)) for other in languages] for one in languages],
    )


def mean_consistency(runs: Sequence[Consistency]) -> Consistency:
    """The mean over runs of one system under several seeds, errors too."""
    first = runs[0]
    return Consistency(
        with_english={code: _mean([run.with_english[code] for run in runs]) for code in first.with_english},
        mean_with_english=_mean(means) if (means := [row for run in runs if (row := run.mean_with_english)]) else None,
        languages=first.languages,
        matrix=_mean_matrix([run.matrix for run in runs]),
        matrix_correct=_mean_matrix([run.matrix_correct for run in runs]),
    )


def parallel(judgements: Iterable[Judgement]) -> dict[str, dict[str, Judgement]]:
    """Judgements by language, then by id. Every language has the same problems.

    Raises DataError where there is no judgement, one stands twice, or the languages do not have the same problems.
    """
    table: dict[str, dict[str, Judgement]] = {}
    for judgement in judgements:
        rows = table.setdefault(judgement.language, {})
        if judgement.id in rows:
            raise DataError(
                f"problem {judgement.id} ({judgement.language}) is judged twice; give one system on one benchmark, once"
            )
        rows[judgement.id] = judgement
    if not table:
        raise DataError("there are no judgements to compare; score a system first")
    first, *others = table
    for code in others:
        for there, lacking in ((first, code), (code, first)):
            if missing := [key for key in table[there] if key not in table[lacking]]:
                raise DataError(
                    f"{lacking} lacks {counted(len(missing), 'problem')} of {there}, the first of them {missing[0]}; "
                    f"languages are compared on the same problems: score them all, or leave one language out"
                )
    return table


def _mean(rows: Sequence[Agreement], standard_error: float | None = None) -> Agreement:
    """The mean of agreements on the same problems, by default with the mean of their errors."""
    means = {name: _mean_value([getattr(row, name) for row in rows]) for name in Agreement.__struct_fields__}
    error = means["standard_error"] if standard_error is None else standard_error
    return Agreement(**{**means, "n": rows[0].n, "standard_error": error})  # type: ignore[arg-type]


def _mean_matrix(matrices: Iterable[Matrix]) -> Matrix:
    return [[_mean_value(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _mean_value(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
