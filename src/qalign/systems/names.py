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


def test_set_name(test: str) -> str:
    """A benchmark's own name; of an own test set, its folder's or file's name."""
    if test in BENCHMARKS:
        return test
    titles = {row.name: row.title for row in BENCHMARKS.values()}
    return _apart("own", _of_path(Path(test)), [*titles, *titles.values()])


def model_name(model: str, systems: Iterable[str]) -> str:
    """A folder's name, a hub name, or what a server calls the model; never one of the names and titles of `systems`."""
    name = _of_path(Path(model)) if Path(model).exists() else printable(model)
    return _apart("model", name, systems)


def model_names(models: Sequence[str], given: Sequence[str], systems: Sequence[str]) -> list[str]:
    """The names of models in one table: those given, in order, then each model's own.

    Own names that are alike get the folders above in front: `a/final` and `b/final`.

    Raises:
        SettingError: there are more names than models, a name cannot be used, or two models have the same name.
    """
    if len(given) > len(models):
        raise SettingError(
            f"{counted(len(given), 'name')} for {counted(len(models), 'model')}; give --name at most once for each model"
        )
    for model in models:
        name, separator, path = model.partition("=")
        if separator and not Path(model).exists() and (Path(path).exists() or "/" in path):
            raise SettingError(
                f"'{printable(model)}' is not a model; a name is given with --name: {printable(path)} --name {printable(name)}"
            )
    own = [model_name(_adopted(model) or model, systems) for model in models[len(given) :]]
    names = [*(checked(name, systems) for name in given), *own]
    return apart(names, [*[""] * len(given), *models[len(given) :]])


def apart(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """The names, those that are alike told apart by the folders above their places.

    Args:
        names: of models or results.
        places: the path of each; other places cannot be told apart.

    Raises:
        SettingError: two names stay the same.
    """
    found = []
    for name, place in zip(names, places, strict=True):
        folded, path = name.casefold(), Path(place).resolve()
        alike = [o for n, o in zip(names, places, strict=True) if n.casefold() == folded and o != place]
        parts = path.parts
        if place and Path(place).exists() and path.name == name:
            others = [Path(other).resolve().parts for other in alike]
            depth = next((k for k in range(1, len(parts)) if all(parts[-k:] != other[-k:] for other in others)), 1)
            name = printable("/".join(parts[-depth:]))
        found.append(name)
    seen: set[str] = set()
    for name in found:
        if name.casefold() in seen:
            raise SettingError(f"the name '{name}' would stand twice in one table; give each its own, with --name")
        seen.add(name.casefold())
    return found


def checked(name: str, systems: Iterable[str]) -> str:
    """A name that the user gave.

    Args:
        name: as it was given.
        systems: the names and titles that it must not have.

    Raises:
        SettingError: it is empty, too long, no plain text, or it is that of a system, a benchmark or a language.
    """
    shown = printable(name[:LONGEST])
    if not name.strip() or name != name.strip() or len(name) > LONGEST or printable(name) != name or "=" in name:
        raise SettingError(
            f"'{shown}' cannot be a name in a table; give up to {LONGEST} characters, no = and no spaces at the ends"
        )
    taken = {
        "system": systems,
        "benchmark": [text for row in BENCHMARKS.values() for text in (row.name, row.title)],
        "language": [text for row in LANGUAGES.values() for text in (row.code, row.name, row.native_name)],
    }
    for kind, names in taken.items():
        if name.casefold() in {one.casefold() for one in names}:
            raise SettingError(f"the name '{shown}' is that of a {kind}; give another one, such as 'my-{shown}'")
    return name


def _adopted(model: str) -> str | None:
    """The name that `adopt` kept of a checkpoint, where a model is the folder of an adopted stage."""
    folder = Path(model)
    return read_record(folder).adopted_name if (folder / RECORD).is_file() else None


def _of_path(path: Path) -> str:
    resolved = path.resolve()
    name = resolved.name if resolved.is_dir() else resolved.name.partition(".")[0]
    return printable(name) or "own"


def _apart(kind: str, name: str, taken: Iterable[str]) -> str:
    """The name, marked by its kind where it is taken, in capitals or not."""
    return f"{kind}:{name}" if name.casefold() in {one.casefold() for one in taken} else name
