"""Every setting that `--set` can change: its values, its default at each scale, its meaning. All is read from the typed configs.

The meaning of a field is the text under it in the source of its class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_type_hints

from ..evaluation.benchmarks import BENCHMARKS, OWN_MAX_NEW_TOKENS
from ..generation import DecodingConfig
from ..models.tiny import TinyConfig
from ..options import meanings
from ..training.config import Adapter, TrainingConfig
from .recipes import MULTILINGUAL, QUESTION, RESPONSE
from .scales import SCALES, DataConfig
from .settings import values_in_words

STAGES: Mapping[str, tuple[type, str]] = {
    "training": (TrainingConfig, "Training"),
    "training.adapter": (Adapter, "The low-rank adapter"),
    "generation": (DecodingConfig, "Generation"),
    "data": (DataConfig, "Data"),
    "tiny": (TinyConfig, "The base named tiny"),
}
"""The first words of a setting, each with its config and its title."""
TRAINING_STAGES = (QUESTION, MULTILINGUAL, RESPONSE)
"""Words that may stand in the place of `training`: the setting then holds for that stage alone."""


@dataclass(frozen=True, slots=True)
class FieldReference:
    """One setting, in words."""

    name: str
    """As `--set` has it, such as `training.epochs`."""
    values: str
    default: str
    """The default at scale `paper`, and at other scales where it differs."""
    meaning: str


def settings_of(stage: str) -> list[FieldReference]:
    """The settings of a stage, in the order of its config."""
    config, _ = STAGES[stage]
    hints, texts = get_type_hints(config), meanings(config)
    rows = []
    for field in dataclasses.fields(config):
        values, default = values_in_words(hints[field.name]), default_in_words(stage, field)
        name = f"{stage}.{field.name}"
        rows.append(FieldReference(name=name, values=values, default=default, meaning=texts[field.name]))
    return rows


def default_in_words(stage: str, field: dataclasses.Field[object]) -> str:
    """The default of a field: the one at scale `paper`, then in brackets those of other scales where they differ."""
    if field.name == "seed":
        return "that of --seed"
    if (stage, field.name) == ("generation", "max_new_tokens"):
        return _limits()
    first, shown = _default(stage, field, "paper"), []
    for name, scale in SCALES.items():
        if (usual := _default(stage, field, name)) != first:
            shown.append(f"{name}: {usual}")
        for part, config in scale.stages.items() if stage == "training" else ():
            if (value := _plain(getattr(config, field.name))) != usual:
                shown.append(f"{name} {part}: {value}")
    return f"{first} ({', '.join(shown)})" if shown else first


def _default(stage: str, field: dataclasses.Field[object], scale: str) -> str:
    row = SCALES[scale]
    if stage in ("training", "data"):
        return _plain(getattr(getattr(row, stage), field.name))
    return _plain(row.precision if (stage, field.name) == ("generation", "precision") else field.default)


def _limits() -> str:
    """The limits on answers: by benchmark, and at most that of a scale."""
    by_limit: dict[int, list[str]] = {OWN_MAX_NEW_TOKENS: ["your own test set"]}
    for row in BENCHMARKS.values():
        by_limit.setdefault(row.max_new_tokens, []).append(row.name)
    limits = [f"{limit} ({', '.join(names)})" for limit, names in by_limit.items()]
    limits += [f"at most {row.max_new_tokens} at scale {row.name}" for row in SCALES.values() if row.max_new_tokens]
    return ", ".join(limits)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
