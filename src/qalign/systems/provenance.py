"""How a comparison was made: when its last stage was finished, by which command and versions, and where its models are."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline import Node, in_order, status
from ..pipeline.stage_record import Record, read_record
from ..redaction import redacted_command
from ..results.schema import Made, Model
from ..untrusted import printable

if TYPE_CHECKING:
    from .evaluated import Evaluated

SHOWN = ("qalign", "torch", "transformers", "python")
"""The versions that results name first."""


def made(targets: Sequence[Node], runs: Path) -> Made:
    """Date (UTC), command and versions of a finished comparison.

    Date and versions are those of the stage that was finished last. The same command without work keeps them.
    """
    last = max(_records(targets, runs), key=lambda record: record.finished)
    date = datetime.fromtimestamp(int(last.finished), UTC).isoformat().replace("+00:00", "Z")
    order = [*(name for name in SHOWN if name in last.versions), *(n for n in last.versions if n not in SHOWN)]
    versions = {printable(name): printable(last.versions[name]) for name in order}
    return Made(date, redacted_command(sys.argv), versions)


def _records(targets: Sequence[Node], runs: Path) -> list[Record]:
    stages = [stage for stage in in_order(targets) if stage.given is None and status(stage, runs) == "done"]
    return [read_record(stage.folder(runs)) for stage in stages]


def models(comparisons: Mapping[str, Sequence[Evaluated]], runs: Path) -> list[Model]:
    """The folder of each system's final model that is on this disk.

    Args:
        comparisons: seed -> systems; the seed is empty where there is one run.
    """
    return [
        Model(system.name, printable(str(folder.resolve())), seed)
        for seed, comparison in comparisons.items()
        for system in comparison
        if ((folder := system.model.folder(runs)) / "config.json").is_file()
    ]


def judgements(comparison: Sequence[Evaluated], runs: Path) -> dict[str, dict[str, str]]:
    """System -> benchmark -> the folder that holds what was read from each answer."""
    return {
        system.name: {name: printable(str(stage.folder(runs).resolve())) for name, stage in system.scores.items()}
        for system in comparison
    }
