"""Nothing is decided by the name of a stage: a study whose stages all have other names runs and says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from own_data import OwnData
from qalign import pipeline
from qalign.pipeline import Node
from qalign.placement import Placement
from qalign.systems import SCALES, SYSTEMS, Study, costs, planning, readiness
from qalign.systems.comparison import before_training, collect, compare
from qalign.systems.evaluated import Evaluated, scores_of
from qalign.systems.machines import machine_of
from qalign.systems.settings import parse_settings

SETTINGS = (
    "tiny.hidden_size=32",
    "tiny.layers=1",
    "tiny.heads=2",
    "training.max_steps=3",
    "generation.max_new_tokens=8",
)
SYSTEMS_RUN = ["rft", "qalign-mono"]


def study(data: OwnData, runs: Path) -> Study:
    return Study(
        base_name="tiny",
        scale=replace(SCALES["sample"], samples=2, supervised=str(data.supervised), english=str(data.english)),
        runs=runs,
        languages=("de", "sw"),
        questions=str(data.questions),
        multilingual=str(data.multilingual),
        tests=(str(data.test),),
        settings=parse_settings([*SETTINGS, "sampling.max_new_tokens=8"], SYSTEMS),
    )


def renamed(stage: Node) -> Node:
    """The stage and all behind it under names that say nothing."""
    inner = stage.with_inputs(renamed)
    return replace(inner, name=f"n{len(stage.name)}")


def said(comparison: list[Evaluated], here: Study, placement: Placement) -> dict[str, Any]:
    """What is planned, run, collected and shown of a comparison, without names and places of stages."""
    waiting = pipeline.needed(scores_of(comparison), here.runs)
    planned = costs.costs(waiting, here.runs, machine_of(placement), placement)
    assert planning.stages(planned).rows, "training has its row in the plan"
    problems = list(readiness.problems(comparison, here.runs, placement))
    front = {type(stage).__name__ for stage in before_training(comparison, here.runs)}
    pipeline.run(scores_of(comparison), here.runs, placement)
    found = msgspec.to_builtins(collect(here, {"": comparison}))
    trained = {
        name: [{key: value for key, value in stage.items() if key != "folder"} for stage in stages]
        for name, stages in found["trained_on"].items()
    }
    return {
        "kinds": sorted(type(stage).__name__ for stage in waiting),
        "costs": [(cost.tokens, cost.left) for cost in planned],
        "problems": problems,
        "front": front,
        "systems": found["systems"],
        "trained_on": trained,
        "corpora": [{key: value for key, value in row.items() if key != "folder"} for row in found["corpora"]],
        "rejections": [row["languages"] for row in found["rejections"]],
    }


def test_stages_of_other_names_give_the_same_study(own_data: OwnData, tmp_path: Path) -> None:
    placement = Placement(device="cpu", quiet=True, trackers=())
    usual = compare(study(own_data, tmp_path / "usual"), SYSTEMS_RUN)
    plain = said(usual, study(own_data, tmp_path / "usual"), placement)
    others = [
        replace(
            system, model=renamed(system.model), scores={name: renamed(score) for name, score in system.scores.items()}
        )  # type: ignore[type-var]
        for system in compare(study(own_data, tmp_path / "other"), SYSTEMS_RUN)
    ]
    assert {stage.name[0] for stage in pipeline.in_order(scores_of(others))} == {"n"}
    assert said(others, study(own_data, tmp_path / "other"), placement) == plain
    assert plain["front"] == {"ReadCorpus", "MakeExamples", "MakeTinyModel"} and plain["trained_on"]["rft"]
