"""The command line: one verb for each thing that a person wants. It only reads options and calls the package."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .. import __version__, terminal
from ..terminal import write
from . import measure, studies, world

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
for name, verb in {
    "run": studies.run_command,
    "plan": studies.plan_command,
    "explain": studies.explain_command,
    "adopt": studies.adopt_command,
    "eval": measure.eval_command,
    "score": measure.score_command,
    "check": measure.check_command,
    "report": measure.report_command,
    "demo": studies.demo_command,
    "reproduce": studies.reproduce_command,
    "list": measure.list_command,
}.items():
    app.command(name)(verb)
app.add_typer(world.app)


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
