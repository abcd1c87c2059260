"""Checks of a model folder before the model is opened: its files are there, whole, and of the kinds that are opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, ModelError
from ..paths import instead
from ..untrusted import parse_json, printable
from ..wording import counted

if TYPE_CHECKING:
    import torch

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
ADAPTER, ADAPTER_FOLDER = "adapter_config.json", "adapter"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", INDEX)
"""The JSON files of a model that are read whole; `tokenizer.json` is checked by the library that reads it."""


def check_folder(folder: Path, name: str = "") -> None:
    """Refuses a folder without a whole model in safetensors, by its settings and the headers of the weights. `name` is that of
    the model on the hub."""
    check_settings(folder)
    if not any(folder.glob("*.safetensors")):
        advice = f"make safetensors of it: qalign convert {name or folder} NEW_FOLDER"
        raise ModelError(
            f"{name or folder} has no weights as .safetensors (other formats can run code when opened); {advice}"
        )
    weight_files(folder)


def check_settings(folder: Path) -> None:
    """Refuses a folder without the settings and the tokenizer of a model."""
    if not folder.is_dir():
        advice = instead(folder, "give a folder with a model, a hub name, or 'tiny'")
        raise ModelError(f"{folder} is not a folder; {advice}")
    if (folder / ADAPTER).is_file():
        advice = "merge it first: peft's model.merge_and_unload(), then save_pretrained to a new folder"
        raise ModelError(f"{folder} holds an adapter ({ADAPTER}), not a model; {advice}")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; give the folder of a transformers model")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        files = ", ".join(TOKENIZER_FILES[:3])
        advice = "save the model's tokenizer there: tokenizer.save_pretrained(folder)"
        raise ModelError(f"{folder} has no tokenizer ({files}, ...); {advice}")
    for name in SETTINGS:
        read_settings(folder / name)


def read_settings(path: Path) -> dict[str, Any]:
    """The values of a JSON file of a model, none if the file does not exist. ModelError if it holds no JSON object."""
    try:
        values = parse_json(path.read_bytes(), printable(str(path)), infinite=True) if path.is_file() else {}
    except (DataError, OSError) as error:
        raise ModelError(f"{printable(str(error))}, or fetch the model again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no JSON object; fetch or save the model again")
    return values


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers reads: one, or those of the index, which name all of its tensors."""
    if (folder / WEIGHTS).is_file():
        tensors(folder / WEIGHTS)
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} has neither {WEIGHTS} nor {INDEX}; fetch or save the model again")
    places = indexed(folder / INDEX)
    found = {file: tensors(folder / file) for file in sorted(set(places.values()))}
    if lost := [tensor for tensor, file in places.items() if tensor not in found[file]]:
        raise ModelError(
            f"{folder / places[lost[0]]} lacks {counted(len(lost), 'tensor')} that {INDEX} names, "
            f"{printable(lost[0])} among them; fetch or save the model again"
        )
    return [folder / file for file in found]


def indexed(path: Path) -> dict[str, str]:
    """The file of each tensor by an index. ModelError where it is none, or a file is not there."""
    places = read_settings(path).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise ModelError(f"{path} has no weight_map with a file for each tensor; fetch it again")
    for file in sorted(set(places.values())):
        if Path(file).name != file or not (path.parent / file).is_file():
            raise ModelError(f"{path} names {printable(file)}, which is not there; fetch it, or save again")
    return places


def tensors(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Type and shape of the tensors in a safetensors file by name. ModelError if it is damaged, or of plain integers."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            found = {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
    except Exception as error:  # the library raises kinds of its own, and those of the system
        reason = printable((str(error) or type(error).__name__).splitlines()[0][:150])
        raise ModelError(f"{path} is not a whole safetensors file ({reason}); fetch or save the model again") from error
    kinds = {name: kind for name, (kind, _) in found.items() if name.endswith(".weight")}
    whole = [name for name, kind in kinds.items() if kind[0] in "IUB" and kind != "BF16"]
    if whole and "quantization_config" not in read_settings(path.parent / "config.json"):
        raise ModelError(
            f"{path} stores {counted(len(whole), 'weight')} as whole numbers ({kinds[whole[0]]}), "
            f"{printable(whole[0])} among them, and config.json has no quantization_config; save the model again"
        )
    return found


def check_values(folder: Path) -> None:
    """Reads all weights of a folder, one tensor at a time. ModelError if one holds NaN or an infinite number."""
    from safetensors import safe_open

    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                check_finite(name, file.get_tensor(name), path)


def check_finite(name: str, tensor: torch.Tensor, where: Path) -> None:
    """Raises ModelError if a torch tensor holds NaN or an infinite number."""
    # The sum first, for it takes one pass.
    if tensor.is_floating_point() and not tensor.sum().isfinite() and not tensor.isfinite().all():
        what = f"NaN or an infinite number, in {printable(name)}"
        raise ModelError(f"the weights in {where} hold {what}; they cannot be used: train or fetch them again")
