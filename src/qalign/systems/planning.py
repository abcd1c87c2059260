"""Plans of runs: whether a run fits, how long it takes, how much disk; why stages run; checkpoints in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import pipeline
from ..errors import SettingError, StageError, closest, nearest
from ..huggingface import cached_folder, hub_out_of_reach_allowed
from ..models.opening import check_model
from ..pipeline import Node, is_running, needed, of_earlier_versions, status
from ..placement import Placement
from ..results.tables import Table
from ..terminal import text_of
from ..wording import UNKNOWN, counted, duration, in_bytes
from . import costs, readiness
from .amounts import few_steps, oddities
from .ask import Ask
from .bases import FetchModel, checkpoint, first_model, training_stages, untaught
from .cards import write_cards
from .comparison import compare, titles_taken
from .costs import Cost
from .evaluated import Evaluated, scores_of
from .kinds import Training
from .known import BASES, CORPUS_BYTES
from .machines import Machine, machine_of
from .names import checked, model_name
from .running import names_of, unused
from .study import Study
from .table import Recipe
from .trial import measured

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

_STYLES = {"done": "green", "interrupted": "yellow", "running": "yellow", "to run": "bold"}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Plan:
    """What a run would do. Printed, it is what `qalign plan` shows."""

    comparison: Sequence[Evaluated]
    runs: Path
    machine: Machine
    placement: Placement
    costs: Sequence[Cost]
    is_measured: bool
    """Whether the time comes from some steps on this machine."""
    remark: str
    """A line on the base; empty where there is nothing to say."""
    refusals: Sequence[str]
    """Why a run would be refused, a line for each reason."""

    @property
    def trainings(self) -> list[Cost]:
        """The costs of the training stages."""
        return [cost for cost in self.costs if isinstance(cost.stage, Training)]

    @property
    def unfit(self) -> Cost | None:
        """The first training stage that does not fit its device."""
        return next((cost for cost in self.trainings if cost.fit and cost.fit.fault), None)

    @property
    def remarks(self) -> list[str]:
        """Sentences on the machine, on whether the run fits, and on where the time comes from."""
        return list(self._remarks())

    @property
    def shown(self) -> list[RenderableType]:
        """What a terminal shows: tables, sentences, and the tree of the stages."""
        rows = list(self._whole()) if self.costs else []  # nothing is left to run
        several = [f"A run would be refused; {len(self.refusals)} problems:", *(f"- {line}" for line in self.refusals)]
        return [
            Table("The whole run", ["", "estimate"], rows),
            *self.remarks,
            *(several if len(self.refusals) > 1 else ()),  # one alone is the error at the end
            stages(self.costs),
            _tree(self.comparison, self.runs),
        ]

    def check(self) -> None:
        """Raises StageError where a run would be refused, or does not fit."""
        if count := len(self.refusals):
            reason = self.refusals[0] if count == 1 else f"{count} problems, listed above"
            raise StageError(f"a run would be refused: {reason}")
        if (cost := self.unfit) is not None and cost.fit is not None:
            raise StageError(f"{cost.stage.folder_name} {cost.fit.fault}; the ways on stand above")

    def __str__(self) -> str:
        return text_of(self.shown)

    def _whole(self) -> Iterator[tuple[str, str]]:
        """What all stages together need."""
        if self.trainings:
            fits = [cost.fit for cost in self.trainings]
            yield "fits the device", "no" if self.unfit else UNKNOWN if None in fits else "yes"
            yield "training time", _total(self.trainings)
        if answers := [cost for cost in self.costs if isinstance(cost.stage, Ask)]:
            yield "answering time", _total(answers)
            yield "if no answer ends", _total([costs.to_the_limit(cost) for cost in answers])
        left, most = costs.disk(self.costs, self.runs, self.placement.jobs)
        known = all(cost.left for cost in self.trainings)  # what a base of unknown shape leaves is not
        yield "disk at the peak", in_bytes(most) if known else UNKNOWN
        yield "disk that stays", in_bytes(left) if known else UNKNOWN
        for repository, commit in (cost.stage.fetched for cost in self.costs if cost.stage.fetched):
            base = BASES.get(repository.name)
            size = base.fetched if base else CORPUS_BYTES.get(repository.name)
            if self.machine.elsewhere or cached_folder(repository, commit) is None:  # the cache is of no use elsewhere
                yield f"fetch {repository.name}", in_bytes(size) if size else UNKNOWN

    def _remarks(self) -> Iterator[str]:
        machine, kind = self.machine, self.machine.kind
        if self.remark:
            yield f"{self.remark}."
        if self.trainings:
            yield f"Planned for {machine.words}."
            yield self._verdict()
        if self.unfit is not None:
            ways = costs.ways_on(self.unfit, machine, self.placement)
            yield "Ways on:" if ways else "Nothing that is known here makes it fit: take more or larger devices."
            yield from (f"- {way}" for way in ways)
        if self.is_measured and self.costs:
            yield "The time was measured here, by a few steps on random tokens."
        elif self.costs and kind is None:
            name = machine.name or "this device"
            yield f"No rate of {name} is known here, so the time is not: --measure takes some steps to find it."
        elif kind is not None and any(cost.seconds is not None for cost in self.costs):
            several = " The exchange between devices is not counted." if machine.launch.processes > 1 else ""
            yield f"The time is {kind.source}, for {kind.name}.{several}"
        yield from (f"{line[0].upper()}{line[1:]}." for line in oddities(cost.stage for cost in self.costs))
        yield from (f"Few steps: {line}" for line in few_steps((cost.stage, cost.amount) for cost in self.costs))
        if earlier := of_earlier_versions([cost.stage for cost in self.costs], self.runs):
            yield (
                f"Of an earlier version of qalign, so that they run again: {counted(len(earlier), 'finished stage')} in "
                f"{self.runs}; `qalign runs remove --unneeded` frees what no run needs."
            )
        if machine.elsewhere:
            yield "This is for another machine: its packages, its disk and its access to the hub were not looked at."

    def _verdict(self) -> str:
        if (cost := self.unfit) is not None and cost.fit is not None:
            return f"{cost.fit.fault[0].upper()}{cost.fit.fault[1:]}."
        fits = [cost.fit for cost in self.trainings if cost.fit]
        if len(fits) < len(self.trainings):
            bases = {first_model(cost.stage) for cost in self.trainings if isinstance(cost.stage, Training)}
            names = [closest(base.hub, BASES, cutoff=0.85) for base in bases if isinstance(base, FetchModel)]
            meant = "".join(f"; did you mean '{name}'?" for name in names if name)
            return f"Whether it fits is unknown: the shape of the base is not known here{meant or '.'}"
        most = max(fits, key=lambda fit: fit.bytes)
        room = f"{in_bytes(most.bytes)} of {self.machine.memory / 2**30:.0f} GiB"
        return f"It fits: {room}, with {most.tokens:,} tokens at once on a device."


def plan(
    study: Study, systems: str | Recipe | Iterable[str | Recipe], *, placement: Placement | None = None,
    devices: int | None = None, device_memory: float | None = None, device_kind: str | None = None, measure: bool = False,
) -> Plan:  # fmt: skip
    """Says whether a run fits, how long it takes and how much disk. Starts nothing. Of another machine, `devices` are how many,
    `device_memory` that of one in GB, `device_kind` their name, such as H100. With `measure`, a few steps on this machine say
    how long a run takes. QAlignError where a name or a value cannot be used."""
    if measure and (devices or device_memory or device_kind):
        raise SettingError("--measure is for this machine: give it without --devices and what describes them")
    runs, placement = study.runs, placement or Placement()
    machine = machine_of(placement, devices, device_memory, device_kind)
    with hub_out_of_reach_allowed() as unreachable:
        comparison = compare(unused(study, placement), names_of(systems))
    waiting = needed(scores_of(comparison), runs)
    refusals: list[object] = []
    if unreachable and not machine.elsewhere:
        first, *others = unreachable
        also = f" (nor are {', '.join(others)} in reach)" if others else ""
        refusals.append(f"{unreachable[first]}{also}")
    refusals += [*readiness.problems(comparison, runs, placement, machine.elsewhere), *readiness.unreadable(waiting)]
    found = costs.costs(waiting, runs, machine, placement)
    return Plan(
        comparison=comparison, runs=runs, machine=machine, placement=placement,
        costs=measured(found, runs, placement) if measure else found, is_measured=measure, remark=untaught(study),
        refusals=list(dict.fromkeys(map(str, refusals))),
    )  # fmt: skip


def _total(found: Sequence[Cost]) -> str:
    seconds = [cost.seconds for cost in found]
    return duration(None if None in seconds else sum(one or 0.0 for one in seconds))


def explain(
    study: Study, systems: str | Recipe | Iterable[str | Recipe], placement: Placement | None = None) -> list[str]:  # fmt: skip
    """Why stages will run: lines on how each differs from the nearest finished stage."""
    waiting = needed(scores_of(compare(unused(study, placement), names_of(systems))), study.runs)
    return [line for stage in waiting for line in pipeline.explain(stage, study.runs)]


def adopt(
    study: Study, system: str, model: str, *, stage: str | None = None, name: str | None = None,
    placement: Placement | None = None,
) -> str:  # fmt: skip
    """Registers a checkpoint from elsewhere, a folder or a hub name, as a finished training stage, by default the last one of the
    system, and says so in a line. Tables have it by `name`, by default its own. QAlignError where it cannot be used."""
    comparison = compare(unused(study, placement), [system])
    chain = {one.title: one for one in training_stages(comparison[0].model)}
    wanted = stage or list(chain)[-1]
    if wanted not in chain:
        raise SettingError(f"{system} has no training stage '{wanted}': {nearest(wanted, chain)}")
    kept = checked(name, titles_taken()) if name is not None else model_name(model, titles_taken())
    folder = checkpoint(model, study.runs)
    check_model(folder)
    place = pipeline.adopt(chain[wanted], folder, study.runs, kept)
    write_cards(comparison, study.runs)
    return f"{folder} is now {place}"


# --- what is shown ----------------------------------------------------------------------------------------------------


def stages(found: Sequence[Cost]) -> Table:
    """The costs by training stage."""
    found = [cost for cost in found if isinstance(cost.stage, Training)]
    fits = [cost.fit for cost in found if cost.fit]
    rows = []
    for cost in found:
        tokens = UNKNOWN if (n := cost.tokens) is None else f"~{n:,.0f}" if n < 1e6 else f"~{n / 1e6:,.1f}M"
        memory = f"{in_bytes(cost.fit.bytes)}{' (!)' * bool(cost.fit.fault)}" if cost.fit else UNKNOWN
        left = in_bytes(cost.left) if cost.left else UNKNOWN
        rows.append([cost.stage.folder_name, tokens, memory, duration(cost.seconds), left])
    note = "Tokens of all epochs; memory of one device at its peak"
    note += ", activations recomputed" if any(fit.recomputing for fit in fits) else ""
    note += " ((!): more than it has)." if any(fit.fault for fit in fits) else "."
    return Table("Training", ["stage", "tokens", "memory", "time", "model"], rows, note)


def _tree(comparison: Sequence[Evaluated], runs: Path) -> RenderableType:
    """Systems, under each the scores, under each stage what it needs. What stands above is not repeated."""
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    seen: dict[str, Node] = {}

    def grow(tree: Tree, stage: Node) -> None:
        state: str = status(stage, runs)
        if state == "interrupted" and is_running(stage, runs):
            state = "running"
        label = Text(f"{state:<11} ", style=_STYLES[state]) + Text(stage.folder_name, style="default")
        if stage.fingerprint in seen:
            tree.add(label + Text(" (above)", style="dim"))
            return
        seen[stage.fingerprint] = stage
        size = stage.size(runs) if state != "done" else ""
        branch = tree.add(label + Text(f"  {size}" if size else "", style="dim"))
        for inner in stage.inputs.values():  # what lacks under a finished stage is not needed any more
            if state != "done" or status(inner, runs) == "done":
                grow(branch, inner)

    trees = [Tree(Text(system.name, style="bold underline")) for system in comparison]
    for tree, system in zip(trees, comparison, strict=True):
        for stage in system.scores.values():
            grow(tree, stage)
    done = sum(status(stage, runs) == "done" for stage in seen.values())
    waiting = len(needed(scores_of(comparison), runs))
    summary = f"{counted(done, 'stage')} {'is' if done == 1 else 'are'} done, {waiting} will run. Nothing was started."
    return Group(*trees, Text(summary))
