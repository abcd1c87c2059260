"""A kind of stage for tests: any config, any inputs, and a function that does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qalign.pipeline import Artifact, Node, Stage, Work, local

NO_LOCAL: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Task:
    """What the function of a step gets."""

    config: Mapping[str, Any]
    inputs: Mapping[str, Path]
    output: Path
    scratch: Path
    local: Mapping[str, Any]
    placement: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class _Step(Stage[Artifact]):
    own = False  # as the kinds of the package
    number: int
    values: Mapping[str, Any]
    parts: Mapping[str, Node]
    function: Callable[[Task], None] | None = local()
    around: Mapping[str, Any] = local()
    place: Path | None = local()

    @property
    def version(self) -> int:  # type: ignore[override]
        return self.number

    @property
    def config(self) -> dict[str, Any]:  # type: ignore[override]
        return dict(self.values)

    @property
    def inputs(self) -> dict[str, Node]:  # type: ignore[override]
        return dict(self.parts)

    @property
    def given(self) -> Path | None:
        return self.place

    def run(self, work: Work) -> None:
        assert self.function is not None
        folders = {name: work.read(stage).folder for name, stage in self.parts.items()}
        self.function(Task(self.values, folders, work.output, work.scratch, self.around, work.placement))


def Step(  # noqa: N802 - it reads as the class
    name: str,
    number: int,
    config: Mapping[str, Any],
    function: Callable[[Task], None] | None,
    inputs: Mapping[str, Node] | None = None,
    local: Mapping[str, Any] = NO_LOCAL,
    given: Path | None = None,
) -> _Step:
    """A stage of a name, with a number that stands for its version."""
    return _Step(
        name=name, number=number, values=config, parts=inputs or {}, function=function, around=local, place=given
    )
