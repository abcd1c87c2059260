"""Plain arithmetic programs, run without Python's exec: their tree is walked, with bounds on steps and sizes.

It knows numbers, texts, flat lists, loops, plain functions, print and functions of `math`. What it knows it does as Python
does. A program that needs more is `Unknown`, before or while it runs. No file is read and no process is started, and no
attribute of a value is looked up. The result is the same on every machine.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

STEPS = 200_000
"""The most steps of a program: less than a second."""
BITS = 10_000
"""The most bits of an integer."""
LONGEST = 10_000
"""The most characters of a text, and of all that is printed; the most elements of a list."""
PROGRAM = 10_000
"""The most characters of a program."""
CALLS = 25
"""The most calls within each other."""
TUPLE = 10
"""The most elements of a tuple within a list."""
SMALL = 1000
"""The most that is given to functions whose results grow fast."""

Value = Any
"""None, a number, text, range, flat list or tuple; also a function, or the names of `math`."""


class Unknown(Exception):
    """The program needs more than is known here."""


class Failed(Exception):
    """The program ends with an error, as it would in Python."""


class OutOfSteps(Exception):
    """The program takes too many steps."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Return(Exception):
    def __init__(self, value: Value) -> None:
        self.value = value


@dataclass(frozen=True, slots=True)
class _Function:
    names: tuple[str, ...]
    defaults: Mapping[str, Value]
    body: list[ast.stmt]
    own: frozenset[str]


_OPERATORS: Mapping[type, Callable[..., Value]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Not: operator.not_, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}  # fmt: skip
_MATH = {
    name: getattr(math, name)
    for name in (
        "ceil", "comb", "cos", "degrees", "e", "exp", "fabs", "factorial", "floor", "gcd", "hypot", "inf", "isqrt", "lcm", "log",
        "log10", "log2", "perm", "pi", "pow", "radians", "sin", "sqrt", "tan", "trunc",
    )
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    one.__name__: one for one in (abs, float, int, len, list, max, min, pow, range, round, sorted, str, sum)
}
_OF_ALL = (list, max, min, sorted, sum)
"""Functions of all elements."""
_FAST_GROWING = (math.factorial, math.comb, math.perm)


def run(program: str) -> str:
    """What a program prints. Raises Unknown, Failed or OutOfSteps."""
    if len(program) > PROGRAM:
        raise Unknown("a long program")
    machine = _Machine()
    try:
        machine.block(ast.parse(program).body)
    except (SyntaxError, _Break, _Continue, _Return):
        raise Failed("SyntaxError") from None
    except (RecursionError, MemoryError):
        raise Unknown("a deep program") from None
    except (ArithmeticError, TypeError, ValueError, LookupError) as error:  # what Python raises in plain arithmetic
        raise Failed(type(error).__name__) from None
    return machine.printed


