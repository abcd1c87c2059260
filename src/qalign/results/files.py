"""The files of results: `results.json`, and its tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from ..paths import instead
from ..records import atomic_file, write_json
from ..untrusted import parse_json
from . import provenance
from .schema import FORMAT, VERSION, Content, parse, plain
from .tables import Table, without_formula
from .titles import Titles
from .versions import of_today


def load(path: Path) -> Content:
    """The content of a `results.json`.

    Raises:
        DataError: it is not there, is not of this form and version, or contradicts itself.
    """
    try:
        values = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        advice = instead(path, "give the results.json of a run")
        raise DataError(f"cannot read {path} ({error.strerror}); {advice}") from error
    version = values.get("version") if isinstance(values, dict) and values.get("format") == FORMAT else None
    if type(version) is not int or version not in (1, VERSION):
        raise DataError(f"{path} is not a {FORMAT} file of version {VERSION} or 1; give the results.json of a run")
    return parse(of_today(values) if version == 1 else values, str(path))


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
