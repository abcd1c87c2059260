"""The command line: one verb a thing that a person wants. Everything it does is Python elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__, terminal, world_commands
from .errors import SettingError, nearest
from .options import JOBS, Names, Systems, codes, guarded, whole_numbers, with_study
from .placement import Placement
from .terminal import say, show, write
from .untrusted import printable

if TYPE_CHECKING:
    from .pipeline import Stage
    from .reporting.titles import Titles
    from .systems import Study

TOY_PLACEMENT: dict[str, Any] = {"tokens_per_micro_batch": 512, "seconds_per_checkpoint": 60.0, "trackers": ()}

app = typer.Typer(
    name="qalign",
    help="Make a language model reason in every language as it does in English (QAlign, arXiv 2401.07817).\n\n"
    "Begin with `qalign demo`, the study in miniature. Then `qalign list`, `qalign plan SYSTEM... --base MODEL` and "
    "`qalign run SYSTEM... --base MODEL`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(world_commands.app)


@app.command("run")
@with_study
def run_command(
    systems: Systems,
    study: Study,
    placement: Placement,
    output: Annotated[Path | None, typer.Option(help="Where the tables go; beside the stages by default.")] = None,
) -> None:
    """Train and measure systems, and print one table. What is done already is not done again.

    Own data needs no Python:

        qalign run qalign-mono --base PATH --questions DIR --english FILE --languages vi,id --test DIR
    """
    from .systems.comparison import compare

    _finish(study, compare(study, systems), placement, output)


@app.command("plan")
@with_study
def plan_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Draw the tree of stages: what is done, what will run and how large it is. Starts nothing."""
    from .systems.comparison import compare
    from .systems.plans import draw, outlook

    comparison = compare(study, systems)
    show(draw(comparison, study.runs))
    for line in outlook(comparison, study.runs, placement):
        show(line)


@app.command("explain")
@with_study
def explain_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Say why stages will run: the field in which each differs from the nearest one that is done."""
    from . import pipeline
    from .systems.comparison import compare, scores_of

    for stage in pipeline.needed(scores_of(compare(study, systems)), study.runs):
        for line in pipeline.explain(stage, study.runs):
            write(printable(line))


@app.command("adopt")
@with_study
def adopt_command(
    system: Annotated[str, typer.Argument(help="The system whose stage it is.")],
    model: Annotated[str, typer.Argument(help="A finished checkpoint: a folder or a hub name.")],
    study: Study,
    placement: Placement,
    stage: Annotated[str | None, typer.Option(help="Which training stage; the last by default.")] = None,
) -> None:
    """Register a checkpoint made elsewhere as a finished stage, so that `run` measures it like one's own."""
    from . import pipeline
    from .systems.bases import checkpoint
    from .systems.comparison import compare, training_stages
    from .training.models import check_model

    chain = {s.name.removeprefix("train-"): s for s in training_stages(compare(study, [system])[0].model)}
    wanted = stage or list(chain)[-1]
    if wanted not in chain:
        raise SettingError(f"{system} has no training stage '{wanted}': {nearest(wanted, chain)}")
    folder = checkpoint(model, study.runs)
    check_model(folder)
    write(printable(f"{folder} is now {pipeline.adopt(chain[wanted], folder, study.runs)}"))


@app.command("eval")
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

    from .generation.bounded import address
    from .systems import SYSTEMS
    from .systems.bases import base_on_server
    from .systems.comparison import Evaluated
    from .systems.names import model_name
    from .systems.settings import parse_settings

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
    _finish(study, comparison, placement, output)


@app.command("score")
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
    from .corpora import locate, read
    from .evaluation.benchmarks import BENCHMARKS
    from .evaluation.external import score_file
    from .evaluation.scores import score
    from .language_file import load_languages
    from .records import write_jsonl
    from .reporting.results import score_table

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


@app.command("check")
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
    from .language_file import load_languages
    from .systems.checks import check

    for table in check(corpus, role, codes(languages), data, runs, load_languages(language_file), drop_invalid):
        show(table.rich())


@app.command("report")
@guarded
def report_command(
    results: Annotated[Path, typer.Argument(help="A results.json.")],
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, latex or csv.")] = "terminal",
) -> None:
    """Print the tables of a finished run again."""
    from .reporting.results import load, tables
    from .systems.checks import titles

    forms = ("terminal", "markdown", "latex", "csv")
    if form not in forms:
        raise SettingError(f"unknown format '{form}': {nearest(form, forms)}")
    made = tables(load(results), titles())
    for table in reversed(made) if form == "terminal" else made:
        show(table.rich(), "") if form == "terminal" else write(getattr(table, form)())


