"""Consistency: how far one model gives the same answer in different languages.

The study compares the answers to non-English questions with the English answer (arXiv 2401.07817). Two answers agree if
the strict rule read exactly the same number from both, right or wrong. An answer without a number agrees with nothing.
Two right answers may differ as numbers, such as 50% and 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..errors import DataError
from ..records import Judgement
from ..wording import counted
from .rules import MAIN
from .scores import Count, Percent, StandardError, clustered_standard_error, plain


@dataclass(frozen=True, slots=True)
class Agreement:
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


@dataclass(frozen=True, slots=True)
class Consistency:
    """The agreement of a model's answers across languages."""

    with_english: dict[str, Agreement]
    """A row for each language but English. Empty where English is missing."""
    mean_with_english: Agreement | None
    languages: tuple[str, ...]
    """The languages of the matrices."""
    matrix: tuple[tuple[Percent | None, ...], ...]
    """The percent of problems with the same number in two languages. On the diagonal: with a number at all."""
    matrix_correct: tuple[tuple[Percent | None, ...], ...]
    """The percent of problems right in both, of those right in either (Jaccard 1912). None where none is right."""

    def as_dict(self) -> dict[str, object]:
        """Plain rounded values."""
        return plain(self)


def consistency(judgements: Iterable[Judgement]) -> Consistency:
    """The consistency of one system on one benchmark.

    Raises:
        DataError: there is no judgement, one stands twice, or the languages do not have the same problems.
    """
    table = parallel(judgements)
    languages = tuple(table)
    ids = list(table[languages[0]])
    numbers = {code: [_number(rows[key]) for key in ids] for code, rows in table.items()}
    right = {code: [rows[key].readings[MAIN].right for key in ids] for code, rows in table.items()}

    def same(one: str, other: str) -> list[float]:
        """By problem, whether two languages agree."""
        pairs = zip(numbers[one], numbers[other], strict=True)
        return [float(a is not None and a == b) for a, b in pairs]

    def jaccard(one: str, other: str) -> float | None:
        pairs = list(zip(right[one], right[other], strict=True))
        return _percent(sum(a and b for a, b in pairs), sum(a or b for a, b in pairs))

    with_english: dict[str, Agreement] = {}
    agreeing: list[list[tuple[str, float]]] = []
    for code in languages if "en" in table else ():
        if code == "en":
            continue
        agreeing.append(list(zip(ids, same("en", code), strict=True)))
        both = sum(a and b for a, b in zip(right["en"], right[code], strict=True))
        with_english[code] = Agreement(
            n=len(ids),
            agree=100 * sum(value for _, value in agreeing[-1]) / len(ids),
            correct=100 * both / len(ids),
            agree_given_english_right=_percent(both, sum(right["en"])),
            standard_error=100 * clustered_standard_error(agreeing[-1:]),
        )
    return Consistency(
        with_english=with_english,
        mean_with_english=_mean(list(with_english.values()), 100 * clustered_standard_error(agreeing))
        if with_english
        else None,
        languages=languages,
        matrix=tuple(tuple(100 * sum(same(one, other)) / len(ids) for other in languages) for one in languages),
        matrix_correct=tuple(tuple(jaccard(one, other) for other in languages) for one in languages),
    )


def mean_consistency(runs: Sequence[Consistency]) -> Consistency:
    """The mean over runs of one system under several seeds, errors too."""
    first = runs[0]
    return Consistency(
        with_english={code: _mean([run.with_english[code] for run in runs]) for code in first.with_english},
        mean_with_english=_mean(means)
        if (means := [run.mean_with_english for run in runs if run.mean_with_english])
        else None,
        languages=first.languages,
        matrix=tuple(_mean_row([run.matrix[i] for run in runs]) for i in range(len(first.languages))),
        matrix_correct=tuple(_mean_row([run.matrix_correct[i] for run in runs]) for i in range(len(first.languages))),
    )


def _mean_row(rows: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    """Entry by entry, over the runs that have one."""
    columns = [[value for value in column if value is not None] for column in zip(*rows, strict=True)]
    return tuple(sum(column) / len(column) if column else None for column in columns)


def parallel(judgements: Iterable[Judgement]) -> dict[str, dict[str, Judgement]]:
    """Judgements by language, then by id. Every language has the same problems.

    Raises:
        DataError: there is no judgement, one stands twice, or the languages do not have the same problems.
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


def _number(judgement: Judgement) -> Fraction | None:
    value = judgement.readings[MAIN].value
    return None if value is None else Fraction(value)


def _mean(rows: Sequence[Agreement], standard_error: float | None = None) -> Agreement:
    """The mean of agreements on the same problems, by default with the mean of their errors."""
    given = [row.agree_given_english_right for row in rows if row.agree_given_english_right is not None]
    return Agreement(
        n=rows[0].n,
        agree=sum(row.agree for row in rows) / len(rows),
        correct=sum(row.correct for row in rows) / len(rows),
        agree_given_english_right=sum(given) / len(given) if given else None,
        standard_error=sum(row.standard_error for row in rows) / len(rows)
        if standard_error is None
        else standard_error,
    )


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
