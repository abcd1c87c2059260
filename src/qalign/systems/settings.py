"""`--set stage.field=value`: changing one value of a stage, checked against the typed config it belongs to."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeGuard, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from ..errors import SettingError, closest, nearest
from ..generation import DecodingConfig
from ..options import WORDS, alternatives
from ..pipeline import Node
from ..study_options import Setting
from ..training.config import TrainingConfig

Config = TypeVar("Config")
StageOf = TypeVar("StageOf", bound=Node)
HIGH_RATE = 0.01
LONG_ANSWER, USUAL_ANSWER = 8192, 600
"""Tokens of an answer."""
NONE, ON = ("none", "null", "off"), ("on", "lora", "true")
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(slots=True)
class Settings:
    """All settings of a run; remembers which stages there were, so that one without effect is an error."""

    given: list[Setting] = field(default_factory=list)
    known: Collection[str] = ()
    """The names of systems that may stand in front."""
    stages: dict[str, object] = field(default_factory=dict)
    """Each stage that there was, with its config."""
    used: set[str] = field(default_factory=set)
    systems: set[str] = field(default_factory=set)
    """The names of the systems that were built."""

    def read_again(self, systems: Iterable[str]) -> None:
        """Reads what was given once more, now that the names of all systems are known."""
        self.known = list(systems)
        for setting in self.given:
            setting.place(self.known)

    def apply(self, system: str | None, stage: str, config: Config) -> Config:
        """The config of a stage with the settings that are meant for it, the last one winning."""
        self.stages[stage] = config
        if system is not None:
            self.systems.add(system)
        for setting in self.given:
            of_system, of_stage, path = setting.place(self.known)
            if of_stage == stage and of_system in (None, system):
                self.used.add(setting.text)
                config = set_field(config, path, setting.value, setting.said)
        return config

    def tuned(self, system: str | None, stage: StageOf) -> StageOf:
        """A stage and all behind it with the settings that are meant for them."""
        made: dict[str, Node] = {}

        def change(before: Node) -> Node:
            if before.fingerprint not in made:
                made[before.fingerprint] = self.tune(system, before.with_inputs(change))
            return made[before.fingerprint]

        return cast(StageOf, change(stage))

    def tune(self, system: str | None, stage: StageOf) -> StageOf:
        """A stage with the settings that are meant for it; those behind it stay as they are."""
        target: object = getattr(stage, stage.tuned) if stage.tuned else stage
        changed = target
        for name in (*stage.groups, stage.title):
            changed = self.apply(system, name, changed)
        if changed is target:
            return stage
        return cast(StageOf, _replaced(stage, stage.tuned, changed) if stage.tuned else changed)

    def check_all_used(self) -> None:
        """Raises SettingError for a setting whose stage there is not."""
        for setting in self.given:
            if setting.required and setting.text not in self.used:
                system, stage, path = setting.place(self.known)
                if system is not None and system not in self.systems:
                    advice = nearest(system, self.systems)
                    raise SettingError(f"{setting.said}: this run has no system '{system}': {advice}")
                what = f"{system}.{stage}" if system else stage
                raise SettingError(f"{setting.said}: this run has no stage '{what}': {self._instead(stage, path[0])}")

    def _instead(self, stage: str, name: str) -> str:
        """The end of a message on an unknown stage: the nearest stage or system, else the stages with the field."""
        with_field = sorted(title for title, config in self.stages.items() if hasattr(config, name))
        close = closest(stage, [*self.stages, *self.systems], cutoff=0.65)
        if with_field and close is None:
            return f"'{name}' is a setting of {', '.join(with_field)}"
        return nearest(stage, [*self.stages, *self.systems])


def parse_settings(texts: Iterable[str], systems: Iterable[str], origin: str = "") -> Settings:
    """The settings that were given as `[system.]stage.field=value`.

    Args:
        texts: what was given.
        systems: the names that may stand in front.
        origin: what stands before a text in messages.

    Raises:
        SettingError: a text is not of this form.
    """
    settings = Settings(given=[Setting(text=text, origin=origin) for text in texts])
    settings.read_again(systems)
    return settings


def set_field(config: Config, path: tuple[str, ...], value: str, said: str) -> Config:
    """`config` (a frozen dataclass) with one field, or a field of a field, set from text of the field's type.

    Raises:
        SettingError: there is no such field, or the value is not of its type.
    """
    hints = get_type_hints(type(config))
    name, *rest = path
    if name not in hints:
        raise SettingError(f"{said}: there is no '{name}' here: {nearest(name, hints)}")
    if rest:
        inner = getattr(config, name)
        if inner is None:
            inner = next((kind() for kind in alternatives(hints[name]) if _is_config(kind)), None)
        if not dataclasses.is_dataclass(inner):
            raise SettingError(f"{said}: '{name}' has no fields of its own")
        return _replaced(config, name, set_field(inner, tuple(rest), value, said))
    try:
        parsed = _parsed(hints[name], value)
    except ValueError as error:
        raise SettingError(f"{said}: {value!r} is not {values_in_words(hints[name])}") from error
    return _replaced(config, name, parsed)


def _replaced(config: Config, name: str, value: object) -> Config:
    assert dataclasses.is_dataclass(config) and not isinstance(config, type)
    return dataclasses.replace(config, **{name: value})


def _parsed(hint: object, text: str) -> object:
    """The value of a type that a text stands for; ValueError where there is none."""
    options, word = alternatives(hint), text.lower()
    if types.NoneType in options and word in NONE:
        return None
    value: object = BOOLEANS.get(word, text) if bool in options else text
    for option in options:
        if _is_config(option) and word in ON:
            return option()
        if get_origin(option) is tuple and not any(text in get_args(other) for other in options if other != option):
            value = [part.strip() for part in text.split(",") if part.strip()]
    parsed: object = msgspec.convert(value, hint, strict=False)
    if isinstance(parsed, float) and not math.isfinite(parsed):
        raise ValueError(text)
    return parsed


def values_in_words(hint: object) -> str:
    """What a field of a type takes."""
    return " or ".join(dict.fromkeys(_in_words(option) for option in sorted(alternatives(hint), key=_is_none)))


def _in_words(option: object) -> str:
    if get_origin(option) is Literal:
        return "one of " * (len(get_args(option)) > 1) + ", ".join(map(str, get_args(option)))
    if get_origin(option) is tuple:
        return "names with commas"
    return "on (or set its fields one by one)" if _is_config(option) else WORDS[cast(type, option)]


def _is_config(option: object) -> TypeGuard[type]:
    return isinstance(option, type) and dataclasses.is_dataclass(option)


def _is_none(option: object) -> bool:
    return option is types.NoneType


def oddities(stages: Iterable[Node]) -> Iterator[str]:
    """Sentences on settings that a run takes and that are seldom meant."""
    for stage in stages:
        config: object = getattr(stage, stage.tuned) if stage.tuned else None
        if isinstance(config, TrainingConfig) and config.learning_rate > HIGH_RATE:
            yield f"{stage.title} has a learning rate of {config.learning_rate:g}: most models diverge above {HIGH_RATE:g}"
        if isinstance(config, DecodingConfig) and config.max_new_tokens > LONG_ANSWER:
            yield (
                f"{stage.title} allows answers of {config.max_new_tokens:,} tokens: an answer that never ends takes them all, "
                f"and {USUAL_ANSWER} are the usual limit"
            )
