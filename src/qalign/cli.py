"""The command line: one verb a thing that a person wants. Everything it does is Python elsewhere."""

from __future__ import annotations

import errno
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from . import __version__
from .errors import QAlignError, SettingError, nearest
from .placement import Placement

if TYPE_CHECKING:
    from .systems import Study

app = typer.Typer(
    name="qalign",
    help="Make a language model reason in every language as it does in English (QAlign, arXiv 2401.07817).\n\n"
    "Begin with `qalign list`; then `qalign plan SYSTEM... --base MODEL` and `qalign run SYSTEM... --base MODEL`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
USER_ERROR, INTERRUPTED = 2, 130
CANNOT_WRITE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.ELOOP,
)  # fmt: skip
TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""What accelerate can report the progress of training to (its `LoggerType`)."""

Systems = Annotated[
    list[str], typer.Argument(help="Systems by name (see `qalign list`), or module:function of your own.")
]
Names = Annotated[str | None, typer.Option(help="Codes with commas, such as bn,th,sw.")]


@contextmanager
def _errors() -> Iterator[None]:
    """One line and exit status 2 for what the user can mend; 130 for Ctrl-C; a traceback for a mistake of ours."""
    try:
        yield
    except QAlignError as error:
        print(f"qalign: error: {error}", file=sys.stderr)
        raise SystemExit(USER_ERROR) from error
    except KeyboardInterrupt:
        print("\nqalign: interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        print(
            f"qalign: error: this needs {error.name}: pip install 'qalign[all]' (or one of its extras)", file=sys.stderr
        )
        raise SystemExit(USER_ERROR) from error
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        print(
            f"qalign: error: cannot use {error.filename or ''}: {error.strerror}; see to it and run it again",
            file=sys.stderr,
        )
        raise SystemExit(USER_ERROR) from error


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        with _errors():
            command(**arguments)

    return wrapped


def _with_study(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that describe a study and a placement, in front of which stand its own.

    Every verb on a study takes both, so that the line of a run serves for its plan too.
    """
    own = inspect.signature(command).parameters
    shared = [function for name, function in (("study", _study), ("placement", _placement)) if name in own]
    hints = get_type_hints(command, localns={"Study": object}, include_extras=True)
    for function in shared:
        hints = {**get_type_hints(function, localns={"Study": object}, include_extras=True), **hints}
    parameters = [own[name] for name in own if name not in ("study", "placement")]
    for function in shared:
        parameters += [
            p for p in inspect.signature(function).parameters.values() if p.name not in {q.name for q in parameters}
        ]

    def wrapped(**arguments: Any) -> None:
        with _errors():
            built = {
                name: function(**{key: arguments[key] for key in inspect.signature(function).parameters})
                for name, function in (("study", _study), ("placement", _placement))
                if name in own
            }
            command(**{key: value for key, value in arguments.items() if key in own}, **built)

    signature = inspect.Signature([p.replace(annotation=hints[p.name]) for p in parameters])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: hints[p.name] for p in parameters}
    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    return wrapped


