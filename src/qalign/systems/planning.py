"""Plans of runs: whether a run fits, how long it takes, how much disk; why stages run; checkpoints in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from .. import pipeline
from ..errors import QAlignError, SettingError, StageError, nearest
from ..huggingface import cached_folder, hub_out_of_reach_allowed
from ..models.opening import check_model
from ..pipeline import Node, is_running, needed, of_earlier_versions, status
from ..placement import Placement
from ..results.tables import Table
from ..terminal import text_of
from ..wording import UNKNOWN, counted, duration, in_bytes
from . import costs, readiness
from .ask import Ask
from .bases import FetchModel, checkpoint, untaught
from .comparison import compare, titles_taken
from .costs import Cost
from .evaluated import Evaluated, scores_of
from .kinds import Train
from .known import BASES, CORPUS_BYTES
from .lineage import first_model, training_stages
from .machines import Launch, Machine, launch_of, machine_of
from .names import checked, model_name
from .running import names_of, unused
from .settings import oddities
from .study import Study
from .table import Recipe
from .trial import measured
from .ways import few_steps, ways_on

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

_STYLES = {"done": "green", "interrupted": "yellow", "running": "yellow", "to run": "bold"}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Plan:
    """What a run would do. Printed, it is what `qalign plan` shows."""

    comparison: Sequence[Evaluated]
    """The systems."""
    runs: Path
    """The folder of all stages."""
    machine: Machine
    """What is planned for."""
    launch: Launch
    placement: Placement
    costs: Sequence[Cost]
    """What each stage that has to run costs."""
    is_measured: bool
    """Whether the time comes from some steps on this machine."""
    remark: str
    """A line on the base; empty where there is nothing to say."""
    refusals: Sequence[str]
    """Why a run would be refused: a heading, then a line for each reason."""

    @property
    def trainings(self) -> list[Cost]:
        """The costs of the training stages."""
        return [cost for cost in self.costs if isinstance(cost.stage, Train)]

    @property
    def unfit(self) -> Cost | None:
        """The first training stage that does not fit its device."""
        return next((cost for cost in self.trainings if cost.fit and cost.fit.fault), None)

    @property
    def whole(self) -> Table:
        """What all stages together need; no rows where nothing is left to run."""
        return Table("The whole run", ["", "estimate"], list(self._whole()) if self.costs else [])

    @property
    def remarks(self) -> list[str]:
        """Sentences on the machine, on whether the run fits, and on where the time comes from."""
        remark = [f"{self.remark}."] if self.remark else []
        odd = dict.fromkeys(oddities(cost.stage for cost in self.costs))
        return [*remark, *(f"{line[0].upper()}{line[1:]}." for line in odd), *self._remarks()]

    @property
    def shown(self) -> list[RenderableType]:
        """What a terminal shows: tables, sentences, and the tree of the stages."""
        several = self.refusals if len(self.refusals) > 2 else ()  # one alone is the error at the end
        tree = _tree(self.comparison, self.runs)
        return [self.whole, *self.remarks, *several, stages(self.costs), tree]

    def check(self) -> None:
        """Ends a plan of what cannot run.

        Raises:
            StageError: a run would be refused, or does not fit.
        """
        if lines := self.refusals[1:]:
            reason = lines[0].removeprefix("- ") if len(lines) == 1 else f"{len(lines)} problems, listed above"
            raise StageError(f"a run would be refused: {reason}")
        if (cost := self.unfit) is not None and cost.fit is not None:
            raise StageError(f"{cost.stage.folder_name} {cost.fit.fault}; the ways on stand above")

    def __str__(self) -> str:
        return text_of(self.shown)

    def _whole(self) -> Iterator[tuple[str, str]]:
        if self.trainings:
            fits = [cost.fit for cost in self.trainings]
            yield "fits the device", "no" if self.unfit else UNKNOWN if None in fits else "yes"
            yield "training time", duration(_total(self.trainings))
        if answers := [cost for cost in self.costs if isinstance(cost.stage, Ask)]:
            yield "answering time", duration(_total(answers))
        left, most = costs.disk(self.costs, self.runs, self.placement.jobs)
        known = all(cost.left for cost in self.trainings)  # what a base of unknown shape leaves is not
        yield "disk at the peak", in_bytes(most) if known else UNKNOWN
        yield "disk that stays", in_bytes(left) if known else UNKNOWN
        for cost in self.costs:
            if (fetched := cost.stage.fetched) is None:
                continue
            repository, commit = fetched
            name, base = repository.name, BASES.get(repository.name)
            size = base.fetched if base else CORPUS_BYTES.get(name)
            if self.machine.elsewhere or cached_folder(repository, commit) is None:  # the cache is of no use elsewhere
                yield f"fetch {name}", in_bytes(size) if size else UNKNOWN

    def _remarks(self) -> Iterator[str]:
        if self.trainings:
            yield f"Planned for {self._planned_for()}."
            yield self._verdict()
            if self.unfit is not None:
                ways = list(ways_on(self.unfit, self.runs, self.machine, self.placement))
                yield "Ways on:" if ways else "Nothing that is known here makes it fit: take more or larger devices."
                yield from (f"- {way}" for way in ways)
        kind = self.machine.kind
        if self.is_measured and self.costs:
            yield "The time was measured here, by a few steps on random tokens."
        elif self.costs and kind is None:
            name = self.machine.name
            yield f"No rate of {name} is known here, so the time is not: --measure takes some steps to find it."
        elif kind is not None and any(cost.seconds is not None for cost in self.costs):
            several = " The exchange between devices is not counted." if self.launch.processes > 1 else ""
            yield f"The time is {kind.source}, for {kind.name}.{several}"
        amounts = [(c.stage, c.amount.examples) for c in self.costs if isinstance(c.stage, Train) and c.amount]
        yield from dict.fromkeys(f"Few steps: {line}" for line in few_steps(amounts))
        if earlier := of_earlier_versions([cost.stage for cost in self.costs], self.runs):
            verb, runs_again = ("is", "it runs") if len(earlier) == 1 else ("are", "they run")
            yield (
                f"{counted(len(earlier), 'finished stage')} in {self.runs} {verb} of an earlier version of qalign, so "
                f"{runs_again} again here; `qalign runs remove --unneeded` frees what no run needs."
            )
        if self.machine.elsewhere:
            yield "This is for another machine: its packages, its disk and its access to the hub were not looked at."

    def _planned_for(self) -> str:
        machine, launch = self.machine, self.launch
        processes = "one process" if launch.processes == 1 else f"{launch.processes} processes"
        if machine.cpu:
            return f"the {machine.name} with {machine.memory / 2**30:.0f} GiB, {processes}"
        how = f", the model in FSDP shards over {launch.shards}" if launch.shards > 1 else ", each with the whole model"
        named = "" if machine.sold and machine.name == f"{machine.sold:g} GB" else f" {machine.name}"
        memory = f"{machine.memory / 2**30:.0f} GiB{' each' if machine.devices > 1 else ''}"
        sold = f" (sold as {machine.sold:g} GB)" if machine.sold else ""
        devices = f"{counted(machine.devices, f'{named} device'.strip())}, {memory}{sold}"
        return f"{devices}; {processes}{how if launch.processes > 1 else ''}"

    def _verdict(self) -> str:
        fits = [cost.fit for cost in self.trainings if cost.fit]
        if fault := next((fit.fault for fit in fits if fit.fault), None):
            return f"{fault[0].upper()}{fault[1:]}."
        if len(fits) < len(self.trainings):
            return f"Whether it fits is unknown: the shape of the base is not known here{self._meant()}."
        most = max(fits, key=lambda fit: fit.bytes)
        room = f"{in_bytes(most.bytes)} of {self.machine.memory / 2**30:.0f} GiB"
        return f"It fits: {room}, with {most.tokens:,} tokens at once on a device."

    def _meant(self) -> str:
        """A question after the known base whose name is near that of one which is not known; empty where none is."""
        for cost in self.trainings:
            base = first_model(cost.stage) if isinstance(cost.stage, Train) else None
            if isinstance(base, FetchModel) and (near := get_close_matches(base.hub, BASES, 1, 0.85)):
                return f"; did you mean '{near[0]}'?" if near[0] != base.hub else ""
        return ""


def plan(
    study: Study,
    systems: str | Recipe | Iterable[str | Recipe],
    *,
    placement: Placement | None = None,
    devices: int | None = None,
    device_memory: float | None = None,
    device_kind: str | None = None,
    measure: bool = False,
) -> Plan:
    """Says whether a run fits, how long it takes and how much disk. Starts nothing.

    Args:
        study: what the systems are built from.
        systems: names, `NAME=SYSTEM`, or recipes.
        placement: how the work would be executed.
        devices: of another machine, for which is planned.
        device_memory: of one of these devices, in GB.
        device_kind: what these devices are, such as H100.
        measure: whether a few steps on this machine say how long a run takes.

    Raises:
        QAlignError: a name or a value cannot be used.
    """
    if measure and (devices or device_memory or device_kind):
        raise SettingError(
            "--measure is for this machine; leave it out, or leave out --devices and what describes them"
        )
    runs, placement = study.runs, placement or Placement()
    machine = machine_of(placement, devices, device_memory, device_kind)
    launch = launch_of(placement, devices or 1)
    with hub_out_of_reach_allowed() as unreachable:
        comparison = compare(unused(study), names_of(systems))
    waiting = needed(scores_of(comparison), runs)
    reasons: list[object] = [
        *([] if machine.elsewhere else _one_line(unreachable)),
        *readiness.problems(comparison, runs, placement, machine.elsewhere),
        *readiness.unreadable(waiting),
    ]
    lines = list(dict.fromkeys(f"- {reason}" for reason in reasons))
    found = costs.costs(waiting, runs, machine, launch, placement)
    return Plan(
        comparison=comparison,
        runs=runs,
        machine=machine,
        launch=launch,
        placement=placement,
        costs=measured(found, runs, placement) if measure else found,
        is_measured=measure,
        remark=untaught(study),
        refusals=[f"A run would be refused; {counted(len(lines), 'problem')}:", *lines] if lines else [],
    )


def _one_line(unreachable: Mapping[str, QAlignError]) -> Iterator[str]:
    """The first error, and the names of all others that the hub could not be asked for."""
    if unreachable:
        first, *others = unreachable
        also = f" (nor are {', '.join(others)} in reach)" if others else ""
        yield f"{unreachable[first]}{also}"


def _total(found: Sequence[Cost]) -> float | None:
    seconds = [cost.seconds for cost in found]
    return None if None in seconds else sum(one or 0.0 for one in seconds)


def explain(study: Study, systems: str | Recipe | Iterable[str | Recipe]) -> list[str]:
    """Why stages will run: lines on how each differs from the nearest finished stage."""
    stages = pipeline.needed(scores_of(compare(unused(study), names_of(systems))), study.runs)
    return [line for stage in stages for line in pipeline.explain(stage, study.runs)]


def adopt(study: Study, system: str, model: str, *, stage: str | None = None, name: str | None = None) -> str:
    """Registers a checkpoint from elsewhere as a finished stage, and says so in a line.

    Args:
        study: what the system is built from.
        system: its name.
        model: a trained checkpoint: a folder or a hub name.
        stage: the training stage. By default the last one.
        name: of the checkpoint in tables. By default its hub name or folder.

    Raises:
        QAlignError: a name is unknown, or the checkpoint cannot be used.
    """
    chain = {one.title: one for one in training_stages(compare(unused(study), [system])[0].model)}
    wanted = stage or list(chain)[-1]
    if wanted not in chain:
        raise SettingError(f"{system} has no training stage '{wanted}': {nearest(wanted, chain)}")
    kept = checked(name, titles_taken()) if name is not None else model_name(model, titles_taken())
    folder = checkpoint(model, study.runs)
    check_model(folder)
    return f"{folder} is now {pipeline.adopt(chain[wanted], folder, study.runs, kept)}"


# --- what is shown ----------------------------------------------------------------------------------------------------


def stages(found: Sequence[Cost]) -> Table:
    """The costs by training stage."""
    found = [cost for cost in found if isinstance(cost.stage, Train)]
    rows = [
        [
            cost.stage.folder_name,
            _millions(cost.tokens),
            f"{in_bytes(cost.fit.bytes)}{' (!)' * bool(cost.fit.fault)}" if cost.fit else UNKNOWN,
            duration(cost.seconds),
            in_bytes(cost.left) if cost.left else UNKNOWN,
        ]
        for cost in found
    ]
    fits = [cost.fit for cost in found if cost.fit]
    recomputing, unfit = any(fit.recomputing for fit in fits), any(fit.fault for fit in fits)
    note = f"Tokens of all epochs; memory of one device at its peak{', activations recomputed' * recomputing}"
    note += " ((!): more than it has)." if unfit else "."
    return Table("Training", ["stage", "tokens", "memory", "time", "model"], rows, note)


def _millions(count: float | None) -> str:
    if count is None:
        return UNKNOWN
    return f"~{count:,.0f}" if count < 1e6 else f"~{count / 1e6:,.1f}M"


def _tree(comparison: Sequence[Evaluated], runs: Path) -> RenderableType:
    """Systems, under each the scores, under each stage what it needs. What stands above is not repeated."""
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


def _grow(tree: Tree, stage: Node, runs: Path, seen: dict[str, Node]) -> None:
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
        if state != "done" or status(inner, runs) == "done":  # what lacks under a finished stage is not needed any more
            _grow(branch, inner, runs, seen)
