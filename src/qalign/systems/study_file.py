"""A study as a TOML file, to be committed and sent: its systems, and its options by the names of the command line.

`[settings]` holds what `--set` takes. Paths are relative to the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ..corpora import CORPORA
from ..errors import QAlignError, SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS
from ..fingerprints import first_look
from ..options import OUTPUT, Setting, StudyOptions, check_value, codes, fits, options_of, types_of
from ..paths import read_toml
from ..placement import Placement
from ..records import atomic_file
from ..untrusted import check_surrogates, printable
from .bases import TINY, WORLD
from .comparison import compare
from .study import LIMIT, Study, settings_in, study

Values: TypeAlias = dict[str, Any]
"""Some fields of `StudyOptions`."""
OPTIONS = {name: option for name, option in options_of(StudyOptions).items() if option.group != OUTPUT}
"""The options that a study file holds. The others are those of a machine."""
KEYS = ("systems", *OPTIONS)
KNOWN: Mapping[str, Collection[str]] = {"corpora": CORPORA, "benchmarks": BENCHMARKS, "bases": (TINY, WORLD)}
"""Names that may stand in the place of a path."""
SUFFIX = ".toml"
"""By which a study file is told from a system."""
SEE = "see 'A study as a file' in docs/quickstart.md"


def load_study(path: Path | str, **options: Any) -> tuple[Study, list[str]]:
    """The study of a TOML file, and the names of its systems; options of `qalign.study` replace those in the file."""
    systems, of_file = read_study(Path(path))
    return study(**with_options(of_file, options)), systems


def read_study(path: Path) -> tuple[list[str], Values]:
    """The systems and the options of a study file."""
    values: Values = {**read_toml(path, "study file", SEE)}
    shown = printable(str(path))
    text = json.dumps(values, ensure_ascii=False, default=str)
    try:
        for key, value in values.items():
            if key not in KEYS:
                raise SettingError(f"unknown key '{printable(key)}': {_instead_of(key)}")
            if value in ("", []) or (isinstance(value, list) and "" in value):
                raise SettingError(f"{key} holds an empty value; give one, or leave the key out")
        check_surrogates(text, "it")
        if "\\u0000" in text:
            raise SettingError("it holds the character U+0000, which no name has")
        systems, settings = values.pop("systems", []), values.pop("settings", {})
        check_value(systems, [list[str] if isinstance(systems, str) else Sequence[str]], "systems")
        flat = list(_flat("settings", settings))
        StudyOptions(**values)  # refuses values of other types
    except QAlignError as error:
        raise SettingError(f"{shown}: {error}; {SEE}") from error
    values = _moved(values, lambda text: str(path.parent / text), lambda text: path.parent / text)
    return systems, {**values, "settings": [Setting(text=text, origin=f"{shown}: settings.") for text in flat]}


def with_options(of_file: Values, given: Values, own_systems: bool = False) -> Values:
    """The options of a file, with those of a command in their place. The command's settings come last. If the command names
    systems (`own_systems`), the file's settings may be about others."""
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
    """The systems and options of a command, those of the study file among its systems included. The options named in `given`,
    which stand on the command line, override the file."""
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


def _instead_of(key: str) -> str:
    """What an unknown key may be: an option of the command alone, or a key of another name."""
    fields = {**options_of(StudyOptions), **options_of(Placement)}
    flags = {name: option.flag or f"--{name.replace('_', '-')}" for name, option in fields.items()}
    flags["output"], name = "--output", key.replace("-", "_")
    meant = name if name in flags else next((one for one in flags if flags[one] == f"--{key}"), "")
    if meant and meant not in KEYS:
        return f"it is an option of the command, {flags[meant]}, and not part of a study"
    return f"did you mean '{meant}'?" if meant else nearest(name, KEYS)


def _moved(values: Values, move: Callable[[str], str], place: Callable[[str], Path]) -> Values:
    """The values of options with their paths moved, where `place` says to what a path leads."""

    def moved(text: object, names: str) -> str:
        text = str(text)
        is_name = text in KNOWN.get(names, ()) or (names == "bases" and not place(text).is_dir())
        return text if is_name else move(text)

    found = dict(values)
    for key in values:
        if Path in types_of(StudyOptions)[key]:
            value, names = values[key], OPTIONS[key].names
            found[key] = (
                [moved(one, names) for one in value] if isinstance(value, list | tuple) else moved(value, names)
            )
    return found


def _flat(where: str, value: object) -> Iterator[str]:
    """The settings of nested tables, as `--set` takes them."""
    if not isinstance(value, dict):
        raise SettingError(f"{where} is {value!r:.80}; give a table")
    for key, inner in value.items():
        name = f"{where}.{key}"
        if isinstance(inner, dict):
            yield from _flat(name, inner)
        elif isinstance(inner, str | int | float):
            yield f"{name.partition('.')[2]}={str(inner).lower() if isinstance(inner, bool) else inner}"
        elif isinstance(inner, list) and fits(inner, Sequence[str]):
            yield f"{name.partition('.')[2]}={','.join(inner)}"
        else:
            raise SettingError(
                f"{printable(name)} is {inner!s:.80}; give text, a number, true, false or a list of texts"
            )


def save(path: Path, systems: Sequence[str], options: Values) -> None:
    """Writes a study file, once its names are known to exist. The arguments are those of `write_study`."""
    with first_look():
        compare(study(**options), systems)
    write_study(path, systems, StudyOptions(**options))


def write_study(path: Path, systems: Sequence[str], options: StudyOptions) -> None:
    """Writes the study file of some systems and options."""
    values = {key: getattr(options, key) for key in OPTIONS if key != "settings"}
    values |= {key: codes(values[key]) for key, option in OPTIONS.items() if option.names == "languages"}
    values = {key: value for key, value in values.items() if value is not None and value not in ([], ())}
    values = _moved(values, lambda text: text if os.path.isabs(text) else os.path.relpath(text, path.parent), Path)
    lines = [f"{key} = {_toml(value)}" for key, value in {"systems": list(systems), **values}.items()]
    if settings := {setting.name: setting.value for setting in settings_in(options.settings)}:
        lines += ["", "[settings]", *(f"{_toml(name)} = {_toml(value)}" for name, value in settings.items())]
    text = "\n".join([*lines, ""])
    if path.exists() and (not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text):
        raise SettingError(f"{path} is there already; name another file, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _toml(value: object) -> str:
    """A text, a whole number or a list of texts as TOML has it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
