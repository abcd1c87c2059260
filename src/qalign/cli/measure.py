"""The verbs that measure and count: eval, score, check, report, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError, nearest
from ..placement import Placement
from ..terminal import show, write
from .finish import finish
from .options import Names, codes, guarded, with_study

if TYPE_CHECKING:
    from ..systems import Study


@with_study
def eval_command(
    model: Annotated[str, typer.Argument(help="Any checkpoint: a folder or a hub name; or what the server calls it.")],
    study: Study,
    placement: Placement,
    output: Annotated[Path | None, typer.Option(help="Where the tables go; beside the stages by default.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="URL", help="Ask an OpenAI-compatible server that has the model, such as http://localhost:8000/v1 (key: OPENAI_API_KEY).")] = None,
    requests_in_flight: Annotated[int | None, typer.Option(min=1, show_default=f"{Placement().requests_in_flight}", help="Requests to the server at once.")] = None,
    seconds_per_request: Annotated[float | None, typer.Option(min=0.1, show_default=f"{Placement().seconds_per_request:g}", help="How long to wait for an answer of the server before asking again.")] = None,
) -> None:  # fmt: skip
    """Measure a checkpoint on the benchmarks, zero-shot. (`--base` plays no part here.)"""
    from dataclasses import replace

    from ..generation.bounded import address
    from ..systems import SYSTEMS
    from ..systems.bases import base_on_server
    from ..systems.comparison import Evaluated
    from ..systems.names import model_name
    from ..systems.settings import parse_settings

    study = replace(study, base_name=model)
    given = {"requests_in_flight": requests_in_flight, "seconds_per_request": seconds_per_request}
    of_server: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if endpoint is None and of_server:
        raise SettingError(
            f"--{next(iter(of_server)).replace('_', '-')} is about a server: give --endpoint URL as well"
        )
    if endpoint is not None:
        address(endpoint)  # a wrong URL is an error before anything begins
        placement = replace(placement, endpoint=endpoint, served_model=model, **of_server)
        study.settings.given.extend(parse_settings(["generation.backend=endpoint"], []).given)
    checkpoint = base_on_server(model, study.runs) if endpoint is not None else study.base
    names = [name for row in SYSTEMS.values() for name in (row.name, row.title)]
    comparison = [Evaluated(model_name(model, names), checkpoint, study.scored(checkpoint))]
    study.settings.check_all_used()
    finish(study, comparison, placement, output)


@guarded
def score_command(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet with id, response, gold (and language, finish).")],
    language: Annotated[str | None, typer.Option(help="The language of all rows, if there is no column `language`.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Take the gold answers from this benchmark, by id.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder with local copies of the corpora.")] = None,
    language_file: Annotated[Path | None, typer.Option(help="A TOML file with rows for further languages.")] = None,
    judgements: Annotated[Path | None, typer.Option(help="Write what was read from each answer to this JSONL file.")] = None,
    runs: Annotated[Path, typer.Option(help="Where hub revisions are recorded.")] = Path("runs"),
) -> None:  # fmt: skip
    """Score predictions that exist already, under both rules."""
    from ..corpora import locate, read
    from ..evaluation.benchmarks import BENCHMARKS
    from ..evaluation.external import score_file
    from ..evaluation.scores import score
    from ..language_file import load_languages
    from ..records import write_jsonl
    from ..reporting.results import score_table

    if judgements is not None and judgements.exists() and file.exists() and judgements.samefile(file):
        raise SettingError(f"--judgements {judgements} is the file that is scored; name another, or it would be lost")
    table = load_languages(language_file)
    problems = None
    if benchmark is not None:
        if benchmark not in BENCHMARKS:
            raise SettingError(f"unknown benchmark '{benchmark}': {nearest(benchmark, BENCHMARKS)}")
        row = BENCHMARKS[benchmark]
        codes = (language,) if language else row.languages
        source = locate(row.corpus, "test", codes, data=data, revision=None, revisions=runs / "revisions.json")
        problems = read(source, codes, table).problems
    scored = score_file(file, language, problems, table)
    if judgements is not None:
        judgements.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(judgements, scored.judgements)
    note = f"Columns not used: {', '.join(scored.unused)}." if scored.unused else ""
    show(score_table(str(file), {code: s.as_dict() for code, s in score(scored.judgements).items()}, note).rich())


@guarded
def check_command(
    corpus: Annotated[str, typer.Argument(help="A corpus by name, or a path.")],
    role: Annotated[str, typer.Option(help="questions, answers, multilingual, english, general or test.")],
    languages: Names = None,
    data: Annotated[Path | None, typer.Option(help="A folder with local copies of the corpora.")] = None,
    language_file: Annotated[Path | None, typer.Option(help="A TOML file with rows for further languages.")] = None,
    drop_invalid: Annotated[bool, typer.Option(help="Leave out rows that cannot be used, and list them.")] = False,
    runs: Annotated[Path, typer.Option(help="Where hub revisions are recorded.")] = Path("runs"),
) -> None:  # fmt: skip
    """Read a corpus as a run would, and show its counts by language."""
    from ..language_file import load_languages
    from ..systems.checks import check

    for table in check(corpus, role, codes(languages), data, runs, load_languages(language_file), drop_invalid):
        show(table.rich())


@guarded
def report_command(
    results: Annotated[Path, typer.Argument(help="A results.json.")],
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, latex or csv.")] = "terminal",
) -> None:
    """Print the tables of a finished run again."""
    from ..reporting.results import load, tables
    from ..systems.checks import titles

    forms = ("terminal", "markdown", "latex", "csv")
    if form not in forms:
        raise SettingError(f"unknown format '{form}': {nearest(form, forms)}")
    made = tables(load(results), titles())
    for table in reversed(made) if form == "terminal" else made:
        show(table.rich(), "") if form == "terminal" else write(getattr(table, form)())


@guarded
def list_command() -> None:
    """Name what there is: systems, scales, benchmarks, corpora, alignment variants, languages."""
    from ..systems.checks import overview

    for table in overview():
        show(table.rich(), "")
