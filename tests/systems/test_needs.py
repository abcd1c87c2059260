"""What the jobs of a study's stages need, as a cluster is asked for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qalign.pipeline import Node, in_order
from qalign.pipeline.cluster import Needs
from qalign.placement import Placement
from qalign.systems import SCALES, Study, costs
from qalign.systems.comparison import compare
from qalign.systems.evaluated import scores_of
from qalign.systems.machines import machine_of


def needs(tmp_path: Path, placement: Placement, gpus: bool, kind: str | None = None) -> dict[str, Needs]:
    """Of each stage of a small system, by the first word of its name."""
    study = Study(base_name="tiny", scale=SCALES["toy"], runs=tmp_path)
    machine = machine_of(placement, kind=kind)
    stages: list[Node] = in_order(scores_of(compare(study, ["monoreason"])))
    return {
        stage.name.partition("-")[0]: costs.needs(stage, tmp_path, machine, placement, gpus and stage.on_device)
        for stage in stages
    }


def test_only_stages_that_compute_get_gpus_and_training_one_a_process(tmp_path: Path) -> None:
    found = needs(tmp_path, Placement(processes=4), True)
    assert {name: one.gpus for name, one in found.items()} == {
        "corpus": 0, "base": 0, "examples": 0, "train": 4, "generate": 1, "score": 0,
    }  # fmt: skip
    assert all(one.gpus == 0 for one in needs(tmp_path, Placement(device="cpu"), False).values())


def test_memory_is_that_of_the_model_and_on_a_cpu_that_of_training(tmp_path: Path) -> None:
    on_cpu, on_gpu = (needs(tmp_path, Placement(device="cpu"), gpus)["train"] for gpus in (False, True))
    assert on_cpu.bytes > on_gpu.bytes > costs.ROOM
    assert needs(tmp_path, Placement(device="cpu"), False)["corpus"].bytes == 0, "not known: the cluster's default"


def test_time_is_known_where_the_device_is_and_is_generous(tmp_path: Path) -> None:
    assert needs(tmp_path, Placement(device="cpu"), True)["train"].seconds == 0
    assert needs(tmp_path, Placement(), True, "H100")["train"].seconds > 3600


def test_nodes_are_for_what_a_launcher_starts(tmp_path: Path) -> None:
    launched = replace(Placement(), launcher="srun torchrun --nnodes=2")
    found = needs(tmp_path, launched, True)
    assert [name for name, one in found.items() if one.launched] == ["train"]
