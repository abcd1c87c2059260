"""Files that a user names: TOML files, and the nearest path to one that is missing."""

from __future__ import annotations

import itertools
import os
import tomllib
from pathlib import Path

from .errors import SettingError, closest
from .untrusted import one_line, printable

MOST_NAMES = 10_000
"""Names of a folder that are compared."""
LARGEST_TOML = 2**20
"""The most bytes of a TOML file."""


def instead(path: Path | str, advice: str) -> str:
    """The end of a message about a missing path: the nearest one, or the advice."""
    near = nearest_path(path)
    return f"did you mean '{printable(str(near))}'?" if near is not None else advice


def nearest_path(path: Path | str) -> Path | None:
    """The existing path in which each missing part is the most similar visible name of its folder, or None."""
    path = Path(path)
    near = Path(path.anchor)
    for part in path.parts[len(near.parts) :]:
        if not os.path.lexists(near / part):
            try:
                with os.scandir(near) as entries:
                    names = [entry.name for entry in itertools.islice(entries, MOST_NAMES)]
            except (OSError, ValueError):
                return None
            other = closest(part, [name for name in names if not name.startswith(".")])
            if other is None:
                return None
            part = other
        near /= part
    return near if near != path and near.exists() else None


def read_toml(path: Path, kind: str, see: str) -> dict[str, object]:
    """The content of a TOML file. Messages have its `kind`, such as `language file`, and end with `see`. SettingError if it is
    missing, too large, or not TOML."""
    try:
        if path.exists() and not path.is_file():
            raise SettingError(f"{path} is not a file; give a TOML file")
        if path.stat().st_size > LARGEST_TOML:
            raise SettingError(f"{path} is larger than {LARGEST_TOML // 2**20} MiB; {see}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        advice = instead(path, "give a TOML file")
        raise SettingError(f"cannot read the {kind} {path}: {error.strerror}; {advice}") from error
    except RecursionError as error:
        raise SettingError(f"{path} is nested too deeply; {see}") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise SettingError(f"{path} is not TOML: {one_line(error)}; {see}") from error
