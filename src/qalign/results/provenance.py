"""How results were made, and where their models are: date, command, versions, folders, and how to use a model.

The facts are optional fields of `results.json`: `made` and `models`. Results of earlier versions lack them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..wording import counted
from .tables import Table, as_markdown
from .titles import Titles
from .view import accuracy

SHOWN_IN_TERMINAL = 12
"""Models that a run names when it ends; `results.md` has all."""

_SNIPPET = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="auto")
question = {question}
messages = [{{"role": "user", "content": question}}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
tokens = model.generate(**inputs.to(model.device), max_new_tokens=512)
print(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""
_LONGEST_ANSWER = 400
"""Characters of an answer that the snippet quotes."""


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


def best_model(found: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The row of `models` to be used: the best in languages other than English, of those that were trained here if any was.

    Of equals it is the first. The average counts where a test set has one language.
    """
    models = found.get("models", ())
    trained = [row for row in models if found["trained_on"].get(row["system"])]
    return max(trained or models, key=lambda row: _accuracy(found, row["system"]), default=None)


def _accuracy(found: Mapping[str, Any], system: str) -> float:
    """The mean over benchmarks of the average over languages other than English, or over all where there is none."""
    rows = [scores.get(NON_ENGLISH) or scores[AVERAGE] for scores in found.get("systems", {}).get(system, {}).values()]
    return sum(accuracy(row) for row in rows) / len(rows) if rows else 0.0


def snippet(found: Mapping[str, Any]) -> str:
    """Python that asks the best trained model a question of the run's test set; empty if no model was trained here.

    Only models that were trained here are known to have a chat template.
    """
    model = best_model(found)
    if model is None or not found["trained_on"].get(model["system"]):
        return ""
    example = found.get("example", {"question": "A question like those of the test set.", "answers": {}})
    code = _SNIPPET.format(folder=repr(model["folder"]), question=repr(example["question"]))
    answer = example["answers"].get(model["system"])
    return code if answer is None else f"{code}# In this run it answered: {_quoted(answer)}\n"


def _quoted(answer: str) -> str:
    """An answer as a Python literal, which has one line; a long one with its end left out."""
    return repr(answer) if len(answer) <= _LONGEST_ANSWER else f"{answer[:_LONGEST_ANSWER]!r}, and more"


def best_in_words(found: Mapping[str, Any], titles: Titles) -> str:
    """`QAlign, the best outside of English`, or the title alone where there is one model; empty if there is none."""
    model = best_model(found)
    if model is None:
        return ""
    title, systems = titles.system(model["system"]), {row["system"] for row in found["models"]}
    others = [_accuracy(found, system) for system in systems if system != model["system"]]
    is_best = bool(others) and _accuracy(found, model["system"]) > max(others)
    return f"{title}, the best outside of English" if is_best else title


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
    best = best_model(found)
    lines.append(f"To serve {best_in_words(found, titles)}: {serve_command(best['folder'] if best else '')}")
    if snippet(found):
        lines.append("To ask it in Python: the code at the end of results.md")
    return lines


def markdown(found: Mapping[str, Any], titles: Titles) -> str:
    """The end of `results.md`: models, how to use one, and how the results were made. Empty for results without them."""
    parts = []
    if found.get("models"):
        best, words = best_model(found), as_markdown(best_in_words(found, titles))
        parts.append(models_table(found, titles).markdown())
        if code := snippet(found):
            parts += [f"**In transformers: {words}**\n", _code("python", code)]
        parts += [f"**With vLLM: {words}**\n", _code("bash", serve_command(best["folder"] if best else "") + "\n")]
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
