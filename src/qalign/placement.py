"""Execution settings: folders, devices, batch sizes.

None of them is part of a fingerprint or changes a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingError, nearest
from .options import EXECUTION, OUTPUT, check_values, known_fields, option

DEVICES = ("auto", "cpu", "cuda", "mps")
CLUSTERS = ("slurm", "ray")
JOBS_IN_QUEUE = 100
"""The most jobs of a cluster at once by default."""
TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""What accelerate can report the progress of training to (its `LoggerType`)."""


@known_fields("Placement")
@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The execution settings of a run."""

    runs: Path = Path("runs")
    """The folder of all stages."""
    device: str = option("auto", EXECUTION, "NAME", names="devices")
    """auto, cpu, cuda or mps."""
    processes: int = option(1, EXECUTION, "N", least=1)
    """Training processes on this machine, one per device."""
    launcher: str = option("", EXECUTION, "COMMAND")
    """Command that starts training processes instead, on one node or several, such as 'accelerate launch --config_file
    FILE'."""
    jobs: int = option(1, EXECUTION, "N", least=1)
    """Stages that run at once. They share the cores; each gets a GPU of its own where there are several."""
    cluster: str = option("", EXECUTION, "NAME", names="clusters")
    """slurm or ray: each stage is a job of this cluster, with the GPUs, memory and time that it needs. All nodes must see
    the folder of runs. --jobs then says how many are in its queue at once, by default 100."""
    cluster_options: Sequence[str] = option((), EXECUTION, "NAME=VALUE", flag="--cluster-option")
    """For every job: an option of sbatch, such as partition=gpu, or of ray.remote, such as num_cpus=8; may be repeated."""
    tokens_per_micro_batch: int | None = option(None, EXECUTION, "N", least=1)
    """Upper limit on the tokens of a micro-batch. By default what the device has room for."""
    batch_size: int | None = option(None, EXECUTION, "N", least=1)
    """Prompts that are answered at once. By default what the device has room for."""
    activation_checkpointing: bool | None = option(None, EXECUTION)
    """Recompute activations: less memory, a third more work. By default where memory is short."""
    compile: bool | None = option(None, EXECUTION)
    """Compile the model in training, and capture steps of generation as CUDA graphs. By default on CUDA."""
    vllm: str = option("", EXECUTION, "NAME=VALUE,...")
    """Arguments of vLLM's offline engine, such as tensor_parallel_size=2,gpu_memory_utilization=0.9."""
    seconds_per_checkpoint: float = option(300.0, EXECUTION, "SECONDS", least=0.0)
    """Time between checkpoints of training."""
    trackers: Sequence[str] | str = option(("tensorboard",), EXECUTION, "NAME", names="trackers", flag="--tracker")
    """A tracker that accelerate knows, or none; may be repeated. By default tensorboard."""
    quiet: bool = option(False, OUTPUT)
    """Print results only, no progress."""
    endpoint: str = field(default="", repr=False)  # its URL may hold a password
    """The address of the server that answers, for the backend `endpoint`."""
    served_model: str = ""
    """The name by which the server knows the model."""
    requests_in_flight: int = 32
    """Requests to the server at once."""
    seconds_per_request: float = 600.0
    """Time to wait for an answer of the server."""
    systems: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)
    """The systems that each stage is for, with their titles, by the name of its folder."""

    def __post_init__(self) -> None:
        check_values(self)
        if self.device not in DEVICES:
            raise SettingError(f"unknown device '{self.device}': {nearest(self.device, DEVICES)}")
        if self.cluster and self.cluster not in CLUSTERS:
            raise SettingError(f"unknown cluster '{self.cluster}': {nearest(self.cluster, CLUSTERS)}")
        if self.cluster_options and not self.cluster:
            raise SettingError("--cluster-option is about jobs of a cluster: give --cluster slurm or --cluster ray too")
        if self.cluster and self.jobs == 1:
            object.__setattr__(self, "jobs", JOBS_IN_QUEUE)
        given = (self.trackers,) if isinstance(self.trackers, str) else self.trackers
        object.__setattr__(self, "trackers", tuple(name for name in given if name != "none"))
        object.__setattr__(self, "cluster_options", tuple(self.cluster_options))
        for name in self.trackers:
            if name not in TRACKERS:
                raise SettingError(f"unknown tracker '{name}': {nearest(name, (*TRACKERS, 'none'))}")
        if self.requests_in_flight < 1:
            raise SettingError(f"requests_in_flight is {self.requests_in_flight}; give 1 or more")

    def systems_of(self, scratch: Path) -> Mapping[str, str]:
        """The systems, with their titles, that the stage which works in a scratch folder is for."""
        return self.systems.get(scratch.parent.name.removesuffix(".partial"), {})

    @property
    def engine_arguments(self) -> dict[str, object]:
        """The arguments of vLLM's engine."""
        import yaml

        try:
            given: dict[str, object] = yaml.safe_load("{" + self.vllm.replace("=", ": ") + "}")
        except yaml.YAMLError:
            given = {"": None}
        if not all(isinstance(name, str) and value is not None for name, value in given.items()):
            raise SettingError(f"--vllm {self.vllm!r:.80} is not NAME=VALUE, with commas between several")
        return given

    @property
    def gpus_per_stage(self) -> int:
        """The GPUs that one stage computes on."""
        sizes = (self.engine_arguments.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline"))
        return max(self.processes, math.prod(size for size in sizes if isinstance(size, int)))

    def titled(self, title: str, scratch: Path) -> str:
        """What progress calls the stage that works in a scratch folder: its title, with the system that it is for."""
        titles = [*self.systems_of(scratch).values()]
        return f"{title} for {titles[0] if len(titles) == 1 else f'{len(titles)} systems'}" if titles else title
