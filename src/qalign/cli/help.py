"""The help of the verbs: options in groups, an example each; and the nearest name for a mistyped verb or option."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from ..errors import SettingError, nearest
from ..options import DATA, EXECUTION, GENERATION, OUTPUT, TRAINING
from ..terminal import faults_in_words, write
from ..untrusted import check_surrogates

ARGUMENTS, OTHER = "Arguments", "Other"
if TYPE_CHECKING:  # typer's own copy of click
    from typer._click import Command, Context, HelpFormatter, Parameter


class _Helpful:
    """A command whose help has groups, and that answers a mistyped option with the nearest one."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Reads the words of a command line."""
        try:
            if not ctx.resilient_parsing:  # as a shell completes a line
                _refuse_repeated(ctx, args)
            words: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except Exception as error:
            _say_nearest_option(error, ctx)
            raise
        if not ctx.resilient_parsing:
            _check_texts(ctx)
        return words

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Writes arguments and options, each group under its title."""
        _write(groups(ctx.command.get_params(ctx), ctx), formatter)


class Verb(_Helpful, TyperCommand):
    """A verb whose help shows its options in groups."""


class Verbs(_Helpful, TyperGroup):
    """A group of verbs, which are listed by what they are for. What goes wrong in one is said in one line."""

    def invoke(self, ctx: Context) -> Any:
        """Calls the verb of a command line."""
        with faults_in_words():
            return super().invoke(ctx)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Writes the options, then the verbs of each panel under its title."""
        super().format_options(ctx, formatter)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            title = _panel(self.commands[name]) or "Verbs"
            panels.setdefault(title, []).append((name, self.commands[name].get_short_help_str(limit=100)))
        _write(panels, formatter)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The verb of a command line; a mistyped one is answered with the nearest one. `help VERB` is `VERB --help`."""
        if args[0] == "help":
            if len(args) == 1:
                write(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            if hasattr(error, "message"):
                error.message = f"there is no verb '{args[0]}': {_sentence(nearest(args[0], self.list_commands(ctx)))}"
            raise


def groups(parameters: Iterable[Parameter], ctx: Context) -> dict[str, list[tuple[str, str]]]:
    """Arguments and options by the group that help shows them in: each as it is typed, and what it does."""
    order = (ARGUMENTS, DATA, TRAINING, GENERATION, EXECUTION, OUTPUT)
    found: dict[str, list[tuple[str, str]]] = {title: [] for title in order}
    for parameter in parameters:
        row = parameter.get_help_record(ctx)
        if row is not None and parameter.param_type_name == "argument":
            found[ARGUMENTS].append((row[0].partition(" <")[0], row[1]))  # without the type, such as <str>
        elif row is not None:
            found.setdefault(_panel(parameter) or OTHER, []).append(row)
    return {title: rows for title, rows in found.items() if rows}


def _panel(part: Command | Parameter) -> str:
    """The group of the help that a verb or an option stands in; empty if none was named."""
    panel = getattr(part, "rich_help_panel", None)
    return panel if isinstance(panel, str) else ""


def _write(sections: Mapping[str, list[tuple[str, str]]], formatter: HelpFormatter) -> None:
    for title, rows in sections.items():
        with formatter.section(title):
            formatter.write_dl(rows)


def _say_nearest_option(error: Exception, ctx: Context) -> None:
    """Names the nearest option in an error about one that there is not, or the verb that has it."""
    if hasattr(error, "ctx") and error.ctx is None:  # an option without its value: the error is to name the verb
        error.ctx = ctx
    name = getattr(error, "option_name", None)
    if name is None or not hasattr(error, "possibilities") or not hasattr(error, "message"):
        return
    own = [option for parameter in ctx.command.get_params(ctx) for option in parameter.opts if option.startswith("--")]
    verbs = getattr(ctx.find_root().command, "commands", {}).items()
    elsewhere = [verb for verb, command in verbs if any(name in parameter.opts for parameter in command.params)]
    verb = "run" if "run" in elsewhere else min(elsewhere, default="")
    error.message = f"there is no option '{name}' here: " + (
        f"`qalign {verb}` has it." if verb else _sentence(nearest(name, own))
    )
    error.possibilities = None


def _refuse_repeated(ctx: Context, args: list[str]) -> None:
    """Refuses an option that takes one value and names data or seeds twice: the last would silently replace the first.

    Of other options the last counts, so that a line can be changed at its end.
    """
    _, _, order = ctx.command.make_parser(ctx).parse_args(args=list(args))
    for parameter, count in Counter(order).items():
        names_data = _panel(parameter) == DATA and parameter.metavar != "N"
        takes_one = not (parameter.multiple or getattr(parameter, "is_flag", False))
        if count > 1 and takes_one and (names_data or "--seeds" in parameter.opts):
            ctx.fail(f"{parameter.opts[0]} stands {count} times, and takes one value: give it once.")


def _check_texts(ctx: Context) -> None:
    """Refuses an empty argument, and one that has no UTF-8: it would stand in files written after days."""
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        for text in value if isinstance(value, list | tuple) else [value]:
            if text == "" and parameter.default != "":
                typed = next((flag for flag in parameter.opts if flag.startswith("--")), parameter.name)
                raise SettingError(f"{typed} is empty; give it a value, or leave it out")
            if isinstance(text, str | Path):
                check_surrogates(str(text), f"the argument '{text}'")


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


# --- examples ---------------------------------------------------------------------------------------------------------

WIDTH = 78
"""Characters in a line of an example, so that help fits a terminal of 80 columns."""

TEXT = """
[run]
Two systems from a model of the hub, on 8 devices:
  qalign run monoreason qalign-mono --base meta-llama/Llama-2-7b-hf --processes 8
