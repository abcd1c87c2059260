"""Checkpoints of a training stage: complete or not there at all.

A checkpoint holds weights, optimiser, schedule and random state (written by accelerate, sharded where the model is) and
the position in the data. It is written beside its place and renamed into it, so a kill at any moment leaves either the
old one or the new one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .accelerator import is_sharded

PROGRESS = "progress.json"


def latest(scratch: Path) -> Path | None:
    """The last complete checkpoint of an interrupted stage."""
    found = sorted(path.parent for path in scratch.glob(f"step-*/{PROGRESS}"))
    return found[-1] if found else None


def save(accelerator: Any, scratch: Path, step: int, progress: dict[str, Any]) -> None:
    """Writes the state after `step` steps with what the loop has counted so far, and removes older checkpoints."""
    place = scratch / f"step-{step:09d}"
    building = scratch / "building"
    if accelerator.is_main_process:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
    accelerator.wait_for_everyone()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it warns of tied embeddings at every checkpoint
    accelerator.save_state(str(building), safe_serialization=True)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        with (building / PROGRESS).open("w", encoding="utf-8") as file:
            json.dump({"step": step, "sharded": is_sharded(accelerator), **progress}, file)
        for path in building.rglob("*"):
            if path.is_file():
                _sync(path)
        building.rename(place)
        _sync(scratch)
        for older in scratch.glob("step-*"):
            if older != place:
                shutil.rmtree(older)
    accelerator.wait_for_everyone()


def load(accelerator: Any, checkpoint: Path) -> dict[str, Any]:
    """Puts the state of a checkpoint back into what the accelerator prepared; returns what the loop had counted. The number
    of processes may be another than the one that wrote it.

    Raises:
        ModelError: it is of shards and the model is whole, or the other way round.
    """
    progress = dict(json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8")))
    if progress.pop("sharded", False) != is_sharded(accelerator):
        raise ModelError(
            f"{checkpoint} was written by a training that {'was not' if is_sharded(accelerator) else 'was'} sharded (FSDP); go "
            "on with a launcher of that kind, or remove that folder to begin again"
        )
    accelerator.load_state(str(checkpoint))
    return progress


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
