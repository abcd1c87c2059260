"""What stands behind a model: its training stages, its base, and the folder that its tokenizer comes from."""

from __future__ import annotations

from pathlib import Path

from ..huggingface import Repository, cached_folder
from ..models.opening import POINTER
from ..pipeline import Node, Stage, in_order, status
from ..pipeline.stage_record import read_record
from ..untrusted import parse_json
from .artifacts import Model
from .kinds import Training


def is_adopted(stage: Node, runs: Path) -> bool:
    """Whether the stage is done and its result was made elsewhere."""
    done = stage.given is None and status(stage, runs) == "done"
    return done and read_record(stage.folder(runs)).adopted_from is not None


def training_stages(model: Node, runs: Path | None = None) -> list[Training]:
    """The training stages behind a model, first to last; with `runs`, none behind an adopted one."""
    ordered = in_order([model], lambda stage: runs is None or not is_adopted(stage, runs))
    return [stage for stage in ordered if isinstance(stage, Training)]


def first_model(model: Stage[Model]) -> Stage[Model]:
    """The base that a chain of training stages starts from."""
    while isinstance(model, Training):
        model = model.model
    return model


def origin(model: Stage[Model], runs: Path) -> Path | None:
    """The folder that a model's tokenizer comes from: that of the base, or of the checkpoint that was adopted. None while it
    is not there: the base has still to be made or fetched, or only a server has it."""
    folder = model.folder(runs) if status(model, runs) == "done" else None
    if isinstance(model, Training) and not is_adopted(model, runs):
        return origin(model.model, runs) or folder
    if folder is not None and (folder / POINTER).is_file():
        named = parse_json((folder / POINTER).read_bytes(), str(folder / POINTER))
        folder = cached_folder(Repository("model", named["hub"]), named["revision"])
    return folder if folder is not None and (folder / "config.json").is_file() else None
