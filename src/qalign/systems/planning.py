"""Plans of runs. Why stages run, and checkpoints that take their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import pipeline
from ..errors import SettingError, nearest
from ..models.opening import check_model
from ..placement import Placement
from ..results.tables import Table
from ..revisions import hub_out_of_reach_allowed
from ..terminal import text_of
from . import plans
from .bases import checkpoint, untaught
from .comparison import compare, titles_taken
from .costs import Cost, costs
from .evaluated import Evaluated, scores_of
from .lineage import training_stages
from .machines import launch_of, machine_of
from .names import checked, model_name
from .running import names_of, unused
from .settings import oddities
from .study import Study
from .table import Recipe
from .trial import measured


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Plan:
    """What a run would do. Printed, it is what `qalign plan` shows."""

    comparison: Sequence[Evaluated]
    """The systems."""
    runs: Path
    """The folder of all stages."""
    costs: Sequence[Cost]
    """What each stage that has to run costs."""
    whole: Table
    """What all of them need together."""
    remarks: Sequence[str]
    """Sentences on the machine, and on whether the run fits."""
    refusals: Sequence[str]
    """Why a run would be refused."""

    @property
    def shown(self) -> list[Any]:
        """What a terminal shows: tables, sentences, and the tree of the stages."""
        several = self.refusals if len(self.refusals) > 2 else ()  # one alone is the error at the end
        tree = plans.draw(self.comparison, self.runs)
        return [self.whole.rich(), *self.remarks, *several, plans.stages(self.costs).rich(), tree]

    def check(self) -> None:
        """Ends a plan of what cannot run.

        Raises:
            StageError: a run would be refused, or does not fit.
        """
        plans.check(self.costs, self.refusals)

    def __str__(self) -> str:
        return text_of(self.shown)


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
    refusals = plans.faults(comparison, runs, placement, unreachable, machine.elsewhere)
    found = costs(pipeline.needed(scores_of(comparison), runs), runs, machine, launch, placement)
    found = measured(found, runs, placement) if measure else found
    remark = untaught(study.base_name, study.scale.name, (study.questions, study.english, study.multilingual))
    return Plan(
        comparison=comparison,
        runs=runs,
        costs=found,
        whole=plans.whole(found, runs, machine, placement),
        remarks=[
            *([f"{remark}."] if remark else []),
            *(f"{line[0].upper()}{line[1:]}." for line in dict.fromkeys(oddities(cost.stage for cost in found))),
            *plans.remarks(found, runs, machine, launch, placement, measure),
        ],
        refusals=refusals,
    )


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
