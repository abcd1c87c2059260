"""One HTML file that holds a whole comparison: it opens from disk, asks nothing of the network, and explains itself.

`page.html.jinja` is its text, `page.css` its look, `page.js` the explorer of answers, `tables.js` sorts and copies tables.
Tables and charts need no script.
All accuracies, agreements and differences come in percent (points), as in `results.json`. What a model or a user wrote
reaches the page through Jinja's escaping, or as JSON that the script writes out as text; neither is ever read as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..evaluation import scores
from ..evaluation.benchmarks import about_world
from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..records import atomic_file
from . import provenance
from .accuracies import SIZES, problems
from .charts import WHISKER_WIDTH, bar_chart, gap_chart, loss_chart, whiskers
from .explorer import OUTCOMES, Answers, explorer_data, language_tag, safe_json
from .findings import bounds, headline, is_same, p_value
from .fitted import of_figures
from .results import tables
from .tables import Table
from .titles import Titles
from .view import (
    Curves,
    accuracy,
    benchmarks_of,
    curves_by_stage,
    in_order,
    interval,
    languages_of,
    other_rules,
    published_of,
    rules_in_words,
    slots_of,
    systems_of,
)

SIGNIFICANT = 0.05
HEAT_STEPS = 20


def render_page(found: Mapping[str, Any], titles: Titles, curves: Curves | None = None, answers: Answers = ()) -> str:
    """The page. `found` is `results.json`; its keys `findings`, `claims`, `consistency`, `comparisons` and `notes`
    may be lacking.

    `titles` are names for people of systems, benchmarks, and of languages that the table of languages lacks.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style, script = _source("page.css"), _source("tables.js") + _source("page.js")
    titles = titles.with_arrows()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clean"] = _clean
    page = environment.from_string(_source("page.html.jinja")).render(
        **view_of(found, titles, curves or {}),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=Markup(safe_json(explorer_data(found, titles, answers))),
    )
    return page if page.endswith("\n") else page + "\n"


def write_page(found: Mapping[str, Any], titles: Titles, curves: Curves | None, answers: Answers, path: Path) -> None:
    """Writes the page to `path`, whole or not at all."""
    page = render_page(found, titles, curves, answers)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
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


def _clean(value: Any) -> str:
    """Text without control characters and half surrogate pairs, which HTML does not allow, and without what turns the
    direction of all text behind it."""
    unsafe = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    return re.sub(unsafe, "\N{REPLACEMENT CHARACTER}", str(value))


# --- what the template shows ------------------------------------------------------------------------------------------


def view_of(found: Mapping[str, Any], titles: Titles, curves: Curves) -> dict[str, Any]:
    """All that the template writes down, as plain values and the geometry of the charts."""
    slots = slots_of(found)
    return {
        "run": [(name, value) for name, value in found["run"].items() if value not in (None, "", [], {})],
        "headline": headline(found, titles),
        "findings": found.get("findings", ())[1:],
        "notes": found.get("notes", ()),
        "world": about_world(benchmarks_of(found)),
        "claims": found.get("claims", ()),
        "systems": [(name, titles.system(name), slot) for name, slot in slots.items()],
        "benchmarks": [_benchmark(found, benchmark, titles) for benchmark in benchmarks_of(found)],
        "losses": [loss_chart(stage, lines, slots, titles) for stage, lines in curves_by_stage(curves).items()],
        "training": [_shown(table) for table in tables(found, titles) if table.section == "training"],
        "facts": provenance.facts(found),
        "models": provenance.models_table(found, titles),
        "snippet": provenance.snippet(found),
        "serve": provenance.serve_command(best["folder"]) if (best := provenance.best_model(found)) else "",
        "best": provenance.best_in_words(found, titles),
        "language_name": titles.language_and_code,
        "language_tag": language_tag,
        "outcomes": OUTCOMES,
        "main_rule": found["rules"][MAIN]["title"],
        "rules": rules_in_words(found["rules"]),
        "whisker_width": WHISKER_WIDTH,
    }


LONG = 20
"""Rows above which a table is folded."""


def _shown(table: Table) -> dict[str, Any]:
    """A table as the template writes it: which columns hold figures, and whether it is folded."""
    return {
        "title": table.title,
        "columns": [(column, of_figures(table, number)) for number, column in enumerate(table.columns)],
        "rows": table.rows,
        "note": table.note,
        "folded": len(table.rows) > LONG,
    }


def _benchmark(found: Mapping[str, Any], benchmark: str, titles: Titles) -> dict[str, Any]:
    languages = languages_of(found, benchmark)
    names = systems_of(found, benchmark)
    seeds = len(found.get("seeds", ())) or 1  # `n` counts the answers under all of them
    return {
        "name": benchmark,
        "title": titles.benchmark(benchmark),
        "languages": [(code, titles.language(code)) for code in languages],
        "problems": _range(found["systems"][name][benchmark][code]["n"] // seeds for name in names for code in languages
                           if code in found["systems"][name][benchmark]),
        "results": _results(found, benchmark, names, languages, titles),
        "gap": gap_chart(found, benchmark, titles) if any(NON_ENGLISH in found["systems"][n][benchmark] for n in names) else None,
        "bars": bar_chart(found, benchmark, titles),
        "consistency": _consistency(found, benchmark, names, titles),
        "comparisons": _comparisons(found, benchmark, titles),
    }  # fmt: skip


