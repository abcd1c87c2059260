"""What tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from own_data import OwnData, write_own_data
from tiny_base import write_base

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
