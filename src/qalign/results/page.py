"""One HTML file that holds a whole comparison: it opens from disk, asks nothing of the network, and explains itself.

`page.html.jinja` is its text, `page.css` its look, `page.js` the explorer of answers, `tables.js` sorts and copies tables.
Tables and charts need no script.
All accuracies, agreements and differences come in percent (points), as in `results.json`. What a model or a user wrote
reaches the page through Jinja's escaping, or as JSON that the script writes out as text. Neither is ever read as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import get_args

from ..evaluation.answer_language import NONE
from ..evaluation.benchmarks import about_world
from ..evaluation.extraction import MAIN
from ..languages import LANGUAGES
from ..records import Judgement, Outcome, atomic_file
from . import provenance
from .accuracy_tables import span
from .charts import bar_chart, gap_chart, gap_scale, heat_maps, loss_charts, loss_scales, path, systems_in
from .findings import headline
from .run_results import AnsweredProblem, Results
from .schema import Content, in_order
from .tables import Cell, Section, Table, of_figures
from .titles import Titles


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
    gaps = gap_chart(content, benchmark, titles)
    parts = [part for table in tables if (part := _part(table, titles.benchmark(benchmark)))]
    return {
        "title": titles.benchmark(benchmark),
        "problems": span(content.problems_on(benchmark)),
        "languages": content.languages_on(benchmark),
        "tables": _by_section(parts),
        "gaps": gaps,
        "gap_scale": gap_scale(gaps),
        "bars": bar_chart(content, benchmark, titles),
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


def explorer_data(content: Content, titles: Titles, answers: Iterable[AnsweredProblem]) -> dict[str, object]:
    """The answers by problem, as arrays: names are said once, and thirty-six thousand answers stay small.

    - A problem is [benchmark, id, languages].
    - A language is [language, gold, question, answers].
    - An answer is [text, value, start, end, outcome, right under each further rule, the language if another].
      A system without one has null.
    """
    problems: dict[tuple[str, str], list[AnsweredProblem]] = {}
    for entry in answers:
        problems.setdefault((entry.benchmark, entry.problem.id), []).append(entry)
    entries = list(chain.from_iterable(problems.values()))
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in problems))
    languages = in_order(entry.problem.language for entry in entries)
    answering = {name: None for entry in entries for name in entry.answers}
    systems = [*(s for s in content.systems if s in answering), *(s for s in answering if s not in content.systems)]
    slots = {name: slot for slot, name in enumerate(content.systems)}
    places = {code: place for place, code in enumerate(languages)}
    rules = content.other_rules

    def in_languages(group: list[AnsweredProblem]) -> list[list[object]]:
        rows = []
        for one in sorted(group, key=lambda one: places[one.problem.language]):
            given = [_answer(*one.answers[system], rules) if system in one.answers else None for system in systems]
            rows.append([places[one.problem.language], str(one.problem.gold), one.problem.question, given])
        return rows

    return {
        "rules": list(rules.values()),
        "spoken": {code: titles.language(code) for code in sorted({*LANGUAGES, *languages})},
        "benchmarks": [[name, titles.benchmark(name)] for name in benchmarks],
        "languages": [_language_row(code, titles.language(code)) for code in languages],
        "systems": [[name, titles.system(name), slots.get(name, 0)] for name in systems],
        "problems": [
            [benchmarks.index(benchmark), key, in_languages(group)] for (benchmark, key), group in problems.items()
        ],
    }


def _language_row(code: str, name: str) -> list[object]:
    """Code, English name, own name, tag, and whether it is written in Latin letters."""
    row = LANGUAGES.get(code)
    return [code, name, row.native_name if row else "", language_tag(code), row is None or row.script == "Latn"]


def _answer(text: str, judgement: Judgement, rules: Iterable[str]) -> list[object]:
    reading = judgement.readings[MAIN]
    start, end = (_utf16(text, at) for at in (reading.start, reading.end))
    right = [int(rule in judgement.readings and judgement.readings[rule].right) for rule in rules]
    another = None if judgement.answered_in in (None, NONE, judgement.language) else judgement.answered_in
    return [text, reading.value, start, end, get_args(Outcome).index(judgement.outcome), right, another]


def _utf16(text: str, at: int) -> int:
    """The place of a character as JavaScript counts, where one beyond U+FFFF is two."""
    return at if text.isascii() else at + sum(character > "\uffff" for character in text[:at])


def language_tag(code: str) -> str:
    """The tag of a language for the `lang` attribute, so that a reader's fonts and voice fit; empty if it is none."""
    if not re.fullmatch(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*", code):
        return ""
    row = LANGUAGES.get(code)
    return f"{code}-{row.script}" if row and row.script in ("Hans", "Hant") else code.replace("_", "-")


_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def safe_json(value: object) -> str:
    """JSON that no HTML parser reads as anything else: no markup character, line separator or half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
