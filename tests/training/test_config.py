"""What the hyper-parameters come to."""

from __future__ import annotations

from dataclasses import replace

from qalign.training.config import TrainingConfig


def test_examples_seen_are_those_of_the_steps() -> None:
    cut = TrainingConfig(epochs=3, global_batch_size=8, max_steps=1800)
    assert (cut.examples_seen(24_000), cut.epochs_seen(24_000)) == (14_400, 0.6)
    whole = TrainingConfig(epochs=2, global_batch_size=8)
    assert whole.examples_seen(9) == 18, "the last batch of an epoch is smaller"
    assert replace(whole, max_steps=3).examples_seen(9) == 17