def _range(counts: Iterable[int]) -> str:
    there = sorted(set(counts))
    return " to ".join(f"{count:,}" for count in dict.fromkeys((*there[:1], *there[-1:])))


def _results(
    found: Mapping[str, Any], benchmark: str, names: Sequence[str], languages: Sequence[str], titles: Titles
) -> dict[str, Any]:
    """The table of accuracies: columns, and rows of cells (value, low, high, whether it is the highest of its column)."""
    rows = {name: found["systems"][name][benchmark] for name in names}
    others = any(NON_ENGLISH in row for row in rows.values())
    groups = [AVERAGE, *([NON_ENGLISH] if others else []), *languages]
    best = {
        group: max((accuracy(row[group]) for row in rows.values() if group in row), default=None) for group in groups
    }
    published = [size for size in SIZES if any(size in published_of(found, name, benchmark) for name in names)]
    slots, rules = slots_of(found), other_rules(found)
    made = []
    for name, row in rows.items():
        average = row[AVERAGE]
        counts = [average[outcome] for outcome in OUTCOMES]
        made.append(
            {
                "title": titles.system(name),
                "slot": slots[name],
                "cells": [
                    (accuracy(row[g]), *interval(row[g], problems(row)), len(rows) > 1 and accuracy(row[g]) == best[g])
                    if g in row
                    else None
                    for g in groups
                ],
                "others": [
                    (accuracy(average, rule), *interval(average, problems(row), rule))
                    if rule in average["accuracy"]
                    else None
                    for rule in rules
                ],
                "in_language": {g: row[g].get("in_language") for g in groups if g in row},
                "published": [published_of(found, name, benchmark).get(size) for size in published],
                "counts": [
                    (o, count, 100 * count / (sum(counts) or 1)) for o, count in zip(OUTCOMES, counts, strict=True)
                ],
                "n": average["n"],
            }
        )
    told = any(row[AVERAGE].get("in_another") is not None for row in rows.values())
    return {
        "columns": [(g, titles.group(g)) for g in groups],
        "rules": list(rules.values()),
        "published": published,
        "in_language": told,
        "rows": made,
    }


def _consistency(
    found: Mapping[str, Any], benchmark: str, names: Sequence[str], titles: Titles
) -> list[dict[str, Any]]:
    """Of each system: its agreement with English, and the matrices between languages as (value, step of the heat)."""
    made = []
    for name in names:
        found_here = found.get("consistency", {}).get(name, {}).get(benchmark)
        if not found_here:
            continue
        mean = found_here.get("mean_with_english")
        codes = list(found_here.get("languages", ()))
        order = [codes.index(code) for code in in_order(codes)]
        made.append(
            {
                "title": titles.system(name),
                "slot": slots_of(found)[name],
                "mean": _agreement(mean) if mean else None,
                "kept": mean.get("agree_given_english_right") if mean else None,
                "with_english": {code: _agreement(row) for code, row in found_here.get("with_english", {}).items()},
                "languages": [(codes[i], titles.language(codes[i])) for i in order],
                "matrices": [
                    (kind, [[_heat(matrix[i][j]) for j in order] for i in order])
                    for kind, key in (("agree", "matrix"), ("correct", "matrix_correct"))
                    if (matrix := found_here.get(key))
                ],
            }
        )
    return made


def _agreement(row: Mapping[str, Any]) -> tuple[float, float, float]:
    return row["agree"], *scores.interval(row["agree"], row["standard_error"], row["n"])


def _heat(value: float | None) -> tuple[float, int] | None:
    return None if value is None else (value, max(0, min(HEAT_STEPS, round(value / 100 * HEAT_STEPS))))


def _comparisons(found: Mapping[str, Any], benchmark: str, titles: Titles) -> list[dict[str, Any]]:
    """The comparisons by group (average, non-English, then languages), each in words and with its place on a line."""
    here = [row for row in found.get("comparisons", ()) if row["benchmark"] == benchmark]
    lines = dict(zip(map(id, here), whiskers(here), strict=True))
    groups = dict.fromkeys(row["group"] for row in here)
    first = [group for group in (AVERAGE, NON_ENGLISH) if group in groups]
    return [
        {
            "group": titles.group(group),
            "open": group in first,
            "rows": [
                {
                    "only_a": None,
                    "only_b": None,
                    **row,
                    **dict(zip(("low", "high"), bounds(row), strict=True)),
                    "a": titles.system(row["a"]),
                    "b": titles.system(row["b"]),
                    "p": "–" if is_same(row) else p_value(row["p"]),
                    "p_adjusted": "–" if is_same(row) else p_value(row["p_adjusted"]),
                    "verdict": _verdict(row),
                    "whisker": lines[id(row)],
                }
                for row in here
                if row["group"] == group
            ],
        }
        for group in [*first, *in_order(group for group in groups if group not in first)]
    ]


def _verdict(row: Mapping[str, Any]) -> str:
    if not row["p_adjusted"] < SIGNIFICANT:
        return "undecided"
    return "a" if row["difference"] > 0 else "b"
