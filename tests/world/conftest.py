"""What the tests of the world share: its languages and one more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qalign.world import languages
from qalign.world.grammar import Grammar, grammar

SPOKEN = sorted(path.stem for path in Path(languages.__path__[0]).glob("*.py") if path.stem != "__init__")
ADDED = "it"


@pytest.fixture
def italian(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grammar]:
    """A language that lies in one file outside the package, as a user's own would; gone again after the test."""
    folder = str(Path(__file__).parent / "italian")
    monkeypatch.setattr(languages, "__path__", [*languages.__path__, folder])
    yield grammar(ADDED)
    grammar.cache_clear()
    del sys.modules[f"{languages.__name__}.{ADDED}"]
    delattr(languages, ADDED)


@pytest.fixture(params=[*SPOKEN, ADDED])
def spoken(request: pytest.FixtureRequest) -> Grammar:
    """Each language of the world in turn, and the added one."""
    if request.param == ADDED:
        request.getfixturevalue("italian")
    return grammar(request.param)
