"""A study file among the systems of a command: read, with the command's options in the place of its own, or written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..study_options import StudyOptions
from ..terminal import say

if TYPE_CHECKING:
    from ..systems.study_file import Values

SUFFIX = ".toml"
"""By which a study file is told from a system."""


def with_file(systems: Sequence[str], options: Values, given: Collection[str]) -> tuple[list[str], Values]:
    """The systems and options of a command, those of its study file included.

    Args:
        systems: names of systems, and at most one study file.
        options: all options of the command.
        given: the names of those that stand on the command line, which override the file.

    Raises:
        SettingError: there are several files, or one that cannot be used, or no systems.
    """
    from ..systems.study_file import read_study, with_options

    files = [name for name in systems if name.endswith(SUFFIX)]
    if not files:
        return list(systems), options
    if len(files) > 1:
        raise SettingError(f"a run has one study file; give one of {', '.join(files)}")
    of_file, options_of_file = read_study(Path(files[0]))
    own = [name for name in systems if name not in files]
    if not own and not of_file:
        raise SettingError(f"{files[0]} names no systems; give it a key 'systems', or name them behind it")
    overriding = {name: value for name, value in options.items() if name in given}
    return own or of_file, with_options(options_of_file, overriding, own_systems=bool(own))


def save(path: Path, systems: Sequence[str], options: Values) -> None:
    """Writes the study file of a command, once its names are known to exist.

    Raises:
        SettingError: another file is there, or a name or a value cannot be used.
    """
    from ..fingerprints import first_look
    from ..systems.comparison import compare
    from ..systems.study import study
    from ..systems.study_file import write_study

    with first_look():
        compare(study(**options), systems)
    write_study(path, systems, StudyOptions(**options))
    say(f"qalign: the study is in {path}")
