"""`results.json` and the tables of it. The form is documented in docs/results.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..evaluation.answer_language import UNTOLD
from ..evaluation.rules import RULES, described
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..paths import instead
from ..records import atomic_file, write_json
from ..untrusted import parse_json
from ..wording import counted
from . import provenance
from .accuracies import RESULTS, accuracy_table, agreement_table, language_table, summary_table, too_long
from .accuracies import score_table as score_table
from .findings import bounds, is_same, p_value
from .schema import check
from .tables import Cell, Table, without_formula
from .titles import Titles
from .versions import of_today
from .view import examples_text

FORMAT = "qalign-results"
VERSION = 2
DIFFERENCES = "Differences"
"""What the titles of tables of differences begin with."""


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
    told = any(row.get("in_another") is not None for b in scores.values() for by in b.values() for row in by.values())
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": dict(run),
        "rules": described(RULES),
        "systems": {name: {b: dict(by_language) for b, by_language in rows.items()} for name, rows in scores.items()},
        "trained_on": {name: list(stages) for name, stages in trained_on.items()},
        "published": {name: dict(rows) for name, rows in published.items()},
        "corpora": [dict(row) for row in corpora],
        **(statistics or {}),
        "notes": [*(statistics or {}).get("notes", ()), *([] if told or not scores else [UNTOLD])],
    }


def tables(found: Mapping[str, Any], titles: Titles) -> list[Table]:
    """The table of results beside the published ones, then what the systems were trained on and what was read.

    `titles` are names for people of systems and benchmarks.
    """
    made = [accuracy_table(found, titles)]
    if found.get("comparisons"):
        made.append(_comparisons_table(found, titles))
    if found.get("consistency"):
        made.append(agreement_table(found, titles))
    made.append(language_table(found, titles))
    if found.get("claims"):
        made.append(_claims_table(found))
    if any(found["trained_on"].values()):
        made += [_training_table(found, titles), _mixture_table(found)]
    if found.get("rejections"):
        made.append(_rejections_table(found, titles))
    if found.get("corpora"):
        made.append(_corpora_table(found["corpora"]))
    return [table for table in made if table.rows]


def last_tables(found: Mapping[str, Any], titles: Titles, differences: bool = False) -> list[Table]:
    """The tables that a run ends with: the verdicts on claims, if there are such, and the results.

    A terminal too narrow for all languages gets English, the others and the average; `qalign report` shows the rest.

    Args:
        found: the results.
        titles: names for people.
        differences: whether the tests of differences stand below the results.
    """
    results_table = replace(accuracy_table(found, titles), narrow=(summary_table(found, titles),))
    tested = [_comparisons_table(found, titles)] if differences and found.get("comparisons") else []
    return [*([_claims_table(found)] if found.get("claims") else []), results_table, *tested]


def for_terminal(made: Sequence[Table]) -> list[Table]:
    """Tables in the order of a terminal, where the last lines are seen first: results and differences stand at the end."""
    last = [table for table in made if table.title == RESULTS or table.title.startswith(DIFFERENCES)]
    return [*reversed([table for table in made if table not in last]), *last]


def _comparisons_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """Differences between systems, over the languages other than English and in English."""
    names = {NON_ENGLISH: "non-English", "en": "English", AVERAGE: "all languages"}
    body = [
        [
            f"{titles.system(row['a'])} - {titles.system(row['b'])}",
            titles.benchmark(row["benchmark"]),
            names[row["group"]],
            f"{row['difference']:+.1f}",
            "{:.1f} to {:.1f}".format(*bounds(row)),
            "-" if is_same(row) else p_value(row["p_adjusted"]),
        ]
        for row in found["comparisons"]
        if row["group"] in (NON_ENGLISH, "en")
    ]
    one_run = any(row.get("only_a") is not None for row in found["comparisons"])  # means over several have no counts
    exact = " (in English alone by McNemar's exact test)" if one_run else ""
    note = (
        "On the same problems, clustered by problem. Intervals by the paired bootstrap; p by a paired t test over problems"
        f"{exact}, after Holm's correction for the number of comparisons."
    )
    if any(row["low"] == row["high"] for row in found["comparisons"] if row["group"] in (NON_ENGLISH, "en")):
        note += (
            " Where all problems differ alike, the interval is Wilson's bound; without any difference there is no p."
        )
    return Table(
        f"{DIFFERENCES} between systems",
        ["difference", "benchmark", "languages", "points", "95% interval", "p"],
        body,
        note,
    )


def _claims_table(found: Mapping[str, Any]) -> Table:
    body = [[row["claim"], row["verdict"], row["evidence"]] for row in found["claims"]]
    return Table("The claims of the study, here", ["claim", "verdict", "evidence"], body)


def _training_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """A row for each training stage of each system."""
    first: dict[str, str] = {}
    rows = []
    for name, stages in found["trained_on"].items():
        for stage in stages:
            title = titles.system(name)
            shared = first.setdefault(stage["folder"], title)
            below = f"shared with {shared}" if shared != title else ""
            if "steps" not in stage:
                below = below or f"adopted from {stage['adopted_from']}" * ("adopted_from" in stage)
                rows.append([Cell(f"{title}: {stage['stage']} ({_elsewhere(stage)})", below), *["-"] * 6])
                continue
            rows.append(
                [
                    Cell(f"{title}: {stage['stage']}", below),
                    examples_text(stage),
                    f"{stage['tokens']:,}",
                    f"{stage['supervised_tokens']:,}",
                    f"{stage['steps']:,}",
                    f"{stage['first_loss']:.3f} -> {stage['last_loss']:.3f}",
                    too_long([stage["too_long"]]) or "-",
                ]
            )
    columns = ["training", "examples", "tokens seen", "supervised", "steps", "loss", "too long"]
    note = "Loss: mean of the first and of the last steps."
    return Table("What the systems were trained on", columns, rows, note, section="training")


def _elsewhere(stage: Mapping[str, Any]) -> str:
    """Why it is not known what a stage was trained on."""
    if "adopted_from" not in stage:
        return "removed"
    return f"adopted: {stage['adopted_name']}" if stage.get("adopted_name") else "adopted"


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
    columns = ["stage: source", "language", "examples", "tokens", "supervised"]
    return Table("One epoch by source and language", columns, body, section="training")


def _rejections_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """What was kept of the answers that models sampled, and why the others were left out."""
    parts = [(stage, row) for stage in found["rejections"] for row in stage["languages"]]
    reasons = list(dict.fromkeys(reason for _, row in parts for reason in row["left_out"]))
    rows = [
        [", ".join(map(titles.system, stage["systems"])), row["language"], f"{row['answers']:,}", f"{row['kept']:,}",
         *(f"{row['left_out'].get(reason, 0):,}" for reason in reasons)]
        for stage, row in parts
    ]  # fmt: skip
    note = "Answers that a model sampled to train on, and how many were left out for each reason."
    columns = ["system", "language", "answers", "kept", *reasons]
    return Table("Sampled answers", columns, rows, note, section="training")


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
        [f"Dropped {counted(len(dropped), 'row')}: {'; '.join(dropped[:10])}" + (" ..." if len(dropped) > 10 else "")]
        if dropped
        else []
    )
    notes = list(dict.fromkeys(note for corpus in corpora for note in corpus["notes"]))
    return Table(
        "What was read",
        ["corpus", "language", "rows", "published", "kept"],
        body,
        " ".join(f"{t}." for t in [*notes, *listed]),
        section="training",
    )


def load(path: Path) -> dict[str, Any]:
    """A `results.json`.

    Raises:
        DataError: it is not there, is not of this form and version, or contradicts itself.
    """
    try:
        found = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        advice = instead(path, "give the results.json of a run")
        raise DataError(f"cannot read {path} ({error.strerror}); {advice}") from error
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or type(found.get("version")) is not int
        or found["version"] not in (1, VERSION)
    ):
        raise DataError(f"{path} is not a {FORMAT} file of version {VERSION} or 1; give the results.json of a run")
    content = of_today(found) if found["version"] == 1 else found
    check(content, str(path))
    return content


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
