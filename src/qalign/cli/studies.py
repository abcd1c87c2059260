"""The verbs that train: run, demo, reproduce; and those that look at what would: plan, explain, adopt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError, nearest
from ..placement import Placement
from ..terminal import show, write
from ..untrusted import printable
from .finish import finish, folder_name, make, tell
from .options import JOBS, Systems, guarded, whole_numbers, with_study

if TYPE_CHECKING:
    from ..systems import Study

TOY_PLACEMENT: dict[str, Any] = {"tokens_per_micro_batch": 512, "seconds_per_checkpoint": 60.0, "trackers": ()}


@with_study
def run_command(
    systems: Systems,
    study: Study,
    placement: Placement,
    output: Annotated[Path | None, typer.Option(help="Where the tables go; beside the stages by default.")] = None,
) -> None:
    """Train and measure systems, and print one table. What is done already is not done again.

    Own data needs no Python:

        qalign run qalign-mono --base PATH --questions DIR --english FILE --languages vi,id --test DIR
    """
    from ..systems.comparison import compare

    finish(study, compare(study, systems), placement, output)


@with_study
def plan_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Draw the tree of stages: what is done, what will run and how large it is. Starts nothing."""
    from ..systems.comparison import compare
    from ..systems.plans import draw, outlook

    comparison = compare(study, systems)
    show(draw(comparison, study.runs))
    for line in outlook(comparison, study.runs, placement):
        show(line)


@with_study
def explain_command(systems: Systems, study: Study, placement: Placement) -> None:
    """Say why stages will run: the field in which each differs from the nearest one that is done."""
    from .. import pipeline
    from ..systems.comparison import compare, scores_of

    for stage in pipeline.needed(scores_of(compare(study, systems)), study.runs):
        for line in pipeline.explain(stage, study.runs):
            write(printable(line))


@with_study
def adopt_command(
    system: Annotated[str, typer.Argument(help="The system whose stage it is.")],
    model: Annotated[str, typer.Argument(help="A finished checkpoint: a folder or a hub name.")],
    study: Study,
    placement: Placement,
    stage: Annotated[str | None, typer.Option(help="Which training stage; the last by default.")] = None,
) -> None:
    """Register a checkpoint made elsewhere as a finished stage, so that `run` measures it like one's own."""
    from .. import pipeline
    from ..systems.bases import checkpoint
    from ..systems.comparison import compare, training_stages
    from ..training.models import check_model

    chain = {s.name.removeprefix("train-"): s for s in training_stages(compare(study, [system])[0].model)}
    wanted = stage or list(chain)[-1]
    if wanted not in chain:
        raise SettingError(f"{system} has no training stage '{wanted}': {nearest(wanted, chain)}")
    folder = checkpoint(model, study.runs)
    check_model(folder)
    write(printable(f"{folder} is now {pipeline.adopt(chain[wanted], folder, study.runs)}"))


@guarded
def demo_command(
    runs: Annotated[Path, typer.Option(help="The folder of all stages and results.")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides the order of the examples.")] = 1234,
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once.")] = JOBS,
    output: Annotated[Path | None, typer.Option(help="Where page and tables go; beside the stages by default.")] = None,
    quiet: Annotated[bool, typer.Option(help="No progress, only results.")] = False,
) -> None:
    """The study in miniature, here and now: MonoReason, MultiReason and QAlign on the embedded world, in ten languages.

    Needs no data, no network and no GPU. Interrupted, the same command goes on from there.
    """
    from ..systems import SCALES, Study
    from ..systems.comparison import compare

    study = Study("world", SCALES["toy"], runs, seed)
    placement = Placement(runs=runs, jobs=jobs, **TOY_PLACEMENT, quiet=quiet)
    finish(study, compare(study, ["monoreason", "multireason", "qalign-mono"]), placement, output)


@with_study
def reproduce_command(
    study: Study,
    placement: Placement,
    seeds: Annotated[str, typer.Option(help="Seeds with commas; each system is trained under each.")] = "101,102,103",
    system: Annotated[
        list[str] | None, typer.Option(help="A system of the study; may be repeated. All by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(hidden=True)] = None,
    base: Annotated[
        str, typer.Option(help="The model to start from: 'world', a folder, a hub name, or 'tiny'.")
    ] = "world",
    scale: Annotated[str, typer.Option(help="'toy' (the embedded world), 'sample', or 'paper'.")] = "toy",
    jobs: Annotated[int, typer.Option(min=1, help="Stages that run at once.")] = JOBS,
    tokens_per_micro_batch: Annotated[int, typer.Option(min=1, help="Bound on the tokens of a micro-batch.")] = 512,
    seconds_per_checkpoint: Annotated[
        float, typer.Option(min=0.0, help="Time between checkpoints of training.")
    ] = 60.0,
    output: Annotated[Path | None, typer.Option(help="Where page and tables go; beside the stages by default.")] = None,
) -> None:
    """All systems and alignments of the study over several seeds, and each claim of the study with what was found here.

    By default in the embedded world, on a CPU; with `--base` and `--scale paper`, the study itself.
    """
    from ..systems.comparison import curves, scores_of, table_of, titles
    from ..systems.measured import answers
    from ..systems.reproduction import ALL, collect_all, reproduction

    if seed is not None:
        raise SettingError(f"reproduce trains under several seeds: give --seeds {seed} instead of --seed {seed}")
    made = reproduction(study, whole_numbers(seeds), system or ALL)
    everything = [system for _, systems in made.values() for system in systems]
    make(everything, study, placement)
    found = collect_all(made)
    first, comparison = next(iter(made.values()))
    folder = output or study.runs / "results" / folder_name("reproduce", list(made), scores_of(everything))
    tell(
        found,
        table_of(found, comparison),
        titles(comparison),
        curves(first, comparison),
        answers(comparison, study.runs),
        folder,
    )
