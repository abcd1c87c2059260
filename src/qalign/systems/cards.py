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
from ..evaluation.rules import MAIN, RULES
from ..pipeline import Node, Stage, in_order, status
from ..pipeline.stage_record import CARD, read_record
from ..results.schema import Trained
from ..results.tables import Table, as_markdown
from ..wording import by_language
from .artifacts import Model
from .bases import WORLD, WORLD_FOLDER
from .behind import is_adopted, training_stages
from .comparison import titles
from .evaluated import Evaluated, trained
from .kinds import Judge, ReadCorpus, Training, template_of

MARK = "<!-- Written by qalign, and again after each run. Remove this line to keep changes of your own. -->"
_ISO = re.compile("[a-z]{2,3}")


def write_cards(comparison: Sequence[Evaluated], runs: Path) -> None:
    """Writes the cards of the finished models behind a comparison, with the scores of those that it measures."""
    judged: dict[str, dict[str, Judge]] = {}
    for system in comparison:
        judged.setdefault(system.model.fingerprint, {}).update(system.scores)
    stages = {stage.fingerprint: stage for system in comparison for stage in training_stages(system.model, runs)}
    for name, stage in stages.items():
        if status(stage, runs) == "done":
            write_card(stage, runs, judged.get(name, {}))


def write_card(stage: Training, runs: Path, judged: Mapping[str, Judge]) -> None:
    """Writes the card of a finished training stage, with scores by the stages that judged it, by test set."""
    folder = stage.folder(runs)
    held = (folder / CARD).read_text("utf-8", "replace") if (folder / CARD).is_file() else ""
    # One in the record came with a checkpoint that an earlier version adopted: it is no card of ours, nor of the user's.
    if held and MARK not in held and CARD not in read_record(folder).files:
        return
    if (text := card(stage, runs, judged)) != held:
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.card")
        with suppress(OSError):  # a folder that others own is used, and not written to
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / CARD)


def card(stage: Training, runs: Path, judged: Mapping[str, Judge]) -> str:
    """The card: metadata of the hub, then what the model is, its recipe, its data, its scores, and how to ask it."""
    from huggingface_hub import EvalResult, ModelCardData

    chain: list[Stage[Model]] = [stage]
    while isinstance(first := chain[0], Training) and not is_adopted(first, runs):
        chain.insert(0, first.model)
    base, *stages = chain
    hub, origin = _origin(base, runs)
    # Not the corpora of the base, nor those behind the models that wrote answers to train on.
    behind = in_order(stages, lambda one: one in stages or not (one is base or isinstance(one, Training)))
    corpora = [one for one in behind if isinstance(one, ReadCorpus)]
    scores = [
        (name, one.problems, code, score)
        for name, one in judged.items() if status(one, runs) == "done"
        for code, score in one.open(one.folder(runs)).scores().items()
    ]  # fmt: skip
    names, rule, template = titles(), RULES[MAIN].title, TEMPLATES[template_of(stage)]
    codes = {code for one in corpora for code in (*one.languages, *["en"] * (one.source.role in PAIR_KINDS))}
    data = ModelCardData(
        base_model=hub, language=sorted(filter(_ISO.fullmatch, codes or {code for _, _, code, _ in scores})) or None,
        datasets=sorted({*filter(None, map(_dataset, corpora))}) or None, metrics=["accuracy"] if scores else None,
        library_name="transformers", pipeline_tag="text-generation", tags=["qalign"],
        model_name=stage.folder_name if scores else None,
        eval_results=[
            EvalResult(
                task_type="text-generation", dataset_type=_dataset(problems) or name, dataset_name=names.benchmark(name),
                dataset_config=code, dataset_split="test", metric_type="accuracy", metric_name=f"accuracy ({rule})",
                metric_value=round(score.accuracy[MAIN], 2),
            )
            for name, problems, code, score in scores
        ] or None,
    )  # fmt: skip
    tables = [
        Table("Recipe", ["stage", "examples", "steps", "tokens", "settings"], [_step(one, runs) for one in stages]),
        Table("Data", ["corpus", "revision", "author and licence", "rows"], [_row(one, runs) for one in corpora]),
        Table("Scores", ["test set", "language", "accuracy", "s.e.", "problems"], [
            [names.benchmark(name), code, f"{score.accuracy[MAIN]:.1f}", f"{score.standard_error[MAIN]:.1f}", f"{score.n:,}"]
            for name, _, code, score in scores
        ], f"Percent right, by the {rule}."),
    ]  # fmt: skip
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
    cached = re.search(r"models--([^/]+)--([^/]+)/snapshots/([0-9a-f]{40})", str(place))
    if cached:
        return f"{cached[1]}/{cached[2]}", f"{cached[1]}/{cached[2]} at {cached[3]}"
    return None, WORLD if place == WORLD_FOLDER else place.resolve().name


def _dataset(records: Node) -> str | None:
    """The name on the hub of a named corpus."""
    row = CORPORA.get(records.source.name) if isinstance(records, ReadCorpus) else None
    return row.hub.name if row and row.hub else None


def _step(stage: Node, runs: Path) -> list[str]:
    """What a stage was trained on, and its settings."""
    told = trained(stage, runs) if isinstance(stage, Training) else None
    counts = [f"{n:,}" for n in (told.examples, told.steps, told.tokens)] if isinstance(told, Trained) else ["-"] * 3
    config = stage.config.get(stage.tuned)
    settings = config.items() if isinstance(config, dict) else ()
    return [stage.title, *counts, ", ".join(f"{key} {value}" for key, value in settings if value is not None)]


def _row(records: ReadCorpus, runs: Path) -> list[str]:
    """What a corpus is, whose it is, and what was kept of it."""
    name, made = records.source.name, records.result(runs)
    kept = by_language(made.counts().kept) if made else "-"
    licence = CORPORA[name].source if name in CORPORA else "own data; not known"
    return [records.label or name, records.source.revision or "files", licence, kept]
