"""The hashes of a folder's files: written when it is whole, compared before it is used.

They detect damage, such as a truncated or missing file or a flipped bit. They do not detect malice: whoever plants a file
can write its hash too. So the readers of the files must be safe by themselves.
"""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import QAlignError
from ..fingerprints import SEAL, block_sha256, unsealed
from ..pipeline.stage_record import Sha256, read_object, sync, write_sealed

MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size (bytes) and `block_sha256` of each file at the top of a folder, by its name."""

    files: dict[str, tuple[Annotated[int, msgspec.Meta(ge=0)], Sha256]]


def seal(folder: Path) -> None:
    """Writes the manifest of a folder without folders, and syncs all of it to the disk."""
    files = {}
    for path in sorted(folder.iterdir()):
        sync(path)
        files[path.name] = (path.stat().st_size, block_sha256(path))
    write_sealed(folder / MANIFEST, {"files": files})
    sync(folder)


def fault(folder: Path) -> str | None:
    """The fault of a sealed folder in a few words. None if listed files are whole."""
    try:
        if folder.is_symlink() or not folder.is_dir():
            return "it is not a folder"
        listed = msgspec.convert(unsealed(read_object(folder / MANIFEST)), Manifest).files
        faults = (_fault_of_file(folder, name, size, digest) for name, (size, digest) in listed.items())
        return next(filter(None, faults), None)
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, QAlignError) as error:
        return f"{MANIFEST} cannot be read: {error}"


def _fault_of_file(folder: Path, name: str, size: int, digest: str) -> str | None:
    path = folder / name
    if Path(name).name != name:
        return f"{MANIFEST} lists {name}, which is not in the folder"
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return f"{name} is not a regular file"
    if status.st_size != size:
        return f"{name} has {status.st_size:,} bytes instead of {size:,}"
    return None if block_sha256(path) == digest else f"{name} has another content than was written"


def digest(folder: Path) -> str:
    """The hash of a sealed folder's manifest. The folder is known by it."""
    return str(msgspec.convert(read_object(folder / MANIFEST), dict[str, object])[SEAL])


def remove(folder: Path) -> None:
    """Removes a folder, or what stands in its place, but nothing that a link names."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
    else:
        shutil.rmtree(folder)
