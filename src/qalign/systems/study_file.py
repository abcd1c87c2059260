"""A study as a TOML file, to be committed and sent: its systems, and its options by the names of the command line.

`[settings]` holds what `--set` takes. Paths are relative to the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from ..corpora import CORPORA
from ..errors import DataError, QAlignError, SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS
from ..fingerprints import first_look
from ..language_file import load_languages
from ..languages import language
from ..options import OUTPUT, is_repeated, options_of, types_of
from ..paths import instead, read_toml
from ..placement import Placement
from ..records import atomic_file
from ..study_options import Setting, StudyOptions, codes
from ..untrusted import check_surrogates, printable
from .bases import TINY, WORLD
from .comparison import compare
from .scales import SCALES
from .study import LIMIT, Study, settings_in, study
from .table import find_system

Values: TypeAlias = dict[str, Any]
"""Some fields of `StudyOptions`."""
Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\0]*$")]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1)]
OPTIONS = {name: option for name, option in options_of(StudyOptions).items() if option.group != OUTPUT}
"""The options that a study file holds. The others are those of a machine."""
KEYS = ("systems", *OPTIONS)
KNOWN: Mapping[str, Collection[str]] = {"corpora": CORPORA, "benchmarks": BENCHMARKS, "bases": (TINY, WORLD)}
"""Names that may stand in the place of a path."""
WORDS = {
    "str": "text", "int": "a whole number", "array": "a list", "object": "a table", "float": "a number", "bool": "true or false",
}  # fmt: skip
"""The types of TOML in words."""
SUFFIX = ".toml"
"""By which a study file is told from a system."""
SEE = "see 'A study as a file' in docs/quickstart.md"


def load_study(path: Path | str, **options: Any) -> tuple[Study, list[str]]:
    """The study of a file, and the names of its systems.

    Args:
        path: the TOML file.
        options: as `qalign.study` takes them, in the place of those in the file.

    Raises:
        SettingError: the file cannot be read, or holds an unknown key or a value that cannot be used.
    """
    systems, of_file = read_study(Path(path))
    return study(**with_options(of_file, options)), systems


def read_study(path: Path) -> tuple[list[str], Values]:
    """The systems and the options of a study file.

    Raises:
        SettingError: the file cannot be read, or holds an unknown key or a value that cannot be used.
    """
    content, shown = read_toml(path, "study file", SEE), printable(str(path))
    for key in content:
        if key not in KEYS:
            raise SettingError(f"{shown}: unknown key '{printable(key)}': {_instead_of(key)}")
    try:
        values = {key: _converted(key, content[key]) for key in KEYS if key in content}
        check_surrogates(json.dumps(content, ensure_ascii=False, default=str), shown)
    except msgspec.ValidationError as error:
        raise SettingError(f"{shown}: {error}; {SEE}") from error
    except DataError as error:
        raise SettingError(str(error)) from error
    flat = _flat(values.get("settings", {}), f"{shown}: settings")
    settings = [Setting(text=f"{name}={value}", origin=f"{shown}: settings.") for name, value in flat]
    for setting in settings:
        setting.place(())
    if "limit" in values and any(setting.name == LIMIT for setting in settings):
        raise SettingError(f"{shown}: 'limit' is short for settings.{LIMIT}; give one of the two")
    systems = values.pop("systems", [])
    values = _moved(values, lambda text: str(path.parent / text), lambda text: path.parent / text)
    _check(systems, values, shown)
    return systems, {**values, "settings": settings}


def with_options(of_file: Values, given: Values, own_systems: bool = False) -> Values:
    """The options of a file, with those of a command in their place. The command's settings come last.

    Args:
        of_file: the options of the file.
        given: the options of the command.
        own_systems: whether the command names systems. The file's settings may then be about others.
    """
    before, after = settings_in(of_file.get("settings", ())), settings_in(given.get("settings", ()))
    merged = {**of_file, **given}
    if given.get("limit") is not None:
        before = [setting for setting in before if setting.name != LIMIT]
    elif any(setting.name == LIMIT for setting in after):
        merged.pop("limit", None)
    if own_systems:
        before = [replace(setting, required=False) for setting in before]
    return {**merged, "settings": [*before, *after]}


def with_file(systems: Sequence[str], options: Values, given: Collection[str]) -> tuple[list[str], Values]:
    """The systems and options of a command, those of its study file included.

    Args:
        systems: names of systems, and at most one study file.
        options: all options of the command.
        given: the names of those that stand on the command line, which override the file.

    Raises:
        SettingError: there are several files, or one that cannot be used, or no systems.
    """
    files = [name for name in systems if name.endswith(SUFFIX)]
    if not files:
        return list(systems), options
    if len(files) > 1:
        raise SettingError(f"a run has one study file; give one of {', '.join(files)}")
    of_file, options_of_file = read_study(Path(files[0]))
    own = [name for name in systems if name not in files]
    if not own and not of_file:
        raise SettingError(f"{files[0]} names no systems; give it a key 'systems', or name them behind it")
    overriding = {name: value for name, value in options.items() if name in given}
    return own or of_file, with_options(options_of_file, overriding, own_systems=bool(own))


def _converted(key: str, value: object) -> Any:
    """The value of a key as its type, which the option says."""
    kind: Any = Text
    if key == "settings":
        kind = dict[Text, object]
    elif key == "systems" or is_repeated(StudyOptions, key):
        kind = Texts
    elif types_of(StudyOptions)[key][0] is int:
        kind = Annotated[int, msgspec.Meta(ge=OPTIONS[key].least, le=OPTIONS[key].most)]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        words = re.sub(r"`(\w+)`", lambda match: WORDS.get(match[1], match[1]), message)
        words = words.replace("Expected", "expected").replace(", got ", ", found ")
        raise msgspec.ValidationError(f"{key}{place.rstrip('`')}: {words}") from error


def _moved(values: Values, move: Callable[[str], str], place: Callable[[str], Path]) -> Values:
    """The values, with paths from another folder.

    Args:
        values: of options.
        move: the path from the other folder.
        place: where a path leads.
    """

    def moved(text: str, names: str) -> str:
        is_name = text in KNOWN.get(names, ()) or (names == "bases" and not place(text).is_dir())
        return text if is_name else move(text)

    found = dict(values)
    for key, option in OPTIONS.items():
        if key in values and any(kind is Path for kind in types_of(StudyOptions)[key]):
            value = values[key]
            many = isinstance(value, list | tuple)
            found[key] = [moved(str(one), option.names) for one in value] if many else moved(str(value), option.names)
    return found


def _check(systems: Sequence[str], values: Values, shown: str) -> None:
    """Raises an error with the key's name for a name or path that does not exist."""
    file = values.get("language_file")
    with _at(f"{shown}: language_file"):
        table = load_languages(Path(file) if file is not None else None)

    def check(text: str, names: str) -> None:
        if names == "scales" and text not in SCALES:
            raise SettingError(f"unknown scale '{printable(text)}': {nearest(text, SCALES)}")
        if names == "languages":
            language(text, table)
        if names in ("corpora", "benchmarks") and text not in KNOWN[names] and not Path(text).exists():
            kind = "a corpus" if names == "corpora" else "a benchmark"
            advice = instead(text, f"{nearest(text, KNOWN[names])} (or a path from the file's folder)")
            raise SettingError(f"'{printable(text)}' is neither {kind} nor a path: {advice}")
        if names == "systems" and ":" not in text:  # code of a user's own is imported when it is run
            find_system(text.partition("=")[2] or text)

    for key, value in {"systems": list(systems), **values}.items():
        names = OPTIONS[key].names if key in OPTIONS else key
        for number, text in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            with _at(f"{shown}: {key}[{number}]" if number >= 0 else f"{shown}: {key}"):
                check(text, names)


