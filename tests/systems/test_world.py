"""What a base makes of the probes: the shipped one has learnt, one with random weights has not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from qalign.errors import ModelError
from qalign.models.opening import load_model, load_tokenizer
from qalign.systems.bases import WORLD_FOLDER
from qalign.systems.world import ask, probe
from qalign.world.probes import Probe, probes


def test_the_shipped_base_copies_and_does_not_translate() -> None:
    asked = list(probes(["en", "de"], 4))
    found = ask(WORLD_FOLDER, asked, quiet=True)
    loss = {key: one.loss / one.tokens for key, one in found.items()}
    assert loss["retold", "de"] < 0.1 < loss["story", "de"]
    assert loss["in English", "en"] < 0.1 < 1.0 < loss["in English", "de"]
    assert all(one.probes == 4 and one.exact <= 4 for one in found.values())


def test_a_base_with_random_weights_knows_nothing(base: Path) -> None:
    found = ask(base, list(probes(["en"], 2)), quiet=True)
    vocabulary = load_model(base, torch.float32).config.vocab_size
    for one in found.values():
        assert one.exact == 0
        assert one.loss / one.tokens == pytest.approx(math.log(vocabulary), rel=0.3)


def test_written_by_itself_is_what_greedy_decoding_writes() -> None:
    """Against transformers' own decoding, each probe alone."""
    asked = [one for one in probes(["en", "ja"], 3) if one.kind in ("word", "sums", "first step", "retold")]
    tokenizer, model = load_tokenizer(WORLD_FOLDER), load_model(WORLD_FOLDER, torch.float32)
    exact = 0
    for one in asked:
        whole = tokenizer(one.before + one.after, return_tensors="pt").input_ids
        front = tokenizer(one.before, return_tensors="pt").input_ids
        length = whole.shape[1] - front.shape[1]
        written = model.generate(front, max_new_tokens=length, min_new_tokens=length, do_sample=False)
        exact += torch.equal(written, whole)
    assert 0 < exact < len(asked)
    assert sum(one.exact for one in ask(WORLD_FOLDER, asked, quiet=True).values()) == exact


def test_the_loss_is_over_what_follows_alone() -> None:
    """Against the loss that transformers computes."""
    (one,) = [Probe("sums", "en", "23 + 5 =", " 28.")]
    tokenizer, model = load_tokenizer(WORLD_FOLDER), load_model(WORLD_FOLDER, torch.float32)
    whole = tokenizer(one.before + one.after, return_tensors="pt").input_ids
    labels = whole.clone()
    labels[:, : tokenizer(one.before, return_tensors="pt").input_ids.shape[1]] = -100
    expected = model(input_ids=whole, labels=labels).loss.item()
    (found,) = ask(WORLD_FOLDER, [one], quiet=True).values()
    assert found.loss / found.tokens == pytest.approx(expected, rel=1e-4)


def test_the_tables_name_the_base_and_what_is_no_model_is_refused(tmp_path: Path) -> None:
    tables = probe(WORLD_FOLDER, "mine", count=1, quiet=True)
    assert [table.title.split(":")[0] for table in tables] == ["mine"] * 3
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    with pytest.raises(ModelError):
        probe(tmp_path, "nothing", count=1, quiet=True)
