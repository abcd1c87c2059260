"""What a verb does after its systems are chosen: runs the stages that lack, writes the results, prints them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..placement import Placement
from ..terminal import log, say, show

if TYPE_CHECKING:
    from ..pipeline import AnyStage
    from ..reporting.titles import Titles
    from ..systems import Study
    from ..systems.run_records import RunRecord


def finish(
    study: Study,
    comparison: list[Any],
    placement: Placement,
    output: Path | None,
    parts: Sequence[tuple[list[Any], Placement]] = (),
    differences: bool = False,
) -> None:
    """Runs what a comparison lacks, then writes and prints its tables, figures and page.

    Args:
        study: what the comparison is of.
        comparison: the systems.
        placement: how it is run.
        output: the folder of the results.
        parts: systems that are run one after another, each in its own way; by default all at once.
        differences: whether the tests of all differences are printed too.
    """
    from ..systems.comparison import collect, curves, described, table_of, titles
    from ..systems.evaluated import scores_of
    from ..systems.measured import answers
    from ..systems.run_records import record_of

    name = folder_name("run", [str(study.seed)], scores_of(comparison))
    folder = output or study.runs / "results" / name
    record = record_of(name, folder, described(study), comparison, study.runs)
    for part, its_placement in parts or [(comparison, placement)]:
        make(part, study, its_placement, record)
    found = collect(study, comparison)
    tell(
        found,
        table_of(found, comparison),
        titles(comparison),
        curves(study, comparison),
        answers(comparison, study.runs),
        folder,
        differences,
    )


def make(comparison: list[Any], study: Study, placement: Placement, record: RunRecord) -> None:
    """Runs what a comparison lacks, with a line on stderr for each stage that begins and ends. Bases and data come first; what
    is then known to fail is refused before anything is trained."""
    from .. import pipeline
    from ..systems import readiness, ways
    from ..systems.comparison import before_training, targets
    from ..systems.run_records import recorded
    from ..systems.steps import few_steps, with_examples
    from ..systems.workers import gpu_groups, open_workers

    words = {"running": "start", "resuming": "go on", "waiting": "wait for another run of", "finished": "done"}

    def report(event: str, stage: AnyStage) -> None:
        if event in words and not placement.quiet:
            label = getattr(stage, "label", "")
            log(f"{words[event]}: {stage.folder_name}{f' ({label})' if label and label not in stage.name else ''}")

    readiness.check(comparison, study.runs, placement)
    for line in ways.warnings(pipeline.needed(targets(comparison, study.runs), study.runs), study.runs, placement):
        say(f"qalign: {line}")
    with open_workers(placement.jobs, gpu_groups(placement)) as workers, recorded(record, study.runs):
        if front := before_training(comparison, study.runs):
            pipeline.run(front, study.runs, placement, report, workers, placement.jobs)
            readiness.check(comparison, study.runs, placement)
        trainings = with_examples(pipeline.needed(targets(comparison, study.runs), study.runs), study.runs)
        for line in dict.fromkeys(few_steps(trainings)):
            say(f"qalign: {line}")
        pipeline.run(targets(comparison, study.runs), study.runs, placement, report, workers, placement.jobs)


def folder_name(kind: str, seeds: list[str], stages: Sequence[AnyStage]) -> str:
    """The name of the folder of results of some stages: `run` and `reproduce` under one seed have other results of the same."""
    import hashlib

    told = "".join([kind, ",".join(seeds), *(stage.fingerprint for stage in stages)])
    return f"{kind}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def tell(
    found: dict[str, Any],
    made: list[Any],
    names: Titles,
    curves: Any,
    answers: Any,
    folder: Path,
    differences: bool = False,
) -> None:
    """Writes results, tables, figures and page; prints the results and the findings."""
    from ..reporting.provenance import model_lines
    from ..reporting.results import last_tables, write

    files = write(found, made, folder, names)
    try:
        from ..reporting.figures import write_figures
        from ..reporting.page import write_page

        write_page(found, names, curves, answers, folder / "index.html")
        write_figures(found, curves, folder / "figures", names)
        files = [folder / "index.html", folder / "figures", *files]
    except ModuleNotFoundError as error:
        say(f"No page and no figures, which need {error.name}: pip install 'qalign[report]'")
    for table in last_tables(found, names, differences):
        show(table.rich(), "")
    for sentence in found.get("findings", ()):
        show(sentence)
    for line in model_lines(found, names):
        show(line)
    show(f"All tables: qalign report {shlex.quote(str(folder / 'results.json'))}")
    show(f"{'Page' if files[0].suffix == '.html' else 'Results'}: {files[0]}")
