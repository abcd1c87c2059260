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


def mixture_table(content: Content) -> Table:
    """What one epoch of each stage holds, by source and language; a stage that systems share stands once."""
    rows = [
        [
            f"{folder}: {row.source}",
            row.language,
            *(f"{n:,}" for n in (row.examples, row.tokens, row.supervised_tokens)),
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
    rows = []
    for stage, row in parts:
        counts = [row.answers, row.kept, *(row.left_out.get(reason, 0) for reason in reasons)]
        rows.append([", ".join(map(titles.system, stage.systems)), row.language, *(f"{count:,}" for count in counts)])
    columns = ["system", "language", "answers", "kept", *reasons]
    note = "Answers that a model sampled to train on, and how many were left out for each reason."
    return Table("Sampled answers", columns, rows, note, section="training")


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
