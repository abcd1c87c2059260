"""The names by which results know own test sets and models: never those of a benchmark or of a system of the study.

Results are put beside published figures by name, so a folder that happens to be called `mgsm` must not be taken for mGSM.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..evaluation.benchmarks import BENCHMARKS
from ..untrusted import printable


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


def _of_path(path: Path) -> str:
    resolved = path.resolve()
    name = resolved.name if resolved.is_dir() else resolved.name.partition(".")[0]
    return printable(name) or "own"


def _apart(kind: str, name: str, taken: Iterable[str]) -> str:
    """The name, marked by its kind where it is taken, in capitals or not."""
    return f"{kind}:{name}" if name.casefold() in {one.casefold() for one in taken} else name