@app.command("demo")
@guarded
def demo_command(
    runs: Annotated[Path, typer.Option(help="The folder of all stages and results.")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides the order of the examples.")] = 1234,
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once.")] = JOBS,
    output: Annotated[Path | None, typer.Option(help="Where page and tables go; beside the stages by default.")] = None,
    quiet: Annotated[bool, typer.Option(help="No progress, only results.")] = False,
) -> None:
    """The study in miniature, here and now: MonoReason, MultiReason and QAlign on the embedded world, in ten languages.

    Needs no data, no network and no GPU. Interrupted, the same command goes on from there.
    """
    from .systems import SCALES, Study
    from .systems.comparison import compare

    study = Study("world", SCALES["toy"], runs, seed)
    placement = Placement(runs=runs, jobs=jobs, **TOY_PLACEMENT, quiet=quiet)
    _finish(study, compare(study, ["monoreason", "multireason", "qalign-mono"]), placement, output)


@app.command("reproduce")
@with_study
def reproduce_command(
    study: Study,
    placement: Placement,
    seeds: Annotated[str, typer.Option(help="Seeds with commas; each system is trained under each.")] = "101,102,103",
    system: Annotated[
        list[str] | None, typer.Option(help="A system of the study; may be repeated. All by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(hidden=True)] = None,
    base: Annotated[
        str, typer.Option(help="The model to start from: 'world', a folder, a hub name, or 'tiny'.")
    ] = "world",
    scale: Annotated[str, typer.Option(help="'toy' (the embedded world), 'sample', or 'paper'.")] = "toy",
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once.")] = JOBS,
    tokens_per_micro_batch: Annotated[int, typer.Option(min=1, help="Bound on the tokens of a micro-batch.")] = 512,
    seconds_per_checkpoint: Annotated[
        float, typer.Option(min=0.0, help="Time between checkpoints of training.")
    ] = 60.0,
    output: Annotated[Path | None, typer.Option(help="Where page and tables go; beside the stages by default.")] = None,
) -> None:
    """All systems and alignments of the study over several seeds, and each claim of the study with what was found here.

    By default in the embedded world, on a CPU; with `--base` and `--scale paper`, the study itself.
    """
    from .systems.comparison import curves, scores_of, table_of, titles
    from .systems.measured import answers
    from .systems.reproduction import ALL, collect_all, reproduction

    if seed is not None:
        raise SettingError(f"reproduce trains under several seeds: give --seeds {seed} instead of --seed {seed}")
    made = reproduction(study, whole_numbers(seeds), system or ALL)
    everything = [system for _, systems in made.values() for system in systems]
    _make(everything, study, placement)
    found = collect_all(made)
    first, comparison = next(iter(made.values()))
    folder = output or study.runs / "results" / _name("reproduce", list(made), scores_of(everything))
    _tell(
        found,
        table_of(found, comparison),
        titles(comparison),
        curves(first, comparison),
        answers(comparison, study.runs),
        folder,
    )


@app.command("list")
@guarded
def list_command() -> None:
    """Name what there is: systems, scales, benchmarks, corpora, alignment variants, languages."""
    from .systems.checks import overview

    for table in overview():
        show(table.rich(), "")


def _finish(study: Study, comparison: list[Any], placement: Placement, output: Path | None) -> None:
    """Runs what a comparison lacks, then writes and prints its tables, figures and page."""
    from .systems.comparison import collect, curves, scores_of, table_of, titles
    from .systems.measured import answers

    _make(comparison, study, placement)
    found = collect(study, comparison)
    folder = output or study.runs / "results" / _name("run", [str(study.seed)], scores_of(comparison))
    _tell(
        found,
        table_of(found, comparison),
        titles(comparison),
        curves(study, comparison),
        answers(comparison, study.runs),
        folder,
    )


def _make(comparison: list[Any], study: Study, placement: Placement) -> None:
    """Runs what a comparison lacks, with a line on stderr for each stage that begins and ends. Bases and data come first; what
    is then known to fail is refused before anything is trained."""
    from . import pipeline
    from .systems import readiness
    from .systems.comparison import before_training, targets
    from .systems.workers import gpu_groups, open_workers

    words = {"running": "start", "resuming": "go on", "waiting": "wait for another run of", "finished": "done"}

    def tell(event: str, stage: Stage) -> None:
        if event in words and not placement.quiet:
            say(f"{words[event]}: {stage.folder_name}")

    readiness.check(comparison, study.runs, placement)
    with open_workers(placement.jobs, gpu_groups(placement)) as workers:
        if front := before_training(comparison, study.runs):
            pipeline.run(front, study.runs, placement, tell, workers, placement.jobs)
            readiness.check(comparison, study.runs, placement)
        pipeline.run(targets(comparison, study.runs), study.runs, placement, tell, workers, placement.jobs)


def _name(kind: str, seeds: list[str], stages: list[Stage]) -> str:
    """The name of the folder of results of some stages: `run` and `reproduce` under one seed have other results of the same."""
    import hashlib

    told = "".join([kind, ",".join(seeds), *(stage.fingerprint for stage in stages)])
    return f"{kind}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _tell(found: dict[str, Any], made: list[Any], names: Titles, curves: Any, answers: Any, folder: Path) -> None:
    """Writes results, tables, figures and page; prints the tables and the findings."""
    from .reporting.results import write

    files = write(found, made, folder)
    try:
        from .reporting.figures import write_figures
        from .reporting.page import write_page

        write_page(found, names, curves, answers, folder / "index.html")
        write_figures(found, curves, folder / "figures", names)
        files = [folder / "index.html", folder / "figures", *files]
    except ModuleNotFoundError as error:
        say(f"No page and no figures, which need {error.name}: pip install 'qalign[report]'")
    for table in reversed(made):  # the results last, where a reader of a terminal looks
        show(table.rich(), "")
    for finding in found.get("findings", ()):
        show(finding)
    show("Written: " + ", ".join(map(str, files)))


def _version(value: bool) -> None:
    if value:
        write(f"qalign {__version__}")
        raise typer.Exit


@app.callback()
def _callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point of the command `qalign`."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # worker processes too look for libraries before the current folder
    terminal.prepare()
    with terminal.faults_in_words():
        raise SystemExit(app(standalone_mode=False) or 0)


if __name__ == "__main__":
    main()
