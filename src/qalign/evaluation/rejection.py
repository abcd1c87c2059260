"""Rejection sampling: which answers of a model are worth training on (Yuan et al. 2023, arXiv 2308.01825).

An answer is kept when its number is right and each of its equations is true. Of answers with the same list of equations
one is kept, so that the texts that stay differ most (collect_rejection_sampling.py of OFA-Sys/gsm8k-ScRel).

The reward of an answer in reinforcement learning is a product, as in WizardMath (arXiv 2308.09583). There two learned models
judge the problem and each step of its answer. Here both are checked.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from ..languages import Language
from ..numbers import find_numbers, plain_number
from ..records import Prediction, Problem, Reading
from .extraction import NOTHING, hashes, strict


def kept(problem: Problem, answers: Iterable[Prediction], row: Language) -> tuple[list[Prediction], Counter[str]]:
    """The answers to a problem that are worth training on, and how many were left out, by reason. Where the problem's worked
    answer ends in `#### 72`, so must they. The order in which they were drawn decides between equals."""
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
    if problem.gold is None:
        return "no gold answer"
    read = _reading(problem, answer, problem.gold, row)
    if read.value is None:
        return "no number"
    if not read.right:
        return "wrong number"
    return None if all(map(is_true, equations(problem, answer, row))) else "false equation"


def _reading(problem: Problem, answer: Prediction, gold: str, row: Language) -> Reading:
    """The number of an answer. One to a translated problem of GSM8K has a line `####` too, in the language's digits."""
    if row.code == "en" and _is_annotated(problem):
        return hashes(answer.text, gold)
    lacks_line = row.code != "en" and "####" in (problem.answer or "") and "####" not in answer.text
    return NOTHING if lacks_line else strict(answer.text, gold, row, answer.finish)


def equations(problem: Problem, answer: Prediction, row: Language) -> list[str]:
    """The annotated equations of an answer. Where the corpus has no annotations, those of its sentences.

    Translations keep some of the annotations, in English or in the language's own digits.
    """
    annotated: list[str] = re.findall(r"<<([^>]*)>>", answer.text)  # such as `<<48/2=24>>`
    if row.code == "en":
        return annotated if annotated or _is_annotated(problem) else written_equations(answer.text, row)
    plain = [one if is_true(one) else _in_plain_digits(one, row) for one in annotated]
    return plain or written_equations(answer.text, row)


def _is_annotated(problem: Problem) -> bool:
    """Whether a problem is written as GSM8K's are: `<<48/2=24>>` within its answer, `#### 24` at its end."""
    return problem.answer is not None and hashes(problem.answer, "0").by != "none"


def _edits(answer: Prediction, others: Iterable[str]) -> int:
    """The edits that make an answer's text each of the others, summed."""
    from rapidfuzz.distance import Levenshtein

    return sum(Levenshtein.distance(answer.text, other) for other in others)


_NUMBER = r"-?\d+(?:\.\d+)?"
_CHAIN = re.compile(rf"{_NUMBER}(?: ?[-+*/] ?{_NUMBER})+ ?= ?{_NUMBER}")
_SIGNS = str.maketrans("×·÷−–＋＝", "**/--+=")
_NEAR = 1e-3  # how far the sides of an equation may lie apart
_LONGEST = 200  # characters of an equation; longer ones are not true
_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def written_equations(text: str, row: Language) -> list[str]:
    """The equations in the sentences of a text, in order, in plain digits and signs."""
    return _CHAIN.findall(_in_plain_digits(text, row))


def _in_plain_digits(text: str, row: Language) -> str:
    """A text with its numbers in plain digits, and plain signs."""
    parts, end = [], 0
    for number in find_numbers(text, row):
        if not number.numeral:
            sides = text[number.start : number.end].split("/")
            if len(sides) == 1 or row.code == "en":
                sides = [plain_number(number.value)]
            else:  # 48/2=24 is an equation, not a fraction that is 24
                sides = [_in_plain_digits(side, row) for side in sides]
            parts += [text[end : number.start], "/".join(sides)]
            end = number.end
    return "".join([*parts, text[end:]]).translate(_SIGNS)


def is_true(equation: str) -> bool:
    """Whether both sides of an equation are the same number. A text that is no plain arithmetic is not true."""
    left, _, right = equation.partition("=")
    if len(left) > _LONGEST:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the text would mean as a program
            value = _value(ast.parse(left.strip(), mode="eval").body)
        return abs(value - float(right.partition("=")[0])) < _NEAR
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError, TypeError):
        return False


def _value(node: ast.expr) -> float:
    """The value of plain arithmetic. Nothing is run: the tree of the expression is walked."""
    match node:
        case ast.Constant(value=value) if type(value) is int or type(value) is float:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            return _OPERATIONS[type(sign)](_value(left), _value(right))
    raise ValueError("not plain arithmetic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The factors of a reward, each from 0 to 1, and whether the answer was truncated."""

    instruction: float
    """How good the problem is: 1 where its answer is known, else the share of answers that agreed on it."""
    right: float
    """1 for the right number by the strict rule, in an answer that ended."""
    steps: float
    """The share of the answer's equations that hold; 1 where it has none."""
    truncated: bool

    @property
    def value(self) -> float:
        """The product."""
        return self.instruction * self.right * self.steps


def reward(problem: Problem, answer: Prediction, row: Language, instruction: float = 1.0) -> Reward:
    """The reward of an answer to a problem in the language of `row`."""
    assert problem.gold is not None, "problems to reinforce on have a gold answer"
    truncated = answer.finish == "length"
    is_right = not truncated and strict(answer.text, problem.gold, row, answer.finish).right
    checked = [is_true(equation) for equation in equations(problem, answer, row)]
    steps = sum(checked) / len(checked) if checked else 1.0
    return Reward(instruction=instruction, right=float(is_right), steps=steps, truncated=truncated)


def means(rewards: Iterable[Reward]) -> dict[str, float]:
    """The mean of the rewards, of each factor, and the share of truncated answers."""
    rows = list(rewards)
    columns = ("instruction", "right", "steps", "truncated")
    factors = {name: fmean(float(getattr(row, name)) for row in rows) for name in columns}
    return {"reward": fmean(row.value for row in rows), **factors}
