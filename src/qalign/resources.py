"""The cores, memory and GPUs of this process, often fewer than the machine has.

Limits come from the CPU affinity, as `taskset` and Slurm set it, and from control groups of containers and systemd.
Further limits are Slurm's `SLURM_CPUS_PER_TASK`, and `CUDA_VISIBLE_DEVICES`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
SMALL_MEMORY = 2**33
"""Bytes assumed where the system does not say."""
GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Files of a GPU driver: of NVIDIA, WSL, AMD."""


def cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """The number of cores that this process may use, at least one."""
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [cores_by_affinity(), *([int(slurm)] if slurm.isdecimal() else []), *_quotas(cgroups, membership)]
    return max(1, int(min(limits)))


def cores_by_affinity() -> int:
    """The number of cores of the CPU affinity, without limits on CPU time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory of this process: the machine's, or its control group's limit."""
    machine = SMALL_MEMORY
    if hasattr(os, "sysconf"):
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    names = ("memory.max", "memory.limit_in_bytes")
    bounds = [int(text) for text in _settings("memory", names, cgroups, membership) if text.isdecimal()]
    return min([machine, *(bound for bound in bounds if bound > 0)])


def gpus() -> list[str]:
    """The GPUs of this process, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        listed = map(str.strip, named.split(","))  # CUDA too takes none behind one that does not exist
        return list(dict.fromkeys(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), listed)))
    if not any(Path(driver).exists() for driver in GPU_DRIVERS):
        return []  # importing torch takes seconds
    try:
        import torch
    except ImportError:
        return []
    return [str(number) for number in range(torch.cuda.device_count())]


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """The CPU limits of control groups, in cores."""
    pairs = [text.partition(" ")[::2] for text in _settings("cpu", ("cpu.max",), cgroups, membership)]
    first = (_settings("cpu", (name,), cgroups, membership) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    for quota, period in (*pairs, *zip(*first, strict=False)):
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:  # -1 and max are no bounds
            yield int(quota) / int(period)


def _settings(controller: str, names: tuple[str, ...], cgroups: Path, membership: Path) -> Iterator[str]:
    """The values of a setting in the control groups of this process, inner to outer.

    A container often sees its own group as the top, and the path in `membership` does not exist.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [cgroups / name for name in (controller, controllers) if controllers and (cgroups / name).is_dir()]
        top = mounts[0] if mounts else cgroups
        group = top / path.strip("/")
        around = (group, *group.parents)
        for folder in around[: around.index(top) + 1] if ".." not in path else (top,):
            for name in names:
                try:
                    yield (folder / name).read_text(encoding="utf-8").strip()
                except (OSError, ValueError):
                    continue
