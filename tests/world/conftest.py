"""What the tests of the world share: its languages and one more, and the whole of the base's text, made once."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from qalign.languages import STUDY
from qalign.records import atomic_file
from qalign.world import languages
from qalign.world.grammar import Grammar, grammar
from qalign.world.sets import SIZES
from qalign.world.text import Document, documents

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


@pytest.fixture(scope="session")
def text_documents(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> list[Document]:
    """The whole of the base's text (some minutes, so one of several processes makes it for all). Not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    made = (folder if worker_id == "master" else folder.parent) / "text_documents.pickle"
    with FileLock(made.with_suffix(".lock")):
        if not made.is_file():
            with atomic_file(made) as temporary:
                temporary.write_bytes(pickle.dumps(list(documents(SIZES["text"], STUDY))))
    found: list[Document] = pickle.loads(made.read_bytes())
    return found
