"""How results were made, and where their models are: date, command, versions, folders, and how to use a model.

The facts are optional fields of `results.json`: `made` and `models`. Results of earlier versions lack them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ..wording import counted
from .tables import Table
from .titles import Titles

SHOWN_IN_TERMINAL = 12
"""Models that a run names when it ends; `results.md` has all."""

_SNIPPET = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="auto")
question = [{{"role": "user", "content": "Lena has 3 apples and buys 4 more. How many apples does she have?"}}]
inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
tokens = model.generate(**inputs.to(model.device), max_new_tokens=512)
print(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""


def facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is known of a run: date, command, versions."""
    made = found.get("made", {})
    rows = [("date", made.get("date", "")), ("command", command_text(made.get("command", ())))]
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items())))
    return [(name, value) for name, value in rows if value]


def command_text(words: Any) -> str:
    """A command line as a person types it: the program by its name, words quoted for a shell."""
    if not words:
        return ""
    program = PurePath(words[0]).name
    return shlex.join(["qalign" if program in ("__main__.py", "") else program, *words[1:]])


def model_of(found: Mapping[str, Any]) -> str:
    """The folder of the first model that was trained here, else of the first model; empty if there is none."""
    models = found.get("models", ())
    trained = [row["folder"] for row in models if found["trained_on"].get(row["system"])]
    return next(iter([*trained, *(row["folder"] for row in models)]), "")


def snippet(found: Mapping[str, Any]) -> str:
    """Python that asks a trained model with transformers; empty if no model was trained here.

    Only models that were trained here are known to have a chat template.
    """
    folder = model_of(found)
    is_trained = any(
        row["folder"] == folder and found["trained_on"].get(row["system"]) for row in found.get("models", ())
    )
    return _SNIPPET.format(folder=repr(folder)) if is_trained else ""


def serve_command(folder: str) -> str:
    """The command that serves a model with vLLM."""
    return f"vllm serve {shlex.quote(folder)}"


def models_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """The folder of each system's final model, under each seed."""
    rows = found.get("models", ())
    with_seeds = any("seed" in row for row in rows)
    body = [
        [titles.system(row["system"]), *([row.get("seed", "")] if with_seeds else []), row["folder"]] for row in rows
    ]
    return Table("Models", ["system", *(["seed"] if with_seeds else []), "folder"], body)


def model_lines(found: Mapping[str, Any], titles: Titles) -> list[str]:
    """Lines for a terminal: where the models are, and the command that serves one. None if no model was kept."""
    models = found.get("models", ())
    if not models:
        return []
    names = [f"{titles.system(row['system'])}{', seed ' + row['seed'] if 'seed' in row else ''}" for row in models]
    lines = [f"Model of {name}: {row['folder']}" for name, row in zip(names, models, strict=True)]
    if len(lines) > SHOWN_IN_TERMINAL:
        lines = [
            *lines[:SHOWN_IN_TERMINAL],
            f"... and {counted(len(models) - SHOWN_IN_TERMINAL, 'more model')}, listed in results.md",
        ]
    return [*lines, f"To serve one: {serve_command(model_of(found))}"]


def markdown(found: Mapping[str, Any], titles: Titles) -> str:
    """The end of `results.md`: models, how to use one, and how the results were made. Empty for results without them."""
    parts = []
    if found.get("models"):
        parts += [models_table(found, titles).markdown(), _code("python", snippet(found))]
        parts.append(_code("bash", serve_command(model_of(found)) + "\n"))
    if rows := facts(found):
        parts.append(Table("How this was made", ["fact", "value"], rows).markdown())
    return "\n".join(part for part in parts if part)


def _code(language: str, text: str) -> str:
    """A block of code in Markdown, fenced by more backticks than the text has in a row."""
    if not text:
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}{fence}\n"
