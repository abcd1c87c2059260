"""`--set stage.field=value`: changing one value of a stage, checked against the typed config it belongs to."""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Literal, TypeGuard, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from ..errors import SettingError, closest, nearest
from ..options import WORDS, Setting, alternatives
from ..pipeline import Node

Config = TypeVar("Config")
StageOf = TypeVar("StageOf", bound=Node)


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
                what, known = f"{system}.{stage}" if system else stage, [*self.stages, *self.systems]
                having = sorted(title for title, config in self.stages.items() if hasattr(config, path[0]))
                advice = nearest(stage, known)
                if having and closest(stage, known, cutoff=0.65) is None:
                    advice = f"'{path[0]}' is a setting of {', '.join(having)}"
                raise SettingError(f"{setting.said}: this run has no stage '{what}': {advice}")


def parse_settings(texts: Iterable[str], systems: Iterable[str]) -> Settings:
    """The settings that were given as `[system.]stage.field=value`, for systems of these names."""
    settings = Settings(given=[Setting(text=text) for text in texts])
    settings.read_again(systems)
    return settings


def set_field(config: Config, path: tuple[str, ...], value: str, said: str) -> Config:
    """`config` (a frozen dataclass) with one field, or a field of a field, set from text of the field's type."""
    hints = get_type_hints(type(config))
    name, *rest = path
    if name not in hints:
        raise SettingError(f"{said}: there is no '{name}' here: {nearest(name, hints)}")
    if rest:
        inner = getattr(config, name)
        if inner is None:
            inner = next((kind() for kind in alternatives(hints[name]) if _is_config(kind)), None)
        if not is_dataclass(inner):
            raise SettingError(f"{said}: '{name}' has no fields of its own")
        return _replaced(config, name, set_field(inner, tuple(rest), value, said))
    try:
        parsed = _parsed(hints[name], value)
    except ValueError as error:
        raise SettingError(f"{said}: {value!r} is not {values_in_words(hints[name])}") from error
    return _replaced(config, name, parsed)


def _replaced(config: Config, name: str, value: object) -> Config:
    assert is_dataclass(config) and not isinstance(config, type)
    return replace(config, **{name: value})


def _parsed(hint: object, text: str) -> object:
    """The value of a type that a text stands for; ValueError where there is none."""
    options = alternatives(hint)
    if types.NoneType in options and text.lower() == "none":
        return None
    value: object = text
    for option in options:
        if _is_config(option) and text.lower() == "on":
            return option()
        if get_origin(option) is tuple and not any(text in get_args(other) for other in options if other != option):
            value = [part.strip() for part in text.split(",") if part.strip()]
    parsed: object = msgspec.convert(value, hint, strict=False)
    if isinstance(parsed, float) and not math.isfinite(parsed):
        raise ValueError(text)
    return parsed


def values_in_words(hint: object) -> str:
    """What a field of a type takes."""
    options = sorted(alternatives(hint), key=lambda option: option is types.NoneType)
    return " or ".join(dict.fromkeys(map(_in_words, options)))


def _in_words(option: object) -> str:
    if get_origin(option) is Literal:
        return "one of " * (len(get_args(option)) > 1) + ", ".join(map(str, get_args(option)))
    if get_origin(option) is tuple:
        return "names with commas"
    return "on (or set its fields one by one)" if _is_config(option) else WORDS[cast(type, option)]


def _is_config(option: object) -> TypeGuard[type]:
    return isinstance(option, type) and is_dataclass(option)
