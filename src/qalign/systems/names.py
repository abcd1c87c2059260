"""The names by which results know own test sets and models: never those of a benchmark or of a system of the study.

Results are put beside published figures by name, so a folder that happens to be called `mgsm` must not be taken for mGSM.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..languages import LANGUAGES
from ..pipeline.stage_record import RECORD, read_record
from ..untrusted import printable
from ..wording import counted

LONGEST = 100
"""Characters that a given name may have."""
BENCHMARK_NAMES = [text for row in BENCHMARKS.values() for text in (row.name, row.title)]


def test_set_name(test: str) -> str:
    """A benchmark's own name; of an own test set, its folder's or file's name."""
    return test if test in BENCHMARKS else _apart("own", _of_path(Path(test)), BENCHMARK_NAMES)


def model_name(model: str, systems: Iterable[str]) -> str:
    """A folder's name, a hub name, or what a server calls the model; never one of the names and titles of `systems`."""
    name = _of_path(Path(model)) if Path(model).exists() else printable(model)
    return _apart("model", name, systems)


def model_names(models: Sequence[str], given: Sequence[str], systems: Sequence[str]) -> list[str]:
    """The names of models in one table: those given, in order, then each model's own. Own names that are alike get the folders
    above in front: `a/final` and `b/final`."""
    if len(given) > len(models):
        what = f"{counted(len(given), 'name')} for {counted(len(models), 'model')}"
        raise SettingError(f"{what}; give --name at most once for each model")
    for model in models:
        name, separator, path = map(printable, model.partition("="))
        if separator and not Path(model).exists() and (Path(path).exists() or "/" in path):
            raise SettingError(
                f"'{printable(model)}' is not a model; a name is given with --name: {path} --name {name}"
            )
    records = [(model, Path(model) / RECORD) for model in models[len(given) :]]
    adopted = {model: read_record(record.parent).adopted_name for model, record in records if record.is_file()}
    own = [model_name(adopted.get(model) or model, systems) for model, _ in records]
    names = [*(checked(name, systems) for name in given), *own]
    return apart(names, [*[""] * len(given), *models[len(given) :]])


def apart(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """The names, those that are alike told apart by the folders above their places, where these are paths."""
    found: dict[str, str] = {}
    for name, place in zip(names, places, strict=True):
        path, alike = Path(place).resolve(), name.casefold()
        if place and Path(place).exists() and path.name == name:
            others = [Path(o).resolve().parts for n, o in zip(names, places, strict=True) if n.casefold() == alike]
            different = [other for other in others if other != path.parts]
            depth = next(k for k in range(1, 1000) if all(path.parts[-k:] != other[-k:] for other in different))
            name = printable("/".join(path.parts[-depth:]))
        if name.casefold() in found:
            raise SettingError(f"the name '{name}' would stand twice in one table; give each its own, with --name")
        found[name.casefold()] = name
    return list(found.values())


def checked(name: str, systems: Iterable[str]) -> str:
    """A name that the user gave."""
    shown = printable(name[:LONGEST])
    if not name.strip() or name != name.strip() or len(name) > LONGEST or printable(name) != name or "=" in name:
        raise SettingError(
            f"'{shown}' cannot be a name in a table; give up to {LONGEST} characters, no = and no spaces at the ends"
        )
    taken = {
        "system": systems,
        "benchmark": BENCHMARK_NAMES,
        "language": [text for row in LANGUAGES.values() for text in (row.code, row.name, row.native_name)],
    }
    for kind, names in taken.items():
        if name.casefold() in {one.casefold() for one in names}:
            raise SettingError(f"the name '{shown}' is that of a {kind}; give another one, such as 'my-{shown}'")
    return name


def _of_path(path: Path) -> str:
    path = path.resolve()
    return printable(path.name if path.is_dir() else path.name.partition(".")[0]) or "own"


def _apart(kind: str, name: str, taken: Iterable[str]) -> str:
    """The name, marked by its kind where it is taken, in capitals or not."""
    return f"{kind}:{name}" if name.casefold() in {one.casefold() for one in taken} else name
