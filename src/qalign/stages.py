"""Parts of a recipe of your own: kinds of stages, outputs, and base classes."""

from .generation import DecodingConfig
from .pipeline import Artifact, Stage, Work, local
from .systems.artifacts import Answers, Examples, Judgements, Kept, Model, Records
from .systems.ask import Ask
from .systems.bases import FetchModel, ModelOnDisk
from .systems.keep import Filter, Keep
from .systems.kinds import Judge, MakeExamples, ReadCorpus, Train
from .training.config import TrainingConfig

__all__ = [
    "Answers", "Artifact", "Ask", "DecodingConfig", "Examples", "FetchModel", "Filter", "Judge", "Judgements", "Keep", "Kept",
    "MakeExamples", "Model",
    "ModelOnDisk", "ReadCorpus", "Records", "Stage", "Train", "TrainingConfig", "Work", "local",
]  # fmt: skip
