"""How a verb that measures ends: results are written, then printed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..terminal import show

if TYPE_CHECKING:
    from ..results.run_results import Results


def finish(results: Results, differences: bool = False) -> None:
    """Writes results with their figures and page; prints tables, findings and where the files are.

    Args:
        results: of the run.
        differences: whether the tests of all differences are printed too.
    """
    files = results.write()
    for table in results.last_tables(differences):
        show(table.rich(), "")
    for sentence in (*results.findings, *results.model_lines):
        show(sentence)
    show(f"All tables: qalign report {shlex.quote(str(results.folder / 'results.json'))}")
    show(f"{'Page' if files[0].suffix == '.html' else 'Results'}: {files[0]}")
