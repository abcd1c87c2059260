"""Cores, memory and GPUs: what the process may use, not what the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qalign.resources import cores, cores_by_affinity, gpus, memory

GIB = 2**30


def groups(folder: Path, membership: str, **settings: str) -> tuple[Path, Path]:
    """A folder of control groups with some settings (`__` for `/`), and the file that names the groups of the process."""
    for name, value in settings.items():
        path = folder / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    (folder / "cgroup").mkdir(exist_ok=True)
    (folder / "membership").write_text(membership)
    return folder / "cgroup", folder / "membership"


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores and 1 TiB, without Slurm."""
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": GIB // 4}[name])


V2, V1 = "0::/user/job\n", "5:cpu,cpuacct:/user/job\n3:memory:/user/job\n1:name=systemd:/user/job\n0::/\n"


@pytest.mark.parametrize(
    ("membership", "settings", "expected"),
    [
        (V2, {}, (64, 1024)),
        (V2, {"user__job__cpu.max": "200000 100000", "user__job__memory.max": str(4 * GIB)}, (2, 4)),
        (V2, {"user__job__cpu.max": "max 100000", "user__job__memory.max": "max"}, (64, 1024)),
        (V2, {"user__cpu.max": "350000 100000", "user__job__cpu.max": "max 100000", "user__memory.max": str(GIB)}, (3, 1)),
        (V2, {"user__job__cpu.max": "50000 100000"}, (1, 1024)),
        # In a container the own group is the top, and the path may lead nowhere.
        ("0::/docker/0123\n", {"cpu.max": "400000 100000", "memory.max": str(8 * GIB)}, (4, 8)),
        ("0::/../../job\n", {"cpu.max": "400000 100000", "memory.max": str(8 * GIB)}, (4, 8)),
        (V1, {"cpu__user__job__cpu.cfs_quota_us": "300000", "cpu__user__job__cpu.cfs_period_us": "100000",
              "memory__user__job__memory.limit_in_bytes": str(2 * GIB)}, (3, 2)),
        (V1, {"cpu,cpuacct__cpu.cfs_quota_us": "100000", "cpu,cpuacct__cpu.cfs_period_us": "50000",
              "memory__memory.limit_in_bytes": str(16 * GIB)}, (2, 16)),
        (V1, {"cpu__user__job__cpu.cfs_quota_us": "-1", "cpu__user__job__cpu.cfs_period_us": "100000",
              "memory__user__job__memory.limit_in_bytes": "9223372036854771712"}, (64, 1024)),
        ("nonsense", {"cpu.max": "a b", "memory.max": ""}, (64, 1024)),
    ],
)  # fmt: skip
def test_control_groups_bound(
    tmp_path: Path, membership: str, settings: dict[str, str], expected: tuple[int, int]
) -> None:
    where = groups(tmp_path, membership, **settings)
    assert (cores(*where), memory(*where) / GIB) == expected


def test_slurm_and_affinity_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = groups(tmp_path, V2, **{"user__job__cpu.max": "800000 100000"})
    assert cores(*where) == 8
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert cores(*where) == 6
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7})
    assert (cores(*where), cores_by_affinity()) == (2, 2)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "all")
    assert cores(*where) == 2
    assert cores(tmp_path / "nowhere", tmp_path / "nothing") == 2


@pytest.mark.skipif(shutil.which("taskset") is None, reason="no taskset here")
def test_one_core_is_one_job() -> None:
    core = min(os.sched_getaffinity(0))
    script = "from qalign.cli.options import JOBS; from qalign.generation.local import cores; print(JOBS, cores())"
    made = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert made.stdout == "1 1\n"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("0,1,2", ["0", "1", "2"]),
        ("5", ["5"]),
        (" 3 , 1 ", ["3", "1"]),
        ("GPU-8932f937,MIG-1/0", ["GPU-8932f937", "MIG-1/0"]),
        ("0,-1,2", ["0"]),
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_the_gpus_are_those_that_are_visible(named: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus() == expected
