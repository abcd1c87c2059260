"""Execution settings: folders, devices, batch sizes.

None of them is part of a fingerprint or changes a result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingError, nearest

DEVICES = ("auto", "cpu", "cuda", "mps")
TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")
"""What accelerate can report the progress of training to (its `LoggerType`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The execution settings of a run."""

    runs: Path = Path("runs")
    """The folder of all stages."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    processes: int = 1
    """Training processes on this machine, one per device."""
    jobs: int = 1
    """Stages that run at once."""
    tokens_per_micro_batch: int | None = None
    """The most tokens of a training micro-batch, padding included. None: what the device has room for."""
    batch_size: int | None = None
    """Prompts that are answered at once. None: what the device has room for."""
    activation_checkpointing: bool | None = None
    """Whether activations are recomputed. None: where memory is short."""
    compile: bool | None = None
    """Whether the model is compiled with `torch.compile`. None: on CUDA."""
    seconds_per_checkpoint: float = 300.0
    """Time between checkpoints of training."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Names of trackers that accelerate knows."""
    quiet: bool = False
    """Whether no progress is printed."""
    endpoint: str = field(default="", repr=False)  # its URL may hold a password
    """The address of the server that answers, for the backend `endpoint`."""
    served_model: str = ""
    """The name by which the server knows the model."""
    requests_in_flight: int = 32
    """Requests to the server at once."""
    seconds_per_request: float = 600.0
    """Time to wait for an answer of the server."""
    launcher: str = ""
    """A command that starts training processes, such as `accelerate launch --config_file FILE`."""

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise SettingError(f"unknown device '{self.device}': {nearest(self.device, DEVICES)}")
        for name in self.trackers:
            if name not in TRACKERS:
                raise SettingError(f"unknown tracker '{name}': {nearest(name, (*TRACKERS, 'none'))}")
        for name in ("processes", "jobs", "tokens_per_micro_batch", "batch_size", "requests_in_flight"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise SettingError(f"{name} is {count}; give 1 or more")
