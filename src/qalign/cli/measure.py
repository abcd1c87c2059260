"""The verbs that measure: eval, score, report; and convert, which makes checkpoints ready for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError, nearest
from ..options import DATA, EXECUTION, GENERATION, OUTPUT
from ..placement import Placement
from ..terminal import show, write
from ..untrusted import printable
from . import completion
from .options import TRAINING_DATA, TRAINING_EXECUTION, Data, LanguageFile, Output, option, with_study
from .studies import finish

if TYPE_CHECKING:
    from ..systems import Study

FORMS = ("terminal", "markdown", "latex", "csv")


@with_study(hidden=TRAINING_EXECUTION, without=TRAINING_DATA, training=GENERATION)
def eval_command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Checkpoints: folders, hub names, or published ones by name (qalign list checkpoints). With --endpoint the server's names for them.")],
    study: Study,
    placement: Placement,
    output: Output = None,
    endpoint: Annotated[str | None, option(EXECUTION, "Ask an OpenAI-compatible server that has the model, such as http://localhost:8000/v1. Its key is read from OPENAI_API_KEY.", metavar="URL")] = None,
    requests_in_flight: Annotated[int | None, option(EXECUTION, "Requests to the server at once.", metavar="N", min=1, show_default=f"{Placement().requests_in_flight}")] = None,
    name: Annotated[list[str] | None, option(OUTPUT, "A name for the table; may be repeated, in the order of the models.", metavar="NAME")] = None,
    seconds_per_request: Annotated[float | None, option(EXECUTION, "Time to wait for an answer of the server before asking again.", metavar="SECONDS", min=0.1, show_default=f"{Placement().seconds_per_request:g}")] = None,
) -> None:  # fmt: skip
    """Measure checkpoints on the benchmarks, zero-shot. Several stand in one table, with tests of their differences."""
    from ..systems.running import evaluate

    given = {"requests_in_flight": requests_in_flight, "seconds_per_request": seconds_per_request}
    of_server: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if endpoint is None and of_server:
        raise SettingError(
            f"--{next(iter(of_server)).replace('_', '-')} is about a server: give --endpoint URL as well"
        )
    placement = replace(placement, **of_server)
    results = evaluate(models, study, names=name or (), endpoint=endpoint or "", placement=placement, output=output)
    finish(results, differences=True)


def convert_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint in pickles (pytorch_model.bin): a folder or a hub name.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new folder.")],
    runs: Annotated[Path, option(OUTPUT, "The folder where hub revisions are recorded.", metavar="DIR")] = Path("runs"),
) -> None:  # fmt: skip
    """Make safetensors from a checkpoint in pickles, without running what these hold."""
    from ..systems.bases import convert

    for sentence in convert(model, folder, runs):
        show(sentence)
    show(f"Model: {printable(str(folder))}")


def score_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, CSV or Parquet with the columns id, response, gold. Also language, question and finish, if there are any.")],
    language: Annotated[str | None, option(DATA, "The language of all rows, if there is no column `language`.", metavar="CODE", autocompletion=completion.languages)] = None,
    benchmark: Annotated[str | None, option(DATA, "Take the gold answers from this benchmark.", metavar="NAME", autocompletion=completion.benchmarks)] = None,
    test: Annotated[str | None, option(DATA, "Take the gold answers from a test set of your own.", metavar="PATH")] = None,
    by: Annotated[str | None, option(DATA, "How answers find their problems: by id, order or question. By default by id, which all must share.", "--join", metavar="NAME", autocompletion=completion.words("id", "order", "question"))] = None,
    data: Data = None,
    language_file: LanguageFile = None,
    judgements: Annotated[Path | None, option(OUTPUT, "Write the number that was read from each answer to this JSONL file.", metavar="FILE")] = None,
    runs: Annotated[Path, option(OUTPUT, "The folder where hub revisions are recorded.", metavar="DIR")] = Path("runs"),
) -> None:  # fmt: skip
    """Score answers that you have already, under all answer rules."""
    from ..systems.checks import score

    scored = score(
        file, language=language, benchmark=benchmark, test=test, join=by, data=data, language_file=language_file,
        judgements=judgements, runs=runs,
    )  # fmt: skip
    show(scored.table())


def report_command(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS", help="The results of a run: a folder or its results.json. Several are shown in one table, with their differences.")],
    form: Annotated[str, option(OUTPUT, "terminal, markdown, latex or csv.", "--format", metavar="NAME", autocompletion=completion.words(*FORMS))] = "terminal",
    name: Annotated[list[str] | None, option(OUTPUT, "A name for the systems of a result; may be repeated, in the order of the results.", metavar="NAME")] = None,
) -> None:  # fmt: skip
    """Print the tables of a finished run again, or several runs in one table."""
    from ..results.run_results import for_terminal
    from ..systems.side_by_side import load_results

    if form not in FORMS:
        raise SettingError(f"unknown format '{form}': {nearest(form, FORMS)}")
    made = load_results(results, name or ()).tables()
    for table in for_terminal(made) if form == "terminal" else made:
        show(table, "") if form == "terminal" else write(getattr(table, form)())
