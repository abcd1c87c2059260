"""Where results come from: what was read and trained on, date, command, versions, models and how to use one.

The facts are optional fields of `results.json`: `made` and `models`. Results of earlier versions lack them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..wording import counted
from .accuracy_tables import accuracy, too_long
from .schema import Asked, Content, Model, Trained, TrainingStage, Untold
from .tables import Cell, Table, as_markdown
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


LONGEST_ANSWER = 400
"""Characters of an answer that the snippet quotes."""


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
    code = _SNIPPET.format(folder=repr(model.folder), question=repr(example.question))
    answer = example.answers.get(model.system)
    more = ", and more" * (len(answer or "") > LONGEST_ANSWER)
    return code if answer is None else f"{code}# In this run it answered: {answer[:LONGEST_ANSWER]!r}{more}\n"


def best_title(content: Content, titles: Titles) -> str:
    """`QAlign, the best outside of English`; the title alone where no other is worse; empty if there is no model."""
    model = best_model(content)
    if model is None:
        return ""
    others = [_accuracy(content, row.system) for row in content.models if row.system != model.system]
    is_best = bool(others) and _accuracy(content, model.system) > max(others)
    return titles.system(model.system) + ", the best outside of English" * is_best


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


def training_table(content: Content, titles: Titles) -> Table:
    """A row for each training stage of each system."""
    first: dict[str, str] = {}
    rows = []
    for name, stages in content.trained_on.items():
        for stage in stages:
            title = titles.system(name)
            shared = first.setdefault(stage.folder, title)
            elsewhere, origin = _elsewhere(stage)
            below = f"shared with {shared}" if shared != title else origin
            rows.append([Cell(f"{title}: {stage.stage}{elsewhere}", below), *_training(stage)])
    columns = ["training", "examples", "tokens seen", "supervised", "steps", "loss", "too long"]
    note = "Loss: mean of the first and of the last steps."
    return Table("What the systems were trained on", columns, rows, note, section="training")


def _training(stage: TrainingStage) -> list[str]:
    if not isinstance(stage, Trained):
        return ["-"] * 6
    examples, seen = stage.examples, stage.examples_seen
    return [
        f"{examples:,}" if seen is None or seen >= examples else f"{seen:,} of {examples:,}",
        *(f"{count:,}" for count in (stage.tokens, stage.supervised_tokens, stage.steps)),
        f"{stage.first_loss:.3f} -> {stage.last_loss:.3f}",
        too_long([stage.too_long]) or "-",
    ]


def _elsewhere(stage: TrainingStage) -> tuple[str, str]:
    """Why it is not known what a stage was trained on, and where it came from."""
    if not isinstance(stage, Untold):
        return "", ""
    if stage.adopted_from is None:
        return " (removed)", ""
    return f" (adopted{': ' + stage.adopted_name if stage.adopted_name else ''})", f"adopted from {stage.adopted_from}"


def rewards_table(content: Content, titles: Titles) -> Table:
    """The rewards of each stage of reinforcement learning, by factor: before it, in its first steps and in its last ones."""
    stages = [stage for stage in content.training_stages().values() if isinstance(stage, Trained) and stage.rewards]
    factors = list(dict.fromkeys(name for stage in stages for row in stage.rewards.values() for name in row))
    rows = []
    for stage in stages:
        systems = ", ".join(titles.system(name) for name, chain in content.trained_on.items() if stage in chain)
        for when, row in stage.rewards.items():
            rows.append([f"{systems}: {when}", *(f"{row[name]:.3f}" if name in row else "-" for name in factors)])
    note = "Means over sampled answers. The reward is the product of instruction, right and steps: docs/method.md."
    return Table("Rewards", ["answers", *factors], rows, note, section="training")


def mixture_table(content: Content) -> Table:
    """What one epoch of each stage holds, by source and language; a stage that systems share stands once."""
    rows = []
    for folder, stage in content.training_stages().items():
        for row in stage.mixture if isinstance(stage, Trained) else ():
            counts = (f"{count:,}" for count in (row.examples, row.tokens, row.supervised_tokens))
            rows.append([f"{folder}: {row.source}", row.language, *counts])
    columns = ["stage: source", "language", "examples", "tokens", "supervised"]
    return Table("One epoch by source and language", columns, rows, section="training")


def rejections_table(content: Content, titles: Titles) -> Table:
    """What was kept of the answers that models sampled, and why the others were left out."""
    parts = [(stage, row) for stage in content.rejections for row in stage.languages]
    reasons = list(dict.fromkeys(reason for _, row in parts for reason in row.left_out))
    rows = []
    for stage, row in parts:
        counts = [row.answers, row.kept, *(row.left_out.get(reason, 0) for reason in reasons)]
        name = ", ".join(map(titles.system, stage.systems)) + (f": {stage.kind}" if stage.kind else "")
        rows.append([name, row.language, *(f"{count:,}" for count in counts)])
    columns = ["system", "language", "answers", "kept", *reasons]
    note = "Answers that a model sampled to train on, and how many were left out for each reason."
    return Table("Sampled answers", columns, rows, note, section="training")


def programs_table(content: Content, titles: Titles) -> Table:
    """How the programs ended that answered the problems."""
    ends = ("right", "wrong", "no number", "error", "time-out", "refused", "no program")
    rows = [
        [f"{titles.system(run.system)}, {titles.benchmark(run.benchmark)}", row.language]
        + [f"{row.ends.get(end, 0):,}" for end in ends]
        + [f"{row.right_in_words:,}"]
        for run in content.programs
        for row in run.languages
    ]
    note = "Refused: it needed a sandbox where there was none. Right in words: without a program that printed a number."
    return Table("Programs", ["system", "language", *ends, "right in words"], rows, note, section="training")


def corpora_table(content: Content) -> Table:
    """What was read, by corpus and language, with what was left out of it and what is worth knowing."""
    rows = []
    for corpus in content.corpora:
        for code, count in corpus.counts.items():
            published = (corpus.published or {}).get(code)
            stated = "-" if published is None else f"{published:,}"
            rows.append([corpus.folder, code, f"{count:,}", stated, f"{corpus.kept.get(code, 0):,}"])
    notes = list(dict.fromkeys(note for corpus in content.corpora for note in corpus.notes))
    if dropped := [f"{row.where}: {row.reason}" for corpus in content.corpora for row in corpus.dropped]:
        more = " ..." if len(dropped) > 10 else ""
        notes.append(f"Dropped {counted(len(dropped), 'row')}: {'; '.join(dropped[:10])}{more}")
    columns = ["corpus", "language", "rows", "published", "kept"]
    return Table("What was read", columns, rows, " ".join(f"{note}." for note in notes), section="training")
