"""The verbs that look around: list, check, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import DATA, OUTPUT
from ..study_options import codes
from ..terminal import show
from . import completion
from .guard import guarded
from .options import Data, LanguageFile, Names, Runs, option


@guarded
def list_command(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", help="systems, scales, benchmarks, corpora, variants, languages or settings. By default all but the settings.", autocompletion=completion.words(table="systems.checks:SECTIONS"))] = None,
) -> None:  # fmt: skip
    """List what has a name: systems, scales, benchmarks, corpora, languages, settings."""
    from ..systems.checks import overview

    for table in overview(section):
        show(table, "")


@guarded
def check_command(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus by name, or a path.", autocompletion=completion.corpora)],
    role: Annotated[str, option(DATA, "questions, answers, multilingual, english, general, test or text.", metavar="ROLE", autocompletion=completion.words(table="corpora.table:OPTIONS"))],
    languages: Names = None,
    data: Data = None,
    language_file: LanguageFile = None,
    drop_invalid: Annotated[bool, option(DATA, "Leave out invalid rows, and list them.", "--drop-invalid")] = False,
    runs: Annotated[Path, option(OUTPUT, "The folder where hub revisions are recorded.", metavar="DIR")] = Path("runs"),
) -> None:  # fmt: skip
    """Read a corpus as a run would, and show its counts by language."""
    from ..language_file import load_languages
    from ..systems.checks import check

    for table in check(corpus, role, codes(languages), data, runs, load_languages(language_file), drop_invalid):
        show(table)


@guarded
def doctor_command(runs: Runs = Path("runs")) -> None:
    """Show what this machine has for a study, and what to do about the rest."""
    from ..systems.doctor import examination

    show(examination(runs))
