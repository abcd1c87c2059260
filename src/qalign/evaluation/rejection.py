"""Rejection sampling: which answers of a model are worth training on (Yuan et al. 2023, arXiv 2308.01825).

An answer is kept when its number is right and each of its equations is true. Of answers with the same list of equations
one is kept, so that the texts that stay differ most (collect_rejection_sampling.py of OFA-Sys/gsm8k-ScRel).
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..languages import Language
from ..numbers import find_numbers, plain_number
from ..records import Prediction, Problem
from .extraction import strict

ANNOTATION = re.compile(r"<<([^>]*)>>")
FINAL = re.compile(r"#### (-?[0-9.,]+)")
NEAR = 1e-3
"""How far the sides of an annotated equation may lie apart."""
_NUMBER = r"-?\d+(?:\.\d+)?"
_CHAIN = re.compile(rf"{_NUMBER}(?: ?[-+*/] ?{_NUMBER})+ ?= ?{_NUMBER}")
_SIGNS = str.maketrans("×·÷−–＋＝", "**/--+=")
_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_LONGEST = 200
"""Characters of an equation; longer ones are not true."""


@dataclass(frozen=True, slots=True)
class Path:
    """An answer that is right, and its list of equations."""

    answer: Prediction
    key: str


def kept(problem: Problem, answers: Iterable[Prediction], row: Language) -> tuple[list[Prediction], Counter[str]]:
    """The answers to a problem that are worth training on, and how many were left out, by reason.

    Args:
        problem: with its gold answer. Where its worked answer ends in `#### 72`, so must the answers.
        answers: in the order in which they were drawn, which decides between equals.
        row: the language of the answers.
    """
    paths, reasons = [], Counter[str]()
    for drawn in answers:
        answer = replace(drawn, text=drawn.text.partition("\0")[0])  # the published filter stops at a NUL
        reason = fault(problem, answer, row)
        if reason is None:
            paths.append(Path(answer, "|".join(equations(problem, answer, row)).replace(" ", "")))
        else:
            reasons[reason] += 1
    distinct = most_distant(paths)
    if duplicates := len(paths) - len(distinct):
        reasons["same equations"] = duplicates
    return [path.answer for path in distinct], reasons


def fault(problem: Problem, answer: Prediction, row: Language) -> str | None:
    """Why an answer is left out; None for one that is kept."""
    if answer.finish == "length":
        return "truncated"
    text, gold = answer.text, problem.gold
    assert gold is not None, "problems to sample answers for have a gold answer"
    if _is_annotated(problem):
        stated = FINAL.search(text)
        value = _number(stated[1].replace(",", "")) if stated else None
        found, right = value is not None, value == _number(gold.replace(",", ""))
    else:
        reading = strict(text, gold, row, answer.finish)
        found, right = reading.value is not None, reading.right
    if not found:
        return "no number"
    if not right:
        return "wrong number"
    return None if all(map(is_true, equations(problem, answer, row))) else "false equation"


def _is_annotated(problem: Problem) -> bool:
    """Whether a problem is written as GSM8K's are: `<<48/2=24>>` within its answer, `#### 24` at its end."""
    return problem.answer is not None and FINAL.search(problem.answer) is not None


def equations(problem: Problem, answer: Prediction, row: Language) -> list[str]:
    """The equations of an answer, in order.

    They are those annotated as `<<48/2=24>>`. Where the corpus has no annotations, they are those of the sentences, in
    plain digits.
    """
    text = answer.text
    if (annotated := ANNOTATION.findall(text)) or _is_annotated(problem):
        return annotated
    parts, end = [], 0
    for number in find_numbers(text, row):
        if not number.numeral:
            parts += [text[end : number.start], plain_number(number.value)]
            end = number.end
    return _CHAIN.findall("".join([*parts, text[end:]]).translate(_SIGNS))


def is_true(equation: str) -> bool:
    """Whether both sides of an equation are the same number. What is no arithmetic is not true."""
    left, equals, right = equation.partition("=")
    value, stated = _calculated(left), _number(right.partition("=")[0])
    return bool(equals) and value is not None and stated is not None and abs(value - stated) < NEAR


def most_distant(paths: Sequence[Path]) -> list[Path]:
    """One path for each list of equations: the one whose text is farther from those of the others, by edits."""
    from rapidfuzz.distance import Levenshtein

    chosen: dict[str, Path] = {}
    for path in paths:
        before = chosen.get(path.key)
        others = [other.answer.text for key, other in chosen.items() if key != path.key]

        def distance(text: str, others: Sequence[str] = others) -> int:
            return sum(Levenshtein.distance(text, other) for other in others)

        if before is None or distance(path.answer.text) > distance(before.answer.text):
            chosen[path.key] = path
    return list(chosen.values())


def _calculated(expression: str) -> float | None:
    """The value of plain arithmetic; None for anything else. Nothing is run: the tree of the expression is walked."""
    if len(expression) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the text would mean as a program
            return _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError, TypeError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("not plain arithmetic")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
