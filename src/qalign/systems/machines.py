"""The machine that a plan is for, and how training is started on it: devices, their memory, FSDP shards.

A launcher is read as far as it can be: accelerate's config file and the options that name processes.
"""

from __future__ import annotations

import argparse
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingError
from ..placement import Placement
from ..resources import gpus, memory
from ..wording import counted
from .known import Device, device_named, device_with

SEEN = 0.988
"""Of a device's memory in GB as sold (80, 141), what a program sees in GiB."""
DEFAULT_CONFIG = Path("~/.cache/huggingface/accelerate/default_config.yaml")
"""The config that `accelerate launch` reads where none is named."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Training processes, one a device, and the FSDP shards that a model is cut into (1: whole on each device)."""

    processes: int = 1
    shards: int = 1
    gathers: bool = True
    """Whether weights are freed between forward and backward (ZeRO-3), else kept gathered (ZeRO-2)."""

    @property
    def words(self) -> str:
        """Text for people."""
        if self.processes == 1:
            return "one process"
        how = f"the model in FSDP shards over {self.shards}" if self.shards > 1 else "each with the whole model"
        return f"{self.processes} processes, {how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Devices of one kind, and how training is started on them."""

    memory: float
    """Bytes of one device, as a program sees them."""
    name: str = ""
    devices: int = 1
    launch: Launch = Launch()
    kind: Device | None = None
    cpu: bool = False
    elsewhere: bool = False
    """Whether it was described, so that nothing about it can be looked at here."""
    sold: str = ""

    @property
    def words(self) -> str:
        """The devices and the processes, for people."""
        size = f"{self.memory / 2**30:.0f} GiB"
        if self.cpu:
            return f"the {self.name} with {size}, {self.launch.words}"
        each = f"{size}{' each' if self.devices > 1 else ''}{self.sold and f' (sold as {self.sold})'}"
        return f"{counted(self.devices, f'{self.name} device'.strip())}, {each}; {self.launch.words}"


UNKNOWN = Machine(memory=math.inf, cpu=True)
"""Where only the disk is asked about."""


def machine_of(
    placement: Placement, devices: int | None = None, device_memory: float | None = None, kind: str | None = None
) -> Machine:
    """The machine that is described, the memory of one device in GB as sold; or this one."""
    for name, value in (("devices", devices), ("device_memory", device_memory)):
        if value is not None and not value > 0:
            raise SettingError(f"{name} is {value}; give one above 0")
    row = device_named(kind) if kind else device_with(device_memory) if device_memory else None
    launch = launch_of(placement, devices or 1)
    if device_memory is None and row is None:
        if kind:
            raise SettingError(f"no device '{kind}' is known here; give --device-memory GB as well")
        if devices is not None:
            raise SettingError("--devices needs the memory of one: give --device-memory GB, such as 80")
        return _this(placement, launch)
    gigabytes = device_memory * SEEN if device_memory is not None else row.memory if row else 0.0
    return Machine(
        memory=gigabytes * 2**30, name=row.name if kind and row else kind or "", devices=devices or launch.processes,
        launch=launch, kind=row, elsewhere=True, sold=f"{device_memory:g} GB" if device_memory is not None else "",
    )  # fmt: skip


def _this(placement: Placement, launch: Launch) -> Machine:
    if placement.device not in ("cpu", "mps") and (numbers := gpus()):
        import torch

        if torch.cuda.is_available():
            found, name = torch.cuda.get_device_properties(0), torch.cuda.get_device_name(0)
            room, kind = float(found.total_memory), device_named(name)
            return Machine(memory=room, name=name, devices=len(numbers), launch=launch, kind=kind)
    return Machine(memory=float(memory()), name="CPU of this machine", launch=launch, cpu=True)


def launch_of(placement: Placement, devices: int) -> Launch:
    """How training is started: by the launcher, by `--processes`, or one process for each of `devices`."""
    if not placement.launcher:
        return Launch(placement.processes if placement.processes > 1 else devices)
    try:
        words = shlex.split(placement.launcher)
    except ValueError as error:
        raise SettingError(
            f"the launcher {placement.launcher!r} is not a command ({error}); close its quotes"
        ) from error
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("nnodes", "nproc-per-node", "config-file", "num-processes"):
        parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", nargs="?")
    options, _ = parser.parse_known_args([word for word in words if word != "--"])
    if not any(Path(word).name in ("accelerate", "accelerate.commands.launch") for word in words):
        return Launch((_number(options.nnodes) or 1) * (_number(options.nproc_per_node) or devices))
    named = options.config_file
    values = _config(Path(named) if named else DEFAULT_CONFIG.expanduser(), required=named is not None)
    processes = _number(options.num_processes) or _number(values.get("num_processes")) or 1
    if values.get("distributed_type") != "FSDP" and "--use_fsdp" not in words:
        return Launch(processes)
    sections = [values.get(name) for name in ("fsdp_config", "parallelism_config")]
    fsdp, parallelism = (section if isinstance(section, dict) else {} for section in sections)
    shards = _number(parallelism.get("parallelism_config_dp_shard_size")) or processes
    gathers = str(fsdp.get("fsdp_reshard_after_forward", True)).lower() in ("true", "full_shard")
    return Launch(processes, shards, gathers)


def _config(path: Path, required: bool) -> dict[str, object]:
    """The values of accelerate's config file; none where there is no default one."""
    import yaml

    if not path.is_file() and not required:
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no settings")
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise SettingError(f"accelerate's config {path} cannot be read ({reason}); check --launcher") from error
    return values


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and int(text) > 0 else None
