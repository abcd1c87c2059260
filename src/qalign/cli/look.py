"""The verbs that look around: list, check, doctor, and runs, which removes runs too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SettingError
from ..options import DATA, EXECUTION, OUTPUT, codes
from ..terminal import say, show
from ..wording import in_bytes
from . import completion
from .help import Verb, Verbs, epilog
from .options import Data, LanguageFile, Names, Runs, option


def list_command(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", help="systems, checkpoints, bases, scales, benchmarks, corpora, variants, languages or settings. By default all but the settings.", autocompletion=completion.words(table="systems.checks:SECTIONS"))] = None,
) -> None:  # fmt: skip
    """List what has a name: systems, scales, benchmarks, corpora, languages, settings."""
    from ..systems.checks import overview

    for table in overview(section):
        show(table, "")


def check_command(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus by name, or a path.", autocompletion=completion.corpora)],
    role: Annotated[str, option(DATA, "questions, answers, multilingual, english, general, test or text.", metavar="ROLE", autocompletion=completion.words(table="corpora:Role"))],
    languages: Names = None,
    data: Data = None,
    language_file: LanguageFile = None,
    drop_invalid: Annotated[bool, option(DATA, "Leave out invalid rows, and list them.", "--drop-invalid")] = False,
    runs: Annotated[Path, option(OUTPUT, "The folder where hub revisions are recorded.", metavar="DIR")] = Path("runs"),
) -> None:  # fmt: skip
    """Read a corpus as a run would, and show its counts by language."""
    from ..languages import load_languages
    from ..systems.checks import check

    for table in check(corpus, role, codes(languages), data, runs, load_languages(language_file), drop_invalid):
        show(table)


def doctor_command(runs: Runs = Path("runs")) -> None:
    """Show what this machine has for a study, and what to do about the rest."""
    from ..systems.doctor import examination

    show(examination(runs))


# --- runs -----------------------------------------------------------------------------------------------------------

runs_app = typer.Typer(
    name="runs", rich_markup_mode=None, cls=Verbs, epilog=epilog("runs"), subcommand_metavar="[VERB ...]"
)
Folder = Annotated[Path | None, option(OUTPUT, "The folder of all stages and results. By default runs.", metavar="DIR", show_default=False)]  # fmt: skip


@runs_app.callback(invoke_without_command=True)
def runs_command(context: typer.Context, runs: Folder = None) -> None:
    """List runs with their state and size, and the stages that no run needs."""
    context.obj = runs
    if context.invoked_subcommand is not None:
        return
    from ..systems.inventory import inventory, runs_table, stages_table

    found = inventory(runs or Path("runs"))
    unneeded = found.unneeded()
    if not found.runs and not found.stages:
        show(f"There are no runs in {found.folder}.")
    if found.runs:
        show(runs_table(found), "")
    for run in found.runs:
        if not found.holds(run.results):
            show(f"Results of {run.name}: {run.results}")
    if unneeded:
        show(stages_table("Stages that no run needs", unneeded), "")
        size = in_bytes(sum(stage.bytes for stage in unneeded))
        show(f"`qalign runs remove --unneeded` frees {size}; `qalign runs remove NAME` removes a run.")


@runs_app.command("remove", cls=Verb, epilog=epilog("runs remove"))
def remove_command(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Runs by name, as `qalign runs` lists them, or the folders of their results.", show_default=False)] = None,
    unneeded: Annotated[bool, option(OUTPUT, "Remove all stages that no remaining run needs, and leftovers of interrupted ones.", "--unneeded")] = False,
    yes: Annotated[bool, option(EXECUTION, "Do not ask.", "--yes", "-y")] = False,
    runs: Folder = None,
) -> None:  # fmt: skip
    """Remove runs: their results, and the stages that no other run needs. Asks first."""
    from ..systems.inventory import inventory, removal, remove, stages_table

    if not names and not unneeded:
        raise SettingError("nothing is named; give the names of runs (see `qalign runs`), or --unneeded")
    found = inventory(runs or context.obj or Path("runs"))
    planned = removal(found, names or (), unneeded)
    if not (planned.runs or planned.stages):
        show("Every stage is needed by a run; there is nothing to remove.")
        return
    if planned.stages:
        show(stages_table("Stages to be removed", planned.stages), "")
    for run in planned.runs:
        if run.results in planned.results:
            show(f"Results to be removed: {run.results}")
        elif run.results.is_dir():
            show(f"Results outside of {found.folder / 'results'} are kept: {run.results}")
    named = ", ".join(run.name for run in planned.runs)
    show(f"This frees {in_bytes(planned.bytes)}{f' and removes {named}' if named else ''}.")
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise SettingError("there is no terminal to ask in; look at what would be removed, then give --yes")
        print("Remove? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise SettingError("nothing was removed")
    freed, kept = remove(planned, found, names or (), unneeded)
    for line in kept:
        say(f"kept: {line}")
    show(f"Freed {in_bytes(freed)}.")
