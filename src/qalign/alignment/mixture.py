"""Mixtures: the examples of each source that a training stage sees."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DataError, SettingError
from ..records import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One source of a mixture."""

    examples: Sequence[Example]
    weight: float = 1.0
    """The average number of times that each example occurs. 1.0 is everything once."""
    examples_per_language: int | None = None
    """The size of a random sample of each language. None keeps all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a mixture's table."""

    source: str
    language: str
    examples: int
    repeated: int
    """The number of examples that occur more than once."""
    characters: int
    utf8_bytes: int


def mix(parts: Sequence[Part], seed: int, max_repetition: float = 4.0) -> list[Example]:
    """The examples of all parts, sampled by weight, in the order of the parts. Training shuffles them itself.

    A part with weight w gives w times its number of examples: whole rounds first, the rest a random sample without
    replacement. Raises SettingError for a weight out of range, and DataError if no example is left.
    """
    chosen: list[Example] = []
    for number, part in enumerate(parts):
        if not 0 < part.weight <= max_repetition:
            cap = f"a positive one, at most the cap of {max_repetition:g}, or raise max_repetition"
            raise SettingError(f"part {number + 1} of the mixture has weight {part.weight:g}; give {cap}")
        draw = random.Random(f"{seed}/{number}")
        kept = _sample_by_language(part, draw)
        rounds, rest = divmod(round(part.weight * len(kept)), max(len(kept), 1))
        chosen += [*kept] * rounds + [kept[place] for place in sorted(draw.sample(range(len(kept)), rest))]
    if not chosen:
        raise DataError("the mixture holds no examples; check its sources and weights")
    return chosen


def _sample_by_language(part: Part, draw: random.Random) -> Sequence[Example]:
    if part.examples_per_language is None:
        return part.examples
    places: dict[str, list[int]] = {}
    for place, example in enumerate(part.examples):
        places.setdefault(example.language, []).append(place)
    kept: list[int] = []
    for _, of_language in sorted(places.items()):
        kept += draw.sample(of_language, min(part.examples_per_language, len(of_language)))
    return [part.examples[place] for place in sorted(kept)]


def table(examples: Sequence[Example]) -> list[Row]:
    """The mixture by source and language, largest first within a source."""
    groups: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        groups.setdefault((example.source, example.language), []).append(example)
    rows = []
    for (source, language), group in groups.items():
        texts = [(example.instruction or "") + example.response for example in group]
        row = Row(
            source=source,
            language=language,
            examples=len(group),
            repeated=len(group) - len({example.id for example in group}),
            characters=sum(map(len, texts)),
            utf8_bytes=sum(len(text.encode()) for text in texts),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.source, -row.examples, row.language))
