"""Writes the sources of the site: the documents, and each file of the repository that they link to.

`python docs/site.py FOLDER` copies docs/ to FOLDER. A link from a document to a file outside docs/ works on GitHub. Here that
file is copied to FOLDER/repository, and the link follows it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
"""Documents at the top of the repository that have a place in the navigation."""
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=(?:#[^)\s]*)?\))")


def place(file: Path) -> Path:
    """Where a file of the repository stands on the site."""
    if file.is_relative_to(DOCS):
        return file.relative_to(DOCS)
    return "repository" / file.relative_to(REPOSITORY)


def linked(document: Path) -> list[Path]:
    """The files of the repository that a document links to."""
    targets = [document.parent / link for link in LINK.findall(document.read_text(encoding="utf-8"))]
    files = [Path(os.path.normpath(target)) for target in targets]
    return [file for file in files if file.is_file() and file.is_relative_to(REPOSITORY)]


def moved(document: Path) -> str:
    """The text of a document with its links from where it stands on the site."""

    def follow(match: re.Match[str]) -> str:
        file = Path(os.path.normpath(document.parent / match[0]))
        if not (file.is_file() and file.is_relative_to(REPOSITORY)):
            return match[0]  # the generator says what is wrong with it
        return Path(os.path.relpath(place(file), place(document).parent)).as_posix()

    return LINK.sub(follow, document.read_text(encoding="utf-8"))


def write(folder: Path) -> list[Path]:
    """Writes the sources into a new folder, and returns the files of the repository that they were made from."""
    waiting = [*sorted(DOCS.rglob("*.md")), *(REPOSITORY / name for name in ROOT_PAGES)]
    files: list[Path] = []
    while waiting:
        file = waiting.pop()
        if file in files:
            continue
        files.append(file)
        target = folder / place(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(moved(file), encoding="utf-8")
            waiting += linked(file)
        else:
            shutil.copyfile(file, target)
    return files


if __name__ == "__main__":
    goal = Path(sys.argv[1])
    shutil.rmtree(goal, ignore_errors=True)
    write(goal)
