"""Makes safetensors from a checkpoint in pickles, as most published ones are.

A pickle can run code when it is opened. So torch's restricted reader opens it, which makes tensors and nothing else. That
reader could be tricked before version 2.10 (CVE-2025-32434, GHSA-63cw-57p8-fm3p), so an older torch is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..progress import Bar
from ..records import usual_permissions, write_json
from ..untrusted import printable
from ..wording import counted, in_bytes
from .folders import INDEX, WEIGHTS, check_settings, indexed, read_settings
from .opening import OLD_BUFFERS, check_model, check_vocabulary, first_line, load_tokenizer, skeleton

if TYPE_CHECKING:
    import torch

PICKLES, PICKLE, PICKLE_INDEX = "pytorch_model*.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"
COPIED = ("*.json", "*.model", "*.txt", "*.jinja", "*.md", "LICENSE*")
"""The files beside the weights. None of them is code."""
FETCHED = (PICKLES, *COPIED)
"""What of a repository is fetched."""
SAFE_TORCH = "2.10"
FILE_BYTES = 4 * 2**30
"""The most bytes of a file that is written, and so of tensors in memory."""


@dataclass(frozen=True, slots=True)
class Described:
    """A tensor of a pickle, by its header."""

    file: Path
    shape: tuple[int, ...]
    nbytes: int
    """Its bytes once converted."""


def convert(source: Path, output: Path) -> list[str]:
    """Writes the model of a folder in pickles to an empty folder, in safetensors and bfloat16. Returns what was done.

    Every tensor keeps its name, shape and values up to the precision. Files are read one after another, and at most
    `FILE_BYTES` are held. ModelError where the folder holds anything but tensors or not those of its config.json, or where
    the disk is too small.
    """
    check_torch()
    check_settings(source)
    files, places = _pickles(source)
    check_vocabulary(source)
    kept, buffers = _described(source, files, places)
    tied = _compared(source, kept)
    needed, free = sum(one.nbytes for one in kept.values()), shutil.disk_usage(output).free
    if needed > free:
        raise ModelError(
            f"the converted model takes {in_bytes(needed)}, and {in_bytes(free)} are free at {output.parent}; make room"
        )
    parts, dropped = _written(files, kept, tied, output)
    copied, left = _copied(source, output)
    usual_permissions(output)
    check_model(output)
    names = [name for name in kept if name not in dropped]
    numbers = sum(math.prod(kept[name].shape) for name in names)
    notes = [f"{name} is {tied[name]} again (config.json ties them), so it was written once." for name in dropped]
    if buffers:
        notes.append(f"Left out {counted(buffers, 'buffer')} of older versions, which config.json decides.")
    if left:
        notes.append(f"Not copied: {printable(', '.join(left))}.")
    return [
        f"{counted(len(files), 'pickle')} of {in_bytes(sum(file.stat().st_size for file in files))} became "
        f"{counted(parts, 'safetensors file')} of {in_bytes(sum(kept[name].nbytes for name in names))} in bfloat16.",
        f"{counted(len(kept) + buffers, 'tensor')}, as many as the pickles name; {len(names)} were written, with {numbers:,} "
        "numbers. They are those of config.json.",
        _vocabulary(output),
        *notes,
        f"Copied: {printable(', '.join(copied))}.",
    ]


def check_torch() -> None:
    """Refuses a torch whose restricted reader is known to have let code through."""
    import torch

    if torch.__version__ < SAFE_TORCH:  # compared as versions, not as texts
        raise ModelError(
            f"torch {torch.__version__} may run code that a pickle holds (CVE-2025-32434, GHSA-63cw-57p8-fm3p); converting "
            f"needs {SAFE_TORCH} or newer: pip install -U torch"
        )


def _pickles(source: Path) -> tuple[list[Path], dict[str, str]]:
    """The pickles of a model folder, one or those of an index, and the file of each tensor by the index, if there is one."""
    if any(source.glob("*.safetensors")):
        raise ModelError(f"{source} holds safetensors already; use it as it is")
    if not (source / PICKLE_INDEX).is_file():
        if (source / PICKLE).is_file():
            return [source / PICKLE], {}
        what = f"has neither {PICKLE} nor {PICKLE_INDEX}"
        raise ModelError(f"{source} {what}; give the folder of a transformers model in pickles, or fetch it again")
    places = indexed(source / PICKLE_INDEX)
    return [source / name for name in sorted(set(places.values()))], places


def _opened(path: Path, device: str) -> dict[str, torch.Tensor]:
    """The tensors of a pickle. On the device `meta` they have no values, and nothing is read but the header."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on how the file was pickled
            found = torch.load(path, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(path))
    except UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"asks for {asked[1]}, which no tensor needs" if asked else "is not a file of tensors that torch saved"
        raise ModelError(
            f"{path} {what}; nothing of it was run. Take the checkpoint from where you trust it"
        ) from error
    except Exception as error:  # of a damaged file: torch's own kinds, and those of the system
        raise ModelError(f"{path} is not a whole file of torch ({first_line(error)}); fetch it again") from error
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{path} holds {type(found).__name__}, not tensors by name; give a model's state_dict")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            what = f"{printable(str(name))[:80]} is {type(tensor).__name__}"
            raise ModelError(f"{path} holds more than tensors by name ({what}); save the model's state_dict alone")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
            raise ModelError(f"{path} holds {printable(name)}, which is not dense; save it as a plain tensor")
    return found


