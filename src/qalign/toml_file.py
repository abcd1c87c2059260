"""TOML files of a user: read whole, with errors on one line."""

from __future__ import annotations

import tomllib
from pathlib import Path

from .errors import SettingError
from .paths import instead
from .untrusted import printable

LARGEST_FILE = 2**20
"""The most bytes of a file."""


def read_toml(path: Path, kind: str, see: str) -> dict[str, object]:
    """The content of a TOML file.

    Args:
        path: the file.
        kind: what the file is for, such as `language file`.
        see: the end of a message, which says where the format is described.

    Raises:
        SettingError: the file is missing, too large, not UTF-8 or not TOML.
    """
    try:
        if path.exists() and not path.is_file():
            raise SettingError(f"{path} is not a file; give a TOML file")
        if path.stat().st_size > LARGEST_FILE:
            raise SettingError(f"{path} is larger than {LARGEST_FILE // 2**20} MiB; {see}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        advice = instead(path, "give a TOML file")
        raise SettingError(f"cannot read the {kind} {path}: {error.strerror}; {advice}") from error
    except RecursionError as error:
        raise SettingError(f"{path} is nested too deeply; {see}") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise SettingError(f"{path} is not TOML: {printable(str(error))[:200]}; {see}") from error
