"""Why a stage is new: how its identity differs from those of finished stages of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import to_builtins

from ..fingerprints import canonical
from .stage import Node, status
from .stage_record import RECORD, Record, read_record


def explain(stage: Node, runs: Path) -> list[str]:
    """Why the stage is new: the fields in which it differs from the finished stage of the same name that is nearest."""
    if status(stage, runs) == "done":
        return [f"{stage.folder_name} is done"]
    compared = [(_differences(other, stage), -other.finished, other) for other in _finished(stage.name, runs)]
    if not compared:
        return [f"{stage.folder_name} is new: no stage named {stage.name} has been run"]
    lines, _, other = min(compared, key=lambda row: (len(row[0]), row[1]))
    return [f"{stage.folder_name} is new versus {stage.name}-{other.fingerprint[:8]}: {line}" for line in lines]


def of_earlier_versions(stages: Iterable[Node], runs: Path) -> list[str]:
    """The finished folders that earlier versions of the package made of stages with these names.

    Their results are not used any more: the kind of stage has another form or a higher version now.
    """
    return [
        f"{name}-{other.fingerprint[:8]}"
        for name, stage in {stage.name: stage for stage in stages}.items()
        for other in _finished(name, runs)
        if other.identity.kind is None
        or other.identity.version < stage.version
        or stage.outdates(other.identity.config)
    ]


def _finished(name: str, runs: Path) -> list[Record]:
    """The records of the finished stages of a name."""
    paths = sorted((runs / "stages").glob(f"{name}-????????/{RECORD}"))
    return [record for record in (read_record(path.parent) for path in paths) if record.identity.name == name]


def _differences(other: Record, stage: Node) -> list[str]:
    """A line for each value of the identity that differs."""
    before, now = (dict(_flat("", identity)) for identity in (to_builtins(other.identity), stage.identity))
    lines = []
    for name in sorted({*before, *now}):
        if name not in now:
            lines.append(f"{name} is gone (was {_short(before[name])})")
        elif name not in before:
            lines.append(f"{name} is added ({_short(now[name])})")
        elif canonical(before[name]) != canonical(now[name]):
            if name.startswith("inputs."):
                lines.append(f"its input {name[7:]} is another ({before[name]!s:.8} -> {now[name]!s:.8})")
            else:
                lines.append(f"{name} {_short(before[name])} -> {_short(now[name])}")
    return lines


def _flat(where: str, value: object) -> Iterator[tuple[str, object]]:
    """The values within a value, each with its path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{where}.{key}" if where else key, inner)
    else:
        yield where, value


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
