"""Stages: what a step of a study is, what it is known by, and the tree that stages form.

A kind of stage is a frozen dataclass. Its fields that hold stages are its inputs; all others are its config, which
decides the result. The folder of a stage is named `name-hash8`. The hash is over the canonical JSON of kind, name,
version, config and the fingerprints of the inputs, so a changed number re-runs the stages behind it only.
"""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from ..errors import StageError
from ..fingerprints import canonical
from ..huggingface import Repository
from ..own_code import is_own
from ..placement import Placement
from ..records import left_out
from .stage_record import RECORD

Status = Literal["done", "interrupted", "to run"]
_LOCAL = "local"
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON holds."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a finished stage has left, read by its type."""

    folder: Path


Made = TypeVar("Made", bound=Artifact, covariant=True)


def local(**options: Any) -> Any:  # as `dataclasses.field`
    """A field of a stage that is not part of its fingerprint: where things are, and what people call them."""
    return field(metadata={_LOCAL: True}, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a stage gets when it runs."""

    folders: Mapping[str, Path]
    """The folder of each input, by its fingerprint."""
    output: Path
    """An empty folder for the result."""
    scratch: Path
    """A folder that survives an interruption, and is removed when the stage is done."""
    placement: Placement
    """How fast to go and where. It may not change the result."""

    def read(self, stage: Stage[Made]) -> Made:
        """The result of an input."""
        return stage.open(self.folders[stage.fingerprint])


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage(ABC, Generic[Made]):
    """One step of a study. `Stage[Model]` is a step that makes a model."""

    name: str
    """What the folder is called. Nothing is decided by it."""

    version: ClassVar[int] = 1
    """Raised when the same config gives another result."""
    makes: ClassVar[type[Artifact]] = Artifact
    """The type of the result, as the class names it."""
    on_device: ClassVar[bool] = True
    """Whether it may compute on a GPU."""
    own: ClassVar[bool] = False
    """Whether the kind is a user's own, whose faults are said as such. The class's module decides."""
    tuned: ClassVar[str] = ""
    """The field whose fields `--set` changes; empty where it changes those of the stage."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "own" not in vars(cls):
            cls.own = is_own(cls)
        for base in getattr(cls, "__orig_bases__", ()):
            origin, made = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Stage) and isinstance(made[0], type):
                cls.makes = made[0]

    @abstractmethod
    def run(self, work: Work) -> None:
        """Makes the result in `work.output`."""

    def size(self, runs: Path) -> str:
        """How large the stage will be, for `plan`; empty where that says nothing."""
        return ""

    def outdates(self, config: Mapping[str, object]) -> bool:
        """Whether a finished stage with this config is of an earlier edition of the data that this one has."""
        return False

    def resume_point(self, scratch: Path) -> str | None:
        """Where an interrupted run goes on, such as `from step 120`; empty where it begins again, None if not known."""
        return None

    def packages(self, placement: Placement) -> Sequence[str]:
        """The packages that the stage imports, other than those of a plain installation."""
        return ()

    @property
    def fetched(self) -> tuple[Repository, str] | None:
        """What the stage fetches from the hub: a repository and its commit."""
        return None

    @property
    def given(self) -> Path | None:
        """The folder of a result that was there before. Such a stage never runs."""
        return None

    @property
    def title(self) -> str:
        """What people call the stage, in messages and in `--set`."""
        return self.name

    @property
    def groups(self) -> tuple[str, ...]:
        """What `--set` calls stages of this sort together; what is set so gives way to what is set by the title."""
        return ()

    def with_inputs(self, change: Callable[[Node], Node]) -> Stage[Made]:
        """The stage with each input changed; the same object where nothing changes."""
        changes: dict[str, object] = {}
        for name, value in self._values():
            held = list(_stages_in(name, value).values())
            new = [change(stage) for stage in held]
            if any(one is not stage for one, stage in zip(new, held, strict=True)):
                parts = dict(zip(value, new, strict=True)) if isinstance(value, Mapping) else tuple(new)
                changes[name] = new[0] if isinstance(value, Stage) else parts
        return dataclasses.replace(self, **changes) if changes else self  # type: ignore[arg-type]

    def open(self, folder: Path) -> Made:
        """The result that a folder holds."""
        return self.makes(folder)  # type: ignore[return-value]

    def result(self, runs: Path) -> Made | None:
        """The result, or None where the stage is not done."""
        return self.open(self.folder(runs)) if status(self, runs) == "done" else None

    @cached_property
    def inputs(self) -> dict[str, Node]:
        """The stages that go into this one, by field; of several in a field by position or key behind a dot."""
        found: dict[str, Node] = {}
        for name, value in self._values():
            held = _stages_in(name, value)
            if not held and name in _stage_fields(type(self)):
                raise StageError(f"'{name}' of stage '{self.name}' is {value!r}; it has to be a stage")
            found |= held
        return found

    @cached_property
    def config(self) -> dict[str, Plain]:
        """All that decides the result but the inputs, as plain values."""
        values = {name: value for name, value in self._values() if name != "name"}
        return {name: plain(value) for name, value in values.items() if not _stages_in(name, value)}

    def _values(self) -> Iterator[tuple[str, object]]:
        """What is part of the identity, by field."""
        kept = (one.name for one in dataclasses.fields(self) if _LOCAL not in one.metadata)
        without = left_out(self)
        return ((name, getattr(self, name)) for name in kept if name not in without)

    @cached_property
    def identity(self) -> dict[str, Plain]:
        """What the fingerprint is taken of."""
        inputs: dict[str, Plain] = {name: stage.fingerprint for name, stage in sorted(self.inputs.items())}
        kind, version = type(self).__name__, self.version
        return {"kind": kind, "name": self.name, "version": version, "config": self.config, "inputs": inputs}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of `identity`, hexadecimal."""
        return hashlib.sha256(canonical(self.identity).encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        return f"{self.name}-{self.fingerprint[:8]}"

    def folder(self, runs: Path) -> Path:
        """Where the result is, or will be."""
        return self.given if self.given is not None else runs / "stages" / self.folder_name


Node: TypeAlias = Stage[Artifact]
"""A stage in the tree, whatever it makes."""


@cache
def _stage_fields(kind: type) -> frozenset[str]:
    """The fields of a kind that hold one stage each, as far as its annotations can be read."""
    try:
        hints = get_type_hints(kind)
    except NameError:  # a name that only type checkers import
        return frozenset()
    origins = {name: get_origin(hint) for name, hint in hints.items()}
    return frozenset(name for name, kind in origins.items() if isinstance(kind, type) and issubclass(kind, Stage))


def _stages_in(name: str, value: object) -> dict[str, Node]:
    """The stages that a field holds."""
    if isinstance(value, Stage):
        return {name: value}
    parts = dict(value) if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, tuple) else {}
    are_stages = all(isinstance(part, Stage) for part in parts.values())
    return {f"{name}.{key}": part for key, part in parts.items()} if are_stages else {}


def plain(value: object) -> Plain:
    """A value as JSON has it; what has a method `identity` is known by what that returns."""
    if hasattr(value, "identity"):
        return plain(value.identity())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        without = left_out(value)
        kept = (one.name for one in dataclasses.fields(value) if one.name not in without)
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value  # type: ignore[return-value]  # what JSON does not hold, the fingerprint refuses


def in_order(targets: Iterable[Node], enters: Callable[[Node], bool] = lambda stage: True) -> list[Node]:
    """The targets and all stages behind those that it `enters`, each once, inputs before what uses them."""
    ordered: dict[str, Node] = {}

    def visit(stage: Node) -> None:
        if stage.fingerprint not in ordered:
            for inner in stage.inputs.values() if enters(stage) else ():
                visit(inner)
            ordered[stage.fingerprint] = stage

    for target in targets:
        visit(target)
    return list(ordered.values())


def needed(targets: Iterable[Node], runs: Path) -> list[Node]:
    """The stages that have still to run for the targets, inputs before what uses them. Inputs of a finished stage are not
    needed: they may have been removed or, for an adopted stage, never existed."""

    def waits(stage: Node) -> bool:
        return status(stage, runs) != "done"

    return list(filter(waits, in_order(targets, waits)))


def status(stage: Node, runs: Path) -> Status:
    """Whether the stage is done, was interrupted, or has still to run. Reads names only."""
    folder = stage.folder(runs)
    if stage.given is not None or (folder / RECORD).is_file():
        return "done"
    return "interrupted" if working_folder(folder).exists() else "to run"


def working_folder(folder: Path) -> Path:
    """Where a stage works until its folder is whole."""
    return folder.with_name(folder.name + ".partial")
