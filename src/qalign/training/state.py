"""The state of a training in files: weights, optimizer, random states, progress.

Reading them runs no code. Weights are safetensors. The restricted unpickler of torch (`weights_only`) reads the optimizer's
state of a whole model. torch reads its own format for FSDP shards by pickle, so instead each rank writes safetensors with
its part of every tensor. It reads the parts that it needs, whatever number of ranks wrote them.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ModelError
from ..models.opening import first_line
from ..pipeline.stage_record import Count, read_object
from .accelerator import is_sharded

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from torch.distributed.tensor import DTensor

    from .batches import Batch

MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.bin", "progress.json"
RANDOM = "random-{:05d}.safetensors"
BROKEN = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError)
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

    sharded: bool
    """Whether the state is that of FSDP shards."""
    examples: str
    """What the examples of the steps are known by."""


def read_progress(folder: Path) -> SavedProgress:
    """The progress in a saved state. ValueError or QAlignError if the file holds something else."""
    return msgspec.convert(read_object(folder / PROGRESS), SavedProgress)


def write(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Writes this rank's share of the state into an existing folder. All ranks call it."""
    import torch
    from safetensors.torch import save_file, save_model

    rank, module, device = accelerator.process_index, accelerator.unwrap_model(model), accelerator.device
    random_states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        random_states[device.type] = torch.get_device_module(device).get_rng_state()
    save_file(random_states, folder / RANDOM.format(rank))
    if is_sharded(accelerator):
        pieces = dict(_pieces(_tensors(module, optimizer), rank))
        starts = {name: str(start) for name, (start, _) in pieces.items()}
        held = {name: piece.detach().contiguous().cpu() for name, (_, piece) in pieces.items()}
        save_file(held, folder / f"shard-{rank:05d}.safetensors", starts)
    elif accelerator.is_main_process:
        save_model(module, str(folder / MODEL))
        torch.save(optimizer.state_dict(), folder / OPTIMIZER)


def read(accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Puts the state back, whatever number of ranks wrote it. ModelError if it is of another model or optimizer."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, load_model

    module, device = accelerator.unwrap_model(model), accelerator.device
    try:
        if is_sharded(accelerator):
            _read_shards(module, optimizer, folder)
        else:
            state = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True)
            load_model(module, str(folder / MODEL))
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


def _tensors(module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of a sharded training by name. An optimizer has none for a parameter that never had a gradient."""
    parameters = dict(module.named_parameters())
    yield from parameters.items()
    persistent = module.state_dict().keys()
    yield from ((name, tensor) for name, tensor in module.named_buffers() if name in persistent)
    for name, parameter in parameters.items():
        yield from ((f"{key}:{name}", tensor) for key, tensor in optimizer.state.get(parameter, {}).items())


def _pieces(tensors: Iterator[tuple[str, torch.Tensor]], rank: int) -> Iterator[tuple[str, tuple[int, torch.Tensor]]]:
    """This rank's part of each tensor, with its first row. The first rank writes a tensor that all ranks hold."""
    from torch.distributed.tensor import DTensor

    for name, tensor in tensors:
        if not isinstance(tensor, DTensor):
            if rank == 0:
                yield name, (0, tensor)
        elif (start := _first_row(tensor)) is not None:
            yield name, (start, tensor.to_local())


def _first_row(tensor: DTensor, copies: bool = False) -> int | None:
    """The row of the whole tensor that this rank's part starts at. None where another rank writes it, unless `copies`."""
    from torch.distributed.tensor import Replicate, Shard

    start = 0
    for dimension, placement in enumerate(tensor.placements):
        coordinate = tensor.device_mesh.get_local_rank(dimension)
        if isinstance(placement, Shard):
            assert placement.dim == 0 and type(placement) is Shard, "FSDP2 splits the rows of a tensor"
            start = min(coordinate * -(-tensor.shape[0] // tensor.device_mesh.size(dimension)), tensor.shape[0])
        else:
            assert isinstance(placement, Replicate)
            if coordinate != 0 and not copies:
                return None
    return start


def _read_shards(module: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Copies this rank's rows of each tensor from the files of all ranks that wrote."""
    import torch
    from safetensors import safe_open

    with ExitStack() as stack, torch.no_grad():
        pieces: dict[str, list[tuple[int, Any]]] = {}
        for path in sorted(folder.glob("shard-*")):
            file = stack.enter_context(safe_open(path, framework="pt"))
            for name, start in (file.metadata() or {}).items():
                pieces.setdefault(name, []).append((int(start), file.get_slice(name)))
        state = optimizer.state_dict()
        for place, (name, parameter) in enumerate(module.named_parameters()):
            if f"step:{name}" in pieces:
                averages = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
                state["state"][place] = {"step": torch.zeros(()), **averages}
        optimizer.load_state_dict(state)
        for name, tensor in _tensors(module, optimizer):
            _fill(name, tensor, pieces[name])


def _fill(name: str, tensor: torch.Tensor, pieces: list[tuple[int, Any]]) -> None:
    """Copies the rows that this rank holds of a tensor."""
    from torch.distributed.tensor import DTensor

    local, first = tensor, 0
    if isinstance(tensor, DTensor):
        local, first = tensor.to_local(), _first_row(tensor, copies=True) or 0
    if not local.dim():
        local.copy_(pieces[0][1][...])
        return
    copied = 0
    for start, piece in pieces:
        shape = piece.get_shape()
        if shape[1:] != list(local.shape[1:]):
            raise ValueError(f"{name} has the shape {shape} there, {list(tensor.shape)} here")
        low, high = max(start, first), min(start + shape[0], first + len(local))
        if low < high:
            local[low - first : high - first].copy_(piece[low - start : high - start])
            copied += high - low
    if copied != len(local):
        raise ValueError(f"{name} has {len(local):,} rows here, of which {copied:,} are there")
