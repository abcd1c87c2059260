"""The state of a training in files: weights, optimizer, random states. Nothing of it can run code when it is read.

Weights are safetensors; the optimizer's state of a whole model is read by torch's restricted unpickler (`weights_only`),
which makes tensors and plain values only. On FSDP shards each rank writes safetensors with its part of every tensor, and
reads the parts it needs, whatever number of ranks wrote them: torch's own format for shards is read by pickle.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..untrusted import printable
from .accelerator import is_sharded
from .manifest import names

MODEL, OPTIMIZER = "model.safetensors", "optimizer.bin"
BROKEN = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError)
"""What torch raises for a file that it did not write."""


def write(accelerator: Any, model: Any, optimizer: Any, folder: Path) -> None:
    """Writes this rank's share of the state into an existing folder. All ranks call it."""
    import torch
    from safetensors.torch import save_file, save_model

    rank, module = accelerator.process_index, accelerator.unwrap_model(model)
    save_file(_random_states(accelerator.device), _random_file(folder, rank))
    if is_sharded(accelerator):
        pieces = dict(_pieces(_tensors(module, optimizer), rank))
        starts = {name: str(start) for name, (start, _) in pieces.items()}
        held = {name: piece.detach().contiguous().cpu() for name, (_, piece) in pieces.items()}
        save_file(held, folder / f"shard-{rank:05d}.safetensors", starts)
    elif accelerator.is_main_process:
        save_model(module, str(folder / MODEL))
        torch.save(optimizer.state_dict(), folder / OPTIMIZER)


def read(accelerator: Any, model: Any, optimizer: Any, folder: Path) -> None:
    """Puts the state back. The number of ranks may be another than wrote it.

    Raises:
        ModelError: the files are not those of this model and optimizer.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, load_model

    module = accelerator.unwrap_model(model)
    try:
        if is_sharded(accelerator):
            _read_shards(module, optimizer, folder)
        else:
            state = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True)
            load_model(module, str(folder / MODEL))
            optimizer.load_state_dict(state)
        own = _random_file(folder, accelerator.process_index)
        if own.exists():  # a rank that was not there keeps the state that its seed gave it
            _set_random_states(load_file(own), accelerator.device)
    except torch.OutOfMemoryError:
        raise
    except (*BROKEN, SafetensorError) as error:
        reason = printable((str(error).strip() or type(error).__name__).splitlines()[0][:200])
        raise ModelError(
            f"the checkpoint {folder} cannot be read ({reason}); remove it to go on from the one before: rm -r {folder}"
        ) from error


def _random_file(folder: Path, rank: int) -> Path:
    return folder / f"random-{rank:05d}.safetensors"


def _random_states(device: Any) -> dict[str, Any]:
    """The states of torch's generators that dropout draws from: the processor's and the device's."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state()
    return states


def _set_random_states(states: dict[str, Any], device: Any) -> None:
    import torch

    torch.set_rng_state(states["cpu"])
    if device.type in states and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type])


def _tensors(module: Any, optimizer: Any) -> Iterator[tuple[str, Any]]:
    """All tensors of a sharded training by name: parameters, the model's other state, and the optimizer's.

    A parameter that never had a gradient, such as an expert's, has no state in the optimizer.
    """
    parameters = dict(module.named_parameters())
    yield from parameters.items()
    persistent = module.state_dict().keys()
    yield from ((name, tensor) for name, tensor in module.named_buffers() if name in persistent)
    for name, parameter in parameters.items():
        yield from ((f"{key}:{name}", tensor) for key, tensor in optimizer.state.get(parameter, {}).items())


def _pieces(tensors: Iterator[tuple[str, Any]], rank: int) -> Iterator[tuple[str, tuple[int, Any]]]:
    """What this rank writes of each tensor, with the row that it starts at. A tensor that all ranks hold is the first's."""
    from torch.distributed.tensor import DTensor

    for name, tensor in tensors:
        if not isinstance(tensor, DTensor):
            if rank == 0:
                yield name, (0, tensor)
        elif (start := _first_row(tensor)) is not None:
            yield name, (start, tensor.to_local())


def _first_row(tensor: Any, copies: bool = False) -> int | None:
    """The row of the whole tensor that this rank's part starts at; None where another rank has the same part, unless `copies`
    are asked for."""
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


def _read_shards(module: Any, optimizer: Any, folder: Path) -> None:
    """Copies this rank's rows of each tensor from the files of all ranks that wrote."""
    import torch
    from safetensors import safe_open

    paths = [folder / name for name in names(folder) if name.startswith("shard-")]
    with ExitStack() as stack, torch.no_grad():
        files = [stack.enter_context(safe_open(path, framework="pt")) for path in paths]
        pieces: dict[str, list[tuple[int, Any]]] = {}
        for file in files:
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


def _fill(name: str, tensor: Any, pieces: list[tuple[int, Any]]) -> None:
    """Copies the rows that this rank holds of a tensor."""
    from torch.distributed.tensor import DTensor

    sharded = isinstance(tensor, DTensor)
    local, first = (tensor.to_local(), _first_row(tensor, copies=True) or 0) if sharded else (tensor, 0)
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
