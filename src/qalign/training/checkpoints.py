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
            json.dump({"step": step, **progress}, file)
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
    """Puts the state of a checkpoint back into what the accelerator prepared; returns what the loop had counted."""
    accelerator.load_state(str(checkpoint))
    return dict(json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8")))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
