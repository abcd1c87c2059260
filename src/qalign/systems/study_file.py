"""A study as a TOML file, to be committed and sent: its systems, and its options by the names of the command line.

`[settings]` holds what `--set` takes. Paths are relative to the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Unpack

import msgspec

from ..corpora import CORPORA
from ..errors import DataError, QAlignError, SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS
from ..language_file import load_languages
from ..languages import language
from ..paths import instead
from ..records import atomic_file
from ..toml_file import read_toml
from ..untrusted import check_surrogates, printable
from .bases import TINY, WORLD
from .scales import SCALES
from .settings import Settings, parse_settings
from .study import Study
from .study_options import LIMIT, StudyOptions, settings_in, study
from .table import SYSTEMS, find_system

Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\0]*$")]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1)]
CORPUS_KEYS = ("questions", "english", "multilingual", "general")
"""The keys that name a corpus or a path."""
EXECUTION = (
    "runs",
    "output",
    "device",
    "processes",
    "launcher",
    "jobs",
    "batch_size",
    "tokens_per_micro_batch",
    "quiet",
)
"""Options that a study file does not hold, for they are those of a machine."""
WORDS = {
    "str": "text",
    "int": "a whole number",
    "array": "a list",
    "object": "a table",
    "float": "a number",
    "bool": "true or false",
}
"""The types of TOML in words."""
SEE = "see 'A study as a file' in docs/quickstart.md"


class StudyFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a study file may hold. Each key may be left out."""

    systems: Texts | None = None
    base: Text | None = None
    scale: Text | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None = None
    questions: Text | None = None
    english: Text | None = None
    multilingual: Text | None = None
    general: Text | None = None
    languages: Texts | None = None
    test: Texts | None = None
    test_languages: Texts | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    data: Text | None = None
    language_file: Text | None = None
    settings: dict[Text, Any] | None = None


def load_study(path: Path | str, **options: Unpack[StudyOptions]) -> tuple[Study, list[str]]:
    """The study of a file, and the names of its systems.

    Args:
        path: the TOML file.
        options: take the place of those in the file.

    Raises:
        SettingError: the file cannot be read, or holds an unknown key or a value that cannot be used.
    """
    systems, of_file = read_study(Path(path))
    return study(**with_options(of_file, options)), systems


def read_study(path: Path) -> tuple[list[str], StudyOptions]:
    """The systems and the options of a study file.

    Raises:
        SettingError: the file cannot be read, or holds an unknown key or a value that cannot be used.
    """
    content = read_toml(path, "study file", SEE)
    shown = printable(str(path))
    for key in content:
        if key not in StudyFile.__struct_fields__:
            raise SettingError(f"{shown}: unknown key '{printable(key)}': {_instead_of(key)}")
    try:
        found = msgspec.convert(content, StudyFile)
        check_surrogates(json.dumps(content, ensure_ascii=False, default=str), shown)
    except msgspec.ValidationError as error:
        raise SettingError(f"{shown}: {_in_words(str(error))}; {SEE}") from error
    except DataError as error:
        raise SettingError(str(error)) from error
    texts = [f"{name}={value}" for name, value in _flat(found.settings or {}, f"{shown}: settings")]
    settings = parse_settings(texts, SYSTEMS, origin=f"{shown}: settings.")
    if found.limit is not None and any(setting.name == LIMIT for setting in settings.given):
        raise SettingError(f"{shown}: 'limit' is short for settings.{LIMIT}; give one of the two")
    given = {name: value for name in StudyFile.__struct_fields__ if (value := getattr(found, name)) is not None}
    systems = given.pop("systems", [])
    options: StudyOptions = {**_paths(given, path.parent), "settings": settings}  # type: ignore[typeddict-item]
    _check(found, options, shown)
    return systems, options


def with_options(of_file: StudyOptions, given: StudyOptions, own_systems: bool = False) -> StudyOptions:
    """The options of a file, with those of a command in their place. The command's settings come last.

    Args:
        of_file: the options of the file.
        given: the options of the command.
        own_systems: whether the command names systems. The file's settings may then be about others.
    """
    before, after = settings_in(of_file), settings_in(given)
    merged: StudyOptions = {**of_file, **given}
    if given.get("limit") is not None:
        before = [setting for setting in before if setting.name != LIMIT]
    elif any(setting.name == LIMIT for setting in after):
        merged.pop("limit", None)
    if own_systems:
        before = [replace(setting, required=False) for setting in before]
    return {**merged, "settings": Settings([*before, *after])}


def _check(found: StudyFile, options: StudyOptions, shown: str) -> None:
    """Raises an error with the key's name for a name or path that does not exist."""
    for number, system in enumerate(found.systems or ()):
        name = system.partition("=")[2] or system
        with _at(f"{shown}: systems[{number}]"):
            if ":" not in name:  # code of a user's own is imported when it is run
                find_system(name)
    if found.scale is not None and found.scale not in SCALES:
        raise SettingError(f"{shown}: scale: unknown scale '{printable(found.scale)}': {nearest(found.scale, SCALES)}")
    file = options.get("language_file")
    with _at(f"{shown}: language_file"):
        table = load_languages(Path(file) if file is not None else None)
    for key, codes in (("languages", found.languages), ("test_languages", found.test_languages)):
        for number, code in enumerate(codes or ()):
            with _at(f"{shown}: {key}[{number}]"):
                language(code, table)
    for number, test in enumerate(options.get("test") or ()):
        _check_place(f"{shown}: test[{number}]", test, "a benchmark", BENCHMARKS)
    for key in CORPUS_KEYS:
        if (place := options.get(key)) is not None:
            _check_place(f"{shown}: {key}", str(place), "a corpus", CORPORA)


