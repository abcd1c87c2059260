"""What the tests of corpora share: the folder of real data, the hand-made clones, and shortcuts to read from them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from qalign.corpora import CORPORA, Role, Source, Text, locate, read
from qalign.languages import LANGUAGES

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; a test that asks for it is skipped where it is not."""
    folder = Path(os.environ.get("QALIGN_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set QALIGN_DATA to the folder that holds it")
    return folder


@pytest.fixture(autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the hub, and none leaves a cache behind. The libraries read their settings at import, so both the
    environment and the modules are set."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def clones(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of small hand-made clones. They hold a few rows each, so the published counts are set aside."""
    for name, row in CORPORA.items():
        monkeypatch.setitem(CORPORA, name, dataclasses.replace(row, published={}))
    return Path(__file__).parent / "hub"


Locate = Callable[..., Source]
Read = Callable[..., Text]


@pytest.fixture
def find(tmp_path: Path) -> Locate:
    """`locate` without the arguments that most tests do not need."""

    def find(name: str | Path, role: Role, languages: Sequence[str], data: Path | None = None) -> Source:
        revisions = tmp_path / "state" / "revisions.json"
        return locate(str(name), role, languages, data=data, revisions=revisions)

    return find


@pytest.fixture
def load(find: Locate) -> Read:
    """Locates and reads at once, with the language table as it is."""

    def load(
        name: str | Path, role: Role, languages: Sequence[str], data: Path | None = None, drop_invalid: bool = False
    ) -> Text:
        return read(find(name, role, languages, data), languages, LANGUAGES, drop_invalid=drop_invalid)

    return load
