"""The base of the embedded world: a small LLaMA that has read the world's text, and nothing else.

What makes a model of a million parameters fit for the study: large embeddings and small projections at first, small
batches, and text that repeats itself, so that it learns to copy (docs/dev/log.md has what did not work).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from .. import pipeline
from ..alignment.prompts import translation_instruction
from ..languages import STUDY, language
from ..models.tiny import TinyConfig
from ..pipeline.stage_record import RECORD, read_record
from ..placement import Placement
from ..training.config import METRICS, SUMMARY, TrainingConfig
from .artifacts import Model
from .bases import MakeTinyModel, tiny_base
from .kinds import MakeExamples, ReadCorpus, Train
from .study import Study

SHAPE = TinyConfig(
    vocabulary=4096,
    hidden_size=128,
    intermediate_size=352,
    layers=4,
    heads=4,
    max_positions=2048,
    tied=False,
    embedding_std=0.5,
    residual_std=0.005,
)
TRAINING = TrainingConfig(
    epochs=1, learning_rate=2e-3, warmup_ratio=0.03, adam_beta2=0.98, global_batch_size=16, precision="float32"
)


def world_base(study: Study) -> Train:
    """The training stage of the world's base: vocabulary and weights from the world's text in the study's ten languages."""
    text = study.corpus("text", "world-text")
    frames = [translation_instruction(language(code).name, "English", "") for code in STUDY if code != "en"]
    shape = study.settings.apply(None, "tiny", replace(SHAPE, seed=study.seed))
    empty = tiny_base(shape, {"text": text}, frames)
    return study.train("world-base", empty, study.mixture("text", "text", [text]), TRAINING)


def make_base(study: Study, placement: Placement, folder: Path | None = None) -> Path:
    """Trains the base of the world, and returns its folder.

    Args:
        study: its seed decides initial weights and the order of texts.
        placement: how the work is executed.
        folder: gets a copy of the model, with a model card.
    """
    stage = world_base(study)
    pipeline.run([stage], study.runs, placement)
    trained = stage.folder(study.runs)
    if folder is None:
        return trained
    folder.mkdir(parents=True, exist_ok=True)
    for path in trained.iterdir():
        if path.name not in (RECORD, METRICS, SUMMARY):
            shutil.copyfile(path, folder / path.name)
    (folder / "README.md").write_text(card(stage, study.runs), encoding="utf-8")
    return folder


def card(stage: Train, runs: Path) -> str:
    """The model card of a finished base, in Markdown: what it is, what it was trained on, and how to make it again."""
    folder = stage.folder(runs)
    record, summary, base, corpus = read_record(folder), Model(folder).summary(), *_made_from(stage)
    shares = sorted(summary.examples_by_language.items(), key=lambda item: -item[1])
    config = stage.training
    documents = ", ".join(f"{code} {n:,}" for code, n in shares)
    return f"""# The base of the embedded world

A LLaMA with {base.tiny.parameters:,} parameters and a vocabulary of its own, trained from random weights on the text of
qalign's embedded world (docs/world.md) and on nothing else. It can tell the world's stories in ten languages, work out
its sums, and copy. It has seen no question with its answer and no translation, and is of no use outside that world.

- Data: `world-text` of {corpus.source.revision}, {summary.examples:,} documents ({documents}).
- Training: {summary.steps:,} steps of {config.global_batch_size} documents, {summary.tokens:,} tokens, once through;
  seed {config.seed}; loss a token {summary.first_loss} -> {summary.last_loss};
  {record.seconds / 60:.0f} minutes on {record.hardware.cores} CPU cores.
- Made with {", ".join(f"{name} {version}" for name, version in record.versions.items())}.
- To make it again: `qalign world base DIR --seed {config.seed}` (the same up to rounding, which differs between machines).
- Licence: Apache 2.0, as qalign.
"""


def _made_from(stage: Train) -> tuple[MakeTinyModel, ReadCorpus]:
    """The empty model and the corpus of the world's base."""
    examples, base = stage.examples, stage.model
    assert isinstance(base, MakeTinyModel) and isinstance(examples, MakeExamples)
    (corpus,) = examples.corpora
    assert isinstance(corpus, ReadCorpus)
    return base, corpus
