"""Studies and measurements, run from beginning to end: stages that lack are run, results are collected."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace as replace_fields

from .. import pipeline
from ..alignment.templates import STUDY as TEMPLATE
from ..errors import SettingError
from ..evaluation.extraction import MAIN
from ..fingerprints import first_look, is_first_look
from ..generation.vllm_engine import engine_arguments
from ..languages import KEPT_ROWS, with_rows_of_models
from ..pipeline import Node, in_order, resume_point
from ..pipeline.cluster import CLUSTERS, Jobs, log_of_job
from ..pipeline.workers import gpu_groups, open_workers
from ..placement import Placement
from ..resources import gpus
from ..results.run_results import Results
from ..terminal import log, say
from ..training.reports import Reports
from ..wording import counted, duration
from . import costs, readiness
from .amounts import few_steps, oddities, trained_on
from .ask import Ask
from .bases import base_on_server, checkpoint_on_hub, untaught
from .cards import write_cards
from .comparison import before_training, collect, compare, described, titles, titles_taken
from .evaluated import Evaluated, answers, curves, scores_of
from .kinds import Training
from .machines import machine_of
from .names import model_names
from .presets import PRESETS, PROGRAM, SOLVER, Preset
from .programs import without_sandbox
from .run_records import RunRecord, record_of, recorded
from .settings import Settings
from .study import Study
from .table import SYSTEMS, Recipe, published_rows


def run(
    study: Study, systems: str | Recipe | Iterable[str | Recipe], *, placement: Placement | None = None,
    output: Path | str | None = None,
) -> Results:  # fmt: skip
    """Trains and measures systems. Finished stages are not run again. QAlignError where something given cannot be used.

    Args:
        study: what the systems are built from.
        systems: names, `NAME=SYSTEM`, or recipes: functions that take a study and return a model's stage.
        placement: how the work is executed.
        output: where `Results.write` writes by default. Without it, a folder under `results`.
    """
    study = unused(study, placement)
    return measured_results(study, {"": compare(study, names_of(systems))}, placement, output)


def evaluate(
    models: str | Path | Iterable[str | Path], study: Study, *, names: Sequence[str] = (), endpoint: str = "",
    placement: Placement | None = None, output: Path | str | None = None,
) -> Results:  # fmt: skip
    """Measures models on test sets, zero-shot. Raises and takes the same as `run`, but for:

    Args:
        models: folders, hub names, published checkpoints by name, or `world`. With `endpoint`, the server's names.
        study: says on which test sets, in which languages and how. Its base is not used.
        names: of the models in tables, in order. By default those of their folders.
        endpoint: the URL of an OpenAI-compatible server that has the models.
    """
    from ..generation.bounded import address
    from ..generation.endpoint import way_of_asking

    given = [models] if isinstance(models, str | os.PathLike) else models
    paths = list(dict.fromkeys(str(model) for model in given))
    if not paths:
        raise SettingError("no models are named; give folders or hub names")
    placement, study = placement or Placement(), unused(study, placement)
    if endpoint:
        address(endpoint)  # a wrong URL is an error before anything begins
        if placement.vllm:
            raise SettingError("--vllm is for the offline engine; with --endpoint give its arguments to the server")
        placement = replace(placement, endpoint=endpoint)
    backends = {path: way_of_asking(path, placement) for path in paths if endpoint}
    labels = model_names(paths, names, titles_taken())
    table = with_rows_of_models(paths, study.table)
    if kept := [code for code in table if code not in study.table]:
        say(f"qalign: {', '.join(kept)}: as a model's {KEPT_ROWS} describes")
    study = replace(study, table=table)

    def compared() -> list[Evaluated]:
        rows = []
        for label, path in zip(labels, paths, strict=True):
            one = replace(study, base_name=path, backend=backends.get(path, study.backend))
            if path in PRESETS and not endpoint:
                rows += as_published(label, PRESETS[path], one)
                continue
            checkpoint = base_on_server(path, one.runs) if endpoint else one.base
            rows.append(Evaluated(name=label, model=checkpoint, scores=one.scored(checkpoint)))
        study.settings.check_all_used()
        return rows

    with first_look():  # a mistyped setting does not wait for the hash of a model
        compared()
    comparison = compared()
    # A server knows each model by its name, so each is asked with a placement of its own.
    served = zip(comparison, paths, strict=True) if endpoint else ()
    parts = [([row], replace(placement, served_model=path)) for row, path in served]
    study = replace(study, base_name=", ".join(paths))
    return measured_results(study, {"": comparison}, placement, output, parts)


def as_published(name: str, preset: Preset, study: Study) -> list[Evaluated]:
    """A published checkpoint as its authors ask it, and as the study asked it, where the two differ."""
    if Path(preset.name).exists():
        raise SettingError(
            f"{preset.name} is here, and is a published checkpoint too; for what is here give ./{preset.name}"
        )
    model = checkpoint_on_hub(preset, study.runs)
    plain = Evaluated(name=name, model=model, scores=study.scored(model), title=preset.title)
    if preset.template == TEMPLATE:
        return [plain]
    if preset.rule == SOLVER:
        if not is_first_look():
            say(
                f"qalign: {preset.name} is asked as the study did: it writes a function solver, which nothing here runs"
            )
        return [plain]
    scores = study.scored(model, preset.rule == PROGRAM, preset)
    own = Evaluated(name=name, model=model, scores=scores, title=f"{preset.title}, prompt of its authors")
    if preset.template not in _prompts(own):  # --set names another
        return [plain]
    if _prompts(plain) != {TEMPLATE}:
        return [own]
    return [own, replace(plain, name=f"{name}-study", title=f"{preset.title}, prompt of the study")]


def _prompts(system: Evaluated) -> set[str]:
    """The templates that a system is asked in."""
    return {stage.prompt_template for stage in in_order(scores_of([system])) if isinstance(stage, Ask)}


def reproduce(
    study: Study, systems: Sequence[str] = tuple(SYSTEMS), *, seeds: Sequence[int],
    placement: Placement | None = None, output: Path | str | None = None,
) -> Results:  # fmt: skip
    """Trains and measures systems, named as for `run`, under each of the seeds, and tests each claim of the study."""
    study, names = unused(study, placement), names_of(systems)
    if not seeds:
        raise SettingError("no seeds are named; give one or more, such as 1,2,3")
    by_seed = {str(seed): compare(replace(study, seed=seed), names) for seed in seeds}
    return measured_results(study, by_seed, placement, output)


def measured_results(
    study: Study, by_seed: Mapping[str, Sequence[Evaluated]], placement: Placement | None = None,
    output: Path | str | None = None, parts: Sequence[tuple[Sequence[Evaluated], Placement]] = (),
) -> Results:  # fmt: skip
    """Runs what comparisons by seed lack, and collects their results. One comparison without seeds has the key "". `parts` are
    systems that are run one after another, each in its own way; by default all run at once."""
    runs, comparison = study.runs, next(iter(by_seed.values()))
    rows = published_rows(comparison[0].scores) if study.published else []
    if study.published and not rows:
        raise SettingError("published figures are of mgsm and msvamp; measure on one of them, or leave out --published")
    everything = [system for systems in by_seed.values() for system in systems]
    kind, seeds = ("run", [str(study.seed)]) if "" in by_seed else ("reproduce", list(by_seed))
    name = folder_name(kind, seeds, scores_of(everything))
    folder = Path(output) if output else runs / "results" / name
    record = record_of(name, folder, described(study, by_seed), everything, runs)
    placement = replace(placement or Placement(), runs=runs)
    for part, its_placement in parts or [(everything, placement)]:
        try:
            execute(part, study, its_placement, record)
        finally:  # what was trained has a card, whatever else failed
            write_cards(part, runs)
    data, losses = replace_fields(collect(study, by_seed), published_rows=rows), curves(comparison, runs)
    read = partial(answers, comparison, runs)
    for system in (one for one, trainings in data.trained_on.items() if trainings):
        row = {
            f"{benchmark}/{code}": score.accuracy[MAIN]
            for benchmark, scores in data.systems[system].items()
            for code, score in scores.items()
        }
        with closing(Reports(placement, [system], record.name, record.run)) as reports:
            reports.report([{"step": 1, **row}])
    return Results(data=data, titles=titles(comparison), folder=folder, curves=losses, answers=read)


def execute(comparison: Sequence[Evaluated], study: Study, placement: Placement, record: RunRecord) -> None:
    """Runs the stages that a comparison lacks. What is known to fail after bases and data is refused before any training."""
    runs, placement = study.runs, replace(placement, runs=study.runs)
    targets = scores_of(comparison)
    readiness.check(comparison, runs, placement)
    waiting = pipeline.needed(targets, runs)
    if any(isinstance(stage, Training) for stage in waiting):
        with closing(Reports(placement, [comparison[0].name], record.name, record.run)) as reports:
            reports.check()
    lines = StageLines(comparison, runs, placement, waiting)
    for line, is_sure in costs.unfit(waiting, runs, placement):
        if not is_sure:
            say(f"qalign: {line}")
    lines.opening()
    if remark := without_sandbox(waiting):
        say(f"qalign: {remark}")
    if remark := untaught(study):
        say(f"qalign: {remark}")
    placement = replace(placement, systems=lines.systems)
    with lines.interruptions_in_words(), _workers(placement) as workers, recorded(record, runs):
        if front := before_training(comparison, runs):
            pipeline.run(front, runs, placement, lines.report, workers, placement.jobs)
            readiness.check(comparison, runs, placement)
        waiting = pipeline.needed(targets, runs)
        few = few_steps((stage, trained_on(stage, runs, reads=False)) for stage in waiting)
        for line in [*oddities(waiting), *few] if not placement.quiet else ():
            say(f"qalign: {line}")
        pipeline.run(targets, runs, placement, lines.report, workers, placement.jobs)
    lines.closing()


def _workers(placement: Placement) -> AbstractContextManager[Executor | Jobs | None]:
    """What makes stages: this process, others of this machine, or jobs of a cluster."""
    if not placement.cluster:
        return open_workers(placement.jobs, gpu_groups(placement))
    machine = machine_of(placement)
    return CLUSTERS[placement.cluster](
        placement, lambda stage, gpus: costs.needs(stage, placement.runs, machine, placement, gpus)
    )


def unused(study: Study, placement: Placement | None = None) -> Study:
    """The study with settings that remember no earlier run, and the default backend of this machine. That is vLLM where it is
    installed and has a GPU, and models are in bfloat16, for which its kernels are made."""
    placement, settings = placement or Placement(), study.settings
    engine_arguments(placement)  # a wrong one is an error before anything begins
    fits = study.scale.precision == "bfloat16" and placement.device in ("auto", "cuda")
    backend = "vllm" if fits and find_spec("vllm") and gpus() else study.backend
    return replace(study, settings=Settings(given=list(settings.given), known=settings.known), backend=backend)


def names_of(systems: str | Recipe | Iterable[str | Recipe]) -> list[str]:
    """The names of systems. That of a function says where it is found."""
    given = [systems] if isinstance(systems, str) or callable(systems) else list(systems)
    if not given:
        raise SettingError(f"no systems are named; known: {', '.join(SYSTEMS)}")
    return [system if isinstance(system, str) else _name_of(system) for system in given]


def _name_of(recipe: Recipe) -> str:
    name = getattr(recipe, "__name__", "")
    if not name.isidentifier() or getattr(recipe, "__qualname__", "") != name:
        raise SettingError(f"{recipe!r} has no name in its module; give a function that is defined at its top")
    return f"{name}={recipe.__module__}:{name}"


def folder_name(kind: str, seeds: Sequence[str], stages: Sequence[Node]) -> str:
    """The name of the folder of results: `run` and `reproduce` under one seed have other results of the same stages."""
    told = "".join([kind, ",".join(seeds), *(stage.fingerprint for stage in stages)])
    return f"{kind}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


# --- the lines of a run on stderr -------------------------------------------------------------------------------------


class StageLines:
    """What a run says of the stages that it will run. `report` is called from several threads."""

    def __init__(
        self, comparison: Sequence[Evaluated], runs: Path, placement: Placement, stages: Sequence[Node]
    ) -> None:
        self._runs, self._placement, self._total = runs, placement, len(stages)
        self._titles = list(dict.fromkeys(system.title or system.name for system in comparison))
        self.systems: dict[str, dict[str, str]] = {}
        """The systems that each stage is for, with their titles, by the name of its folder."""
        for system in comparison:
            for stage in in_order(system.scores.values()):
                self.systems.setdefault(stage.folder_name, {})[system.name] = system.title or system.name
        self._running: dict[str, tuple[Node, float]] = {}
        self._started, self._begun = time.monotonic(), 0
        self._lock = threading.Lock()

    def opening(self) -> None:
        """Says how many stages will run, for which systems."""
        if self._total:
            at_once = f", {self._placement.jobs} at once" if self._placement.jobs > 1 and self._total > 1 else ""
            self._log(f"{counted(self._total, 'stage')} to run for {', '.join(self._titles)}{at_once}")

    def closing(self) -> None:
        """Says how long the stages took."""
        if self._total:
            self._log(f"all stages are done, after {duration(round(time.monotonic() - self._started))}")

    def report(self, event: str, stage: Node) -> None:
        """Says that a stage begins, goes on, waits or is done, as `pipeline.run` tells it."""
        with self._lock:
            name, now = stage.folder_name, time.monotonic()
            if event in ("running", "resuming"):
                self._begun += 1
                self._running[name] = (stage, now)
                state = resume_point(stage, self._runs) if event == "resuming" else ""
                number = f"{self._begun} of {self._total}"
                job = f"log: {log_of_job(stage, self._runs)}" if self._placement.cluster else ""
                users = self.systems.get(name, {}).values()
                everyone = len(users) == len(self._titles) > 1
                whose = f"for {'all systems' if everyone else ', '.join(users)}" if users else ""
                self._say("start" if state == "" else "go on", stage, state or "", number, whose, job)
            elif event == "finished":
                _, began = self._running.pop(name, (stage, now))
                self._say("done", stage, duration(round(now - began)))
            elif event == "waiting":
                self._say("wait for another run of", stage)
            elif event in ("lost", "failed"):
                what = "its job ended too early, another goes on" if event == "lost" else "its job failed"
                self._say(event, stage, f"{what}; log: {log_of_job(stage, self._runs)}")

    def _say(self, what: str, stage: Node, *texts: str) -> None:
        """A line with the stage's folder, what people call it if the name does not say so, and further texts."""
        label = getattr(stage, "label", "")
        there = [text for text in (label if label not in stage.name else "", *texts) if text]
        self._log(f"{what}: {stage.folder_name}" + (f" ({'; '.join(there)})" if there else ""))

    def _log(self, text: str) -> None:
        if not self._placement.quiet:
            log(text)

    @contextmanager
    def interruptions_in_words(self) -> Iterator[None]:
        """Says where each stage resumes when Ctrl-C or SIGTERM ends the run."""
        with _sigterm_as_interruption():
            try:
                yield
            except KeyboardInterrupt:
                for stage, _ in list(self._running.values()):
                    if (state := resume_point(stage, self._runs)) is not None:
                        say(f"qalign: {stage.folder_name} {f'goes on {state}' if state else self._begins_again(stage)}")
                raise

    def _begins_again(self, stage: Node) -> str:
        seconds = self._placement.seconds_per_checkpoint
        if not isinstance(stage, Training):
            return "begins again"
        if math.isinf(seconds):
            return "begins again: checkpoints are off"
        return f"begins again: no checkpoint was written yet, one is every {duration(seconds)}"


@contextmanager
def _sigterm_as_interruption() -> Iterator[None]:
    """Has a SIGTERM end the run as Ctrl-C does. A second one ends the process, and a handler of others stays."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
