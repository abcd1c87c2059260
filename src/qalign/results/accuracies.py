"""Accuracies, their intervals, and both in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..evaluation import scores
from ..evaluation.answer_language import UNTOLD
from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, Score
from .schema import Rule, Scores, is_language

OUTCOMES = {"wrong": "wrong", "unanswered": "no answer", "cut_off": "truncated"}
"""What may become of an answer that is not right, with its name for people."""


def accuracy(score: Score, rule: str = MAIN) -> float:
    """The accuracy under a rule, in percent."""
    return score.accuracy[rule]


def problems(by_language: Scores, repetitions: int = 1) -> int:
    """The problems that each language has, the fewest where they differ; answers under several seeds count once."""
    counts = [score.n // repetitions for code, score in by_language.items() if is_language(code)]
    return min(counts, default=by_language[AVERAGE].n // repetitions if AVERAGE in by_language else 0)


def interval(score: Score, count: int, rule: str = MAIN) -> tuple[float, float]:
    """The 95% interval of an accuracy, by Wilson.

    Args:
        score: of one language, or an average.
        count: what counts as independent where the standard error is 0.
        rule: the name of an answer rule.
    """
    return scores.interval(accuracy(score, rule), score.standard_error[rule], count)


def between(ends: tuple[float, float]) -> str:
    """`0.0 to 27.8`: an interval."""
    return f"{ends[0]:.1f} to {ends[1]:.1f}"


def plus_minus(value: float, error: float) -> str:
    """`45.0 ± 2.1`, without an error where all answers are alike."""
    return f"{value:.1f} ± {error:.1f}" if error else f"{value:.1f}"


def with_error(value: float, error: float, count: int) -> str:
    """`45.0 ± 2.1`; where all of `count` are alike, and the standard error 0, `0.0 (0.0 to 27.8)`, an interval by Wilson."""
    text = plus_minus(value, error)
    return text if error else f"{text} ({between(scores.interval(value, error, count))})"


def figure(value: float | None) -> str:
    """`45.0`, or a dash."""
    return "-" if value is None else f"{value:.1f}"


def is_told(rows: Iterable[Scores]) -> bool:
    """Whether it was told of any answers in which language they are."""
    return any(score.in_another is not None for scores in rows for score in scores.values())


def untold(systems: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """A note where of no answer it was told in which language it is."""
    rows = [scores for measured in systems.values() for scores in measured.values()]
    return [UNTOLD] if rows and not is_told(rows) else []


def rules_in_words(rules: Mapping[str, Rule]) -> str:
    """`Strict rule: numbers as the language writes them.`, for each rule."""
    texts = [(rule.title, rule.description) for rule in rules.values()]
    return " ".join(f"{title[:1].upper()}{title[1:]}: {text[:1].lower()}{text[1:]}" for title, text in texts)
