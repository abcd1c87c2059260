"""Options as fields of dataclasses, those of a study among them: the command line, a study file and Python read them.

The text under a field is the option's help. Its metadata says how the command line shows and completes it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import re
import textwrap
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import QAlignError, SettingError, nearest

T = TypeVar("T")
Result = TypeVar("Result")
P = ParamSpec("P")
DATA, TRAINING, GENERATION, EXECUTION, OUTPUT = "Data", "Training", "Generation", "Execution", "Output"
"""The groups of options, in the order in which help shows them."""
_LISTS = (Sequence, Iterable, tuple)
WORDS: dict[object, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path", types.NoneType: "none",
    **dict.fromkeys(_LISTS, "a list"), Mapping: "a mapping",
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
        check_value(getattr(values, name), hints, name, row=options_of(kind).get(name))


def check_value(value: object, hints: Sequence[object], name: str, of: str = "", row: Option | None = None) -> None:
    """Raises SettingError for a value of none of the types, or out of an option's range; of a list it names the wrong item."""
    if any(fits(value, hint) for hint in hints) and (row is None or row.holds(value)):
        return
    for hint in hints:
        if get_origin(hint) in _LISTS and isinstance(value, list | tuple):
            for place, one in enumerate(value):
                check_value(one, alternatives(get_args(hint)[0]), f"{name}[{place}]", of)
    shown = repr(value) if isinstance(value, str) else str(value)  # a date of a TOML file as it stands there
    kinds = [get_origin(hint) or hint for hint in hints]
    words = dict.fromkeys(WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}") for kind in kinds)
    expected = " or ".join(words)
    if row is not None and row.least is not None:
        expected = f"{next(iter(words))} {f'of {row.least:g} or more' if row.most is None else f'from {row.least} to {row.most}'}"
    raise SettingError(f"{name}{of} is {shown:.80}; give {expected}")


def fits(value: object, hint: object) -> bool:
    """Whether a value is of a type; the items of lists are looked at too. Types that cannot be told fit."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if hint is Any or not isinstance(origin, type) or (type(value) is int and origin is float):
        return True
    if not isinstance(value, origin) or (isinstance(value, bool) and origin is int):
        return False
    looked_at = origin in _LISTS and inner and isinstance(value, list | tuple)
    return not looked_at or all(fits(one, inner[0]) for one in value)  # type: ignore[attr-defined]


def known_names(what: str, function: Callable[P, T], typed: bool = True) -> Callable[P, T]:
    """The function `what`, where a call with other parameters than its own is refused in one line.

    With `typed`, for functions of the Python API, the types of values are looked at too, and errors name options as Python
    does.
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
            check_value(value, alternatives(hints.get(name, Any)), name, f" of {what}")
        try:
            return function(*values, **named)
        except QAlignError as error:
            error.args = (in_python(str(error)),) if typed else error.args
            raise

    return checked


def in_python(message: str) -> str:
    """A message with options by the names that Python has for them. A command line in it stays as it is."""
    words, command, rest = re.split(r"(`?qalign [a-z]|$)", message, maxsplit=1)
    words = words.replace("--set ", "the setting ").replace("--name", "names").replace("--tracker", "trackers")
    words = re.sub(r"--no-([a-z-]+)", r"--\1=False", words)
    return re.sub(r"--([a-z][a-z-]*)", lambda match: match[1].replace("-", "_"), words) + command + rest


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One changed setting."""

    text: str
    """As it was given: `[system.]stage.field=value`."""
    origin: str = ""
    """What stands before the text in messages: where it was given."""
    required: bool = True
    """Whether it is an error if there is no such stage."""

    @property
    def name(self) -> str:
        return self.text.partition("=")[0].strip()

    @property
    def value(self) -> str:
        return self.text.partition("=")[2].strip()

    @property
    def said(self) -> str:
        return self.origin + self.text

    def place(self, systems: Collection[str]) -> tuple[str | None, str, tuple[str, ...]]:
        """The system or None for every one, the stage, and the field or the fields in each other.

        `systems` may stand in front, and may hold dots: the longest that fits is meant. Raises SettingError for another form.
        """
        name = self.name
        fitting = [one for one in systems if name.startswith(f"{one}.") and "." in name[len(one) + 1 :]]
        system = max(fitting, key=len, default=None)
        stage, *path = (name if system is None else name[len(system) + 1 :]).split(".")
        if "=" not in self.text or not path or not all([stage, *path]):
            example = "response-alignment.learning_rate=1e-5"
            raise SettingError(f"{self.said} is not stage.field=value, for example {example}")
        return system, stage, tuple(path)


@known_fields("a study")
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """What a study is. All may be left out."""

    base: str | Path = option("tiny", TRAINING, "MODEL", names="bases")
    """The model to start from: a folder, a hub name, 'world' (the embedded world's) or 'tiny' (random weights). `qalign
    list bases` says when to take which."""
    scale: str | object = option("paper", TRAINING, "NAME", names="scales")
    """'paper' is the published data and hyper-parameters. 'sample' takes minutes on a CPU. 'toy' is the embedded world."""
    settings: Sequence[str | Setting] | Mapping[str, object] = option(
        (), TRAINING, "STAGE.FIELD=VALUE", names="settings", flag="--set"
    )
    """Change one setting of a stage; may be repeated. `qalign list settings` names them."""
    seed: int = option(1234, TRAINING, "N", least=0, most=2**32 - 1)
    """Decides sampling, order and initial weights."""
    questions: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """Parallel questions for stage 1: a corpus by name, or a path."""
    english: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """English questions with worked answers: name or path."""
    multilingual: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """Questions with worked answers in many languages, English among them: name or path."""
    general: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """General-domain parallel sentences: name or path."""
    teacher: str | Path | None = option(None, DATA, "MODEL", names="bases")
    """The model that `metamath` and `wizardmath` ask for other questions and answers: a folder, a hub name, or a server's name
    for it. By default `metamath` asks the base, in the embedded world the world itself, and `wizardmath` none."""
    teacher_endpoint: str | None = option(None, DATA, "URL")
    """An OpenAI-compatible server that has the teacher, such as http://localhost:8000/v1. Its key is read from
    OPENAI_API_KEY."""
    languages: Sequence[str] | str | None = option(None, DATA, "CODES", names="languages")
    """Languages of stage 1, such as bn,th,sw; may be repeated. All nine by default."""
    test: Sequence[str | Path] | str | Path | None = option(None, DATA, "TEST", names="benchmarks")
    """A benchmark by name, or the path of your own; may be repeated."""
    test_languages: Sequence[str] | str | None = option(None, DATA, "CODES", names="languages")
    """Languages to measure in; may be repeated. All of the test set by default."""
    limit: int | None = option(None, DATA, "N", least=1)
    """Measure on the first N problems of each test set, the same in every language. Short for --set
    data.problems_per_language=N."""
    data: Path | str | None = option(None, DATA, "DIR")
    """A folder with local copies of the corpora."""
    language_file: Path | str | None = option(None, DATA, "FILE")
    """A TOML file that describes further languages."""
    runs: Path | str = option(Path("runs"), OUTPUT, "DIR")
    """The folder of all stages and results."""
    published: bool = option(False, OUTPUT, "")
    """Show the figures that others published on the same benchmarks, each with its source."""

    def __post_init__(self) -> None:
        check_values(self)


def codes(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The codes of languages, each once, with commas or spaces between them. Raises SettingError for none."""
    text = given if isinstance(given, str) else " ".join(given or ())
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if given and not found:
        raise SettingError(f"'{text}' names no language; give codes with commas, such as bn,th,sw")
    return found or None