Your own data, in Vietnamese and Indonesian:
  qalign run qalign-mono --base MODEL --questions DIR --english FILE --languages vi,id --test DIR
One system twice, with different settings:
  qalign run monoreason slow=monoreason --set slow.response-alignment.learning_rate=1e-6
A study that is kept in a file, on fewer problems:
  qalign run study.toml --limit 20
Each stage as a job of Slurm:
  qalign run qalign-mono --base MODEL --cluster slurm --cluster-option partition=gpu
[plan]
The line of a run, with `plan` in the place of `run`:
  qalign plan qalign-mono --base meta-llama/Llama-2-7b-hf --processes 8
For another machine, of 8 devices with 80 GB:
  qalign plan qalign-mono --base meta-llama/Llama-2-7b-hf --devices 8 --device-memory 80
[explain]
Why a changed setting makes stages run again:
  qalign explain qalign-mono --base tiny --set question-alignment.epochs=2
[adopt]
Take your own checkpoint as the last stage of a system:
  qalign adopt qalign-mono ./my-checkpoint --base meta-llama/Llama-2-7b-hf
[eval]
A checkpoint in two languages, on the first 50 problems of each test set:
  qalign eval ./my-checkpoint --test mgsm --test-languages en,sw --limit 50
Two checkpoints in one table, with tests of their differences:
  qalign eval ./before ./after --name before --name after --test mgsm
A model on a server:
  qalign eval my-model --endpoint http://localhost:8000/v1
[convert]
A published checkpoint, which is then measured:
  qalign convert meta-math/MetaMath-7B-V1.0 ./metamath-7b
[score]
Answers in Swahili that you have already:
  qalign score answers.csv --language sw --benchmark mgsm
Answers to a test set of your own:
  qalign score answers.csv --language sw --test my-tests.csv
Answers without ids, which stand in the order of the problems:
  qalign score answers.csv --language sw --benchmark mgsm --join order
[check]
Your own test set, before a run:
  qalign check ./my-tests --role test --languages vi,id
[report]
The tables of a run for a paper:
  qalign report runs/results/RUN/results.json --format latex
Two runs in one table, with tests of their differences:
  qalign report runs/results/RUN other/results/RUN --name before --name after
[demo]
The study in miniature, from a fixed seed:
  qalign demo --seed 7 --jobs 2
[reproduce]
Two systems under two seeds:
  qalign reproduce --seeds 1,2 --system monoreason --system qalign-mono
[runs]
What there is, with sizes:
  qalign runs
Free what no run needs:
  qalign runs remove --unneeded
[runs remove]
Two runs by name, as `qalign runs` lists them:
  qalign runs remove run-1a2b3c4d run-5e6f7a8b
[list]
All systems:
  qalign list systems
What --set can change:
  qalign list settings
[doctor]
Before the first run, with the folder of its stages:
  qalign doctor --runs /data/runs
[world show]
Two problems in English and Swahili:
  qalign world show --languages en,sw --count 2
[world write]
The Swahili corpora as files:
  qalign world write ./world --languages sw
[world base]
Train the base and keep a copy:
  qalign world base ./my-base
[world probe]
The shipped base next to your own:
  qalign world probe world ./my-base
"""
"""Per verb: what each example is for, and below it the command line."""


EXAMPLES: dict[str, list[tuple[str, str]]] = {}
for _section in TEXT.split("\n[")[1:]:
    _verb, *_lines = _section.splitlines()
    EXAMPLES[_verb.rstrip("]")] = list(zip(_lines[::2], map(str.strip, _lines[1::2]), strict=True))


def epilog(verb: str) -> str:
    """The examples of a verb, as its help shows them."""
    blocks = [f"\b\n{purpose}\n{_folded(command)}" for purpose, command in EXAMPLES[verb]]
    return "\n\n".join([f"Example{'s' if len(blocks) > 1 else ''}:", *blocks])


def _folded(command: str) -> str:
    """A command line in lines that fit, each but the last with a backslash at its end. A value stays with its option."""
    words = [word if word.startswith("-") else f"\xa0{word}" for word in shlex.split(command, posix=False)]
    joined = " ".join(words).replace(" \xa0", "\xa0").lstrip("\xa0")
    wrapper = textwrap.TextWrapper(WIDTH - 2, "  ", "      ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(wrapper.wrap(joined)).replace("\xa0", " ")
