"""The verbs that train: run, demo, reproduce; and those that look at what would: plan, explain, adopt."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingError
from ..options import EXECUTION, OUTPUT, TRAINING
from ..placement import Placement
from ..terminal import show, write
from ..untrusted import printable
from . import completion
from .options import ALL_EXECUTION, JOBS, Jobs, Output, Quiet, Runs, Save, Seed, Systems, option, with_study

if TYPE_CHECKING:
    from ..results.run_results import Results
    from ..systems import Study

TOY = Placement(tokens_per_micro_batch=512, seconds_per_checkpoint=60.0)
"""Execution settings of the embedded world."""


def finish(results: Results, differences: bool = False) -> None:
    """Writes results with their figures and page; prints tables, the tests of all differences if asked, findings and files."""
    files = results.write()
    for table in results.last_tables(differences):
        show(table, "")
    for sentence in (*results.findings, *results.model_lines):
        show(sentence)
    show(f"All tables: qalign report {shlex.quote(str(results.folder / 'results.json'))}")
    show(f"{'Page' if files[0].suffix == '.html' else 'Results'}: {files[0]}")


@with_study()
def run_command(systems: Systems, study: Study, placement: Placement, output: Output = None, save: Save = None) -> None:
    """Train and measure systems, and print one table. Finished stages are not run again."""
    from ..systems.running import run

    finish(run(study, systems, placement=placement, output=output))


@with_study(hidden=("output", "published", "compile", "trackers", "quiet", "cluster", "cluster_options"))
def plan_command(
    systems: Systems,
    study: Study,
    placement: Placement,
    output: Output = None,
    save: Save = None,
    devices: Annotated[int | None, option(EXECUTION, "Plan for a machine with so many devices; needs --device-memory.", metavar="N", min=1)] = None,
    device_memory: Annotated[float | None, option(EXECUTION, "Memory of one of these devices in GB, such as 80.", metavar="GB", min=0.1)] = None,
    device_kind: Annotated[str | None, option(EXECUTION, "What these devices are, such as H100.", metavar="NAME")] = None,
    measure: Annotated[bool, option(EXECUTION, "Take a few steps on this machine to say how long a run takes.", "--measure")] = False,
) -> None:  # fmt: skip
    """Say whether a run fits, how long it takes and how much disk. Draw the tree of its stages. Starts nothing.

    The exit status is 2 if it does not fit, or if a run would be refused.
    """
    from ..systems.planning import plan

    planned = plan(
        study, systems, placement=placement, devices=devices, device_memory=device_memory, device_kind=device_kind,
        measure=measure,
    )  # fmt: skip
    for thing in planned.shown:
        show(thing)
    planned.check()


@with_study(hidden=(*ALL_EXECUTION, "output", "published", "save"))
def explain_command(
    systems: Systems, study: Study, placement: Placement, output: Output = None, save: Save = None
) -> None:
    """Say why stages will run: the setting in which each differs from the nearest finished stage."""
    from ..systems.planning import explain

    for line in explain(study, systems, placement):
        write(printable(line))


@with_study(hidden=(*ALL_EXECUTION, "test", "test_languages", "limit", "published"))
def adopt_command(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system of the stage.", autocompletion=completion.systems)],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A trained checkpoint: a folder or a hub name.")],
    study: Study,
    placement: Placement,
    stage: Annotated[str | None, option(TRAINING, "The training stage. By default the last one.", metavar="STAGE")] = None,
    name: Annotated[str | None, option(OUTPUT, "The checkpoint's name in tables. By default its hub name or folder.", metavar="NAME")] = None,
) -> None:  # fmt: skip
    """Register a checkpoint from elsewhere as a finished stage, so that `run` measures it."""
    from ..systems.planning import adopt

    write(printable(adopt(study, system, model, stage=stage, name=name, placement=placement)))


def demo_command(
    seed: Seed = 1234, jobs: Jobs = JOBS, runs: Runs = Path("runs"), output: Output = None, quiet: Quiet = False
) -> None:
    """Run the study in miniature: three systems, ten languages, on a CPU.

    MonoReason, MultiReason and QAlign are trained and measured in the embedded world. Needs no data, no network and no
    GPU. If it is interrupted, the same command resumes it.
    """
    from ..systems import SCALES, Study
    from ..systems.running import run

    study = Study(base_name="world", scale=SCALES["toy"], runs=runs, seed=seed)
    placement = replace(TOY, runs=runs, jobs=jobs, trackers=(), quiet=quiet)
    finish(run(study, ["monoreason", "multireason", "qalign-mono"], placement=placement, output=output))


@with_study(
    defaults={
        "base": "world", "scale": "toy", "jobs": JOBS, "tokens_per_micro_batch": TOY.tokens_per_micro_batch,
        "seconds_per_checkpoint": TOY.seconds_per_checkpoint,
    }
)  # fmt: skip
def reproduce_command(
    study: Study,
    placement: Placement,
    seeds: Annotated[str, option(TRAINING, "Seeds with commas; each system is trained under each.", metavar="N,N")] = "101,102,103",
    system: Annotated[list[str] | None, option(TRAINING, "A system of the study; may be repeated. All by default.", metavar="SYSTEM", autocompletion=completion.systems)] = None,
    seed: Annotated[int | None, typer.Option(hidden=True)] = None,
    output: Output = None,
) -> None:  # fmt: skip
    """Run all systems of the study over several seeds, and test each of its claims.

    By default in the embedded world, on a CPU. With `--base` and `--scale paper` it is the study itself.
    """
    from ..systems import SYSTEMS
    from ..systems.running import reproduce

    if seed is not None:
        raise SettingError(f"reproduce trains under several seeds: give --seeds {seed} instead of --seed {seed}")
    parts = [part.strip() for part in seeds.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) <= 10 and int(part) < 2**32 for part in parts):
        raise SettingError(f"'{seeds}' is not a list of seeds; give whole numbers with commas, such as 101,102,103")
    distinct = list(dict.fromkeys(map(int, parts)))
    finish(reproduce(study, system or tuple(SYSTEMS), seeds=distinct, placement=placement, output=output))
