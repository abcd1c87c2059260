"""The model card of a trained model: the README.md of its folder, as the Hugging Face hub shows it.

The record of a stage leaves it out, so it is written again when the model was measured. A card that a user has made stays.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..alignment.templates import STUDY, TEMPLATES
from ..corpora.table import CORPORA, PAIR_KINDS
from ..evaluation.extraction import MAIN, RULES
from ..pipeline import Node, Stage, in_order, status
from ..pipeline.stage_record import CARD, read_record
from ..results.schema import Trained
from ..results.tables import Table, as_markdown
from ..wording import by_language
from .artifacts import Model
from .bases import WORLD, WORLD_FOLDER, is_adopted, training_stages
from .comparison import titles
from .evaluated import Evaluated, trained
from .kinds import Judge, ReadCorpus, Training, template_of

MARK = "<!-- Written by qalign, and again after each run. Remove this line to keep changes of your own. -->"


def write_cards(comparison: Sequence[Evaluated], runs: Path) -> None:
    """Writes the cards of the finished models behind a comparison, with the scores of those that it measures."""
    judged: dict[str, dict[str, Judge]] = {}
    for system in comparison:
        judged.setdefault(system.model.fingerprint, {}).update(system.scores)
    for name, stage in {one.fingerprint: one for row in comparison for one in training_stages(row.model, runs)}.items():
        path = (folder := stage.folder(runs)) / CARD
        held = path.read_text("utf-8", "replace") if path.is_file() else ""
        # One in the record came with a checkpoint that an earlier version adopted: it is no card of ours, nor of the user's.
        if status(stage, runs) == "done" and (not held or MARK in held or CARD in read_record(folder).files):
            temporary = folder.with_name(f".{folder.name}.{os.getpid()}.card")
            with suppress(OSError):  # a folder that others own is used, and not written to
                temporary.write_text(card(stage, runs, judged.get(name, {})), encoding="utf-8")
                temporary.replace(path)


def card(stage: Training, runs: Path, judged: Mapping[str, Judge]) -> str:
    """The card of a finished stage, with scores by the stages that judged it: metadata of the hub, then text."""
    from huggingface_hub import EvalResult, ModelCardData

    chain: list[Stage[Model]] = [stage]
    while isinstance(first := chain[0], Training) and not is_adopted(first, runs):
        chain.insert(0, first.model)
    (hub, origin), stages = _origin(chain[0], runs), [one for one in chain[1:] if isinstance(one, Training)]
    # Not the corpora of the base, nor those behind the models that wrote answers to train on.
    behind = in_order(stages, lambda one: one in stages or not (one is chain[0] or isinstance(one, Training)))
    corpora = [one for one in behind if isinstance(one, ReadCorpus)]
    names, rule, template = titles(), RULES[MAIN].title, TEMPLATES[template_of(stage)]
    scores = [
        (names.benchmark(name), _dataset(one.problems) or name, code, score)
        for name, one in judged.items() if status(one, runs) == "done"
        for code, score in one.open(one.folder(runs)).scores().items()
    ]  # fmt: skip
    results = [
        EvalResult(
            task_type="text-generation", dataset_type=dataset, dataset_name=name, dataset_config=code, dataset_split="test",
            metric_type="accuracy", metric_name=f"accuracy ({rule})", metric_value=round(score.accuracy[MAIN], 2),
        )
        for name, dataset, code, score in scores
    ]  # fmt: skip
    codes = {code for one in corpora for code in (*one.languages, *["en"] * (one.source.role in PAIR_KINDS))}
    codes = {code for code in codes or {row[2] for row in scores} if re.fullmatch("[a-z]{2,3}", code)}
    data = ModelCardData(
        base_model=hub, language=sorted(codes) or None, datasets=sorted({*filter(None, map(_dataset, corpora))}) or None,
        library_name="transformers", pipeline_tag="text-generation", tags=["qalign"],
        metrics=["accuracy"] if scores else None, model_name=stage.folder_name if scores else None, eval_results=results or None,
    )  # fmt: skip
    figures = [
        [name, code, f"{score.accuracy[MAIN]:.1f}", f"{score.standard_error[MAIN]:.1f}", f"{score.n:,}"]
        for name, _, code, score in scores
    ]
    columns, note = ["test set", "language", "accuracy", "s.e.", "problems"], f"Percent right, by the {rule}."
    tables = [
        Table("Recipe", ["stage", "examples", "steps", "tokens", "settings"], [_step(one, runs) for one in stages]),
        Table("Data", ["corpus", "revision", "author and licence", "rows"], [_row(one, runs) for one in corpora]),
        Table("Scores", columns, figures, note),
    ]
    made = "A causal language model that qalign trained further from" if stages else "Not trained here: adopted from"
    same = " The chat template is this prompt." if stages and template.name == STUDY else ""
    return "\n".join([
        f"---\n{data.to_yaml()}\n---\n\n# {as_markdown(stage.folder_name)}\n\n{made} {as_markdown(origin)}.",
        "The licences of the base and of the data hold for it too.\n",
        *(table.markdown() for table in tables if table.rows),
        f"**How to ask**\n\nOne beginning-of-sequence token if the tokenizer has one, then this prompt.{same} Decode greedily.\n",
        f"```text\n{template.text}\n```\n\n{MARK}\n",
    ])  # fmt: skip


def _origin(base: Stage[Model], runs: Path) -> tuple[str | None, str]:
    """The name on the hub of what training starts from, if it has one, and words for it, without a path of this machine."""
    if base.fetched:
        return base.fetched[0].name, f"{base.fetched[0].name} at {base.fetched[1]}"
    adopted = read_record(base.folder(runs)).adopted_from if isinstance(base, Training) else None
    place = base.given or Path(adopted or base.name)
    if cached := re.search(r"models--([^/]+)--([^/]+)/snapshots/([0-9a-f]{40})", str(place)):
        return f"{cached[1]}/{cached[2]}", f"{cached[1]}/{cached[2]} at {cached[3]}"
    return None, WORLD if place == WORLD_FOLDER else place.resolve().name


def _dataset(records: Node) -> str | None:
    """The name on the hub of a named corpus."""
    row = CORPORA.get(records.source.name) if isinstance(records, ReadCorpus) else None
    return row.hub.name if row and row.hub else None


def _step(stage: Training, runs: Path) -> list[str]:
    """What a stage was trained on, and its settings."""
    told, config = trained(stage, runs), stage.config.get(stage.tuned)
    counts = [f"{n:,}" for n in (told.examples, told.steps, told.tokens)] if isinstance(told, Trained) else ["-"] * 3
    settings = config.items() if isinstance(config, dict) else ()
    return [stage.title, *counts, ", ".join(f"{key} {value}" for key, value in settings if value is not None)]


def _row(records: ReadCorpus, runs: Path) -> list[str]:
    """What a corpus is, whose it is, and what was kept of it."""
    name, made = records.source.name, records.result(runs)
    licence = CORPORA[name].source if name in CORPORA else "own data; not known"
    return [
        records.label or name,
        records.source.revision or "files",
        licence,
        by_language(made.counts().kept) if made else "-",
    ]
