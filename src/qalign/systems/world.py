"""The base of the embedded world: a small LLaMA that has read the world's text, and nothing else.

What makes a model of a million parameters fit for the study: large embeddings and small projections at first, small
batches, and text that repeats itself, so that it learns to copy (docs/log.md has what did not work).
"""

from __future__ import annotations

from dataclasses import replace

from ..alignment.prompts import translation_instruction
from ..languages import STUDY, language
from ..pipeline import Stage
from ..training.config import TrainingConfig
from ..training.tiny import TinyConfig
from .bases import tiny_base
from .study import Study

SHAPE = TinyConfig(
    vocabulary=2560,
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
    epochs=1,
    learning_rate=2e-3,
    warmup_ratio=0.03,
    adam_beta2=0.98,
    global_batch_size=16,
    precision="float32",
)


def world_base(study: Study) -> Stage:
    """The training stage of the world's base: vocabulary and weights from the world's text in the study's ten languages."""
    text = study.corpus("text", "world-text")
    frames = [translation_instruction(language(code).name, "English", "") for code in STUDY if code != "en"]
    shape = study.settings.apply(None, "tiny", replace(SHAPE, seed=study.seed))
    empty = tiny_base(shape, {"text": text}, frames)
    return study.train("world-base", empty, study.mixture("text", "text", [text]), TRAINING)
