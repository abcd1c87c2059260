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
    """What may be given."""
    default: str
    """The default at scale `paper`, and at other scales where it differs."""
    meaning: str
    """What it does."""


def settings_of(stage: str) -> list[FieldReference]:
    """The settings of a stage, in the order of its config."""
    config, _ = STAGES[stage]
    hints, texts = get_type_hints(config), meanings(config)
    return [
        FieldReference(
            name=f"{stage}.{field.name}",
            values=values_in_words(hints[field.name]),
            default=default_in_words(stage, field),
            meaning=texts[field.name],
        )
        for field in dataclasses.fields(config)
    ]


def default_in_words(stage: str, field: dataclasses.Field[object]) -> str:
    """The default of a field: the one at scale `paper`, then in brackets those of other scales where they differ."""
    if field.name == "seed":
        return "that of --seed"
    if (stage, field.name) == ("generation", "max_new_tokens"):
        return _limits()
    first = _plain(_default(stage, field, "paper"))
    differing = {name: _plain(_default(stage, field, name)) for name in SCALES}
    if stage == "training":
        for name, scale in SCALES.items():
            differing |= {
                f"{name} {part}": _plain(getattr(config, field.name)) for part, config in scale.stages.items()
            }
    # A stage of a scale is named where it differs from the rest of that scale.
    shown = [
        f"{name}: {value}"
        for name, value in differing.items()
        if value != (first if " " not in name else differing[name.split()[0]])
    ]
    return f"{first} ({', '.join(shown)})" if shown else first


def _default(stage: str, field: dataclasses.Field[object], scale: str) -> object:
    row = SCALES[scale]
    if stage in ("training", "data"):
        return getattr(getattr(row, stage), field.name)
    return row.precision if (stage, field.name) == ("generation", "precision") else field.default


def _limits() -> str:
    """The limits on answers: by benchmark, and at most that of a scale."""
    by_limit: dict[int, list[str]] = {OWN_MAX_NEW_TOKENS: ["your own test set"]}
    for row in BENCHMARKS.values():
        by_limit.setdefault(row.max_new_tokens, []).append(row.name)
    limits = [f"{limit} ({', '.join(names)})" for limit, names in by_limit.items()]
    return ", ".join(
        [*limits, *(f"at most {s.max_new_tokens} at scale {s.name}" for s in SCALES.values() if s.max_new_tokens)]
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