def _study(
    *,
    base: Annotated[str, typer.Option(help="The model to start from: a folder, a hub name, or 'tiny' (random weights, made on the spot).")] = "tiny",
    scale: Annotated[str, typer.Option(help="'paper' (published data and hyper-parameters) or 'sample' (a CPU, minutes).")] = "paper",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides sampling, order and initial weights.")] = 1234,
    languages: Annotated[str | None, typer.Option(help="Languages of stage 1, such as bn,th,sw; all nine by default.")] = None,
    questions: Annotated[str | None, typer.Option(help="Parallel questions: a corpus by name, or a path.")] = None,
    english: Annotated[str | None, typer.Option(help="English questions and worked answers: name or path.")] = None,
    multilingual: Annotated[str | None, typer.Option(help="Questions and answers in many languages: name or path.")] = None,
    general: Annotated[str | None, typer.Option(help="General-domain parallel sentences: name or path.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="A benchmark by name, or the path of your own; may be repeated.")] = None,
    test_languages: Annotated[str | None, typer.Option(help="Languages to measure in; all that the test set has by default.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder with local copies of the corpora (docs/data.md).")] = None,
    language_file: Annotated[Path | None, typer.Option(help="A TOML file with rows for further languages (docs/data.md).")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Change one value of a stage; may be repeated.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all stages and results.")] = Path("runs"),
) -> Study:  # fmt: skip
    from .languages import STUDY, language, load_languages
    from .systems import SCALES, SYSTEMS, Study
    from .systems.settings import parse_settings

    if scale not in SCALES:
        raise SettingError(f"unknown scale '{scale}': {nearest(scale, SCALES)}")
    table = load_languages(language_file)
    chosen = _codes(languages) or tuple(code for code in STUDY if code != "en")
    measured = _codes(test_languages)
    for code in (*chosen, *(measured or ())):
        language(code, table)
    return Study(
        base, SCALES[scale], runs, seed, chosen, measured, questions, multilingual, english, general,
        tuple(test or ()), data, table, parse_settings(set_ or (), SYSTEMS),
    )  # fmt: skip


def _placement(
    *,
    runs: Path = Path("runs"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    processes: Annotated[int, typer.Option(min=1, help="Training processes on this machine, one a device.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once, each in a process of its own; they share the cores.")] = 1,
    tokens_per_micro_batch: Annotated[int, typer.Option(min=1, help="Bound on the tokens of a micro-batch: memory against speed.")] = 4096,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts that are answered at once.")] = 64,
    activation_checkpointing: Annotated[bool, typer.Option(help="Less memory, a third more work.")] = False,
    seconds_per_checkpoint: Annotated[float, typer.Option(min=0.0, help="Time between checkpoints of training.")] = 300.0,
    tracker: Annotated[list[str] | None, typer.Option(help="Trackers that accelerate knows, or none; tensorboard by default.")] = None,
    quiet: Annotated[bool, typer.Option(help="No progress, only results.")] = False,
) -> Placement:  # fmt: skip
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise SettingError(f"unknown device '{device}': {nearest(device, ('auto', 'cpu', 'cuda', 'mps'))}")
    for name in tracker or ():
        if name not in (*TRACKERS, "none"):
            raise SettingError(f"unknown tracker '{name}': {nearest(name, (*TRACKERS, 'none'))}")
    trackers = tuple(name for name in tracker if name != "none") if tracker is not None else ("tensorboard",)
    return Placement(
        runs, device, processes, jobs, tokens_per_micro_batch, batch_size, activation_checkpointing, seconds_per_checkpoint,
        trackers, quiet,
    )  # fmt: skip


def _codes(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    codes = tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    if not codes:
        raise SettingError(f"'{text}' names no language; give codes with commas, such as bn,th,sw")
    return codes


@app.command("run")
@_with_study
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
@_with_study
def plan_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Draw the tree of stages: what is done, what will run and how large it is. Starts nothing."""
    from .systems.comparison import compare
    from .systems.plans import draw

    _console().print(draw(compare(study, systems), study.runs))


@app.command("explain")
@_with_study
def explain_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Say why stages will run: the field in which each differs from the nearest one that is done."""
    from . import pipeline
    from .systems.comparison import compare, scores_of

    for stage in pipeline.needed(scores_of(compare(study, systems)), study.runs):
        print("\n".join(pipeline.explain(stage, study.runs)))


@app.command("adopt")
@_with_study
def adopt_command(
    system: Annotated[str, typer.Argument(help="The system whose stage it is.")],
    model: Annotated[str, typer.Argument(help="A finished checkpoint: a folder or a hub name.")],
    study: Study,
    placement: Placement,
    stage: Annotated[str | None, typer.Option(help="Which training stage; the last by default.")] = None,
) -> None:
    """Register a checkpoint made elsewhere as a finished stage, so that `run` measures it like one's own."""
    from . import pipeline
    from .systems.comparison import compare, training_stages
    from .training.models import check_folder, download

    chain = {s.name.removeprefix("train-"): s for s in training_stages(compare(study, [system])[0].model)}
    wanted = stage or list(chain)[-1]
    if wanted not in chain:
        raise SettingError(f"{system} has no training stage '{wanted}': {nearest(wanted, chain)}")
    name, _, revision = model.partition("@")
    folder = Path(name) if Path(name).exists() or "/" not in name else download(name, revision or "main")
    check_folder(folder)
    print(f"{folder} is now {pipeline.adopt(chain[wanted], folder, study.runs)}")


@app.command("eval")
@_with_study
def eval_command(
    model: Annotated[str, typer.Argument(help="Any checkpoint: a folder or a hub name.")],
    study: Study,
    placement: Placement,
    output: Annotated[Path | None, typer.Option(help="Where the tables go; beside the stages by default.")] = None,
) -> None:
    """Measure a checkpoint on the benchmarks, zero-shot. (`--base` plays no part here.)"""
    from dataclasses import replace

    from .systems.comparison import Evaluated

    study = replace(study, base_name=model)
    name = Path(model).resolve().name if Path(model).exists() else model
    comparison = [Evaluated(name, study.base, study.scored(study.base))]
    study.settings.check_all_used()
    _finish(study, comparison, placement, output)


@app.command("score")
@_guarded
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
    from .languages import load_languages
    from .records import write_jsonl
    from .reporting.results import score_table

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
    _console().print(
        score_table(str(file), {code: s.as_dict() for code, s in score(scored.judgements).items()}, note).rich()
    )


@app.command("check")
@_guarded
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
    from .languages import load_languages
    from .systems.checks import check

    for table in check(corpus, role, _codes(languages), data, runs, load_languages(language_file), drop_invalid):
        _console().print(table.rich())


@app.command("report")
@_guarded
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
        _console().print(table.rich(), "") if form == "terminal" else print(getattr(table, form)())


@app.command("list")
@_guarded
def list_command() -> None:
    """Name what there is: systems, scales, benchmarks, corpora, alignment variants, languages."""
    from .systems.checks import overview

    for table in overview():
        _console().print(table.rich(), "")


def _finish(study: Study, comparison: list[Any], placement: Placement, output: Path | None) -> None:
    """Runs what a comparison lacks, then writes and prints its tables."""
    import hashlib

    from . import pipeline
    from .reporting.results import write
    from .systems.comparison import collect, scores_of, targets
    from .systems.workers import open_workers

    words = {"running": "start", "resuming": "go on", "waiting": "wait for another run of", "finished": "done"}

    def tell(event: str, stage: pipeline.Stage) -> None:
        if event in words and not placement.quiet:
            print(f"{words[event]}: {stage.folder_name}", file=sys.stderr, flush=True)

    with open_workers(placement.jobs) as workers:
        pipeline.run(targets(comparison, study.runs), study.runs, placement, tell, workers, placement.jobs)
    found, made = collect(study, comparison)
    name = hashlib.sha256("".join(stage.fingerprint for stage in scores_of(comparison)).encode()).hexdigest()[:8]
    files = write(found, made, output or study.runs / "results" / name)
    for table in reversed(made):  # the results last, where a reader of a terminal looks
        _console().print(table.rich(), "")
    _console().print("Written: " + ", ".join(map(str, files)), markup=False, highlight=False, soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def _version(value: bool) -> None:
    if value:
        print(f"qalign {__version__}")
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
    app()


if __name__ == "__main__":
    main()
