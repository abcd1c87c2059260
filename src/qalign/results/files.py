"""The files of results: `results.json`, of this version or the first, and its tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..errors import DataError
from ..paths import instead
from ..records import atomic_file, write_json
from ..untrusted import parse_json
from . import provenance
from .schema import FORMAT, VERSION, Content, described, parse, plain
from .tables import Table, without_formula
from .titles import Titles

FIRST_RULES = {"strict": "standard_error", "paper": "standard_error_paper"}
"""The rules of version 1, with the names that their standard errors had."""


def load(path: Path) -> Content:
    """The content of a `results.json`.

    Raises DataError where it is not there, is not of this form and version, or contradicts itself.
    """
    try:
        values = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        advice = instead(path, "give the results.json of a run")
        raise DataError(f"cannot read {path} ({error.strerror}); {advice}") from error
    version = values.get("version") if isinstance(values, dict) and values.get("format") == FORMAT else None
    if type(version) is not int or version not in (1, VERSION):
        raise DataError(f"{path} is not a {FORMAT} file of version {VERSION} or 1; give the results.json of a run")
    return parse(_of_today(values) if version == 1 else values, str(path))


def _of_today(values: dict[str, object]) -> dict[str, object]:
    """A file of version 1 as version 2. What has not the form of version 1 stays for `parse` to name."""
    systems = _each(values.get("systems"), lambda b: _each(b, lambda codes: _each(codes, _score)))
    return {**values, "version": VERSION, "rules": msgspec.to_builtins(described(FIRST_RULES)), "systems": systems}


def _score(score: object) -> object:
    if not isinstance(score, dict):
        return score
    gone = {*FIRST_RULES, *FIRST_RULES.values()}
    return {
        **{key: value for key, value in score.items() if key not in gone},
        "accuracy": {name: score[name] for name in FIRST_RULES if name in score},
        "standard_error": {name: score[error] for name, error in FIRST_RULES.items() if error in score},
        **dict.fromkeys(("in_language", "in_another", "no_language")),
    }


def _each(value: object, change: Callable[[object], object]) -> object:
    return {key: change(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def write(content: Content, tables: Sequence[Table], folder: Path, titles: Titles) -> list[Path]:
    """Writes `results.json` and the tables as Markdown, LaTeX and CSV; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", plain(content))
    texts = {
        "results.md": [*(table.markdown() for table in tables), provenance.markdown(content, titles)],
        "results.tex": [table.latex() for table in tables],
        "results.csv": [f"# {without_formula(' '.join(table.title.split()))}\n{table.csv()}" for table in tables],
    }
    for name, parts in texts.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text("\n".join(parts), encoding="utf-8")
    return [folder / "results.json", *(folder / name for name in texts)]
