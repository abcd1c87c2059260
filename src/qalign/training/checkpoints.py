"""Checkpoints of a training stage: complete or not there at all, and known by the hashes of their files.

A checkpoint holds the state (`training.state`), the metrics so far and the position in the data. It is written beside its
place and renamed into it, so a kill at any moment leaves the earlier ones. The last two are kept: where the last was
damaged, training goes on from the one before.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..errors import ModelError, QAlignError
from ..fingerprints import announce_hashing
from ..records import atomic_file, usual_permissions, write_json
from ..stage_record import read_object, sync
from ..terminal import log
from ..wording import counted
from . import manifest, state
from .accelerator import is_sharded
from .config import METRICS

PROGRESS = "progress.json"
KEPT = 2
"""How many checkpoints are kept; while the next one is written there is one more."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the loop has counted, and what the checkpoint belongs to: `examples` is what the tokens are known by."""

    step: Count
    tokens: Count
    supervised: Count
    sharded: bool
    examples: str


class Row(msgspec.Struct, frozen=True):
    """What is looked at in a row of the metrics."""

    step: Count
    loss: float


def latest(scratch: Path, examples: str) -> Path | None:
    """The last checkpoint that is as it was written; None if there is none.

    A damaged one is removed, with one line on stderr. One process calls this, before the others read.

    Args:
        scratch: the folder of checkpoints.
        examples: what the tokens are known by that training goes on with.
    """
    faults = []
    found = None
    for checkpoint in sorted(scratch.glob("step-*"), reverse=True):
        announce_hashing(checkpoint, [path for path in checkpoint.rglob("*") if path.is_file()])
        fault = manifest.fault(checkpoint) or _misfit(checkpoint, examples)
        if fault is None:
            found = checkpoint
            break
        faults.append(f"the checkpoint {checkpoint.name} was removed, for {fault}")
        _remove(checkpoint)
    if faults:
        then = f"goes on from {found.name}" if found else "begins from the beginning"
        log(f"{'; '.join(faults)}; training {then}")
    return found


def agreed(accelerator: Any, scratch: Path, examples: str) -> Path | None:
    """The checkpoint that all ranks go on from: the first one looks for it."""
    from accelerate.utils import broadcast_object_list

    found = [latest(scratch, examples)] if accelerator.is_main_process else [None]
    checkpoint: Path | None = broadcast_object_list(found)[0]
    return checkpoint


def save(accelerator: Any, model: Any, optimizer: Any, scratch: Path, progress: dict[str, int], examples: str) -> None:
    """Writes the state with what the loop has counted so far, and removes all but the last checkpoints. All ranks call it."""
    building = scratch / "building"
    if accelerator.is_main_process:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
    accelerator.wait_for_everyone()
    state.write(accelerator, model, optimizer, building)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.copyfile(scratch / METRICS, building / METRICS)
        write_json(building / PROGRESS, {**progress, "sharded": is_sharded(accelerator), "examples": examples})
        usual_permissions(building)
        manifest.seal(building)
        place = scratch / f"step-{progress['step']:09d}"
        building.rename(place)
        sync(scratch)
        for older in sorted(scratch.glob("step-*"))[:-KEPT]:
            _remove(older)
    accelerator.wait_for_everyone()


def load(accelerator: Any, model: Any, optimizer: Any, checkpoint: Path) -> dict[str, int]:
    """Puts the state of a checkpoint back; returns what the loop had counted. All ranks call it.

    Raises:
        ModelError: it is of shards and the model is whole, or the other way round; or it cannot be read.
    """
    progress = _progress(checkpoint)
    if progress.sharded != is_sharded(accelerator):
        raise ModelError(
            f"{checkpoint} was written by a training that {'was not' if is_sharded(accelerator) else 'was'} sharded (FSDP); go "
            "on with a launcher of that kind, or remove that folder to begin again"
        )
    state.read(accelerator, model, optimizer, checkpoint)
    if accelerator.is_main_process:  # what was reported after the checkpoint is forgotten
        with atomic_file(checkpoint.parent / METRICS) as temporary:
            shutil.copyfile(checkpoint / METRICS, temporary)
    return {"step": progress.step, "tokens": progress.tokens, "supervised": progress.supervised}


def _remove(checkpoint: Path) -> None:
    if checkpoint.is_symlink() or not checkpoint.is_dir():
        checkpoint.unlink()
    else:
        shutil.rmtree(checkpoint)


def _misfit(checkpoint: Path, examples: str) -> str | None:
    """Why training cannot go on from a checkpoint whose files are as they were written; None if it can."""
    try:
        progress = _progress(checkpoint)
        rows = msgspec.json.Decoder(Row).decode_lines((checkpoint / METRICS).read_bytes())
    except (OSError, ValueError, QAlignError) as error:
        return f"its progress or its metrics cannot be read: {error}"
    if [row.step for row in rows] != list(range(1, progress.step + 1)):
        return f"{METRICS} does not have a row for each of its {counted(progress.step, 'step')}"
    return None if progress.examples == examples else "it belongs to other examples"


def _progress(checkpoint: Path) -> Progress:
    return msgspec.convert(read_object(checkpoint / PROGRESS), Progress)
