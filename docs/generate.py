"""Writes settings.md, cli.md and checkpoints.md from the code: `python docs/generate.py`. A test fails when they are stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from qalign.cli import app
from qalign.cli.help import EXAMPLES, groups
from qalign.systems.checks import STAGES, TRAINING_STAGES, overview, settings_of
from qalign.systems.presets import RECALLED

DOCS = Path(__file__).parent
NOTE = "<!-- Made from the code by `make reference`. -->"


def settings() -> str:
    """The reference of settings."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "`--set STAGE.FIELD=VALUE` changes one setting of a stage, and may be repeated. A setting decides results, so it is",
        "part of a stage's fingerprint. `qalign list settings` prints these tables.",
        "",
        "```",
        "qalign run qalign-mono --base MODEL --set training.max_length=1024 --set response-alignment.learning_rate=1e-5",
        "```",
        "",
        f"- `training` holds for all training stages. {_names(TRAINING_STAGES)} in its place",
        "  sets one stage. A stage of your own recipe has the name that the recipe gives it.",
        "- A system's name in front holds for that system alone: `qalign-mono.response-alignment.epochs=2`.",
        "- The last of several values wins, and the value of a stage wins over that of `training`.",
        "- A setting without a stage in this run is an error.",
        "",
        "A default is that of scale `paper`. Other scales follow in parentheses where they differ.",
    ]
    for stage, (_, title) in STAGES.items():
        lines += ["", f"## {title}", "", "| setting | default | values | meaning |", "|---|---|---|---|"]
        lines += [f"| `{row.name}` | {row.default} | {row.values} | {row.meaning} |" for row in settings_of(stage)]
    return "\n".join(lines) + "\n"


def command_line() -> str:
    """The reference of verbs and options."""
    top: Any = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        NOTE,
        "",
        "Help prints the same, such as `qalign run --help`.",
        "",
        "The exit status is 0 after success. It is 2 after an error that the message explains, and 130 after Ctrl-C or SIGTERM.",
        "A status of 1 and a traceback are a fault in this program: please report it.",
        "",
        "Shell completion: `qalign --install-completion` adds verbs, options and names to your shell.",
    ]
    for name, verb in _verbs(top, ""):
        lines += ["", f"## {name}", "", *_paragraphs(verb.help or "")]
        for purpose, example in EXAMPLES[name]:
            lines += ["", purpose, "", "```", example, "```"]
        context: Any = verb.context_class(verb, info_name=name)
        for title, rows in groups(verb.get_params(context), context).items():
            if title != "Other":
                lines += ["", f"| {title} | |", "|---|---|"]
                lines += [f"| `{option}` | {_cell(text)} |" for option, text in rows]
    return "\n".join(lines) + "\n"


CHECKPOINTS = """# Published checkpoints

{note}

The systems of the study, and some that came after it, are on the hub. `qalign eval` measures one by its name:

```
qalign eval metamath-7b --test mgsm
```

The table then has two rows. `metamath-7b` is asked as its authors ask it: in their prompt, with their stop texts and their
limit of tokens. `metamath-7b-study` is asked in the study's plain prompt, as the study measured all its systems. Where the
two prompts are the same, there is one row. Answers are read by the same rules in both.

`--set generation.template=NAME` takes another prompt for all rows. [Compared systems](baselines.md#prompts) lists the
prompts. The setting `generation.stop` changes the stop texts.

MAmmoTH is asked for a program first, which is run, and then in words where that gives no number. xpot writes programs of
another form, which nothing here runs. It is asked in the study's prompt, and a line says so.

`--published` shows the figures of others as rows next to yours, each marked and with its source. It works for `eval`, `run` and
`reproduce`, on mGSM and mSVAMP. The same checkpoint has other scores elsewhere, under another prompt or rule.

## Pickles

Most of these checkpoints are pickles, which can run code when they are opened. `qalign` opens safetensors only. So a stage
of its own fetches the pickles and makes safetensors of them. For another checkpoint, or to keep the result, use `convert`:

```
qalign convert meta-math/MetaMath-7B-V1.0 ./my-metamath
```

- It needs torch 2.10 or newer. Older versions can be tricked into running code.
- Only tensors are made from a pickle. Anything else in it is refused, and nothing of it is run.
- The weights are saved in bfloat16. Apart from that each tensor keeps its bits.
- The tensors must be those of the index and of `config.json`. Tied embeddings are written once.
- It needs disk for the new model, and memory for one file of 4 GiB. The new folder is there whole or not at all.
- Tokenizers of LLaMA 2 are often a SentencePiece file alone. They are copied, and need the package `sentencepiece`.

## The table

`tokens` is the most tokens of an answer under the authors' prompt. `prompt` and `answer` are theirs as well.

{table}

## Not read

Most facts are from the code and the cards of the authors. Some were recalled, or are not known:

{recalled}

The table stands in `systems/presets.py`, where it can be corrected."""


def checkpoints() -> str:
    """The page on published checkpoints."""
    (table,) = overview("checkpoints")
    lines = [f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|"]
    lines += [f"| `{row[0]}` | `{row[1]}` | {' | '.join(map(_cell, row[2:]))} |" for row in table.rows]
    recalled = "\n".join(f"- {text}" for text in RECALLED.values())
    return CHECKPOINTS.format(note=NOTE, table="\n".join(lines), recalled=recalled)


def _verbs(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{before}{name}", command
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _paragraphs(text: str) -> list[str]:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).split("\n")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names[:-1]) + f" or `{names[-1]}`"


PAGES = {"settings.md": settings, "cli.md": command_line, "checkpoints.md": checkpoints}

if __name__ == "__main__":
    for page, content in PAGES.items():
        (DOCS / page).write_text(content(), encoding="utf-8")
        print(DOCS / page, file=sys.stderr)