@contextmanager
def _at(key: str) -> Iterator[None]:
    """Puts the key in front of an error."""
    try:
        yield
    except QAlignError as error:
        raise type(error)(f"{key}: {error}") from error


def _instead_of(key: str) -> str:
    plain = key.replace("-", "_")
    flags = {name: option.flag or f"--{name.replace('_', '-')}" for name, option in options_of(Placement).items()}
    flag = {**flags, "runs": "--runs", "output": "--output"}.get(plain, f"--{plain}")
    if plain in ("runs", "output") or flag in flags.values():
        return f"it is an option of the command, {flag}, and not part of a study"
    return "did you mean 'settings'?" if plain == "set" else nearest(plain, KEYS)


def _flat(values: Mapping[str, object], where: str) -> Iterator[tuple[str, str]]:
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


# --- writing ----------------------------------------------------------------------------------------------------------


def save(path: Path, systems: Sequence[str], options: Values) -> None:
    """Writes a study file, once its names are known to exist. The arguments are those of `write_study`."""
    with first_look():
        compare(study(**options), systems)
    write_study(path, systems, StudyOptions(**options))


def write_study(path: Path, systems: Sequence[str], options: StudyOptions) -> None:
    """Writes the study file of some systems and options.

    Raises:
        SettingError: another file is there, or the scale is none of the table's.
    """
    if not isinstance(options.scale, str):
        raise SettingError("a scale of your own cannot be named in a study file; give the name of one")
    values = {key: getattr(options, key) for key in OPTIONS if key != "settings"}
    values |= {key: codes(values[key]) for key, option in OPTIONS.items() if option.names == "languages"}
    values = {key: value for key, value in values.items() if value is not None and value not in ([], ())}
    values = _moved(values, lambda text: text if os.path.isabs(text) else os.path.relpath(text, path.parent), Path)
    lines = [f"{key} = {_toml(value)}" for key, value in {"systems": list(systems), **values}.items()]
    settings = {setting.name: setting.value for setting in settings_in(options.settings)}
    text = "\n".join([*lines, *(["", "[settings]", *_setting_lines(settings)] if settings else []), ""])
    if path.exists() and (not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text):
        raise SettingError(f"{path} is there already; name another file, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _setting_lines(values: Mapping[str, str]) -> Iterable[str]:
    """A line for each setting; whole names in quotes where one lies within another, such as an adapter and its rank."""
    nested = any(other.startswith(f"{name}.") for name in values for other in values)
    for name, value in values.items():
        key = _toml(name) if nested else ".".join(map(_key, name.split(".")))
        plain = re.fullmatch(r"true|false|-?(0|[1-9]\d{0,17})(\.\d+)?([eE][-+]?\d+)?", value)
        yield f"{key} = {value if plain else _toml(value)}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    """A text, a whole number or a list of texts as TOML has it."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