class _Machine:
    """A program while it runs."""

    def __init__(self) -> None:
        self.steps, self.calls, self.printed = STEPS, 0, ""
        self.top: dict[str, Value] = {"__name__": "__main__"}
        self.names, self.own = self.top, frozenset[str]()
        """Of the function that runs: its values by name, and the names that it assigns."""

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise OutOfSteps

    def find(self, name: str) -> Value:
        if name in self.names:
            return self.names[name]
        if name in self.own:
            raise Failed("UnboundLocalError")
        if name in self.top or name in _FUNCTIONS:
            return self.top.get(name, _FUNCTIONS.get(name))
        raise Unknown(name) if hasattr(builtins, name) else Failed("NameError")

    # --- statements ---------------------------------------------------------------------------------------------------

    def block(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            self.spend(1)
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                new = self.value(value)
                for target in targets:
                    self.assign(target, new)
            case ast.AugAssign(target=ast.Name(id=name), op=sign, value=value):
                left = self.find(name)
                if isinstance(left, list):
                    raise Unknown("a list changed in place")
                self.names[name] = self.operate(sign, left, self.value(value))
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=given, keywords=[])):
                if "print" in {*self.top, *self.own}:
                    raise Unknown("another print")
                self.printed += " ".join([self.text(self.value(one)) for one in given]) + "\n"
                self.checked(self.printed)
            case ast.Expr(value=value):
                self.value(value)
            case ast.If(test=test, body=body, orelse=others):
                self.block(body if self.value(test) else others)
            case ast.While(test=test):
                self.loop(node, iter(lambda: bool(self.value(test)), False))
            case ast.For(iter=iterated):
                self.loop(node, self.each(self.value(iterated)))
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case ast.Return(value=given):
                raise _Return(None if given is None else self.value(given))
            case ast.Import(names=names) if all(alias.name == "math" for alias in names):
                self.names |= {alias.asname or alias.name: _MATH for alias in names}
            case ast.ImportFrom(module="math", names=names) if all(alias.name in _MATH for alias in names):
                self.names |= {alias.asname or alias.name: _MATH[alias.name] for alias in names}
            case ast.FunctionDef() if self.names is self.top:
                self.names[node.name] = self.function(node)
            case ast.Pass():
                pass
            case _:
                raise Unknown(type(node).__name__)

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for inner, part in zip(targets, self.items(value), strict=True):
                    self.assign(inner, part)
            case ast.Subscript(value=holder, slice=index) if not isinstance(index, ast.Slice):
                changed = self.value(holder)
                if not isinstance(changed, list):
                    raise Unknown("a part of something else")
                changed[self.value(index)] = self.checked([value])[0]
            case _:
                raise Unknown("another target")

    def loop(self, node: ast.For | ast.While, turns: Iterator[Value]) -> None:
        for item in turns:
            if isinstance(node, ast.For):
                self.assign(node.target, item)
            try:
                self.block(node.body)
            except _Break:
                return
            except _Continue:
                pass
        self.block(node.orelse)

    def each(self, value: Value) -> Iterator[Value]:
        """The elements one after another. A list may grow meanwhile, as in Python."""
        for item in value if isinstance(value, list | range) else self.items(value):
            self.spend(1)
            yield item

    def function(self, node: ast.FunctionDef) -> _Function:
        given = node.args
        odd = [given.vararg, given.kwarg, node.returns, *given.kwonlyargs, *given.posonlyargs, *node.decorator_list]
        if any(odd) or any(one.annotation for one in given.args):
            raise Unknown("another function")
        names = tuple(one.arg for one in given.args)
        values = [self.value(one) for one in given.defaults]
        defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
        inner = [part for statement in node.body for part in ast.walk(statement)]
        own = [part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
        own += [part.asname or part.name for part in inner if isinstance(part, ast.alias)]
        return _Function(names=names, defaults=defaults, body=node.body, own=frozenset([*names, *own]))

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        self.spend(1)
        match node:
            case ast.Constant(value=value):
                return self.checked(value)
            case ast.Name(id=name):
                return self.find(name)
            case ast.BinOp(left=left, op=sign, right=right):
                return self.operate(sign, self.value(left), self.value(right))
            case ast.Call():
                return self.call(node)
            case ast.Compare():
                return self.compared(node)
            case ast.UnaryOp(op=sign, operand=operand):
                return self.operate(sign, self.value(operand))
            case ast.BoolOp(op=sign, values=values):
                last: Value = None
                for one in values:
                    last = self.value(one)
                    if bool(last) == isinstance(sign, ast.Or):
                        break
                return last
            case ast.List(elts=parts):
                return self.checked([self.value(one) for one in parts])
            case ast.Tuple(elts=parts):
                return self.checked(tuple([self.value(one) for one in parts]))
            case ast.Subscript(value=holder, slice=index):
                return self.part(self.value(holder), index)
            case ast.Attribute(value=holder, attr=name):
                if self.value(holder) is _MATH and name in _MATH:
                    return _MATH[name]
        raise Unknown(type(node).__name__)

    def checked(self, value: Value) -> Value:
        """A new value, if it is within the bounds. Its size is paid for in steps."""
        if value is None or isinstance(value, float | range):
            return value
        if isinstance(value, int):
            size, most = value.bit_length(), BITS
        elif isinstance(value, str):
            size, most = len(value), LONGEST
        elif isinstance(value, list | tuple):
            size, most = 5 * len(value), 5 * LONGEST
            if not all(_is_plain(one) or (isinstance(value, list) and _is_flat(one)) for one in value):
                raise Unknown("nested lists")
        else:
            raise Unknown(type(value).__name__)
        if size > most:
            raise Unknown("large values")
        self.spend(size // 20)
        return value

    def operate(self, sign: ast.AST, *given: Value) -> Value:
        if isinstance(sign, ast.Not):
            return not given[0]
        kind, first, last = type(sign), given[0], given[-1]
        if not all(map(_is_known, given)) or (kind is ast.Mod and isinstance(first, str)) or kind not in _OPERATORS:
            raise Unknown("another operation")
        if kind is ast.Pow and isinstance(first, int) and isinstance(last, int) and abs(first) > 1:
            if first.bit_length() * last > BITS:
                raise Unknown("large values")
        elif kind is ast.Mult:
            for several, times in ((first, last), (last, first)):
                if (
                    isinstance(several, str | list | tuple)
                    and isinstance(times, int)
                    and len(several) * times > LONGEST
                ):
                    raise Unknown("large values")
        return self.checked(_OPERATORS[kind](*given))

    def compared(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for sign, other in zip(node.ops, node.comparators, strict=True):
            right = self.value(other)
            if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, range) and not isinstance(left, int):
                raise Unknown("search of a range")
            self.spend(len(right) // 10 if isinstance(right, list | tuple | str) else 0)
            if not self.operate(sign, left, right):
                return False
            left = right
        return True

    def part(self, holder: Value, index: ast.expr) -> Value:
        if not isinstance(holder, list | tuple | str | range):
            raise Unknown("a part of something else")
        if not isinstance(index, ast.Slice):
            return holder[self.value(index)]
        ends = [None if one is None else self.value(one) for one in (index.lower, index.upper, index.step)]
        return self.checked(holder[slice(*ends)])

    def items(self, value: Value) -> list[Value]:
        """All elements of a value, which takes steps."""
        if not isinstance(value, list | tuple | str | range):
            raise Failed("TypeError") if _is_known(value) else Unknown("elements of something else")
        count = (value.stop - value.start) // value.step if isinstance(value, range) else len(value)
        self.spend(1 + max(0, count) // 4)
        return list(value)

    def text(self, value: Value) -> str:
        """A value as print writes it."""
        if not _is_known(value) or (isinstance(value, list | tuple) and sum(map(_characters, value)) > LONGEST):
            raise Unknown("print of something else")
        return str(self.checked(str(value)))

    def call(self, node: ast.Call) -> Value:
        if node.keywords:
            raise Unknown("named arguments")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "append" and len(node.args) == 1:
            holder, added = self.value(node.func.value), self.value(node.args[0])
            if not isinstance(holder, list) or len(holder) >= LONGEST:
                raise Unknown("large values")
            return holder.extend(self.checked([added]))
        function = self.value(node.func)
        given = [self.value(one) for one in node.args]
        if isinstance(function, _Function):
            return self.call_own(function, given)
        if not all(map(_is_known, given)) or not callable(function):
            raise Unknown("a call")
        if function in _OF_ALL:
            if function is sum and not all(isinstance(one, int | float) for one in given[1:]):
                raise Unknown("a sum of others")
            several = given if function in (min, max) and len(given) > 1 else self.items(*given[:1])
            given = [several, *(given[1:] if function is sum else [])]
        elif function is str and len(given) == 1:
            return self.text(given[0])
        elif function is pow and len(given) == 2:
            return self.operate(ast.Pow(), *given)
        elif function is pow or function in _FAST_GROWING or function is round:
            small = given[1:] if function is round else given
            if function is pow or not all(isinstance(one, int) and abs(one) <= SMALL for one in small):
                raise Unknown("large arguments")
        return self.checked(function(*given))

    def call_own(self, function: _Function, given: list[Value]) -> Value:
        values = {**function.defaults, **dict(zip(function.names, given, strict=False))}
        if len(given) > len(function.names) or len(values) < len(function.names):
            raise Failed("TypeError")
        if self.calls >= CALLS:
            raise Unknown("deep calls")
        caller = self.names, self.own
        self.names, self.own, self.calls = values, function.own, self.calls + 1
        try:
            self.block(function.body)
        except _Return as returned:
            return returned.value
        except (_Break, _Continue):
            raise Failed("SyntaxError") from None
        finally:
            (self.names, self.own), self.calls = caller, self.calls - 1
        return None


def _is_plain(value: Value) -> bool:
    return value is None or isinstance(value, int | float | str)


def _is_flat(value: Value) -> bool:
    return isinstance(value, tuple) and len(value) <= TUPLE and all(map(_is_plain, value))


def _is_known(value: Value) -> bool:
    """Whether operators and print take a value."""
    return _is_plain(value) or isinstance(value, list | tuple | range)


def _characters(value: Value) -> int:
    """About how many characters a value has in print."""
    if isinstance(value, tuple):
        return sum(map(_characters, value))
    return value.bit_length() // 3 if isinstance(value, int) else len(value) if isinstance(value, str) else 20