def _described(source: Path, files: list[Path], places: Mapping[str, str]) -> tuple[dict[str, Described], int]:
    """The tensors to convert, by their headers; and how many are buffers of older versions. They must be those of the index."""
    if "quantization_config" in read_settings(source / "config.json"):
        raise ModelError(f"the model in {source} is quantized; convert the model that it was made from")
    kept: dict[str, Described] = {}
    buffers = 0
    for file in files:
        size, found = file.stat().st_size, _opened(file, "meta")
        for name, tensor in found.items():
            if tensor.nbytes > size:  # a view that repeats itself
                raise ModelError(
                    f"{file} has {in_bytes(size)}, and {printable(name)} in it claims more; fetch it again"
                )
            if name in kept:
                raise ModelError(f"{kept[name].file} and {file} both hold {printable(name)}; fetch the model again")
            if name.endswith(OLD_BUFFERS):
                buffers += 1
            else:
                nbytes = 2 * tensor.numel() if tensor.is_floating_point() else tensor.nbytes
                kept[name] = Described(file, tuple(tensor.shape), nbytes)
        named = {name for name, place in places.items() if place == file.name}
        if places and (differing := sorted(named ^ found.keys(), key=str)):
            where = "only the index has" if differing[0] in named else "only the file has"
            raise ModelError(
                f"{file} holds {counted(len(found), 'tensor')}, and {PICKLE_INDEX} names {len(named)} for it: {where} "
                f"{printable(differing[0])}; fetch the model again"
            )
    return kept, buffers


