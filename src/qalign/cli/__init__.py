"""The command line: one verb for each thing that a person wants. It only reads options and calls the package."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .. import __version__, terminal
from ..terminal import write
from . import look, measure, studies, world
from .help import Verb, Verbs, epilog

app = typer.Typer(
    name="qalign",
    cls=Verbs,
    help="Make a language model reason in every language as it does in English (QAlign, arXiv 2401.07817).\n\n"
    "Begin with `qalign demo`, the study in miniature. Then look at a study with `qalign plan`, and run it with `qalign run`.",
    epilog="`qalign VERB --help` explains a verb and shows an example.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    subcommand_metavar="VERB ...",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
LOOK = "Look around"
VERBS = {
    "Train and measure": (
        studies.demo_command, studies.plan_command, studies.run_command, studies.reproduce_command, studies.explain_command,
        studies.adopt_command,
    ),
    "Measure": (measure.eval_command, measure.convert_command, measure.score_command, measure.report_command),
    LOOK: (look.list_command, look.check_command, look.doctor_command),
}  # fmt: skip
for _panel, _verbs in VERBS.items():
    for _verb in _verbs:
        _name = _verb.__name__.removesuffix("_command")
        app.command(_name, cls=Verb, rich_help_panel=_panel, epilog=epilog(_name))(_verb)
app.add_typer(world.app, rich_help_panel=LOOK)
app.add_typer(look.runs_app, rich_help_panel=LOOK)


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
        raise SystemExit(app(prog_name="qalign", standalone_mode=False) or 0)
