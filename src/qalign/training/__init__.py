"""Fine-tuning: token batches, the training loop, checkpoints, launching on many devices."""

from __future__ import annotations

from .config import Adapter, TrainingConfig

__all__ = ["Adapter", "TrainingConfig"]
