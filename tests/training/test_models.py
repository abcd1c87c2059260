"""A base is looked at before it is used: what would fail hours later, or in silence, is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from qalign.errors import ModelError
from qalign.training.launch import launch
from qalign.training.models import check_vocabulary


@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Path:
    """A copy of the base, to be spoilt."""
    return Path(shutil.copytree(base, tmp_path / "copied"))


def change(path: Path, **values: Any) -> None:
    """Sets keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_token_without_an_embedding_is_refused(base: Path, copied: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokens = len(tokenizer)
    tokenizer.add_tokens(["apples"])
    tokenizer.save_pretrained(copied)
    with pytest.raises(
        ModelError, match=rf"1 tokens beyond the model's {tokens} embeddings, 'apples' with id {tokens}"
    ):
        check_vocabulary(copied)
    check_vocabulary(base)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("ids", [100_000, [2, 999], -1, "2"])
def test_an_end_beyond_the_vocabulary_is_refused(copied: Path, file: str, ids: Any) -> None:
    change(copied / file, eos_token_id=ids)
    with pytest.raises(ModelError, match=rf"{file} "):
        check_vocabulary(copied)


def test_a_padding_token_without_an_embedding_trains(base: Path, copied: Path, make_job: Any) -> None:
    """It fills sequences and is never read; the saved folder names one that the model has."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(copied)
    check_vocabulary(copied)
    job = dataclasses.replace(make_job(max_steps=1), model=copied)
    launch(job)
    saved = json.loads((job.output / "generation_config.json").read_text(encoding="utf-8"))
    assert saved["pad_token_id"] == tokenizer.eos_token_id != tokenizer.pad_token_id