def _check_place(key: str, place: str, kind: str, known: Iterable[str]) -> None:
    """Raises an error for what is neither a known name nor a path."""
    if place not in known and not Path(place).exists():
        advice = instead(place, f"{nearest(place, known)} (or a path from the file's folder)")
        raise SettingError(f"{key}: '{printable(place)}' is neither {kind} nor a path: {advice}")


@contextmanager
def _at(key: str) -> Iterator[None]:
    """Puts the key in front of an error."""
    try:
        yield
    except QAlignError as error:
        raise type(error)(f"{key}: {error}") from error


def _instead_of(key: str) -> str:
    plain = key.replace("-", "_")
    if plain in EXECUTION:
        return f"it is an option of the command, --{plain.replace('_', '-')}, and not part of a study"
    return "did you mean 'settings'?" if plain == "set" else nearest(plain, StudyFile.__struct_fields__)


def _in_words(message: str) -> str:
    """What msgspec says, with the key in front."""
    message, _, place = message.partition(" - at `")
    key = place.rstrip("`").removeprefix("$").removeprefix(".") or "the file"
    words = re.sub(r"`(\w+)(?: \| null)?`", lambda match: WORDS.get(match[1], match[1]), message)
    words = words.replace("Expected", "expected").replace(", got ", ", found ")
    return f"{key}: {words}"


def _flat(values: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """The settings of nested tables: the name with dots, and the value as `--set` takes it."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", text) for name, text in _flat(value, f"{where}.{key}"))
        elif isinstance(value, bool):
            yield key, str(value).lower()
        elif isinstance(value, str | int | float):
            yield key, str(value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            yield key, ",".join(value)
        else:
            raise SettingError(
                f"{printable(where)}.{printable(key)}: expected text, a number, true, false or a list of texts, found "
                f"{type(value).__name__}"
            )


def _paths(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values with paths from the current folder in the place of those from the file's."""
    moved = dict(given)
    for key in ("data", "language_file"):
        if key in moved:
            moved[key] = str(folder / moved[key])
    for key in CORPUS_KEYS:
        if key in moved and moved[key] not in CORPORA:
            moved[key] = str(folder / moved[key])
    if "test" in moved:
        moved["test"] = [test if test in BENCHMARKS else str(folder / test) for test in moved["test"]]
    if moved.get("base") not in (None, TINY, WORLD) and (folder / moved["base"]).is_dir():
        moved["base"] = str(folder / moved["base"])
    return moved


# --- writing ----------------------------------------------------------------------------------------------------------


def write_study(path: Path, systems: Sequence[str], options: StudyOptions) -> None:
    """Writes the study file of some systems and options.

    Raises:
        SettingError: another file is there, or the scale is none of the table's.
    """
    scale = options.get("scale", "paper")
    if not isinstance(scale, str):
        raise SettingError(f"the scale {scale.name} is your own, which a study file cannot name")
    settings = settings_in(options)
    lines = [f"{key} = {_toml(value)}" for key, value in _written(systems, options, path.parent)]
    if settings:
        lines += ["", "[settings]", *_setting_lines({one.name: one.value for one in settings})]
    text = "\n".join([*lines, ""])
    if path.exists() and (not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text):
        raise SettingError(f"{path} is there already; give --save another name, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _written(systems: Sequence[str], options: StudyOptions, folder: Path) -> Iterator[tuple[str, Any]]:
    """The keys and values of a file, with paths from its folder."""

    def moved(value: Any) -> str:
        text = str(value)
        return text if os.path.isabs(text) else os.path.relpath(text, folder)

    named = {**CORPORA, **BENCHMARKS}
    for key in StudyFile.__struct_fields__:
        value: Any = list(systems) if key == "systems" else options.get(key)
        if key == "settings" or value is None or value == [] or value == ():
            continue
        if key in ("data", "language_file") or (key in CORPUS_KEYS and value not in named):
            value = moved(value)
        elif key == "test":
            value = [one if one in named else moved(one) for one in ([value] if isinstance(value, str) else value)]
        elif key == "base" and value not in (TINY, WORLD) and Path(value).is_dir():
            value = moved(value)
        yield key, value


def _setting_lines(values: Mapping[str, str]) -> Iterable[str]:
    """A line for each setting; whole names in quotes where one lies within another, such as an adapter and its rank."""
    nested = any(other.startswith(f"{name}.") for name in values for other in values)
    for name, value in values.items():
        key = _toml(name) if nested else ".".join(map(_key, name.split(".")))
        plain = re.fullmatch(r"true|false|-?(0|[1-9]\d{0,17})(\.\d+)?([eE][-+]?\d+)?", value)
        yield f"{key} = {value if plain else _toml(value)}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """A text, a whole number or a list of texts as TOML has it."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
