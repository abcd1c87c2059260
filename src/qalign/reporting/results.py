"""`results.json` and the table that puts results beside the published ones. The form is documented in docs/results.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..languages import STUDY
from ..records import atomic_file, write_json
from ..untrusted import parse_json
from . import provenance
from .findings import p_value
from .schema import check
from .tables import Table, without_formula
from .titles import Titles

FORMAT = "qalign-results"
VERSION = 1
SIZES = ("7B", "13B")


def results(
    run: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]],
    trained_on: Mapping[str, Sequence[Mapping[str, Any]]],
    published: Mapping[str, Mapping[str, Mapping[str, float]]],
    corpora: Sequence[Mapping[str, Any]] = (),
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All figures with their counts: `systems -> benchmark -> language -> score`, and what each system was trained on.

    `published` is `system -> benchmark -> model size -> average accuracy` of the study; `corpora` are the counts of what
    was read; `statistics` are `consistency`, `comparisons` and `notes`, as docs/results.md has them.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": dict(run),
        "systems": {name: {b: dict(by_language) for b, by_language in rows.items()} for name, rows in scores.items()},
        "trained_on": {name: list(stages) for name, stages in trained_on.items()},
        "published": {name: dict(rows) for name, rows in published.items()},
        "corpora": [dict(row) for row in corpora],
        **(statistics or {}),
    }


def tables(found: Mapping[str, Any], titles: Titles) -> list[Table]:
    """The table of results beside the published ones, then what the systems were trained on and what was read.

    `titles` are names for people of systems and benchmarks.
    """
    made = [_results_table(found, titles)]
    if found.get("comparisons"):
        made.append(_comparisons_table(found, titles))
    if found.get("consistency"):
        made.append(_consistency_table(found, titles))
    if found.get("claims"):
        made.append(_claims_table(found))
    if any(found["trained_on"].values()):
        made += [_training_table(found, titles), _mixture_table(found)]
    if found.get("corpora"):
        made.append(_corpora_table(found["corpora"]))
    return made


def _results_table(found: Mapping[str, Any], titles: Titles) -> Table:
    systems: Mapping[str, Mapping[str, Mapping[str, Any]]] = found["systems"]
    benchmarks = list(dict.fromkeys(benchmark for scores in systems.values() for benchmark in scores))
    rows = [(b, name, scores[b]) for b in benchmarks for name, scores in systems.items() if b in scores]
    there = {code: None for _, _, row in rows for code in row if code not in (AVERAGE, NON_ENGLISH)}
    languages = [*(code for code in STUDY if code in there), *(code for code in there if code not in STUDY)]
    with_published = any(found["published"].get(name, {}).get(benchmark) for benchmark, name, _ in rows)
    columns = [
        "system",
        "benchmark",
        *languages,
        "average ± s.e.",
        "non-English",
        "paper rule",
        "wrong",
        "no answer",
        "cut off",
    ]
    columns += [f"published {size}" for size in SIZES] if with_published else []
    body = []
    for benchmark, name, row in rows:
        average = row[AVERAGE]
        cells = [titles.system(name), titles.benchmark(benchmark)]
        cells += [f"{row[code]['strict']:.1f}" if code in row else "-" for code in languages]
        cells += [f"{average['strict']:.1f} ± {average['standard_error']:.1f}"]
        cells += [f"{row[NON_ENGLISH]['strict']:.1f}" if NON_ENGLISH in row else "-", f"{average['paper']:.1f}"]
        cells += [str(average[count]) for count in ("wrong", "unanswered", "cut_off")]
        if with_published:
            figures = found["published"].get(name, {}).get(benchmark, {})
            cells += [f"{figures[size]:.1f}" if size in figures else "-" for size in SIZES]
        body.append(cells)
    seeds = len(found.get("seeds", ())) or 1  # `n` counts the answers under all of them
    counts = sorted({row[code]["n"] // seeds for _, _, row in rows for code in languages if code in row})
    asked = " to ".join(dict.fromkeys(map(str, (*counts[:1], *counts[-1:])))) or "no"
    note = f"Accuracy in percent under the strict rule; {asked} problems a language; {_run_line(found['run'])}."
    if with_published:
        note += " Published: averages over ten languages of LLaMA-2 under the paper rule (arXiv 2401.07817)."
    return Table("Results", columns, body, note)


def _comparisons_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """Differences between systems, over the languages other than English and in English."""
    names = {NON_ENGLISH: "non-English", "en": "English", AVERAGE: "all languages"}
    body = [
        [
            f"{titles.system(row['a'])} - {titles.system(row['b'])}",
            titles.benchmark(row["benchmark"]),
            names[row["group"]],
            f"{row['difference']:+.1f}",
            f"{row['low']:.1f} to {row['high']:.1f}",
            p_value(row["p_adjusted"]),
        ]
        for row in found["comparisons"]
        if row["group"] in (NON_ENGLISH, "en")
    ]
    one_run = any(row.get("only_a") is not None for row in found["comparisons"])  # means over several have no counts
    exact = " (in English alone by McNemar's exact test)" if one_run else ""
    return Table(
        "Differences between systems",
        ["difference", "benchmark", "languages", "points", "95% interval", "p"],
        body,
        "On the same problems, clustered by problem; intervals by the paired bootstrap; p by a paired t test over problems"
        f"{exact}, after Holm's correction for the number of comparisons.",
    )


def _consistency_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """How far answers agree with those to the same problem in English."""
    rows = [(name, b, found_) for name, by in found["consistency"].items() for b, found_ in by.items()]
    codes = [code for code in STUDY if any(code in row["with_english"] for _, _, row in rows)]
    codes += [code for code in dict.fromkeys(c for _, _, row in rows for c in row["with_english"]) if code not in codes]
    body = [
        [
            titles.system(name),
            titles.benchmark(benchmark),
            *(f"{row['with_english'][code]['agree']:.1f}" if code in row["with_english"] else "-" for code in codes),
            f"{row['mean_with_english']['agree']:.1f} ± {row['mean_with_english']['standard_error']:.1f}",
        ]
        for name, benchmark, row in rows
        if row["mean_with_english"]
    ]
    note = "Percent of problems with the same number as the answer to the English question, right or wrong."
    return Table("Consistency with English", ["system", "benchmark", *codes, "mean ± s.e."], body, note)


def _claims_table(found: Mapping[str, Any]) -> Table:
    body = [[row["claim"], row["verdict"], row["evidence"]] for row in found["claims"]]
    return Table("The claims of the study, here", ["claim", "verdict", "evidence"], body)


def _training_table(found: Mapping[str, Any], titles: Titles) -> Table:
    body = [
        [
            f"{titles.system(name)}: {stage['stage']}",
            f"{stage['examples']:,}",
            f"{stage['tokens']:,}",
            f"{stage['supervised_tokens']:,}",
            f"{stage['steps']:,}",
            f"{stage['first_loss']:.3f} -> {stage['last_loss']:.3f}",
            _too_long(stage["too_long"]),
        ]
        if "steps" in stage
        else [
            f"{titles.system(name)}: {stage['stage']} ({'adopted' if 'adopted_from' in stage else 'removed'})",
            *["-"] * 6,
        ]
        for name, stages in found["trained_on"].items()
        for stage in stages
    ]
    columns = ["training", "examples", "tokens seen", "supervised", "steps", "loss", "too long"]
    return Table("What the systems were trained on", columns, body, "Loss: mean of the first and of the last steps.")


def _mixture_table(found: Mapping[str, Any]) -> Table:
    """What one epoch of each stage holds, by source and language; a stage that systems share stands once."""
    shared = {stage["folder"]: stage for chain in found["trained_on"].values() for stage in chain}
    body = [
        [
            f"{folder}: {row['source']}",
            row["language"],
            f"{row['examples']:,}",
            f"{row['tokens']:,}",
            f"{row['supervised_tokens']:,}",
        ]
        for folder, stage in shared.items()
        for row in stage.get("mixture", ())
    ]
    return Table(
        "One epoch by source and language", ["stage: source", "language", "examples", "tokens", "supervised"], body
    )


def _corpora_table(corpora: Sequence[Mapping[str, Any]]) -> Table:
    """What was read, by corpus and language, with what was left out of it and what is worth knowing."""
    body = [
        [
            corpus["folder"],
            code,
            f"{count:,}",
            f"{corpus['published'][code]:,}" if code in (corpus["published"] or {}) else "-",
            f"{corpus['kept'].get(code, 0):,}",
        ]
        for corpus in corpora
        for code, count in corpus["counts"].items()
    ]
    dropped = [f"{row['where']}: {row['reason']}" for corpus in corpora for row in corpus["dropped"]]
    listed = (
        [f"Dropped {len(dropped)} rows: {'; '.join(dropped[:10])}" + (" ..." if len(dropped) > 10 else "")]
        if dropped
        else []
    )
    notes = list(dict.fromkeys(note for corpus in corpora for note in corpus["notes"]))
    return Table(
        "What was read",
        ["corpus", "language", "rows", "published", "kept"],
        body,
        " ".join(f"{t}." for t in [*notes, *listed]),
    )


def _too_long(counts: Mapping[str, Mapping[str, int]]) -> str:
    """`12 dropped, 3 cut`, or `-`."""
    words = {"drop": "dropped", "cut": "cut"}
    return ", ".join(f"{sum(by_language.values()):,} {words[what]}" for what, by_language in counts.items()) or "-"


def score_table(title: str, scores: Mapping[str, Mapping[str, Any]], note: str = "") -> Table:
    """The scores of one set of predictions, a row a language."""
    columns = ["language", "n", "strict ± s.e.", "paper ± s.e.", "correct", "wrong", "no answer", "cut off"]
    rows = [
        [
            code.replace("_", "-"),
            f"{row['n']:,}",
            f"{row['strict']:.1f} ± {row['standard_error']:.1f}",
            f"{row['paper']:.1f} ± {row['standard_error_paper']:.1f}",
            *[f"{row[count]:,}" for count in ("correct", "wrong", "unanswered", "cut_off")],
        ]
        for code, row in scores.items()
    ]
    return Table(title, columns, rows, note)


def load(path: Path) -> dict[str, Any]:
    """A `results.json`.

    Raises:
        DataError: it is not there, is not of this form and version, or contradicts itself.
    """
    try:
        found = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}); give the results.json of a run") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("version") != VERSION:
        raise DataError(f"{path} is no {FORMAT} of version {VERSION}; give the results.json of a run")
    check(found, str(path))
    return found


def _run_line(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in run.items() if isinstance(value, str | int))


def write(found: Mapping[str, Any], made: Sequence[Table], folder: Path, titles: Titles | None = None) -> list[Path]:
    """Writes `results.json` and the tables as Markdown, LaTeX and CSV; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", found)
    files = {
        "results.md": "\n".join(
            [*(table.markdown() for table in made), provenance.markdown(found, titles or Titles())]
        ),
        "results.tex": "\n".join(table.latex() for table in made),
        "results.csv": "\n".join(
            f"# {without_formula(' '.join(table.title.split()))}\n{table.csv()}" for table in made
        ),
    }
    for name, text in files.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / "results.json", *(folder / name for name in files)]
