"""Where and how fast a run works: folders, devices, batch sizes. None of it is part of a fingerprint or changes a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Placement:
    """The machine's side of a run.

    `runs` is the folder of all stages; `device` is "auto", "cpu", "cuda" or "mps"; `jobs` is how many stages run at once;
    `processes` is how many training processes run on this node, one a device; `launcher` is a command that starts them
    instead, on this node or on several, such as `accelerate launch --config_file FILE`. `tokens_per_micro_batch` bounds rows x
    longest row of a training micro-batch; `activation_checkpointing` computes activations again instead of keeping them;
    `compile` has `torch.compile` fuse the work between the matrix products of a model's blocks. Where these three are None,
    the device and the model decide (`training.memory`). `batch_size` is how many prompts are answered at once (None: by the
    device's memory). `trackers` are names that accelerate knows.

    For the backend `endpoint`: the server's address, the name that it knows the model by, how many requests are under way at
    once, and how long to wait for one answer.
    """

    runs: Path = Path("runs")
    device: str = "auto"
    processes: int = 1
    jobs: int = 1
    tokens_per_micro_batch: int | None = None
    batch_size: int | None = None
    activation_checkpointing: bool | None = None
    compile: bool | None = None
    seconds_per_checkpoint: float = 300.0
    trackers: tuple[str, ...] = ("tensorboard",)
    quiet: bool = False
    endpoint: str = field(default="", repr=False)  # its URL may hold a password
    served_model: str = ""
    requests_in_flight: int = 32
    seconds_per_request: float = 600.0
    launcher: str = ""
