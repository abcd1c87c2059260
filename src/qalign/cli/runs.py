"""The verb `runs`: what a folder of runs holds, and the removal of runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SettingError
from ..options import EXECUTION, OUTPUT
from ..terminal import say, show
from .examples import epilog
from .guard import guarded
from .help import Verb, Verbs
from .options import option

app = typer.Typer(name="runs", rich_markup_mode=None, cls=Verbs, epilog=epilog("runs"), subcommand_metavar="[VERB ...]")
Folder = Annotated[
    Path | None,
    option(OUTPUT, "The folder of all stages and results. By default runs.", metavar="DIR", show_default=False),
]


@app.callback(invoke_without_command=True)
@guarded
def runs_command(context: typer.Context, runs: Folder = None) -> None:
    """List runs with their state and size, and the stages that no run needs."""
    context.obj = runs
    if context.invoked_subcommand is not None:
        return
    from ..systems.inventory import inventory, runs_table, stages_table
    from ..wording import in_bytes

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


@app.command("remove", cls=Verb, epilog=epilog("runs remove"))
@guarded
def remove_command(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Runs by name, as `qalign runs` lists them, or the folders of their results.", show_default=False)] = None,
    unneeded: Annotated[bool, option(OUTPUT, "Remove all stages that no remaining run needs, and leftovers of interrupted ones.", "--unneeded")] = False,
    yes: Annotated[bool, option(EXECUTION, "Do not ask.", "--yes", "-y")] = False,
    runs: Folder = None,
) -> None:  # fmt: skip
    """Remove runs: their results, and the stages that no other run needs. Asks first."""
    from ..systems.inventory import inventory, removal, remove, stages_table
    from ..wording import in_bytes

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
