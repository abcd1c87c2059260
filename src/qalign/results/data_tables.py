"""The tables of data: what was read, kept of sampled answers, and trained on."""

from __future__ import annotations

from ..wording import counted
from .accuracy_tables import too_long
from .schema import Content, Trained, TrainingStage, Untold
from .tables import Cell, Table
from .titles import Titles


def training_table(content: Content, titles: Titles) -> Table:
    """A row for each training stage of each system."""
    first: dict[str, str] = {}
    rows = []
    for name, stages in content.trained_on.items():
        for stage in stages:
            title = titles.system(name)
            shared = first.setdefault(stage.folder, title)
            below = f"shared with {shared}" if shared != title else _origin(stage)
            rows.append([Cell(f"{title}: {stage.stage}{_elsewhere(stage)}", below), *_training(stage)])
    columns = ["training", "examples", "tokens seen", "supervised", "steps", "loss", "too long"]
    note = "Loss: mean of the first and of the last steps."
    return Table("What the systems were trained on", columns, rows, note, section="training")


def _training(stage: TrainingStage) -> list[str]:
    if not isinstance(stage, Trained):
        return ["-"] * 6
    return [
        examples_text(stage),
        f"{stage.tokens:,}",
        f"{stage.supervised_tokens:,}",
        f"{stage.steps:,}",
        f"{stage.first_loss:.3f} -> {stage.last_loss:.3f}",
        too_long([stage.too_long]) or "-",
    ]


def examples_text(stage: Trained) -> str:
    """The examples of a training stage; `14,400 of 24,000` where it ended before it had seen them all."""
    examples, seen = stage.examples, stage.examples_seen
    return f"{examples:,}" if seen is None or seen >= examples else f"{seen:,} of {examples:,}"


def _elsewhere(stage: TrainingStage) -> str:
    """Why it is not known what a stage was trained on."""
    if not isinstance(stage, Untold):
        return ""
    if stage.adopted_from is None:
        return " (removed)"
    return f" (adopted: {stage.adopted_name})" if stage.adopted_name else " (adopted)"


def _origin(stage: TrainingStage) -> str:
    adopted = isinstance(stage, Untold) and stage.adopted_from is not None
    return f"adopted from {stage.adopted_from}" if isinstance(stage, Untold) and adopted else ""


def mixture_table(content: Content) -> Table:
    """What one epoch of each stage holds, by source and language; a stage that systems share stands once."""
    rows = [
        [
            f"{folder}: {row.source}",
            row.language,
            f"{row.examples:,}",
            f"{row.tokens:,}",
            f"{row.supervised_tokens:,}",
        ]
        for folder, stage in content.training_stages().items()
        if isinstance(stage, Trained)
        for row in stage.mixture
    ]
    columns = ["stage: source", "language", "examples", "tokens", "supervised"]
    return Table("One epoch by source and language", columns, rows, section="training")


def rejections_table(content: Content, titles: Titles) -> Table:
    """What was kept of the answers that models sampled, and why the others were left out."""
    parts = [(stage, row) for stage in content.rejections for row in stage.languages]
    reasons = list(dict.fromkeys(reason for _, row in parts for reason in row.left_out))
    rows = [
        [", ".join(map(titles.system, stage.systems)), row.language, f"{row.answers:,}", f"{row.kept:,}",
         *(f"{row.left_out.get(reason, 0):,}" for reason in reasons)]
        for stage, row in parts
    ]  # fmt: skip
    columns = ["system", "language", "answers", "kept", *reasons]
    note = "Answers that a model sampled to train on, and how many were left out for each reason."
    return Table("Sampled answers", columns, rows, note, section="training")


def corpora_table(content: Content) -> Table:
    """What was read, by corpus and language, with what was left out of it and what is worth knowing."""
    rows = [
        [
            corpus.folder,
            code,
            f"{count:,}",
            f"{published[code]:,}" if code in (published := corpus.published or {}) else "-",
            f"{corpus.kept.get(code, 0):,}",
        ]
        for corpus in content.corpora
        for code, count in corpus.counts.items()
    ]
    notes = list(dict.fromkeys(note for corpus in content.corpora for note in corpus.notes))
    if dropped := [f"{row.where}: {row.reason}" for corpus in content.corpora for row in corpus.dropped]:
        more = " ..." if len(dropped) > 10 else ""
        notes.append(f"Dropped {counted(len(dropped), 'row')}: {'; '.join(dropped[:10])}{more}")
    columns = ["corpus", "language", "rows", "published", "kept"]
    return Table("What was read", columns, rows, " ".join(f"{note}." for note in notes), section="training")
