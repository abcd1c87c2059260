"""The state of a training in files: weights, optimizer, random states, progress.

Reading them runs no code. Weights are safetensors. The restricted unpickler of torch (`weights_only`) reads the optimizer's
state. The first rank writes whole tensors, also of FSDP shards, and each rank takes its own rows of them. So a training goes
on in any number of processes, sharded or not.
"""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import ModelError
from ..models.opening import first_line
from ..pipeline.stage_record import Count, read_object

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from .batches import Batch

MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.bin", "progress.json"
RANDOM = "random-{:05d}.safetensors"
BROKEN = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, pickle.UnpicklingError)
"""What torch raises for a file that it did not write."""


class Progress(msgspec.Struct, frozen=True):
    """The number of steps that a training has taken, and the tokens of their examples, all and supervised."""

    step: Count = 0
    tokens: Count = 0
    supervised: Count = 0

    def after(self, batch: Batch) -> Progress:
        """The progress after one more step."""
        return Progress(self.step + 1, self.tokens + batch.tokens, self.supervised + batch.supervised)


class SavedProgress(Progress, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The progress in a file, and what the state next to it belongs to."""

    examples: str
    """What the examples of the steps are known by."""
    sharded: bool = False
    """Of earlier versions: whether each rank wrote its FSDP shards."""


def read_progress(folder: Path) -> SavedProgress:
    """The progress in a saved state. ValueError or QAlignError if the file holds something else."""
    return msgspec.convert(read_object(folder / PROGRESS), SavedProgress)


def write(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Writes the state into an existing folder: the first rank all but the random states of the others. All ranks call it."""
    import torch
    from safetensors.torch import save_file
    from torch.utils._pytree import tree_map_only

    rank, module, device = accelerator.process_index, accelerator.unwrap_model(model), accelerator.device
    random_states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        random_states[device.type] = torch.get_device_module(device).get_rng_state()
    save_file(random_states, folder / RANDOM.format(rank))
    whole = partial(_whole, kept=accelerator.is_main_process)
    weights = {name: whole(tensor.detach()).contiguous() for name, tensor in _weights(module).items()}
    if accelerator.is_main_process:
        save_file(weights, folder / MODEL)
    del weights
    moments = tree_map_only(torch.Tensor, whole, optimizer.state_dict())
    if accelerator.is_main_process:
        torch.save(moments, folder / OPTIMIZER)


def read(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Puts the state back, whatever number of ranks wrote it. ModelError if it is of another model or optimizer."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    module, device = accelerator.unwrap_model(model), accelerator.device
    try:
        several = accelerator.num_processes > 1  # they share the file in memory, and each copies its rows
        state = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True, mmap=several)
        _fill(_weights(module, repeated=True), load_file(folder / MODEL))
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for place, values in state["state"].items():
            state["state"][place] = {
                key: _like(value, parameters[place]) if value.dim() else value for key, value in values.items()
            }
        optimizer.load_state_dict(state)
        own = folder / RANDOM.format(accelerator.process_index)
        if own.exists():  # a rank that was not there keeps the state that its seed gave it
            random_states = load_file(own)
            torch.set_rng_state(random_states["cpu"])
            if device.type != "cpu" and device.type in random_states:
                torch.get_device_module(device).set_rng_state(random_states[device.type])
    except torch.OutOfMemoryError:
        raise
    except (*BROKEN, SafetensorError) as error:
        what = f"the checkpoint {folder} cannot be read ({first_line(error)})"
        raise ModelError(f"{what}; remove it to go on from the one before: rm -r {folder}") from error


def _weights(module: torch.nn.Module, repeated: bool = False) -> dict[str, torch.Tensor]:
    """The parameters and persistent buffers of a model; tied ones under their first name, or all if `repeated`."""
    persistent = module.state_dict().keys()
    buffers = {name: tensor for name, tensor in module.named_buffers() if name in persistent}
    return {**dict(module.named_parameters(remove_duplicate=not repeated)), **buffers}


def _whole(tensor: torch.Tensor, kept: bool) -> torch.Tensor:
    """A tensor with the rows of all ranks, on the CPU of the ranks that keep it. All ranks call it."""
    from torch.distributed.tensor import DTensor

    if not isinstance(tensor, DTensor):
        return tensor
    whole = tensor.full_tensor()
    return whole.cpu() if kept else whole.new_empty(0)


def _like(tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """A whole tensor, of which this rank keeps the rows that it holds of another. ValueError if their shapes differ."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if tensor.shape != own.shape:
        raise ValueError(f"a tensor has the shape {list(tensor.shape)} there, {list(own.shape)} here")
    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor.to(own.device), own.device_mesh, own.placements, src_data_rank=None)


def _fill(own: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> None:
    """Copies the saved weights into those of a model, of which tied ones are saved once. ValueError if they are others."""
    import torch

    there = {id(own[name]) for name in saved.keys() & own.keys()}
    if lost := [name for name, tensor in own.items() if id(tensor) not in there] or [*(saved.keys() - own.keys())]:
        raise ValueError(f"{lost[0]} is a weight of one of the two models alone")
    with torch.no_grad():
        for name, tensor in saved.items():
            own[name].copy_(_like(tensor, own[name]))
