"""The tree of a comparison, drawn: what is done, what will run, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..pipeline import Stage, needed, status
from ..placement import Placement
from . import readiness
from .comparison import Evaluated, scores_of

_STYLES = {"done": "green", "interrupted": "yellow", "to run": "bold"}


def draw(comparison: Sequence[Evaluated], runs: Path) -> Any:
    """A rich tree: systems, under each the scores, under each stage what it needs. What stands above is not repeated."""
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    seen: dict[str, Stage] = {}
    trees = []
    for system in comparison:
        tree = Tree(Text(system.name, style="bold underline"))
        for stage in system.scores.values():
            _grow(tree, stage, runs, seen)
        trees.append(tree)
    done = sum(status(stage, runs) == "done" for stage in seen.values())
    summary = f"{done} stages are done, {len(needed(scores_of(comparison), runs))} will run. Nothing was started."
    return Group(*trees, Text(summary))


def outlook(comparison: Sequence[Evaluated], runs: Path, placement: Placement) -> list[str]:
    """Lines to stand under the tree: what the disk has to hold, and why a run would be refused."""
    room = readiness.disk(needed(scores_of(comparison), runs), runs, placement)
    faults = readiness.problems(comparison, runs, placement)
    lines = [f"Disk: {room}."] if room else []
    lines += [f"A run would be refused; {len(faults)} problem{'s' * (len(faults) > 1)}:"] if faults else []
    return [*lines, *(f"- {fault}" for fault in faults)]


def _grow(tree: Any, stage: Stage, runs: Path, seen: dict[str, Stage]) -> None:
    from rich.text import Text

    state = status(stage, runs)
    label = Text(f"{state:<11} ", style=_STYLES[state]) + Text(stage.folder_name, style="default")
    if stage.fingerprint in seen:
        tree.add(label + Text(" (above)", style="dim"))
        return
    seen[stage.fingerprint] = stage
    if state != "done" and stage.size is not None:
        done = {name: inner.folder(runs) for name, inner in stage.inputs.items() if status(inner, runs) == "done"}
        label += Text(f"  {stage.size(done)}", style="dim")
    branch = tree.add(label)
    for inner in stage.inputs.values():
        if (
            state != "done" or status(inner, runs) == "done"
        ):  # what lacks under a stage that is done is not needed any more
            _grow(branch, inner, runs, seen)
