"""What was seen, in sentences: how one system compares with another on a benchmark, with interval and p-value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..evaluation.scores import NON_ENGLISH
from .titles import Titles

METHOD = "qalign-mono"
BESIDE = ("monoreason", "multireason")
"""The system of the study, and those that it is measured against first."""


def findings(found: Mapping[str, Any], titles: Titles) -> list[str]:
    """One sentence for each benchmark and pair: QAlign beside MonoReason and MultiReason where they are there, else the
    first two systems."""
    systems = list(found["systems"])
    pairs = [(METHOD, other) for other in BESIDE if other in systems and METHOD in systems] or [tuple(systems[:2])]
    benchmarks = dict.fromkeys(row["benchmark"] for row in found.get("comparisons", ()))
    told = [_finding(found, titles, benchmark, *pair) for benchmark in benchmarks for pair in pairs if len(pair) == 2]
    return [sentence for sentence in told if sentence]


def _finding(found: Mapping[str, Any], titles: Titles, benchmark: str, a: str, b: str) -> str:
    others, english = (comparison(found, benchmark, group, a, b) for group in (NON_ENGLISH, "en"))
    if others is None:
        return ""
    scores = [found["systems"][name][benchmark] for name in (a, b)]
    at = titles.benchmark(benchmark)
    count = sum(code not in ("en", "average", NON_ENGLISH) for code in scores[0])
    text = (
        f"{at}: over the {count} languages other than English {titles.system(a)} answers {scores[0][NON_ENGLISH]['strict']:.1f}% "
        f"of the problems right and {titles.system(b)} {scores[1][NON_ENGLISH]['strict']:.1f}%, a difference of "
        f"{difference_text(others)}"
    )
    return f"{text}; in English {english['difference']:+.1f} points." if english else f"{text}."


def difference_text(row: Mapping[str, Any]) -> str:
    """`+31.2 points (95% interval 28.0 to 34.1, p < 0.001)`."""
    return f"{row['difference']:+.1f} points (95% interval {row['low']:.1f} to {row['high']:.1f}, {p_text(row['p_adjusted'])})"


def p_text(p: float) -> str:
    """`p = 0.042`, or `p < 0.001`."""
    value = p_value(p)
    return f"p {value}" if value.startswith("<") else f"p = {value}"


def p_value(p: float) -> str:
    """`0.042`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparison(found: Mapping[str, Any], benchmark: str, group: str, a: str, b: str) -> dict[str, Any] | None:
    """The comparison of a with b in one group, turned round if it was made the other way; None if there is none."""
    for row in found.get("comparisons", ()):
        if (row["benchmark"], row["group"]) == (benchmark, group) and {row["a"], row["b"]} == {a, b}:
            if row["a"] == a:
                return dict(row)
            # Taken from 0, for -0.0 would be told as a loss.
            turned = {"difference": 0 - row["difference"], "low": 0 - row["high"], "high": 0 - row["low"]}
            return {**row, "a": a, "b": b, "only_a": row["only_b"], "only_b": row["only_a"], **turned}
    return None