def _compared(source: Path, kept: Mapping[str, Described]) -> dict[str, str]:
    """Which tensors config.json ties to which. ModelError where the shapes or the count are not those of config.json."""
    model = skeleton(source)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    tied: dict[str, str] = dict(model.all_tied_weights_keys)
    for name, shape in wanted.items():
        if name in kept and kept[name].shape != shape:
            rows = f"; put {kept[name].shape[0]} as vocab_size there" if kept[name].shape[1:] == shape[1:] else ""
            raise ModelError(
                f"{name} in {kept[name].file} is {_by(kept[name].shape)}, and by config.json it is {_by(shape)}{rows}"
            )
    if kept.keys() <= wanted.keys() and (lost := sorted(wanted.keys() - kept.keys() - tied.keys())):
        counts = f"{counted(len(kept), 'tensor')}, and config.json describes {len(wanted)}"
        raise ModelError(f"{source} holds {counts}: {lost[0]} is not there; fetch the model again")
    return tied


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _written(
    files: list[Path], kept: Mapping[str, Described], tied: Mapping[str, str], output: Path
) -> tuple[int, list[str]]:
    """Writes all tensors with an index. Returns the number of files, and the tied tensors, which are written once."""
    import torch

    part: dict[str, torch.Tensor] = {}
    parts: list[list[str]] = []
    twice = {name: first for name, first in tied.items() if name in kept and first in kept}
    hashes: dict[str, str] = {}

    def flush() -> None:
        if part:
            _save(part, output / f"{len(parts)}.part")
            parts.append([*part])
            part.clear()

    with Bar("convert", len(kept)) as bar:
        for name, tensor in _each(files, kept):
            if name in twice or name in twice.values():
                hashes[name] = hashlib.sha256(tensor.reshape(-1).view(torch.uint8).numpy().data).hexdigest()
            if name not in twice:
                if sum(one.nbytes for one in part.values()) + tensor.nbytes > FILE_BYTES:
                    flush()
                part[name] = tensor
            bar.advance(1)
        flush()
    for name, first in twice.items():
        if hashes[name] != hashes[first]:
            raise ModelError(
                f"config.json ties {name} to {first}, and they differ; put tie_word_embeddings false there"
            )
    if len(parts) == 1:
        (output / "0.part").rename(output / WEIGHTS)
        return 1, [*twice]
    places = {}
    for number, names in enumerate(parts):
        file = f"model-{number + 1:05d}-of-{len(parts):05d}.safetensors"
        (output / f"{number}.part").rename(output / file)
        places.update(dict.fromkeys(names, file))
    size = sum(kept[name].nbytes for name in places)
    write_json(output / INDEX, {"metadata": {"total_size": size}, "weight_map": places})
    return len(parts), [*twice]


def _each(files: list[Path], kept: Mapping[str, Described]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in bfloat16, with memory of its own. One file is open at a time."""
    import torch

    for file in files:
        for name, tensor in _opened(file, "cpu").items():
            if name in kept:
                dtype = torch.bfloat16 if tensor.is_floating_point() else tensor.dtype
                yield name, tensor.detach().to(dtype, copy=True).contiguous()


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except Exception as error:  # the library raises kinds of its own, for a full disk too
        raise ModelError(
            f"{path.parent} cannot be written ({first_line(error)}); see to it, and convert again"
        ) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _copied(source: Path, output: Path) -> tuple[list[str], list[str]]:
    """Copies tokenizer and settings. Returns the names of the files, and of those that were left."""
    found = sorted({path for pattern in COPIED for path in source.glob(pattern) if path.is_file()})
    copied = [path.name for path in found if path.name != PICKLE_INDEX]
    for name in copied:
        shutil.copyfile(source / name, output / name)
    config = read_settings(source / "config.json")
    config["dtype" if "dtype" in config else "torch_dtype"] = "bfloat16"
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    taken = {*copied, PICKLE_INDEX, *(path.name for path in source.glob(PICKLES))}
    return copied, sorted(path.name for path in source.iterdir() if path.name not in taken)


def _vocabulary(folder: Path) -> str:
    """How tokens and embeddings fit."""
    tokens, rows = load_tokenizer(folder).get_vocab(), skeleton(folder).get_input_embeddings().weight.shape[0]
    last = max(tokens, key=tokens.__getitem__)
    if tokens[last] >= rows:
        return f"{rows:,} embeddings; {printable(last)} has id {tokens[last]} and none, for it only pads."
    more = f", {rows - 1 - tokens[last]:,} more than tokens" if rows > tokens[last] + 1 else ""
    return f"{rows:,} embeddings{more}; the last token is {printable(last)}, with id {tokens[last]}."
