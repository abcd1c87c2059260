"""One HTML file that holds a whole comparison: it opens from disk, asks nothing of the network, and explains itself.

`page.html.jinja` is its text, `page.css` its look, `page.js` the explorer of answers, `tables.js` sorts and copies tables.
Tables and charts need no script.
All accuracies, agreements and differences come in percent (points), as in `results.json`. What a model or a user wrote
reaches the page through Jinja's escaping, or as JSON that the script writes out as text. Neither is ever read as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import get_args

from ..evaluation.benchmarks import about_world
from ..evaluation.rules import MAIN
from ..records import atomic_file
from . import provenance
from .accuracy_tables import span
from .charts import bar_chart, bar_places, gap_chart, gap_scale, heat_maps, loss_charts, loss_scales, path, systems_in
from .explorer import explorer_data, safe_json
from .findings import headline
from .fitted import of_figures
from .run_results import Results
from .tables import Cell, Section, Table


def render_page(results: Results) -> str:
    """The page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style, script = _source("page.css"), _source("tables.js") + _source("page.js")
    content, titles = results.data, results.titles
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clean"] = _clean
    environment.tests["cell"] = lambda text: isinstance(text, Cell)
    page = environment.from_string(_source("page.html.jinja")).render(
        **view_of(results),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(safe_json(explorer_data(content, titles, results.answers()))),
    )
    return page if page.endswith("\n") else page + "\n"


def write_page(results: Results, file: Path) -> None:
    """Writes the page to `file`, whole or not at all."""
    page = render_page(results)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """The content security policy: this style and this script by their hashes, images within the page, nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _clean(value: object) -> str:
    """Text without control characters and half surrogate pairs, which HTML does not allow, and without what turns the
    direction of all text behind it."""
    unsafe = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    return re.sub(unsafe, "\N{REPLACEMENT CHARACTER}", str(value))


def view_of(results: Results) -> dict[str, object]:
    """All that the template writes down: tables, texts, and charts with the places of their marks."""
    content, titles = results.data, results.titles
    tables = [*results.tables(), provenance.models_table(content, titles), provenance.facts_table(content)]
    known = {titles.benchmark(name) for name in content.benchmarks}
    return {
        "run": [(name, value) for name, value in content.run.items() if value not in (None, "", [])],
        "headline": headline(content, titles),
        "findings": content.findings[1:],
        "notes": content.notes,
        "world": about_world(content.benchmarks),
        "systems": list(systems_in(content, titles).values()),
        "benchmarks": [_on_benchmark(results, benchmark, tables) for benchmark in content.benchmarks],
        "tables": _by_section([table for table in tables if table.rows and not known & set(table.parts("benchmark"))]),
        "losses": loss_charts(content, results.curves, titles),
        "snippet": provenance.snippet(content),
        "serve": provenance.serve_command(content),
        "best": provenance.best_title(content, titles),
        "language_name": titles.language_and_code,
        "main_rule": content.rules[MAIN].title,
        "figure_columns": of_figures,
        "loss_scales": loss_scales,
        "path": path,
    }


def _on_benchmark(results: Results, benchmark: str, tables: list[Table]) -> dict[str, object]:
    """What the page shows of one benchmark."""
    content, titles = results.data, results.titles
    gaps, bars = gap_chart(content, benchmark, titles), bar_chart(content, benchmark, titles)
    parts = [part for table in tables if (part := _part(table, titles.benchmark(benchmark)))]
    return {
        "title": titles.benchmark(benchmark),
        "problems": span(content.problems_on(benchmark)),
        "languages": content.languages_on(benchmark),
        "tables": _by_section(parts),
        "gaps": gaps,
        "gap_scale": gap_scale(gaps),
        "bars": bars.bars,
        "bar_places": bar_places(bars),
        "heats": heat_maps(content, benchmark, titles),
    }


def _by_section(tables: Sequence[Table]) -> dict[str, list[Table]]:
    return {section: [table for table in tables if table.section == section] for section in get_args(Section)}


def _part(table: Table, benchmark: str) -> Table | None:
    """The rows of a table that are of one benchmark."""
    parts = table.parts("benchmark")
    if benchmark not in parts:
        return None
    details = [part for inner in table.details if (part := _part(inner, benchmark))]
    note = table.note if benchmark == list(parts)[-1] else ""  # once
    return replace(parts[benchmark], details=details, note=note)
