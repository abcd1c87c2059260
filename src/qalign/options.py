"""Options as fields of dataclasses: the command line, a study file and Python read them from one place.

The text under a field is the option's help. Its metadata says how the command line shows and completes it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import SettingError, nearest

T = TypeVar("T")
Result = TypeVar("Result")
P = ParamSpec("P")
DATA, TRAINING, GENERATION, EXECUTION, OUTPUT = "Data", "Training", "Generation", "Execution", "Output"
"""The groups of options, in the order in which help shows them."""
WORDS: dict[object, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path", types.NoneType: "none",
    **dict.fromkeys((Sequence, Iterable, tuple), "a list"), Mapping: "a mapping",
}  # fmt: skip
"""Types in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How an option is shown, and which values it takes."""

    group: str
    """The group of the help that shows it."""
    metavar: str = ""
    """What stands for its value in the help."""
    names: str = ""
    """What its words name, such as `corpora`. They are completed and looked up."""
    flag: str = ""
    """Its name on the command line, where that is not the field's."""
    least: float | None = None
    most: float | None = None

    def holds(self, value: object) -> bool:
        """Whether a value is no number out of the range."""
        low, high = -math.inf if self.least is None else self.least, math.inf if self.most is None else self.most
        return not isinstance(value, int | float) or low <= value <= high


def option(default: T, group: str, metavar: str = "", **more: Any) -> T:
    """A field that is an option. The arguments behind the default are those of `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(group=group, metavar=metavar, **more)})


@functools.cache
def options_of(kind: type) -> Mapping[str, Option]:
    """The options among the fields of a dataclass, by field."""
    fields = dataclasses.fields(kind)
    return {field.name: field.metadata["option"] for field in fields if "option" in field.metadata}


@functools.cache
def types_of(kind: type) -> Mapping[str, tuple[object, ...]]:
    """The types that each field of a dataclass takes. The first is that of the command line."""
    return {name: alternatives(hint) for name, hint in get_type_hints(kind).items()}


def is_repeated(kind: type, name: str) -> bool:
    """Whether a field takes several values, each given by an option of its own on the command line."""
    return get_origin(types_of(kind)[name][0]) is Sequence


def alternatives(hint: object) -> tuple[object, ...]:
    """The types of a union, or the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


@functools.cache
def meanings(kind: type) -> Mapping[str, str]:
    """The text under each field of a dataclass, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant), statement.target.id
            texts[statement.target.id] = " ".join(str(below.value.value).split())
    return texts


def check_values(values: object) -> None:
    """Raises SettingError for a value of another type than its field's, or out of an option's range."""
    kind: type = type(values)
    for name, hints in types_of(kind).items():
        value, row = getattr(values, name), options_of(kind).get(name)
        if not any(fits(value, hint) for hint in hints) or not (row is None or row.holds(value)):
            raise SettingError(f"{name} is {value!r:.80}; give {_expected(hints, row)}")


def fits(value: object, hint: object) -> bool:
    """Whether a value is of a type; the items of lists are looked at too. Types that cannot be told fit."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if hint is Any or not isinstance(origin, type) or (type(value) is int and origin is float):
        return True
    if not isinstance(value, origin) or (isinstance(value, bool) and origin is int):
        return False
    looked_at = origin in (Sequence, Iterable, tuple) and inner and isinstance(value, list | tuple)
    return not looked_at or all(fits(one, inner[0]) for one in value)  # type: ignore[attr-defined]


def _expected(hints: Iterable[object], row: Option | None = None) -> str:
    kinds = [get_origin(hint) or hint for hint in hints]
    words = [WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}") for kind in kinds]
    if row is not None and row.most is not None:
        return f"{words[0]} from {row.least} to {row.most}"
    if row is not None and row.least is not None:
        return f"{row.least:g} or more"
    return " or ".join(dict.fromkeys(words))


def known_names(what: str, function: Callable[P, T], typed: bool = True) -> Callable[P, T]:
    """The function `what`, where a call with other parameters than its own is refused in one line.

    With `typed`, the types of values are looked at too.
    """
    signature, hints = inspect.signature(function), get_type_hints(function) if typed else {}
    known = [name for name in signature.parameters if name != "self"]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())

    @functools.wraps(function)
    def checked(*values: P.args, **named: P.kwargs) -> T:
        for name in named:
            if name not in known and not takes_any:
                raise SettingError(f"unknown option '{name}' of {what}: {nearest(name, known)}")
        try:
            given = signature.bind(*values, **named).arguments
        except TypeError as error:
            raise SettingError(f"{what}: {error}; its parameters are {', '.join(known)}") from error
        for name, value in given.items():
            expected = alternatives(hints.get(name, Any))
            if not takes_any and not any(fits(value, hint) for hint in expected):
                raise SettingError(f"{name} of {what} is {value!r:.80}; give {_expected(expected)}")
        return function(*values, **named)

    return checked


def known_fields(what: str) -> Callable[[type[T]], type[T]]:
    """A decorator of classes: an unknown field is answered with the nearest one."""

    def decorated(kind: type[T]) -> type[T]:
        kind.__init__ = known_names(what, kind.__init__, typed=False)  # type: ignore[method-assign]
        return kind

    return decorated


def taking(kind: Callable[P, T]) -> Callable[[Callable[[T], Result]], Callable[P, Result]]:
    """A decorator: a function of a dataclass takes the fields of it by keyword."""

    def decorated(function: Callable[[T], Result]) -> Callable[P, Result]:
        @functools.wraps(function)
        def wrapped(*values: P.args, **named: P.kwargs) -> Result:
            return function(kind(*values, **named))

        wrapped.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
        return wrapped

    return decorated
