"""Stages as tasks of a real Ray cluster: the same bits, also where a node or the run is killed on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))
from small_study import CHECKPOINT, REPOSITORY, Driver, log_of_training, prepared, results

from waiting import wait_for

pytest.importorskip("ray", reason="needs ray: make test-ray")
pytestmark = pytest.mark.skipif("QALIGN_CLUSTER" not in os.environ, reason="starts a Ray cluster: make test-ray")
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def patiently(begin: Callable[[], Any]) -> Any:
    """Begins a node, which gives up after 30 seconds of its own on a busy machine."""
    for _ in range(5):
        with suppress(Exception):
            return begin()
    return begin()


class SmallRay:
    """A head that works on nothing, and nodes that may be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        os.environ.update(PYTHONPATH=str(REPOSITORY / "src"), OMP_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0")
        head = {**NODE, "num_cpus": 0, "include_dashboard": False}
        self.cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self.nodes = [patiently(lambda: self.cluster.add_node(**NODE))]
        self.variables = {**os.environ, "RAY_ADDRESS": self.cluster.address}

    def replace_node(self) -> None:
        """Adds a node and kills the one that worked so far."""
        self.nodes.append(patiently(lambda: self.cluster.add_node(**NODE)))
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)


@pytest.fixture(scope="module")
def ray() -> Iterator[SmallRay]:
    small = SmallRay()
    yield small
    small.cluster.shutdown()


def begun(ray: SmallRay, runs: Path) -> Driver:
    """A run whose training has written a checkpoint."""
    driver = Driver(runs, ray.variables, "--cluster", "ray")
    wait_for("a checkpoint", lambda: list(runs.glob(CHECKPOINT)))
    return driver


@pytest.mark.parametrize("options", [(), ("--cluster-option", "address=127.0.0.1:1")])
def test_without_a_cluster_it_says_how_to_start_one(alone: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The first test here: none runs yet."""
    runs = prepared(alone, tmp_path / "runs")
    said = Driver(runs, os.environ, "--cluster", "ray", *options).ends(2)
    (line,) = [line for line in said.splitlines() if "qalign: error" in line]
    assert "there is no Ray cluster" in line and "ray start --head" in line


def test_a_study_gives_the_same_bits_though_a_node_is_killed(ray: SmallRay, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = begun(ray, runs)
    ray.replace_node()
    said = driver.ends()
    assert "lost: train-" in said
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)
    for log in runs.glob("jobs/*/log.txt"):
        assert str(log) in said


def test_ctrl_c_ends_what_runs_and_the_next_run_goes_on(ray: SmallRay, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = begun(ray, runs)
    driver.signal(signal.SIGINT)
    said = driver.ends(130)
    assert "goes on from step" in said
    Driver(runs, ray.variables, "--cluster", "ray").ends()
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)


def test_a_run_that_is_killed_loses_no_work(ray: SmallRay, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = begun(ray, runs)
    driver.signal(signal.SIGKILL)
    driver.process.wait()
    Driver(runs, ray.variables, "--cluster", "ray").ends()
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)
