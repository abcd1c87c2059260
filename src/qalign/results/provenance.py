"""How results were made, and where their models are: date, command, versions, folders, and how to use a model.

The facts are optional fields of `results.json`: `made` and `models`. Results of earlier versions lack them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..wording import counted
from .accuracy_tables import accuracy
from .schema import Asked, Content, Model
from .tables import Table, as_markdown
from .titles import Titles

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


def command_text(words: Sequence[str]) -> str:
    """A command line as a person types it: the program by its name, words quoted for a shell."""
    if not words:
        return ""
    program = PurePath(words[0]).name
    return shlex.join(["qalign" if program in ("__main__.py", "") else program, *words[1:]])


def best_model(content: Content) -> Model | None:
    """The row of `models` to be used: the best in languages other than English, of those that were trained here if any was.

    Of equals it is the first. The average counts where a test set has one language.
    """
    trained = [row for row in content.models if content.trained_on.get(row.system)]
    return max(trained or content.models, key=lambda row: _accuracy(content, row.system), default=None)


def _accuracy(content: Content, system: str) -> float:
    """The mean over benchmarks of the average over languages other than English, or over all where there is none."""
    rows = [scores.get(NON_ENGLISH) or scores[AVERAGE] for scores in content.systems.get(system, {}).values()]
    return sum(accuracy(row) for row in rows) / len(rows) if rows else 0.0


def snippet(content: Content) -> str:
    """Python that asks the best trained model a question of the run's test set; empty if no model was trained here.

    Only models that were trained here are known to have a chat template.
    """
    model = best_model(content)
    if model is None or not content.trained_on.get(model.system):
        return ""
    example = content.example or Asked("en", "A question like those of the test set.", {})
    return _SNIPPET.format(folder=repr(model.folder), question=repr(example.question))


def best_title(content: Content, titles: Titles) -> str:
    """The title of the best model; empty if there is none."""
    model = best_model(content)
    return titles.system(model.system) if model else ""


def serve_command(content: Content) -> str:
    """The command that serves the best model with vLLM; empty if there is none."""
    model = best_model(content)
    return f"vllm serve {shlex.quote(model.folder)}" if model else ""


def models_table(content: Content, titles: Titles) -> Table:
    """The folder of each system's final model, under each seed."""
    rows = [[titles.system(row.system), row.seed, row.folder] for row in content.models]
    table = Table("Models", ["system", "seed", "folder"], rows, section="models")
    return table if any(row.seed for row in content.models) else table.at([0, 2])


def facts_table(content: Content) -> Table:
    """How the results were made: date, command, versions."""
    rows = []
    if made := content.made:
        versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
        rows = [["date", made.date], ["command", command_text(made.command)], ["versions", versions]]
    return Table("How this was made", ["fact", "value"], [row for row in rows if row[1]], section="models")


def model_lines(content: Content, titles: Titles) -> list[str]:
    """Lines for a terminal: where the models are, and the command that serves one. None if no model was kept."""
    if not content.models:
        return []
    lines = [
        f"Model of {titles.system(row.system)}{', seed ' + row.seed if row.seed else ''}: {row.folder}"
        for row in content.models[:SHOWN_IN_TERMINAL]
    ]
    if more := len(content.models) - len(lines):
        lines.append(f"... and {counted(more, 'more model')}, listed in results.md")
    lines.append(f"To serve {best_title(content, titles)}: {serve_command(content)}")
    if snippet(content):
        lines.append("To ask it in Python: the code at the end of results.md")
    return lines


def markdown(content: Content, titles: Titles) -> str:
    """The end of `results.md`: models, how to use one, and how the results were made. Empty for results without them."""
    parts = []
    if content.models:
        words = as_markdown(best_title(content, titles))
        parts.append(models_table(content, titles).markdown())
        if code := snippet(content):
            parts += [f"**In transformers: {words}**\n", _code("python", code)]
        parts += [f"**With vLLM: {words}**\n", _code("bash", serve_command(content) + "\n")]
    if (made := facts_table(content)).rows:
        parts.append(made.markdown())
    return "\n".join(part for part in parts if part)


def _code(language: str, text: str) -> str:
    """A block of code in Markdown, fenced by more backticks than the text has in a row."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}{fence}\n"
