"""What `plan` shows: whether a run fits, how long it takes and how much disk; then its stages, as a table and as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import QAlignError, StageError
from ..huggingface import Repository, cached_folder
from ..pipeline import Node, is_running, needed, of_earlier_versions, status
from ..placement import Placement
from ..results.tables import Table
from ..wording import UNKNOWN, counted, duration, in_bytes
from . import costs, readiness
from .ask import Ask
from .costs import Cost
from .evaluated import Evaluated, scores_of
from .kinds import FetchModel, ReadCorpus, Train
from .known import BASES, CORPUS_BYTES
from .lineage import first_model
from .machines import Launch, Machine
from .steps import few_steps
from .ways import ways_on

_STYLES = {"done": "green", "interrupted": "yellow", "running": "yellow", "to run": "bold"}


def draw(comparison: Sequence[Evaluated], runs: Path) -> Any:
    """A rich tree: systems, under each the scores, under each stage what it needs. What stands above is not repeated."""
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    seen: dict[str, Node] = {}
    trees = []
    for system in comparison:
        tree = Tree(Text(system.name, style="bold underline"))
        for stage in system.scores.values():
            _grow(tree, stage, runs, seen)
        trees.append(tree)
    done = sum(status(stage, runs) == "done" for stage in seen.values())
    waiting = len(needed(scores_of(comparison), runs))
    summary = f"{counted(done, 'stage')} {'is' if done == 1 else 'are'} done, {waiting} will run. Nothing was started."
    return Group(*trees, Text(summary))


def faults(
    comparison: Sequence[Evaluated],
    runs: Path,
    placement: Placement,
    unreachable: Mapping[str, QAlignError] | None = None,
    elsewhere: bool = False,
) -> list[str]:
    """Why a run would be refused, a line each: what is cheap to know first, then what the user's own files hold.

    Args:
        comparison: the systems.
        runs: the folder of all stages.
        placement: how they are run.
        unreachable: what is out of reach on the hub, by name.
        elsewhere: whether the run is for another machine, about which only the data and settings are judged.
    """
    waiting = needed(scores_of(comparison), runs)
    found: list[object] = [
        *([] if elsewhere else _one_line(unreachable or {})),
        *readiness.problems(comparison, runs, placement, elsewhere),
        *readiness.unreadable(waiting),
    ]
    lines = list(dict.fromkeys(f"- {fault}" for fault in found))
    return [f"A run would be refused; {len(lines)} problem{'s' * (len(lines) > 1)}:", *lines] if lines else []


def _one_line(unreachable: Mapping[str, QAlignError]) -> Iterator[str]:
    """The first error, and the names of all others that the hub could not be asked for."""
    first, *others = unreachable.items() or [("", None)]
    if first[1] is not None:
        also = f" (nor are {', '.join(name for name, _ in others)} in reach)" if others else ""
        yield f"{first[1]}{also}"


def stages(found: Sequence[Cost]) -> Table:
    """The costs by training stage."""
    rows = [
        [
            cost.stage.folder_name,
            _millions(cost.tokens),
            f"{in_bytes(cost.fit.bytes)}{' (!)' * bool(cost.fit.fault)}" if cost.fit else UNKNOWN,
            duration(cost.seconds),
            in_bytes(cost.left) if cost.left else UNKNOWN,
        ]
        for cost in _trainings(found)
    ]
    fits = [cost.fit for cost in found if cost.fit]
    recomputing, unfit = any(fit.recomputing for fit in fits), any(fit.fault for fit in fits)
    note = f"Tokens of all epochs; memory of one device at its peak{', activations recomputed' * recomputing}"
    note += f" ((!): more than it has){'.'}" if unfit else "."
    return Table("Training", ["stage", "tokens", "memory", "time", "model"], rows, note)


def whole(found: Sequence[Cost], runs: Path, machine: Machine, placement: Placement) -> Table:
    """What all stages together need; no rows where nothing is left to run."""
    rows = list(_whole(found, runs, machine, placement)) if found else []
    return Table("The whole run", ["", "estimate"], rows)


def _trainings(found: Sequence[Cost]) -> list[Cost]:
    return [cost for cost in found if isinstance(cost.stage, Train)]


def unfit(found: Sequence[Cost]) -> Cost | None:
    """The first training stage that does not fit its device."""
    return next((cost for cost in _trainings(found) if cost.fit and cost.fit.fault), None)


def check(found: Sequence[Cost], refusals: Sequence[str]) -> None:
    """Ends a plan of what will not do.

    Args:
        found: what the stages cost.
        refusals: the lines of `faults`.

    Raises:
        StageError: a run would be refused, or does not fit.
    """
    if refusals:
        several = f"{len(refusals) - 1} problems, listed above"
        raise StageError(f"a run would be refused: {several if len(refusals) > 2 else refusals[1].removeprefix('- ')}")
    if (cost := unfit(found)) is not None and cost.fit is not None:
        raise StageError(f"{cost.stage.folder_name} {cost.fit.fault}; the ways on stand above")


def _whole(found: Sequence[Cost], runs: Path, machine: Machine, placement: Placement) -> Iterator[tuple[str, str]]:
    answers = [cost for cost in found if isinstance(cost.stage, Ask)]
    if trainings := _trainings(found):
        fits = [cost.fit for cost in trainings]
        yield "fits the device", "no" if unfit(found) else UNKNOWN if None in fits else "yes"
        yield "training time", duration(_total(trainings))
    if answers:
        yield "answering time", duration(_total(answers))
    left, most = costs.disk(found, runs, placement.jobs)
    known = all(cost.left for cost in _trainings(found))  # what a base of unknown shape leaves is not
    yield "disk at the peak", in_bytes(most) if known else UNKNOWN
    yield "disk that stays", in_bytes(left) if known else UNKNOWN
    for name, size in _fetched([cost.stage for cost in found], machine.elsewhere):
        yield f"fetch {name}", in_bytes(size) if size else UNKNOWN


def _total(found: Sequence[Cost]) -> float | None:
    seconds = [cost.seconds for cost in found]
    return None if None in seconds else sum(one or 0.0 for one in seconds)


def remarks(
    found: Sequence[Cost], runs: Path, machine: Machine, launch: Launch, placement: Placement, measured: bool
) -> Iterator[str]:
    """Sentences in front: the machine, whether it fits or the ways on, where the time comes from."""
    if trainings := _trainings(found):
        yield f"Planned for {_machine(machine, launch)}."
        yield _verdict(trainings, machine)
        if (worst := unfit(found)) is not None:
            ways = list(ways_on(worst, runs, machine, placement))
            yield "Ways on:" if ways else "Nothing that is known here makes it fit: take more or larger devices."
            yield from (f"- {way}" for way in ways)
    if measured and found:
        yield "The time was measured here, by a few steps on random tokens."
    elif found and (machine.kind is None or any(cost.seconds is not None for cost in found)):
        yield _rate(machine, launch)
    amounts = [(cost.stage, cost.amount.examples) for cost in found if isinstance(cost.stage, Train) and cost.amount]
    yield from dict.fromkeys(f"Few steps: {line}" for line in few_steps(amounts))
    if earlier := of_earlier_versions([cost.stage for cost in found], runs):
        verb, runs_again = ("is", "it runs") if len(earlier) == 1 else ("are", "they run")
        yield (
            f"{counted(len(earlier), 'finished stage')} in {runs} {verb} of an earlier version of qalign, so {runs_again} again "
            "here; `qalign runs remove --unneeded` frees what no run needs."
        )
    if machine.elsewhere:
        yield "This is for another machine: its packages, its disk and its access to the hub were not looked at."


def _machine(machine: Machine, launch: Launch) -> str:
    processes = "one process" if launch.processes == 1 else f"{launch.processes} processes"
    if machine.cpu:
        return f"the {machine.name} with {machine.memory / 2**30:.0f} GiB, {processes}"
    how = f", the model in FSDP shards over {launch.shards}" if launch.shards > 1 else ", each with the whole model"
    named = "" if machine.sold and machine.name == f"{machine.sold:g} GB" else f" {machine.name}"
    memory = f"{machine.memory / 2**30:.0f} GiB{' each' if machine.devices > 1 else ''}"
    sold = f" (sold as {machine.sold:g} GB)" if machine.sold else ""
    devices = f"{counted(machine.devices, f'{named} device'.strip())}, {memory}{sold}"
    return f"{devices}; {processes}{how if launch.processes > 1 else ''}"


def _meant(trainings: Sequence[Cost]) -> str:
    """A question after the known base whose name is near that of one which is not known; empty where none is."""
    for cost in trainings:
        base = first_model(cost.stage) if isinstance(cost.stage, Train) else None
        if isinstance(base, FetchModel) and (near := get_close_matches(base.hub, BASES, 1, 0.85)):
            return f"; did you mean '{near[0]}'?" if near[0] != base.hub else ""
    return ""


def _verdict(trainings: Sequence[Cost], machine: Machine) -> str:
    fits = [cost.fit for cost in trainings if cost.fit]
    if fault := next((fit.fault for fit in fits if fit.fault), None):
        return f"{fault[0].upper()}{fault[1:]}."
    if len(fits) < len(trainings):
        return f"Whether it fits is unknown: the shape of the base is not known here{_meant(trainings)}."
    most = max(fits, key=lambda fit: fit.bytes)
    room = f"{in_bytes(most.bytes)} of {machine.memory / 2**30:.0f} GiB"
    return f"It fits: {room}, with {most.tokens:,} tokens at once on a device."


def _rate(machine: Machine, launch: Launch) -> str:
    """Where the time comes from, or why it is not known."""
    if machine.kind is None:
        return f"No rate of {machine.name} is known here, so the time is not: --measure takes some steps to find it."
    several = " The exchange between devices is not counted." if launch.processes > 1 else ""
    return f"The time is {machine.kind.source}, for {machine.kind.name}.{several}"


def _fetched(waiting: Sequence[Node], elsewhere: bool) -> Iterator[tuple[str, int | None]]:
    """What comes from the hub, with its bytes; None where they are not known. The cache here is of no use elsewhere."""
    for stage in waiting:
        if isinstance(stage, FetchModel):
            name, repository = stage.hub, Repository("model", stage.hub)
            known, commit = BASES[name].fetched if name in BASES else None, stage.revision
        elif isinstance(stage, ReadCorpus) and (source := stage.source).hub is not None and source.revision is not None:
            name, repository = source.hub, Repository("dataset", source.hub)
            known, commit = CORPUS_BYTES.get(source.name), source.revision
        else:
            continue
        if elsewhere or cached_folder(repository, commit) is None:
            yield name, known


def _millions(count: float | None) -> str:
    if count is None:
        return UNKNOWN
    return f"~{count:,.0f}" if count < 1e6 else f"~{count / 1e6:,.1f}M"


def _grow(tree: Any, stage: Node, runs: Path, seen: dict[str, Node]) -> None:
    from rich.text import Text

    state: str = status(stage, runs)
    if state == "interrupted" and is_running(stage, runs):
        state = "running"
    label = Text(f"{state:<11} ", style=_STYLES[state]) + Text(stage.folder_name, style="default")
    if stage.fingerprint in seen:
        tree.add(label + Text(" (above)", style="dim"))
        return
    seen[stage.fingerprint] = stage
    if state != "done" and (size := stage.size(runs)):
        label += Text(f"  {size}", style="dim")
    branch = tree.add(label)
    for inner in stage.inputs.values():
        if (
            state != "done" or status(inner, runs) == "done"
        ):  # what lacks under a stage that is done is not needed any more
            _grow(branch, inner, runs, seen)
