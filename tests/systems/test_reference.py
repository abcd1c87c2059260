"""The reference of settings: complete, true, and the same as what `--set` takes; and the pages made from it and from the help."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from qalign.cli import completion
from qalign.generation.protocol import BACKENDS, DecodingConfig
from qalign.models.tiny import TinyConfig
from qalign.systems import SCALES
from qalign.systems.checks import STAGES, TRAINING_STAGES, FieldReference, settings_of
from qalign.systems.settings import parse_settings, set_field

DOCS = Path(__file__).parents[2] / "docs"
ROWS = [row for stage in STAGES for row in settings_of(stage)]


def start(stage: str) -> Any:
    """A config of a stage, from which settings begin."""
    config, _ = STAGES[stage]
    return DecodingConfig(max_new_tokens=8) if config is DecodingConfig else config()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_setting_is_described_and_takes_its_default(row: FieldReference) -> None:
    assert row.meaning.endswith(".") and row.values and row.default
    stage, _, name = row.name.rpartition(".")
    value = {"that of --seed": "7", "1e-08": "1e-8"}.get(row.default, row.default.split(" (")[0])
    (setting,) = parse_settings([f"{row.name}={value}"], []).given
    changed = set_field(start(stage), (name,), setting.value, setting.text)
    assert str(getattr(changed, name)).lower().removesuffix(".0") in (
        value,
        str(float(value)) if value[0].isdigit() else value,
    )


def test_every_field_of_every_config_is_listed() -> None:
    for stage, (config, _) in STAGES.items():
        assert [row.name for row in settings_of(stage)] == [f"{stage}.{f.name}" for f in dataclasses.fields(config)]


def test_defaults_are_those_of_the_scales() -> None:
    rows = {row.name: row for row in ROWS}
    assert rows["training.epochs"].default == "3 (sample: 2, toy question-alignment: 2)"
    assert rows["training.max_steps"].default == "none (toy response-alignment: 1800)"
    assert rows["data.problems_per_language"].default == f"none (sample: {SCALES['sample'].data.problems_per_language})"
    assert rows["tiny.layers"].default == str(TinyConfig().layers)
    assert "300 (msvamp)" in rows["generation.max_new_tokens"].default
    assert rows["training.too_long"].values == "one of error, drop, cut"
    assert rows["training.max_steps"].values == "a whole number or none"


def test_the_meaning_of_backend_names_every_backend() -> None:
    (row,) = [row for row in ROWS if row.name == "generation.backend"]
    assert all(f"`{name}`" in row.meaning for name in BACKENDS)


def test_settings_complete() -> None:
    assert completion.settings("data.prob") == ["data.problems_per_language="]
    assert f"{TRAINING_STAGES[0]}.adapter.rank=" in completion.settings(TRAINING_STAGES[0])


@pytest.mark.parametrize("page", ["settings.md", "cli.md", "checkpoints.md"])
def test_a_generated_page_is_what_the_code_makes(page: str) -> None:
    specification = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert specification is not None and specification.loader is not None
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    assert (DOCS / page).read_text(encoding="utf-8") == generate.PAGES[page](), "run `make reference`"
