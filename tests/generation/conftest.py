"""What the tests of backends share: a port, and a real server on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Serve, free_port, starting

from qalign.systems.bases import WORLD_FOLDER


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serve(port: int) -> Iterator[Serve]:
    """Starts `transformers serve`; all that were started are killed in the end."""
    pytest.importorskip("fastapi", reason="a server needs fastapi: pip install 'qalign[dev]'")
    pytest.importorskip("uvicorn", reason="a server needs uvicorn: pip install 'qalign[dev]'")
    words = ["-c", "from transformers.cli.transformers import main; main()", "serve", "--host", "127.0.0.1"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with starting(port) as start:
        yield lambda wait=True: start(*words, "--port", str(port), "--device", "cpu", wait=wait, **silent)


@pytest.fixture
def serve_tokens(port: int, tmp_path: Path) -> Iterator[Serve]:
    """Starts `token_server.py` with the base of the world; all that were started are killed in the end."""
    words = [str(Path(__file__).with_name("token_server.py")), str(port), str(WORLD_FOLDER), str(tmp_path / "prompts")]
    with starting(port) as start:
        yield lambda kind="tokens": start(*words, kind)
