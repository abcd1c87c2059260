"""What tests of several folders share."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from own_data import OwnData, write_own_data
from qalign.languages import STUDY
from qalign.records import atomic_file
from qalign.world.sets import SIZES
from qalign.world.text import Document, documents
from tiny_base import write_base

# Ctrl-C interrupts, also where the tests were started in the background by a shell, which has programs ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Messages have one width, also in a worker of pytest-xdist, which sets the width of its terminal.
os.environ.pop("COLUMNS", None)

# The same cases on every run and machine, and none judged by the clock of a busy one.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> OwnData:
    """Six parallel problems in German, Swahili, French and English. Not to be written to."""
    return write_own_data(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of `tiny_base`. Not to be written to."""
    return write_base(tmp_path_factory.mktemp("base"))


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
