"""`--set stage.field=value`: changing one value of a stage, checked against the typed config it belongs to."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ..errors import SettingError, nearest
from ..pipeline import Node

Config = TypeVar("Config")
StageOf = TypeVar("StageOf", bound=Node)


OPTION = "--set "
"""What stands before a setting that was given as an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One `--set`, or the same in a study file."""

    text: str
    """As it was given: `[system.]stage.field=value`."""
    system: str | None
    """None: it holds for the stage in every system."""
    stage: str
    path: tuple[str, ...]
    """The field, or the fields in each other."""
    value: str
    origin: str = OPTION
    """What stands before the text in messages: where it was given."""
    required: bool = True
    """Whether it is an error if there is no such stage."""

    @property
    def name(self) -> str:
        return self.text.partition("=")[0].strip()

    @property
    def said(self) -> str:
        return self.origin + self.text


@dataclass(slots=True)
class Settings:
    """All settings of a run; remembers which stages there were, so that one without effect is an error."""

    given: list[Setting] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    systems: set[str] = field(default_factory=set)
    """The names of the systems that were built."""

    def read_again(self, systems: Iterable[str]) -> None:
        """Reads what was given once more, now that the names of all systems are known."""
        known = list(systems)
        self.given[:] = [
            dataclasses.replace(parse_setting(setting.text, known, setting.origin), required=setting.required)
            for setting in self.given
        ]

    def apply(self, system: str | None, stage: str, config: Config) -> Config:
        """The config of a stage with the settings that are meant for it, the last one winning."""
        self.stages.add(stage)
        if system is not None:
            self.systems.add(system)
        for setting in self.given:
            if setting.stage == stage and setting.system in (None, system):
                self.used.add(setting.text)
                config = set_field(config, setting.path, setting.value, setting.said)
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
        target = getattr(stage, stage.tuned) if stage.tuned else stage
        changed = target
        for name in (*stage.groups, stage.title):
            changed = self.apply(system, name, changed)
        if changed is target:
            return stage
        changes: dict[str, Any] = {stage.tuned: changed}
        return dataclasses.replace(stage, **changes) if stage.tuned else cast(StageOf, changed)

    def check_all_used(self) -> None:
        """Raises SettingError for a setting whose stage there is not."""
        for setting in self.given:
            if setting.required and setting.text not in self.used:
                if setting.system is not None and setting.system not in self.systems:
                    raise SettingError(
                        f"{setting.said}: this run has no system '{setting.system}': "
                        f"{nearest(setting.system, self.systems)}"
                    )
                what = f"{setting.system}.{setting.stage}" if setting.system else setting.stage
                raise SettingError(
                    f"{setting.said}: this run has no stage '{what}': {nearest(setting.stage, self.stages)}"
                )


def parse_settings(texts: Iterable[str], systems: Iterable[str], origin: str = OPTION) -> Settings:
    """The settings that were given as `[system.]stage.field=value`.

    Args:
        texts: what was given.
        systems: the names that may stand in front.
        origin: what stands before a text in messages.

    Raises:
        SettingError: a text is not of this form.
    """
    known = list(systems)
    return Settings([parse_setting(text, known, origin) for text in texts])


def parse_setting(text: str, systems: Iterable[str], origin: str = OPTION) -> Setting:
    """One setting; its arguments are those of `parse_settings`."""
    name, equals, value = text.partition("=")
    name = name.strip()
    known = sorted(systems, key=len, reverse=True)  # names may hold dots: the longest that fits is meant
    system = next((one for one in known if name.startswith(f"{one}.") and "." in name[len(one) + 1 :]), None)
    parts = (name if system is None else name[len(system) + 1 :]).split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise SettingError(
            f"{origin}{text} is not stage.field=value, for example response-alignment.learning_rate=1e-5"
        )
    return Setting(text=text, system=system, stage=parts[0], path=tuple(parts[1:]), value=value.strip(), origin=origin)


def set_field(config: Config, path: tuple[str, ...], value: str, said: str) -> Config:
    """`config` (a frozen dataclass) with one field, or a field of a field, set from text of the field's type.

    Raises:
        SettingError: there is no such field, or the value is not of its type.
    """
    assert dataclasses.is_dataclass(config) and not isinstance(config, type)
    hints = get_type_hints(type(config))
    name, *rest = path
    if name not in hints:
        raise SettingError(f"{said}: there is no '{name}' here: {nearest(name, hints)}")
    if rest:
        inner = getattr(config, name)
        inner = inner if inner is not None else _default(hints[name])
        if not dataclasses.is_dataclass(inner):
            raise SettingError(f"{said}: '{name}' has no fields of its own")
        return dataclasses.replace(config, **{name: set_field(inner, tuple(rest), value, said)})
    try:
        parsed = _parse(hints[name], value)
    except ValueError as error:
        raise SettingError(f"{said}: {value!r} is not {error}") from error
    return dataclasses.replace(config, **{name: parsed})


def _parse(hint: Any, text: str) -> Any:
    """The value that `text` stands for. A ValueError's message says what was expected."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = get_args(hint)
        if type(None) in options and text.lower() in ("none", "null", "off"):
            return None
        expected = []
        # Fixed words first: as text, or as one of several, any word would pass.
        for option in sorted(options, key=_takes_any_word):
            if option is not type(None):
                try:
                    return _parse(option, text)
                except ValueError as error:
                    expected.append(str(error))
        raise ValueError(" or ".join([*expected, *(["none"] if type(None) in options else [])]))
    if origin is Literal:
        if text in get_args(hint):
            return text
        raise ValueError("one of " + ", ".join(map(str, get_args(hint))))
    if origin is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if text.lower() in ("on", "lora", "true"):
            return hint()
        raise ValueError("on (or set its fields one by one)")
    if hint is bool:
        if text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
            return text.lower() in ("true", "yes", "on", "1")
        raise ValueError("true or false")
    for kind, words in ((int, "a whole number"), (float, "a number")):
        if hint is kind:
            try:
                value = kind(text)
            except ValueError:
                raise ValueError(words) from None
            if not math.isfinite(value):
                raise ValueError(words)
            return value
    assert hint is str, f"a config field of type {hint} cannot be set from text"
    return text


def _takes_any_word(hint: Any) -> bool:
    origin = get_origin(hint)
    return origin is not Literal


def _default(hint: Any) -> Any:
    for option in get_args(hint) or (hint,):
        if dataclasses.is_dataclass(option) and isinstance(option, type):
            return option()
    return None
