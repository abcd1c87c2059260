"""Equations in an answer's text: their two sides, their results, and expressions that leave something unknown.

Answers that models are trained on have them as text: annotated `<<48/2=24>>`, as GSM8K has them, or in plain sentences.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ..languages import Language
from ..numbers import Number, find_numbers, plain_number

_EQUALS = re.compile("[=＝≈]")
_LONGEST_GAP = 40  # characters between two numbers of one equation: units, currencies, an operator
_MOST_TERMS = 12
_OPERATOR = re.compile(
    r"(?<![^\W\d_])[-−–+＋*×·÷/](?![^\W\d_])|\\times|\\cdot|\\div|(?<!\w)[xXхХ](?!\w)|(?<=\d)[xXхХ](?= ?\d)"
)
_BREAK = re.compile(r"[()（）\[\]=＝≈<>\n;；。]|[.,:](?:\s|$)")

# What follows a number that is only the first part of an expression: an operator and one more number.
_FURTHER = re.compile(
    r"[ \u00a0]?(?:\\?[%$€£¥]|[^\W\d_]{1,12}\b)?[\s$]*(?:[-−–+＋*×·÷/]|\\times|\\cdot|\\div|[xXхХ](?=[\s$]*\d))"
    r"[\s(（$€£¥\\]*[-−]?\d"
)

_LETTER = r"[b-df-hj-np-tv-zB-DF-HJ-NP-TV-ZхХ]"  # a, e, i, o, u are words in some language
_TIMES_OR_MINUS = r"[-−–+＋*×·÷]|\\times|\\cdot|\\div"
_UNKNOWN_AFTER = re.compile(
    rf"\s*(?:{_TIMES_OR_MINUS}|/(?=\s*[xyznk]))\s*[(（]?[0-9.]*\s?{_LETTER}(?![^\W_]|')"  # 160 - x
    rf"|\s?{_LETTER}\s*[-−–+＋*×·÷]\s*[(（]?[\w$]"  # 3t + 3.5
    r"|\s*[×÷]\s*[^\W\d_]{2}|\s\+\s[^\W\d_]{2,}(?![^\n]{0,20}\d)"  # 3 × price
    rf"|[xyzn]\s*(?:[.。,;)\]}}$]|\Z)|\s?[(（]\s*{_LETTER}\s*[-−+]"  # 5x, 2(x + 3)
)
_UNKNOWN_BEFORE = re.compile(
    rf"(?<![^\W\d_]){_LETTER}\s*(?:{_TIMES_OR_MINUS}|/)\s*[(（$€£\\]*\Z"  # x + 5
    r"|(?:^|[\[(（「:：=＝+×÷*]\s*)[^\W\d_][^\d=×÷+*()（）\[\]:：]{0,30}(?:[×÷]|\s[+*])\s*\Z"  # [amount × 3]
    r"|frac\{[^{}\d]*[A-Za-z][^{}]{0,20}\}\{\s?\Z"
)


@dataclass(frozen=True, slots=True)
class Equation:
    """An `=` at character `at`, the number behind it, and the value of what stands before it.

    `left` is None where that is no chain of numbers and operators.
    """

    at: int
    left: Fraction | None
    right: Number

    @property
    def holds(self) -> bool:
        """Whether both sides are the same, but for rounding."""
        return self.left is not None and abs(self.left - self.right.value) <= abs(self.right.value) / 1000


def equations(text: str, numbers: list[Number]) -> list[Equation]:
    """The equations of a text whose numbers are given, in order."""
    starts = [number.start for number in numbers]
    found = []
    for match in _EQUALS.finditer(text):
        index = bisect_left(starts, match.end())
        if index == len(numbers) or numbers[index].start - match.end() > _LONGEST_GAP:
            continue
        if not _BREAK.search(text, match.end(), numbers[index].start):
            found.append(Equation(match.start(), _left(text, numbers, index, match.start()), numbers[index]))
    return found


def _left(text: str, numbers: list[Number], index: int, equals: int) -> Fraction | None:
    """The value of the chain of numbers and operators that ends before an equals sign; None where there is none."""
    terms: list[tuple[str, Fraction]] = []
    end = equals
    for number in reversed(numbers[max(0, index - _MOST_TERMS) : index]):
        gap = text[number.end : end]
        if len(gap) > _LONGEST_GAP or _BREAK.search(gap):
            break
        operators = _OPERATOR.findall(gap) if end != equals else [""]
        if len(operators) != 1:
            break
        terms.append((operators[0], number.value / 100 if number.percent else number.value))
        end = number.start
    if len(terms) < 2:
        return None
    # From the left: products are closed before they are added.
    total, product = Fraction(0), terms[-1][1]
    for after, (_, value) in zip(reversed(terms), list(reversed(terms))[1:], strict=False):
        operator = after[0]
        if operator in "+＋-−–":
            total, product = total + product, value if operator in "+＋" else -value
        elif operator in ("÷", "/", "\\div"):
            if not value:
                return None
            product /= value
        else:
            product *= value
    return total + product


def is_expression(text: str, number: Number) -> bool:
    """Whether a number is followed by an operator and another number."""
    return _FURTHER.match(text, number.end) is not None


def holds_an_unknown(text: str, number: Number) -> bool:
    """Whether a number is part of an expression with an unknown, such as `160 - x` or `amount × 3`."""
    before = text[max(0, number.start - _LONGEST_GAP) : number.start]
    return bool(_UNKNOWN_AFTER.match(text, number.end) or _UNKNOWN_BEFORE.search(before))


# --- equations as text ------------------------------------------------------------------------------------------------

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


def annotated_equations(text: str) -> list[str]:
    """The equations of a text that are annotated as `<<48/2=24>>`, in order."""
    return re.findall(r"<<([^>]*)>>", text)


def written_equations(text: str, row: Language) -> list[str]:
    """The equations in the sentences of a text, in order, in plain digits and signs."""
    parts, end = [], 0
    for number in find_numbers(text, row):
        if not number.numeral:
            parts += [text[end : number.start], plain_number(number.value)]
            end = number.end
    return _CHAIN.findall("".join([*parts, text[end:]]).translate(_SIGNS))


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
